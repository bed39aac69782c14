package payswitch

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// Bounds of what presses make, so that a machine that presses a button fills
// neither the journal nor the shop's list of orders.
const (
	// MaxPressesOpen is how many sessions of one button may stand unpaid at once.
	MaxPressesOpen = 1000
	// MaxPressesPerMinute is how many sessions one button makes in a minute.
	MaxPressesPerMinute = 300
	// pressSweep is how often a button with too many unpaid sessions looks which of
	// them are paid or over.
	pressSweep = 10 * time.Second
)

// presses count, by button, the sessions that stand unpaid.
type presses struct {
	mu sync.Mutex
	by map[ID]*pressed
}

// pressed is one button's. Its lock is held over the making of a session, so that a
// disabled button makes none.
type pressed struct {
	mu     stripe
	known  bool // open was read from the journal
	open   []openPress
	swept  time.Time
	minute int64
	made   int // in the minute
}

type openPress struct {
	session ID
	until   time.Time
}

func (p *presses) of(id ID) *pressed {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = map[ID]*pressed{}
	}
	one := p.by[id]
	if one == nil {
		one = new(pressed)
		p.by[id] = one
	}
	return one
}

// Press is one press of a button.
type Press struct {
	// Nonce is of the form that was pressed: the same form, pressed twice, leads to
	// the same session.
	Nonce    string
	Amount   int64 // of a button whose buyer chooses, else 0
	Quantity int   // 0: one
}

var (
	errButtonOver  = &Refusal{Code: CodeInvalidState, Detail: "This button takes no payments any more."}
	errButtonBusy  = &Refusal{Code: CodeOverloaded, RetryAfter: time.Minute, Detail: "This button was pressed too often."}
	errNewerTerms  = &Refusal{Code: CodeInvalidState, Detail: "A newer form of this order was used."}
	errOtherAmount = &Refusal{Code: CodeInvalidRequest, Pointer: "/amount", Detail: "The amount is not within the bounds of the button."}
)

// OpenButton is a button for whoever knows its id: its buyers. It is refused when it
// takes no payments. Errors are refusals.
func (s *Switch) OpenButton(id ID) (Account, Button, error) {
	b, err := s.readButton(id)
	switch {
	case err != nil:
		s.log.Error("a button could not be read", "button", id.Text(ButtonPrefix), "error", err)
		return Account{}, Button{}, errInternal
	case b == nil:
		return Account{}, Button{}, errNoButton
	}
	a, err := s.AccountOf(b.Merchant, b.Live)
	switch {
	case err != nil:
		return Account{}, Button{}, errNoButton
	case b.Status(s.now()) != ButtonActive || a.Merchant.restricted() && !a.Merchant.opens(a.Live, s.o.Now()):
		return a, *b, errButtonOver
	}
	return a, *b, nil
}

// PressButton makes the session of a press, or finds the one that the same press
// made. Errors are refusals.
func (s *Switch) PressButton(id ID, p *Press) (Account, Checkout, error) {
	if err := s.accepting(); err != nil {
		return Account{}, Checkout{}, err
	}
	of := s.presses.of(id)
	of.mu.Lock()
	defer of.mu.Unlock()
	a, b, err := s.OpenButton(id)
	if err != nil {
		return a, Checkout{}, err
	}
	wish, err := b.sells(p)
	if err != nil {
		return a, Checkout{}, err
	}
	if b.Once {
		made, err := s.CheckoutOrder(a, &OrderTerms{Button: id, Wish: wish, Life: b.PressLife})
		return a, made, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", id[:], p.Nonce, wish.Amount))
	r := &CheckoutRequest{IdempotencyKey: "\x00button" + string(sum[:]), Fingerprint: s.Fingerprint("POST", id.Text(ButtonPrefix), sum[:])}
	key := s.idempotencyDigest(a, r.IdempotencyKey)
	_, again, err := s.store.Get(spaceKey, key[:], nil)
	if err == nil && !again {
		err = s.admitPress(id, of)
	}
	if err != nil {
		return a, Checkout{}, err
	}
	wish.OrderID += "-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:12])
	wish.ExpiresAt = s.now().Add(b.PressLife)
	r.Wish, r.also = wish, func(cmd *storage.Command, c *Checkout) {
		cmd.Set(spaceButton, append(buttonKey(buttonSession, id), c.ID[:]...), nil)
	}
	made, replayed, err := s.CreateCheckout(a, r)
	if err == nil && !replayed {
		of.made++
		of.open = append(of.open, openPress{made.ID, made.ExpiresAt})
	}
	return a, made, err
}

// sells is the order of one press.
func (b *Button) sells(p *Press) (Checkout, error) {
	c := Checkout{Button: b.ID, Amount: b.Amount, Currency: b.Currency, OrderID: b.OrderID, Description: b.Description, ManualCapture: b.ManualCapture,
		Language: b.Language, SuccessURL: b.SuccessURL, FailURL: b.FailURL, ReturnURL: b.ReturnURL}
	pieces := cmp.Or(p.Quantity, 1)
	switch {
	case pieces < 1 || pieces > b.MaxQuantity:
		return c, &Refusal{Code: CodeInvalidRequest, Pointer: "/quantity", Detail: "The quantity is not within the bounds of the button."}
	case b.Amount == 0 && (p.Amount < b.MinAmount || p.Amount > b.MaxAmount), b.Amount != 0 && p.Amount != 0:
		return c, errOtherAmount
	case b.Amount == 0:
		c.Amount = p.Amount
	}
	c.Amount *= int64(pieces)
	if pieces > 1 {
		c.Description = strings.TrimSpace(c.Description + " × " + strconv.Itoa(pieces))
	}
	return c, nil
}

// admitPress holds a new session to the bounds of its button.
// REQUIRES: of.mu.
func (s *Switch) admitPress(id ID, of *pressed) error {
	now := s.now()
	if minute := now.Unix() / 60; minute != of.minute {
		of.minute, of.made = minute, 0
	}
	if of.made >= MaxPressesPerMinute {
		return errButtonBusy
	}
	if !of.known {
		if err := s.readPresses(id, of, now); err != nil {
			s.log.Error("the sessions of a button could not be read", "button", id.Text(ButtonPrefix), "error", err)
			return errInternal
		}
	}
	if len(of.open) < MaxPressesOpen {
		return nil
	}
	if now.Sub(of.swept) < pressSweep {
		return errButtonBusy
	}
	of.swept = now
	kept := of.open[:0]
	for _, p := range of.open {
		if now.Before(p.until) {
			if _, c, err := s.OpenCheckout(p.session); err != nil || c.Status == CheckoutOpen || c.Status == CheckoutProcessing {
				kept = append(kept, p)
			}
		}
	}
	if of.open = kept; len(kept) >= MaxPressesOpen {
		s.log.Warn("a button has as many unpaid sessions as it may", "button", id.Text(ButtonPrefix), "open", len(kept))
		return errButtonBusy
	}
	return nil
}

// readPresses finds the sessions of a button that may stand unpaid, after a start.
// How long one lives its own record says: it is looked at when they are too many.
func (s *Switch) readPresses(id ID, of *pressed, now time.Time) error {
	prefix := buttonKey(buttonSession, id)
	from := idAt(now.Add(-MaxPressLife))
	ids, err := s.idsOf(storage.Range{Space: spaceButton, Prefix: prefix, From: append(append([]byte{}, prefix...), from[:]...), Reverse: true}, len(prefix), MaxPressesOpen)
	if err != nil {
		return err
	}
	of.open = of.open[:0]
	for _, session := range ids {
		of.open = append(of.open, openPress{ID(session), ID(session).Time().Add(MaxPressLife)})
	}
	of.known = true
	return nil
}

// OrderTerms ask for the one session of an order.
type OrderTerms struct {
	Button     ID       // zero: the shop signed the terms itself
	Wish       Checkout // Amount to Metadata
	Life       time.Duration
	ValidUntil int64 // seconds since 1970, of the terms that the shop signed; 0: of a button
}

// orderedSession is what an order that is sold by a form led to last.
type orderedSession struct {
	Session    ID
	Terms      Fingerprint
	ValidUntil int64
	Number     uint32 // sessions of the order so far
}

// termsFingerprint tells the terms of an order: all that its buyer would pay by.
func (s *Switch) termsFingerprint(t *OrderTerms) (Fingerprint, error) {
	text, err := json.Marshal(&t.Wish)
	return s.Fingerprint("TERMS", t.Button.Text(ButtonPrefix), text), err
}

// CheckoutOrder finds the session of an order, or makes it: the same terms lead to the
// same session, however often they are sent, and new terms of an order that is not
// paid close the session before. An order that is paid, or whose payment is on its
// way, leads to that. Errors are refusals.
func (s *Switch) CheckoutOrder(a Account, t *OrderTerms) (Checkout, error) {
	if err := s.accepting(); err != nil {
		return Checkout{}, err
	}
	order := orderDigest(accountDigest(a), t.Wish.OrderID)
	mu := &s.orders[int(order[0])%len(s.orders)]
	mu.Lock()
	defer mu.Unlock()
	terms, err := s.termsFingerprint(t)
	if err != nil {
		return Checkout{}, errInternal
	}
	var last orderedSession
	name := append([]byte{buttonOrder}, order[:]...)
	body, ok, err := s.store.Get(spaceButton, name, nil)
	if err == nil && ok {
		err = json.Unmarshal(body, &last)
	}
	if err != nil {
		s.log.Error("the session of an order could not be read", "merchant", a.Merchant.ID, "error", err)
		return Checkout{}, errInternal
	}
	if ok {
		if c, settled, err := s.standingSession(a, t, &last, terms); settled || err != nil {
			return c, err
		}
	}
	if _, err := s.nextAttempt(a, t.Wish.OrderID); err != nil {
		return Checkout{}, err
	}
	next := orderedSession{Terms: terms, ValidUntil: t.ValidUntil, Number: last.Number + 1}
	r := &CheckoutRequest{IdempotencyKey: "\x00order" + string(binary.BigEndian.AppendUint32(order[:], next.Number)), Fingerprint: terms, Wish: t.Wish}
	r.Wish.ExpiresAt = s.now().Add(t.Life)
	r.also = func(cmd *storage.Command, c *Checkout) {
		next.Session = c.ID
		body, _ := json.Marshal(&next) // of ids and numbers: it cannot fail
		cmd.Set(spaceButton, name, body)
	}
	made, _, err := s.CreateCheckout(a, r)
	return made, err
}

// standingSession is what the order's last session says to new terms; settled: it is
// the one to go on with.
// REQUIRES: the order's lock.
func (s *Switch) standingSession(a Account, t *OrderTerms, last *orderedSession, terms Fingerprint) (c Checkout, settled bool, err error) {
	c, err = s.Checkout(a, last.Session)
	same := last.Terms == terms
	switch {
	case err != nil:
		return c, false, err
	case c.Status == CheckoutProcessing, c.Status == CheckoutComplete, same && c.Status == CheckoutOpen:
		return c, true, nil
	case c.Attempts >= MaxCheckoutAttempts, same && !c.ExpiredAt.IsZero():
		return c, true, nil // who tests cards, or whom the shop shut out, gets no other page
	case t.ValidUntil != 0 && t.ValidUntil < last.ValidUntil && !same:
		return c, false, errNewerTerms
	case c.Status == CheckoutExpired:
		return c, false, nil
	}
	_, err = s.ExpireCheckout(a, c.ID)
	return c, false, err
}
