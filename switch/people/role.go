package people

import (
	"slices"
)

// Right is what somebody may do at a merchant. The numbers are not stored: roles
// are.
type Right uint32

// The rights.
const (
	RightPayments Right = 1 << iota // see payments, their stories, charts
	RightExport                     // take them away as a file
	RightCapture                    // capture and cancel
	RightRefund                     // give money back
	RightTerminal                   // take payments by hand
	RightBatches                    // many acts at once; each row needs its own right, too
	RightTickets                    // write to the operators
	RightWebhooks                   // see endpoints and deliveries, send again
	RightKeys                       // make, roll and revoke API keys
	RightUsers                      // invite, change and remove people
	RightAudit                      // see who did what
	RightOperate                    // lead the applications of shops; of no merchant
	RightPages                      // upload and publish the shop's own design of the payment page
)

const everything = RightPayments | RightExport | RightCapture | RightRefund | RightTerminal | RightBatches | RightTickets |
	RightWebhooks | RightKeys | RightUsers | RightAudit | RightPages

// Role is a named set of rights. The words are stored.
type Role string

// The roles.
const (
	RoleOwner     Role = "owner"     // everything
	RoleFinance   Role = "finance"   // money: captures, refunds, batches, files, the terminal
	RoleSupport   Role = "support"   // refunds and tickets, for those who talk with payers
	RoleDeveloper Role = "developer" // keys, webhooks, the payment page
	RoleViewer    Role = "viewer"    // looks, and touches nothing

	// RoleOperator is of the people of the house: it is at no merchant, and none can
	// give it.
	RoleOperator Role = "operator"
)

var roles = []struct {
	role   Role
	rights Right
}{
	{RoleOwner, everything},
	{RoleFinance, RightPayments | RightExport | RightCapture | RightRefund | RightTerminal | RightBatches | RightTickets},
	{RoleSupport, RightPayments | RightRefund | RightTickets},
	{RoleDeveloper, RightPayments | RightWebhooks | RightKeys | RightTickets | RightPages},
	{RoleViewer, RightPayments},
}

// Roles are those that there are at a merchant, the widest first.
func Roles() []Role {
	out := make([]Role, 0, len(roles))
	for _, r := range roles {
		out = append(out, r.role)
	}
	return out
}

// Rights of the role; an unknown one has none.
func (r Role) Rights() Right {
	if r == RoleOperator {
		return RightOperate
	}
	i := slices.IndexFunc(roles, func(known struct {
		role   Role
		rights Right
	}) bool {
		return known.role == r
	})
	if i < 0 {
		return 0
	}
	return roles[i].rights
}

// Has reports whether all of need is in it.
func (r Right) Has(need Right) bool { return r&need == need }

// Grant lets somebody act at a merchant in one mode, or, without a merchant, as an
// operator.
type Grant struct {
	Merchant string `json:"merchant"`
	Live     bool   `json:"live"`
	Role     Role   `json:"role"`
}

// MaxGrants bounds the grants of one user.
const MaxGrants = 64

// RoleAt is the user's role at a merchant in one mode; the empty one: none.
func (u *User) RoleAt(merchant string, live bool) Role {
	for _, g := range u.Grants {
		if g.Merchant == merchant && g.Live == live {
			return g.Role
		}
	}
	return ""
}

var operating = Grant{Role: RoleOperator}

// IsOperator reports whether the user is one of the house.
func (u *User) IsOperator() bool { return slices.Contains(u.Grants, operating) }

// withGrant is the list with the grant in place of one for the same account; an
// empty role takes it away.
func withGrant(grants []Grant, g Grant) []Grant {
	out := slices.DeleteFunc(slices.Clone(grants), func(had Grant) bool { return had.Merchant == g.Merchant && had.Live == g.Live })
	if g.Role != "" {
		out = append(out, g)
	}
	return out
}

func (p *People) checkGrants(grants []Grant) error {
	if len(grants) > MaxGrants {
		return invalid("/grants", "At most %d are taken.", MaxGrants)
	}
	for _, g := range grants {
		if g == operating {
			continue
		}
		if g.Role.Rights() == 0 || g.Role == RoleOperator {
			return invalid("/role", "%q is not one of %v.", g.Role, Roles())
		}
		if _, err := p.sw.AccountOf(g.Merchant, g.Live); err != nil {
			return err
		}
	}
	return nil
}
