package payswitch

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// ReplacementPrefix is the TypeID prefix of a replacement of a saved card.
const ReplacementPrefix = "rpl"

// What spaceCard holds of replacements.
const (
	cardReplacement = 'r' // replacement id -> Replacement as it is stored
	cardAsked       = 'h' // replacement id -> Fingerprint of the request that made it
	cardOwed        = 'p' // token id, payment id -> 1 when the payment's hold must be let go: what a new card still owes
)

// The limits of a replacement; its attempts are bounded as a checkout session's.
const (
	DefaultReplacementLife = 7 * 24 * time.Hour
	MaxReplacementLife     = 30 * 24 * time.Hour
	// replacementAmount is held, and let go at once, where no bank verifies a card for
	// nothing: minor units.
	replacementAmount = 100
)

// Replacement is a link under which the holder of a saved card puts another card in its
// place: on a page of the switch, so that no card number touches the shop. The new card
// is verified at the bank first. It is a value, safe to copy.
type Replacement struct {
	ID         ID
	Changes    uint32
	Merchant   string
	Live       bool
	Token      ID
	Currency   string // of the question to the bank
	Language   string // of the page; empty: as the browser asks
	ReturnURL  string
	ExpiresAt  time.Time
	CanceledAt time.Time // by the shop; zero: not
	CreatedAt  time.Time

	Status   string   `json:"-"` // as of a checkout session
	Version  uint32   `json:"-"`
	Attempts int      `json:"-"`
	Payment  *Payment `json:"-"` // the verification, or hold, that replaced the card, else the newest; nil: none
}

// ReplacementRequest is a wish to make one, already syntactically valid.
type ReplacementRequest struct {
	IdempotencyKey string
	Fingerprint    Fingerprint
	Wish           Replacement // Token to ExpiresAt
}

func replacementKey(kind byte, id ID) []byte { return append([]byte{kind}, id[:]...) }

func replacementClaim(id ID) []byte {
	return append(append(make([]byte, 0, len(id)+1), id[:]...), 'R')
}

var errNoReplacement = &Refusal{Code: CodeNotFound, Detail: "There is no such replacement of a card."}

// order is the order that a replacement's verifications are of.
func (r *Replacement) order() string { return r.ID.Text(ReplacementPrefix) }

// CreateReplacement makes a link for a saved card. A repeat under its key and with the same
// request gets it as it is now. Errors are refusals.
func (s *Switch) CreateReplacement(a Account, r *ReplacementRequest) (made Replacement, replayed bool, err error) {
	key := s.idempotencyDigest(a, r.IdempotencyKey)
	held, ok, err := s.store.Get(spaceKey, key[:], nil)
	switch {
	case err != nil:
		return made, false, errInternal
	case ok:
		made, err = s.sameReplacement(a, r.Fingerprint, held)
		return made, err == nil, err
	}
	if err := s.accepting(); err != nil {
		return made, false, err
	}
	if _, err := s.ownedToken(a, r.Wish.Token); err != nil {
		return made, false, err
	}
	c, now := r.Wish, s.now()
	c.ID, c.Changes, c.Merchant, c.Live, c.CreatedAt = s.ids.next(now), 1, a.Merchant.ID, a.Live, now
	if c.ExpiresAt.IsZero() {
		c.ExpiresAt = now.Add(DefaultReplacementLife)
	}
	c.ExpiresAt = c.ExpiresAt.UTC().Truncate(time.Millisecond)
	if life := c.ExpiresAt.Sub(now); life < MinCheckoutLife || life > MaxReplacementLife {
		return made, false, &Refusal{Code: CodeInvalidRequest, Pointer: "/expires_at",
			Detail: fmt.Sprintf("Must be %.0f minutes to %.0f days from now.", MinCheckoutLife.Minutes(), MaxReplacementLife.Hours()/24)}
	}
	body, err := json.Marshal(&c)
	if err != nil {
		return made, false, errInternal
	}
	var cmd storage.Command
	cmd.Claim(spaceKey, key[:], replacementClaim(c.ID))
	cmd.Set(spaceCard, replacementKey(cardReplacement, c.ID), body)
	cmd.Set(spaceCard, replacementKey(cardAsked, c.ID), r.Fingerprint[:])
	result, err := s.store.Do(&cmd)
	switch {
	case err != nil:
		s.log.Error("journal refused a replacement", "error", err)
		return made, false, errInternal
	case result.Kind == storage.Exists:
		made, err = s.sameReplacement(a, r.Fingerprint, result.Value)
		return made, err == nil, err
	}
	c.Status, c.Version = CheckoutOpen, 1
	return c, false, nil
}

// sameReplacement is the answer to a repeat.
func (s *Switch) sameReplacement(a Account, fingerprint Fingerprint, held []byte) (Replacement, error) {
	if len(held) != len(ID{})+1 || held[len(ID{})] != 'R' {
		return Replacement{}, errKeyReused
	}
	id := ID(held[:len(ID{})])
	first, ok, err := s.store.Get(spaceCard, replacementKey(cardAsked, id), nil)
	switch {
	case err != nil || !ok:
		return Replacement{}, errInternal
	case string(first) != string(fingerprint[:]):
		return Replacement{}, errKeyReused
	}
	return s.Replacement(a, id)
}

// readReplacement returns nil when there is none.
func (s *Switch) readReplacement(id ID) (*Replacement, error) {
	body, ok, err := s.store.Get(spaceCard, replacementKey(cardReplacement, id), nil)
	if err != nil || !ok {
		return nil, err
	}
	c := new(Replacement)
	if err := json.Unmarshal(body, c); err != nil {
		return nil, fmt.Errorf("replacement %s: %w", id.Text(ReplacementPrefix), errRecord)
	}
	return c, nil
}

// Replacement shows one with what became of it. Errors are refusals.
func (s *Switch) Replacement(a Account, id ID) (Replacement, error) {
	c, err := s.readReplacement(id)
	switch {
	case err == nil && (c == nil || c.Merchant != a.Merchant.ID || c.Live != a.Live):
		return Replacement{}, errNoReplacement
	case err == nil:
		err = s.judgeReplacement(a, c)
	}
	if err != nil {
		s.log.Error("a replacement could not be read", "replacement", id.Text(ReplacementPrefix), "error", err)
		return Replacement{}, errInternal
	}
	return *c, nil
}

// OpenReplacement is one for whoever knows its id: the card's holder. Errors are refusals.
func (s *Switch) OpenReplacement(id ID) (Account, Replacement, error) {
	c, err := s.readReplacement(id)
	switch {
	case err != nil:
		return Account{}, Replacement{}, errInternal
	case c == nil:
		return Account{}, Replacement{}, errNoReplacement
	}
	a, err := s.AccountOf(c.Merchant, c.Live)
	if err != nil {
		return Account{}, Replacement{}, errNoReplacement
	}
	full, err := s.Replacement(a, id)
	return a, full, err
}

// judgeReplacement finds what it is by its verifications and the clock.
func (s *Switch) judgeReplacement(a Account, c *Replacement) error {
	c.Status, c.Version = CheckoutOpen, c.Changes
	replaced, busy := false, false
	for _, purpose := range []Purpose{PurposeVerification, PurposePayment} {
		order := orderDigest(listed(accountDigest(a), purpose), c.order())
		ids, err := s.idsOf(storage.Range{Space: spaceOrder, Prefix: order[:], Reverse: true}, len(order), orderScan)
		if err == nil {
			err = s.foldAll(ids, func(h *history) bool {
				c.Attempts++
				c.Version += h.Version
				done := h.Token == c.Token && !h.ByToken
				if replaced = replaced || done; c.Payment == nil || done {
					p := h.Payment
					c.Payment = &p
				}
				busy = busy || !done && !h.Final()
				return true
			})
		}
		if err != nil {
			return err
		}
	}
	switch {
	case replaced:
		c.Status = CheckoutComplete
	case busy:
		c.Status = CheckoutProcessing
	case !c.CanceledAt.IsZero() || !s.now().Before(c.ExpiresAt) || c.Attempts >= MaxCheckoutAttempts:
		c.Status = CheckoutExpired
	}
	return nil
}

// CancelReplacement ends a link that was not used. Canceling twice is no error. Errors are
// refusals.
func (s *Switch) CancelReplacement(a Account, id ID) (Replacement, error) {
	if err := s.accepting(); err != nil {
		return Replacement{}, err
	}
	mu := s.lock(id)
	mu.Lock()
	defer mu.Unlock()
	c, err := s.Replacement(a, id)
	switch {
	case err != nil || c.Status == CheckoutExpired:
		return c, err
	case c.Status != CheckoutOpen:
		return c, wrongState("This replacement is %s.", c.Status)
	}
	c.Changes++
	c.Version++
	c.CanceledAt = s.now()
	body, err := json.Marshal(&c)
	if err != nil {
		return Replacement{}, errInternal
	}
	var cmd storage.Command
	cmd.Set(spaceCard, replacementKey(cardReplacement, id), body)
	if _, err := s.store.Do(&cmd); err != nil {
		return Replacement{}, errInternal
	}
	c.Status = CheckoutExpired
	return c, nil
}

// ReplaceByHolder verifies the card that its holder entered and, in the step in which the
// bank's approval becomes durable, puts it under the token. An attempt that was made before
// gets the answer it had. Errors are refusals as of Pay.
func (s *Switch) ReplaceByHolder(a Account, id ID, card *CheckoutCard) (Payment, error) {
	c, err := s.Replacement(a, id)
	if err != nil {
		return Payment{}, err
	}
	r := &card.Pay
	r.IdempotencyKey = string(binary.BigEndian.AppendUint32(append([]byte("\x00replace"), id[:]...), uint32(card.Attempt)))
	if c.Status != CheckoutOpen || card.Attempt != c.Attempts {
		key := s.idempotencyDigest(a, r.IdempotencyKey)
		_, known, err := s.store.Get(spaceKey, key[:], nil)
		switch {
		case err != nil:
			return Payment{}, errInternal
		case !known && c.Status == CheckoutOpen:
			return Payment{}, errKeyReused
		case !known:
			return Payment{}, wrongState("This replacement is %s.", c.Status)
		}
	} else if err := s.mayReplace(a, c.Token, r.PAN); err != nil {
		return Payment{}, err
	}
	if r.Currency, err = iso.ParseCurrency(c.Currency); err != nil {
		return Payment{}, errInternal
	}
	r.OrderID, r.replaces, r.Initiator, r.RequestID = c.order(), c.Token, "customer", card.RequestID
	r.Token, r.SaveCard, r.Customer = ID{}, false, ""
	if r.Purpose = PurposeVerification; !s.verifies(a) {
		r.Purpose, r.Amount, r.ManualCapture, r.Description = PurposePayment, replacementAmount, true, "card check, let go at once"
	}
	r.Fingerprint = s.replacementFingerprint(id, r)
	answer, err := s.Pay(a, r)
	if err == nil && answer.Payment.Token == c.Token {
		s.settleReplaced(a, c.Token, answer.Payment.ID)
	}
	return answer.Payment, err
}

func (s *Switch) replacementFingerprint(id ID, r *PayRequest) Fingerprint {
	text := r.PAN.Append(fmt.Appendf(nil, "%d %d ", r.Expiry.Year, r.Expiry.Month))
	defer clear(text)
	return s.Fingerprint("POST", id.Text(ReplacementPrefix), text)
}

// verifies reports whether a bank of the merchant asks about a card for no money.
func (s *Switch) verifies(a Account) bool {
	for _, mb := range a.Merchant.Banks {
		if b := s.banks[mb.Bank]; b != nil && b.live == a.Live && b.does(iso.OpVerification) {
			return true
		}
	}
	return false
}

// mayReplace refuses, before anybody is asked, a card that could not take the token.
func (s *Switch) mayReplace(a Account, token ID, pan iso.PAN) error {
	t, err := s.ownedToken(a, token)
	if err != nil {
		return err
	}
	other, err := s.tokenOf(s.savedCardDigest(accountDigest(a), t.Customer, pan))
	switch {
	case err != nil:
		return errInternal
	case other != nil && other.ID != token:
		return errTaken
	}
	return nil
}

// replaceWith prepares to put the card of a verification that was just approved under the
// token, in the step that records the approval. What keeps the card from it never keeps the
// approval from being recorded: the answer then has no token.
func (s *Switch) replaceWith(a Account, r *PayRequest, outcome *record, payment ID) *cardSave {
	first, err := s.ownedToken(a, r.replaces)
	if err != nil {
		return nil
	}
	save := &cardSave{mu: s.cards.of(first.customer())}
	save.mu.Lock()
	t, err := s.ownedToken(a, r.replaces)
	if err == nil {
		err = s.mayReplace(a, r.replaces, r.PAN)
	}
	if err != nil {
		save.mu.Unlock()
		s.log.Error("a verified card could not take its token", "request_id", r.RequestID, "token", r.replaces.Text(TokenPrefix), "error", err)
		return nil
	}
	if digest := s.savedCardDigest(accountDigest(a), t.Customer, r.PAN); digest != t.digest {
		save.gone = cardDigestKey(t.digest)
		t.digest, t.NetworkTransactionID = digest, ""
		s.setCard(t, r.PAN, r.Expiry)
	}
	t.Card.Expiry = r.Expiry
	t.Version, t.UpdatedAt = t.Version+1, s.now()
	x := outcome.addRare()
	if x.networkID != "" {
		t.NetworkTransactionID = x.networkID
	}
	outcome.rare.token = t.ID
	save.token, save.changed, save.owed = t, true, owedKey(t.ID, payment)
	save.holds = r.Purpose == PurposePayment
	return save
}

func owedKey(token, payment ID) []byte {
	return append(replacementKey(cardOwed, token), payment[:]...)
}

// settleReplaced does what a new card still owes: the schedules that waited for it go on,
// and the hold that proved it is let go. What fails stays owed, and settleCards tries again.
func (s *Switch) settleReplaced(a Account, token, payment ID) (settled bool) {
	defer func() {
		if !settled {
			select {
			case s.cardsOwe <- struct{}{}:
			default:
			}
		}
	}()
	name := owedKey(token, payment)
	holds, ok, err := s.store.Get(spaceCard, name, nil)
	if err != nil || !ok {
		return err == nil // settled before
	}
	s.cardReplaced(a, token)
	if len(holds) == 1 && holds[0] == 1 {
		key := "\x00let go" + string(payment[:])
		_, err := s.Operate(a, &OperationRequest{Payment: payment, Kind: KindCancel, IdempotencyKey: key, Fingerprint: s.Fingerprint("POST", "let go", payment[:]),
			Reason: "it only proved the card"})
		if err != nil {
			s.log.Warn("the hold that proved a card was not let go yet", "payment", payment.Text(PaymentPrefix), "error", err)
			return false
		}
	}
	var cmd storage.Command
	cmd.Delete(spaceCard, name)
	if _, err := s.store.Do(&cmd); err != nil {
		s.log.Warn("what a new card owed stays written down", "token", token.Text(TokenPrefix), "error", err)
		return false
	}
	return true
}

// settleAgain is how long what a new card owes waits for the next try.
const settleAgain = 10 * time.Second

// settleCards does what new cards still owe, of an earlier life or after a failure, until the
// switch stops.
func (s *Switch) settleCards() {
	for {
		if s.settleOwed() {
			select {
			case <-s.cardsOwe:
			case <-s.ctx.Done():
				return
			}
		}
		timer := time.NewTimer(settleAgain)
		select {
		case <-timer.C:
		case <-s.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// settleOwed tries once, and reports whether nothing is owed any more.
func (s *Switch) settleOwed() bool {
	var owed [][2]ID
	err := s.store.Scan(storage.Range{Space: spaceCard, Prefix: []byte{cardOwed}}, func(key, _ []byte) bool {
		if len(key) == 1+2*len(ID{}) {
			owed = append(owed, [2]ID{ID(key[1:17]), ID(key[17:])})
		}
		return len(owed) < storage.MaxSteps
	})
	if err != nil {
		s.log.Error("what new cards owe could not be read", "error", err)
		return false
	}
	all := true
	for _, o := range owed {
		t, err := s.readToken(o[0])
		if err != nil || t == nil {
			continue
		}
		if a, err := s.AccountOf(t.merchant, t.Live); err == nil {
			all = s.settleReplaced(a, o[0], o[1]) && all
		}
	}
	return all
}
