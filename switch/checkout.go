package payswitch

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// CheckoutPrefix is the TypeID prefix of a checkout session.
const CheckoutPrefix = "cs"

// spaceCheckout holds checkout sessions. The first byte of a key says what stands
// there: the bytes are stored, never reuse one.
const spaceCheckout storage.Space = 'C'

const (
	checkoutHead = 'h' // session id -> Checkout as it is stored
	checkoutList = 'l' // account digest, session id: lists
	checkoutHash = 'f' // session id -> Fingerprint of the request that made it
	checkoutSent = 's' // session id, letter id -> CheckoutSending
	checkoutDue  = 'd' // time, session id, payment id or 0: when it is looked at whether it is over
	checkoutTalk = 'b' // session id -> language in which its buyer saw the page, where receipts need it
	checkoutTold = 'e' // session id -> marks of the events that were told
)

// The states of a checkout session. All but expiring by request follow from its
// payments and the clock, so no crash can leave them apart.
const (
	CheckoutOpen       = "open"
	CheckoutProcessing = "processing" // a payment's outcome is not known, or its payer must act
	CheckoutComplete   = "complete"   // paid
	CheckoutExpired    = "expired"    // by its time, by the shop, or by too many attempts
)

// Limits of checkout sessions.
const (
	DefaultCheckoutLife = 24 * time.Hour
	MinCheckoutLife     = 5 * time.Minute
	MaxCheckoutLife     = 90 * 24 * time.Hour
	// MaxCheckoutAttempts is how many payments one session may lead to: who tries
	// more cards than that is testing them.
	MaxCheckoutAttempts = 10
)

// Checkout is one order that a buyer may pay on the switch's own page, once. A
// session of a long life is a payment link. It is a value, safe to copy. The
// amount is minor units of Currency; times are UTC with milliseconds.
type Checkout struct {
	ID            ID
	Changes       uint32 // of the session itself
	Merchant      string
	Live          bool
	Amount        int64
	Currency      string
	OrderID       string
	Description   string
	ManualCapture bool
	Language      string // of the page; empty: as the buyer's browser asks
	Email         string // of the buyer
	Receipt       bool   // the buyer gets receipts, though the merchant's buyers do not
	Customer      string // the shop's name for the buyer, or empty
	SuccessURL    string // where the page leads back to, after each end
	FailURL       string
	ReturnURL     string
	Metadata      []Pair
	Button        ID `json:",omitzero"` // that was pressed; zero: none
	ExpiresAt     time.Time
	ExpiredAt     time.Time // by the shop; zero: not
	CreatedAt     time.Time
	UpdatedAt     time.Time

	Status   string   `json:"-"`
	Version  uint32   `json:"-"` // +1 with each change of the session or of a payment of it
	Attempts int      `json:"-"` // payments that it led to
	Payment  *Payment `json:"-"` // the one that paid it, else the newest; nil: none

	Sent []CheckoutSending `json:"-"` // letters with its link, the oldest first
}

// CheckoutRequest is a wish to make a session, already syntactically valid.
type CheckoutRequest struct {
	IdempotencyKey string
	Fingerprint    Fingerprint
	Wish           Checkout      // Amount to ExpiresAt
	Send           *CheckoutSend // its link goes out with the same step; nil: it does not

	also func(*storage.Command, *Checkout) // what becomes durable with it; nil: nothing
}

func checkoutKey(kind byte, id ID) []byte { return append([]byte{kind}, id[:]...) }

// checkoutClaim is what the idempotency key of a session holds: nothing else's
// looks like it.
func checkoutClaim(id ID) []byte { return append(append(make([]byte, 0, len(id)+1), id[:]...), 'C') }

func checkoutListKey(account [8]byte, id ID) []byte {
	return append(append([]byte{checkoutList}, account[:]...), id[:]...)
}

var errPaying = &Refusal{Code: CodeInvalidState, RetryAfter: time.Second, Detail: "A payment of this session is on its way."}

var errNoCheckout = &Refusal{Code: CodeNotFound, Detail: "There is no such checkout session."}

// CreateCheckout makes a session. A repeat under its key and with the same request
// gets the session as it is now. Errors are refusals.
func (s *Switch) CreateCheckout(a Account, r *CheckoutRequest) (made Checkout, replayed bool, err error) {
	key := s.idempotencyDigest(a, r.IdempotencyKey)
	if held, ok, err := s.store.Get(spaceKey, key[:], nil); err != nil {
		return made, false, errInternal
	} else if ok {
		made, err = s.sameCheckout(a, r.Fingerprint, held)
		return made, err == nil, err
	}
	if err := s.accepting(); err != nil {
		return made, false, err
	}
	c, now := r.Wish, s.now()
	c.ID, c.Changes, c.Merchant, c.Live, c.CreatedAt, c.UpdatedAt = s.ids.next(now), 1, a.Merchant.ID, a.Live, now, now
	if c.ExpiresAt.IsZero() {
		c.ExpiresAt = now.Add(DefaultCheckoutLife)
	}
	c.ExpiresAt = c.ExpiresAt.UTC().Truncate(time.Millisecond)
	if life := c.ExpiresAt.Sub(now); life < MinCheckoutLife || life > MaxCheckoutLife {
		return made, false, &Refusal{Code: CodeInvalidRequest, Pointer: "/expires_at",
			Detail: fmt.Sprintf("Must be %.0f minutes to %.0f days from now.", MinCheckoutLife.Minutes(), MaxCheckoutLife.Hours()/24)}
	}
	body, err := json.Marshal(&c)
	if err != nil {
		return made, false, errInternal
	}
	var cmd storage.Command
	cmd.Claim(spaceKey, key[:], checkoutClaim(c.ID))
	cmd.Set(spaceCheckout, checkoutKey(checkoutHead, c.ID), body)
	cmd.Set(spaceCheckout, checkoutKey(checkoutHash, c.ID), r.Fingerprint[:])
	cmd.Set(spaceCheckout, checkoutListKey(accountDigest(a), c.ID), nil)
	c.Status, c.Version = CheckoutOpen, 1
	if r.Send != nil {
		if err := s.oweLink(&cmd, a, &c, r.Send); err != nil {
			return made, false, err
		}
	}
	if r.also != nil {
		r.also(&cmd, &c)
	}
	told := s.outbox.audienceOf(c.Merchant, c.Live) != nil
	if told {
		cmd.Set(spaceCheckout, checkoutDueKey(c.ExpiresAt, c.ID, ID{}), nil)
	}
	result, err := s.store.Do(&cmd)
	switch {
	case err != nil:
		s.log.Error("journal refused a checkout session", "error", err)
		return made, false, errInternal
	case result.Kind == storage.Exists:
		made, err = s.sameCheckout(a, r.Fingerprint, result.Value)
		return made, err == nil, err
	}
	s.letters.Wake()
	if told {
		s.sessionEnded()
	}
	return c, false, nil
}

// sameCheckout is the answer to a repeat.
func (s *Switch) sameCheckout(a Account, fingerprint Fingerprint, held []byte) (Checkout, error) {
	if len(held) != len(ID{})+1 || held[len(ID{})] != 'C' {
		return Checkout{}, errKeyReused
	}
	id := ID(held[:len(ID{})])
	first, ok, err := s.store.Get(spaceCheckout, checkoutKey(checkoutHash, id), nil)
	switch {
	case err != nil || !ok:
		return Checkout{}, errInternal
	case string(first) != string(fingerprint[:]):
		return Checkout{}, errKeyReused
	}
	return s.Checkout(a, id)
}

// readCheckout returns nil when there is no such session.
func (s *Switch) readCheckout(id ID) (*Checkout, error) {
	body, ok, err := s.store.Get(spaceCheckout, checkoutKey(checkoutHead, id), nil)
	if err != nil || !ok {
		return nil, err
	}
	c := new(Checkout)
	if err := json.Unmarshal(body, c); err != nil {
		return nil, fmt.Errorf("checkout session %s: %w", id.Text(CheckoutPrefix), errRecord)
	}
	return c, nil
}

// Checkout shows a session with what became of it. Errors are refusals.
func (s *Switch) Checkout(a Account, id ID) (Checkout, error) {
	c, err := s.readCheckout(id)
	switch {
	case err == nil && (c == nil || c.Merchant != a.Merchant.ID || c.Live != a.Live):
		return Checkout{}, errNoCheckout
	case err == nil:
		err = s.judgeCheckout(c.account(), c, nil)
	}
	if err == nil {
		c.Sent, err = s.checkoutLetters(id)
		c.Version += uint32(len(c.Sent))
	}
	if err != nil {
		s.log.Error("a checkout session could not be read", "session", id.Text(CheckoutPrefix), "error", err)
		return Checkout{}, errInternal
	}
	return *c, nil
}

// OpenCheckout is a session for whoever knows its id: its buyer. Errors are
// refusals.
func (s *Switch) OpenCheckout(id ID) (Account, Checkout, error) {
	c, err := s.readCheckout(id)
	switch {
	case err != nil:
		s.log.Error("a checkout session could not be read", "session", id.Text(CheckoutPrefix), "error", err)
		return Account{}, Checkout{}, errInternal
	case c == nil:
		return Account{}, Checkout{}, errNoCheckout
	}
	a, err := s.AccountOf(c.Merchant, c.Live)
	if err != nil {
		return Account{}, Checkout{}, errNoCheckout
	}
	full, err := s.Checkout(a, id)
	return a, full, err
}

// judgeCheckout finds what the session is by its payments and the clock. The
// payments of its order are all there are to look at: each of its attempts is one.
// payer, unless nil, is what the payment that paid it was then.
func (s *Switch) judgeCheckout(account [8]byte, c *Checkout, payer *history) error {
	order := orderDigest(account, c.OrderID)
	ids, err := s.idsOf(storage.Range{Space: spaceOrder, Prefix: order[:], Reverse: true}, len(order), orderScan)
	c.Status, c.Version = CheckoutOpen, c.Changes
	if err == nil {
		err = s.foldAll(ids, func(h *history) bool {
			if h.Checkout != c.ID {
				return true
			}
			if payer != nil && h.ID == payer.ID {
				h = payer
			}
			c.Attempts++
			c.Version += h.Version
			if c.Payment == nil || h.bars() != nil || h == payer {
				p := h.Payment
				c.Payment = &p
			}
			return true
		})
	}
	if p := c.Payment; p != nil {
		switch {
		case p.Status == StatusInFlight || p.Status == StatusUnknown || p.Status == StatusRequiresAction:
			c.Status = CheckoutProcessing
		case !p.Status.Final() || p.Status == StatusRefunded || p.Status == StatusCanceled || p.Status == StatusExpired:
			c.Status = CheckoutComplete
		}
	}
	if c.Status == CheckoutOpen && (!c.ExpiredAt.IsZero() || !s.now().Before(c.ExpiresAt) || c.Attempts >= MaxCheckoutAttempts) {
		c.Status = CheckoutExpired
	}
	return err
}

// ExpireCheckout ends a session that is not paid: its page takes no card any more.
// Expiring twice is no error. Errors are refusals.
func (s *Switch) ExpireCheckout(a Account, id ID) (Checkout, error) {
	if err := s.accepting(); err != nil {
		return Checkout{}, err
	}
	mu := s.lock(id)
	mu.Lock()
	defer mu.Unlock()
	c, err := s.Checkout(a, id)
	switch {
	case err != nil || c.Status == CheckoutExpired:
		return c, err
	case c.Status == CheckoutComplete:
		return c, wrongState("This session is paid.")
	case c.Status == CheckoutProcessing:
		return c, errPaying
	}
	c.Changes++
	c.Version++
	c.ExpiredAt = s.now()
	c.UpdatedAt = c.ExpiredAt
	body, err := json.Marshal(&c)
	if err != nil {
		return Checkout{}, errInternal
	}
	var cmd storage.Command
	cmd.Set(spaceCheckout, checkoutKey(checkoutHead, id), body)
	told, err := s.tellExpired(&cmd, a, &c)
	var result storage.Result
	if err == nil {
		result, err = s.store.Do(&cmd)
	}
	switch {
	case err != nil:
		s.log.Error("journal refused the end of a checkout session", "session", id.Text(CheckoutPrefix), "error", err)
		return Checkout{}, errInternal
	case result.Kind == storage.Exists: // a payment began since it was read
		return Checkout{}, errPaying
	}
	s.toldExpired(told)
	c.Status = CheckoutExpired
	return c, nil
}

// CheckoutPage is one page of sessions, newest first.
type CheckoutPage struct {
	Sessions []Checkout
	More     bool
	Next     ID
}

// Checkouts is a page of the account's sessions, at most limit. Errors are refusals.
func (s *Switch) Checkouts(a Account, limit int, cursor ID) (page CheckoutPage, err error) {
	account := accountDigest(a)
	prefix := append([]byte{checkoutList}, account[:]...)
	rng := storage.Range{Space: spaceCheckout, Prefix: prefix, Reverse: true}
	if !cursor.IsZero() {
		rng.To = checkoutListKey(account, cursor)
	}
	ids, err := s.idsOf(rng, len(prefix), limit+1)
	if err != nil {
		s.log.Error("checkout sessions could not be read", "merchant", a.Merchant.ID, "error", err)
		return CheckoutPage{}, errInternal
	}
	for i, id := range ids {
		if page.More = i == limit; page.More {
			break
		}
		c, err := s.Checkout(a, ID(id))
		if err != nil {
			return CheckoutPage{}, err
		}
		page.Sessions, page.Next = append(page.Sessions, c), c.ID
	}
	return page, nil
}

// CheckoutCard is what a buyer gave on the page, and the number of the attempt
// that the page was made for: the same form sent twice is one payment.
type CheckoutCard struct {
	Attempt   int // Checkout.Attempts when the form was made
	RequestID string
	Pay       PayRequest // the card's members
}

// PayCheckout pays a session. It is refused unless the session is open; an
// attempt that was made before gets the answer it had. Errors are refusals as of
// Pay.
func (s *Switch) PayCheckout(a Account, id ID, card *CheckoutCard) (Payment, error) {
	c, err := s.Checkout(a, id)
	if err != nil {
		return Payment{}, err
	}
	r := &card.Pay
	r.IdempotencyKey = attemptKeyOf(id, card.Attempt)
	if c.Status != CheckoutOpen || card.Attempt != c.Attempts {
		key := s.idempotencyDigest(a, r.IdempotencyKey)
		held, known, err := s.store.Get(spaceKey, key[:], nil)
		known = known && len(held) == len(ID{}) // by a payment, not by the session's end
		switch {
		case err != nil:
			return Payment{}, errInternal
		case !known && c.Status == CheckoutOpen:
			return Payment{}, errKeyReused // a form of an earlier life of the page
		case !known:
			return Payment{}, wrongState("This checkout session is %s.", c.Status)
		}
	}
	if r.Currency, err = iso.ParseCurrency(c.Currency); err != nil {
		return Payment{}, errInternal
	}
	r.Amount, r.OrderID, r.OrderOnce, r.Checkout, r.Description = c.Amount, c.OrderID, true, id, c.Description
	r.CustomerEmail, r.Customer, r.Metadata, r.ManualCapture = c.Email, c.Customer, c.Metadata, c.ManualCapture
	r.Initiator, r.RequestID, r.Fingerprint = "customer", card.RequestID, s.cardFingerprint(r)
	if err := s.noteLanguage(a, &c, r.Language); err != nil {
		return Payment{}, err
	}
	answer, err := s.Pay(a, r)
	return answer.Payment, err
}

// cardFingerprint tells the form that was sent twice from another one: a keyed
// digest of the card that would pay.
func (s *Switch) cardFingerprint(r *PayRequest) Fingerprint {
	text := fmt.Appendf(nil, "%d %d %x %t ", r.Expiry.Year, r.Expiry.Month, r.Token, r.SaveCard)
	text = r.PAN.Append(text)
	defer clear(text)
	return s.Fingerprint("POST", r.Checkout.Text(CheckoutPrefix), text)
}
