package people

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// RefundPrefix is the TypeID prefix of a refund that waits for a second person.
const RefundPrefix = "ask"

// The states of a refund that is asked for. The words are stored.
const (
	RefundWaits    = "waiting"
	RefundApproved = "approved" // by another person; Outcome says what came of it
	RefundRefused  = "refused"
)

// maxRefundAsks is how many of one account may wait at once.
const maxRefundAsks = 200

// RefundAsk is a refund above an account's limit: one person asks for it, another
// decides.
type RefundAsk struct {
	ID        payswitch.ID `json:"-"`
	Payment   payswitch.ID `json:"payment"`
	Amount    int64        `json:"amount"` // minor units
	Currency  string       `json:"currency"`
	Reason    string       `json:"reason,omitempty"`
	Once      string       `json:"once"` // of the form: sent twice it asks once
	By        payswitch.ID `json:"by"`
	ByEmail   string       `json:"by_email"`
	Status    string       `json:"status"`
	Decider   string       `json:"decider,omitempty"` // mail address
	DecidedAt time.Time    `json:"decided_at,omitzero"`
	Outcome   string       `json:"outcome,omitempty"`
}

// At is when it was asked for.
func (a *RefundAsk) At() time.Time { return a.ID.Time() }

// RefundLimits are, by currency, how much of one payment one person may give back in
// all, in minor units; none: as much as there is. Errors are refusals.
func (p *People) RefundLimits(merchant string, live bool) (map[string]int64, error) {
	limits := map[string]int64{}
	_, err := p.read(spacePeople, key(peopleLimit, accountDigest(merchant, live)), &limits)
	return limits, err
}

// SetRefundLimit is for operators: no person of a shop can widen what binds them. A
// negative limit takes it away; zero lets nobody refund alone. Errors are refusals.
func (p *People) SetRefundLimit(merchant string, live bool, currency string, limit int64) (map[string]int64, error) {
	if _, err := p.sw.AccountOf(merchant, live); err != nil {
		return nil, err
	}
	if len(currency) != 3 {
		return nil, invalid("/currency", "Must be an alphabetic code of ISO 4217, like EUR.")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	limits, err := p.RefundLimits(merchant, live)
	if err != nil {
		return nil, err
	}
	if limits[currency] = limit; limit < 0 {
		delete(limits, currency)
	}
	var c storage.Command
	if err := set(&c, spacePeople, key(peopleLimit, accountDigest(merchant, live)), limits); err != nil {
		return nil, err
	}
	return limits, p.do(&c)
}

func refundKey(merchant string, live bool, id payswitch.ID) []byte {
	return key(peopleRefund, accountDigest(merchant, live), id[:])
}

// RefundAsks are those of an account, the newest first, at most limit. Errors are
// refusals.
func (p *People) RefundAsks(merchant string, live bool, limit int) (list []RefundAsk, err error) {
	prefix := key(peopleRefund, accountDigest(merchant, live))
	var bad error
	err = p.store.Scan(storage.Range{Space: spacePeople, Prefix: bytes.Clone(prefix), Reverse: true}, func(name, body []byte) bool {
		a := RefundAsk{ID: payswitch.ID(name[len(prefix):])}
		if bad = json.Unmarshal(body, &a); bad != nil {
			return false
		}
		list = append(list, a)
		return len(list) < limit
	})
	if err != nil || bad != nil {
		return nil, errInternal
	}
	return list, nil
}

// AskRefund makes a wish durable. REQUIRES: the payment is the account's. Errors are
// refusals.
func (p *People) AskRefund(merchant string, live bool, a RefundAsk) (RefundAsk, error) {
	once := digestOf(a.Once)
	a.Once = hex.EncodeToString(once[:])
	p.mu.Lock()
	defer p.mu.Unlock()
	there, err := p.RefundAsks(merchant, live, 2*maxRefundAsks)
	if err != nil {
		return a, err
	}
	waiting := 0
	for _, old := range there {
		if old.Once == a.Once {
			return old, nil
		}
		if old.Status == RefundWaits {
			waiting++
		}
	}
	if waiting >= maxRefundAsks {
		return a, refusal(payswitch.CodeInvalidState, "", "%d refunds wait for a second person, as many as may be.", waiting)
	}
	a.ID, a.Status = p.freshID(), RefundWaits
	var c storage.Command
	if err := set(&c, spacePeople, refundKey(merchant, live, a.ID), &a); err != nil {
		return a, err
	}
	return a, p.do(&c)
}

// Decision is what a second person says of a wish.
type Decision struct {
	Ask     payswitch.ID
	By      *User
	Approve bool
}

// DecideRefund approves or refuses a wish. Who asked may refuse it, and never approve
// it. One that is approved already is given again, so that what a crash cut off can be
// done by pressing again. Errors are refusals.
func (p *People) DecideRefund(merchant string, live bool, d Decision) (RefundAsk, error) {
	return p.changeRefund(merchant, live, d.Ask, func(a *RefundAsk) error {
		switch {
		case d.Approve && a.By == d.By.ID:
			return refusal(payswitch.CodeForbidden, "/second", "You asked for it: another person has to approve.")
		case d.Approve && a.Status == RefundApproved && a.Outcome == "":
			return nil
		case a.Status != RefundWaits:
			return refusal(payswitch.CodeInvalidState, "", "It was decided already.")
		}
		a.Decider, a.DecidedAt, a.Status = d.By.Email, p.now(), RefundRefused
		if d.Approve {
			a.Status = RefundApproved
		}
		return nil
	})
}

// ConcludeRefund adds what came of a wish that was approved. Errors are refusals.
func (p *People) ConcludeRefund(merchant string, live bool, id payswitch.ID, outcome string) error {
	_, err := p.changeRefund(merchant, live, id, func(a *RefundAsk) error {
		a.Outcome = outcome
		return nil
	})
	return err
}

func (p *People) changeRefund(merchant string, live bool, id payswitch.ID, how func(*RefundAsk) error) (RefundAsk, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := RefundAsk{ID: id}
	ok, err := p.read(spacePeople, refundKey(merchant, live, id), &a)
	if err == nil && !ok {
		err = notFound("refund")
	}
	if err == nil {
		err = how(&a)
	}
	if err != nil {
		return a, err
	}
	var c storage.Command
	if err := set(&c, spacePeople, refundKey(merchant, live, id), &a); err != nil {
		return a, err
	}
	return a, p.do(&c)
}
