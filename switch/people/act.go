package people

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// ActPrefix is the TypeID prefix of an act.
const ActPrefix = "act"

// The first byte of a key in spaceAct. It is stored: never reuse one.
const (
	actShop    = 's' // merchant digest, act id -> Act
	actPayment = 'p' // payment id, act id -> merchant digest
	actOnce    = 'o' // digest of Act.Once; claimed
)

// Act is what one person did at a merchant. What touches money is written before
// it is asked of the switch, so that nothing happens of which nobody knows who
// wanted it; Outcome is added when it was refused. Never changed otherwise.
type Act struct {
	ID       payswitch.ID `json:"-"`
	Merchant string       `json:"merchant"`
	Live     bool         `json:"live"`
	Who      string       `json:"who"`             // mail address, or the operator's name
	Operator bool         `json:"by_us,omitempty"` // it was an operator
	What     string       `json:"what"`            // signed_in, refund, key_created ...
	Payment  payswitch.ID `json:"payment,omitzero"`
	Object   string       `json:"object,omitempty"` // id of what it was about, if not of a payment
	Detail   string       `json:"detail,omitempty"` // one line, without card data
	Outcome  string       `json:"outcome,omitempty"`
	Address  string       `json:"address,omitempty"`

	// Once names the act: one of a name is kept, however often it is recorded.
	Once string `json:"-"`
}

// At is when it was done.
func (a *Act) At() time.Time { return a.ID.Time() }

const maxActDetail = 500

// Record makes an act durable and gives it its id; none when one of its Once stands
// already. Errors are refusals.
func (p *People) Record(a *Act) error {
	a.ID = p.freshID()
	var c storage.Command
	if a.Once != "" {
		d := digestOf(a.Once)
		c.Claim(spaceAct, key(actOnce, d[:]), nil)
	}
	if err := a.put(&c); err != nil {
		return err
	}
	if !a.Payment.IsZero() {
		c.Set(spaceAct, key(actPayment, a.Payment[:], a.ID[:]), shopDigest(a.Merchant))
	}
	err := p.do(&c)
	if a.Once != "" && errors.Is(err, errTaken) {
		a.ID = payswitch.ID{} // it stands under another id, and as it was
		return nil
	}
	return err
}

// Recorded reports whether an act of a name stands. Errors are refusals.
func (p *People) Recorded(once string) (bool, error) {
	d := digestOf(once)
	_, ok, err := p.store.Get(spaceAct, key(actOnce, d[:]), nil)
	if err != nil {
		return false, errInternal
	}
	return ok, nil
}

// Made adds to a recorded act the payment that it made. Errors are refusals.
func (p *People) Made(a *Act, payment payswitch.ID) error {
	if a.ID.IsZero() {
		return nil
	}
	a.Payment = payment
	var c storage.Command
	c.Set(spaceAct, key(actPayment, payment[:], a.ID[:]), shopDigest(a.Merchant))
	if err := a.put(&c); err != nil {
		return err
	}
	return p.do(&c)
}

// Conclude adds to a recorded act that it was refused, and why. Errors are refusals.
func (p *People) Conclude(a *Act, outcome string) error {
	if a.ID.IsZero() {
		return nil
	}
	a.Outcome = outcome
	var c storage.Command
	if err := a.put(&c); err != nil {
		return err
	}
	return p.do(&c)
}

func (a *Act) put(c *storage.Command) error {
	for _, text := range []*string{&a.Detail, &a.Outcome} {
		if len(*text) > maxActDetail {
			*text = strings.ToValidUTF8((*text)[:maxActDetail], "")
		}
	}
	return set(c, spaceAct, key(actShop, shopDigest(a.Merchant), a.ID[:]), a)
}

// ActQuery selects acts at a merchant, the newest first.
type ActQuery struct {
	Merchant string
	Live     bool
	Text     string       // in who, what, object, detail or payment; empty: any
	From, To time.Time    // not before From, and before To; zero: no bound
	Limit    int          // 1..100
	Cursor   payswitch.ID // zero: from the newest; else strictly older than it
}

// ActPage is one page. More says that older ones may exist; Next is then the
// cursor for them: with a filter a page may be short, or empty.
type ActPage struct {
	Acts []Act
	More bool
	Next payswitch.ID
}

// actBudget bounds how many acts one search looks at.
const actBudget = 5_000

// Acts is a page of what people did. Errors are refusals.
func (p *People) Acts(q ActQuery) (page ActPage, err error) {
	prefix := key(actShop, shopDigest(q.Merchant))
	rng := storage.Range{Space: spaceAct, Prefix: prefix, Reverse: true}
	if !q.Cursor.IsZero() {
		rng.To = append(bytes.Clone(prefix), q.Cursor[:]...)
	}
	text, looked := strings.ToLower(strings.TrimSpace(q.Text)), 0
	var bad error
	err = p.store.Scan(rng, func(name, body []byte) bool {
		a := Act{ID: payswitch.ID(name[len(prefix):])}
		if !q.From.IsZero() && a.At().Before(q.From) {
			return false
		}
		if page.More = len(page.Acts) == q.Limit || looked == actBudget; page.More {
			return false
		}
		looked++
		page.Next = a.ID
		if bad = json.Unmarshal(body, &a); bad != nil {
			return false
		}
		if a.Live == q.Live && (q.To.IsZero() || a.At().Before(q.To)) && a.holds(text) {
			page.Acts = append(page.Acts, a)
		}
		return true
	})
	if err != nil || bad != nil {
		p.log.Error("the acts of people could not be read", "error", err)
		return ActPage{}, errInternal
	}
	return page, nil
}

func (a *Act) holds(text string) bool {
	if text == "" {
		return true
	}
	for _, in := range []string{a.Who, a.What, a.Object, a.Detail, a.Outcome, a.Address} {
		if strings.Contains(strings.ToLower(in), text) {
			return true
		}
	}
	return !a.Payment.IsZero() && strings.Contains(a.Payment.Text(payswitch.PaymentPrefix), text)
}

// maxPaymentActs bounds what is shown of one payment.
const maxPaymentActs = 200

// ActsOn are the acts on one payment, the oldest first. REQUIRES: the payment is
// the merchant's. Errors are refusals.
func (p *People) ActsOn(merchant string, payment payswitch.ID) (acts []Act, err error) {
	prefix := key(actPayment, payment[:])
	var ids []payswitch.ID
	err = p.store.Scan(storage.Range{Space: spaceAct, Prefix: prefix}, func(name, _ []byte) bool {
		ids = append(ids, payswitch.ID(name[len(prefix):]))
		return len(ids) < maxPaymentActs
	})
	if err != nil {
		return nil, errInternal
	}
	for _, id := range ids {
		a := Act{ID: id}
		ok, err := p.read(spaceAct, key(actShop, shopDigest(merchant), id[:]), &a)
		if err != nil {
			return nil, err
		}
		if ok {
			acts = append(acts, a)
		}
	}
	return acts, nil
}
