package people

import (
	"cmp"
	"slices"
)

// maxOperatorEmail is how long an operator's address may be: it is the name that
// stands at the operator's acts.
const maxOperatorEmail = 64

// InviteOperator makes somebody an operator; word is what the link of a new user
// carries, as that of Invite. Errors are refusals.
func (p *People) InviteOperator(email, by string) (User, string, error) {
	if len(email) > maxOperatorEmail {
		return User{}, "", invalid("/email", "An operator's address has at most %d characters.", maxOperatorEmail)
	}
	return p.Invite(Invitation{Email: email, Grants: []Grant{operating}, By: by})
}

// DropOperator takes the operators' rights from somebody; every session ends.
// Errors are refusals.
func (p *People) DropOperator(email string) (User, error) {
	u, err := p.Find(email)
	if err != nil {
		return u, err
	}
	return p.change(u.ID, func(u *User) error {
		if !u.IsOperator() {
			return notFound("operator")
		}
		u.Grants = withGrant(u.Grants, Grant{})
		u.SessionsOf++
		return nil
	})
}

// Operators are all of them, by address. Errors are refusals.
func (p *People) Operators() ([]User, error) {
	users, err := p.UsersOf("")
	slices.SortFunc(users, func(x, y User) int { return cmp.Compare(x.Email, y.Email) })
	return users, err
}
