package payswitch

import (
	"sync"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// cardLocks serialise the changes of one customer's saved cards, so that the
// same card is never saved twice and their number stays bounded. They come
// before every other lock and are held over the journal's sync.
type cardLocks [64]stripe

func (l *cardLocks) of(who [16]byte) sync.Locker { return &l[int(who[0])%len(l)] }

// kept is a card on its way to be saved.
type kept struct {
	token   *tokenRecord
	fresh   bool // the token was not there before
	changed bool // it was, and must be written
}

// keep finds the customer's card among the saved ones, or makes a token for it.
// Nothing is written.
// REQUIRES: the customer's lock is held until it is.
func (s *Switch) keep(a Account, r *CardRequest) (k kept, err error) {
	account, now := accountDigest(a), s.now()
	digest := s.savedCardDigest(account, r.Customer, r.PAN)
	if k.token, err = s.tokenOf(digest); err != nil {
		return k, err
	}
	if t := k.token; t != nil {
		if k.changed = r.Expiry != t.Card.Expiry; k.changed {
			t.Card.Expiry = r.Expiry
			t.Version, t.UpdatedAt = t.Version+1, now
		}
		return k, nil
	}
	ids, err := s.tokenIDs(customerDigest(account, r.Customer))
	switch {
	case err != nil:
		return k, err
	case len(ids) >= maxCustomerTokens:
		return k, errTooMany
	}
	k.fresh, k.token = true, &tokenRecord{merchant: a.Merchant.ID, digest: digest}
	k.token.Token = Token{ID: s.ids.next(now), Version: 1, Live: a.Live, Customer: r.Customer, CreatedAt: now, UpdatedAt: now}
	s.setCard(k.token, r.PAN, r.Expiry)
	return k, nil
}

// doCards makes a change of saved cards durable. Errors are refusals.
func (s *Switch) doCards(c *storage.Command, what string, t *tokenRecord) error {
	result, err := s.store.Do(c)
	if err != nil || result.Kind != storage.Applied {
		s.log.Error("journal refused a change of a saved card", "change", what, "token", t.ID.Text(TokenPrefix), "error", err)
		return errInternal
	}
	s.log.Info("a saved card was changed", "change", what, "token", t.ID.Text(TokenPrefix), "merchant", t.merchant, "live", t.Live, "version", t.Version)
	return nil
}

// accepting refuses work that is no payment when payments are refused, too.
func (s *Switch) accepting() error {
	if s.draining.Load() {
		return &Refusal{Code: CodeOverloaded, RetryAfter: 5 * time.Second, Detail: "The switch is shutting down."}
	}
	if err := s.store.Accepting(); err != nil {
		return &Refusal{Code: CodeOverloaded, RetryAfter: 2 * time.Second, Detail: "The journal does not take changes now: " + err.Error() + "."}
	}
	return nil
}

// SaveCard keeps a card without a payment. The same card of the same customer
// gives the same token, so that a repeat is safe without a key; another expiry
// changes it. fresh says that the token is new. The answer is durable. Errors
// are refusals.
func (s *Switch) SaveCard(a Account, r *CardRequest) (token Token, fresh bool, err error) {
	if err := s.accepting(); err != nil {
		return Token{}, false, err
	}
	mu := s.cards.of(customerDigest(accountDigest(a), r.Customer))
	mu.Lock()
	defer mu.Unlock()
	k, err := s.keep(a, r)
	if err != nil {
		return Token{}, false, s.cardRefusal(err, r)
	}
	if k.fresh || k.changed {
		var c storage.Command
		k.token.put(&c)
		if err := s.doCards(&c, "saved", k.token); err != nil {
			return Token{}, false, err
		}
	}
	return k.token.shown(s.now()), k.fresh, nil
}

// cardRefusal lets a refusal pass and hides any other error.
func (s *Switch) cardRefusal(err error, r *CardRequest) error {
	if refusal, ok := err.(*Refusal); ok {
		return refusal
	}
	s.log.Error("saved cards could not be read", "request_id", r.RequestID, "error", err)
	return errInternal
}

// withToken does a change to a token of the account while nobody else changes
// the cards of its customer.
func (s *Switch) withToken(a Account, id ID, change func(t *tokenRecord) error) error {
	if err := s.accepting(); err != nil {
		return err
	}
	t, err := s.ownedToken(a, id)
	if err != nil {
		return err
	}
	mu := s.cards.of(t.customer())
	mu.Lock()
	defer mu.Unlock()
	if t, err = s.ownedToken(a, id); err != nil {
		return err
	}
	return change(t)
}

// ReplaceCard puts another card, or another expiry, under a token that stays as
// it is. A zero PAN keeps the number. What changes nothing is no change, so a
// repeat is safe without a key. The answer is durable. Errors are refusals.
func (s *Switch) ReplaceCard(a Account, id ID, r *CardRequest) (Token, error) {
	var out Token
	err := s.withToken(a, id, func(t *tokenRecord) error {
		var c storage.Command
		account, digest := accountDigest(a), t.digest
		if !r.PAN.IsZero() {
			digest = s.savedCardDigest(account, t.Customer, r.PAN)
		}
		if digest == t.digest && r.Expiry == t.Card.Expiry {
			out = t.shown(s.now())
			return nil
		}
		if digest != t.digest {
			other, err := s.tokenOf(digest)
			switch {
			case err != nil:
				return s.cardRefusal(err, r)
			case other != nil:
				return errTaken
			}
			c.Delete(spaceCard, cardDigestKey(t.digest))
			t.digest, t.NetworkTransactionID = digest, ""
			s.setCard(t, r.PAN, r.Expiry)
		}
		t.Card.Expiry = r.Expiry
		t.Version, t.UpdatedAt = t.Version+1, s.now()
		t.put(&c)
		out = t.shown(t.UpdatedAt)
		return s.doCards(&c, "replaced", t)
	})
	if err != nil {
		return Token{}, err
	}
	s.cardReplaced(a, id)
	return out, nil
}

// DeleteToken removes a saved card with everything that finds it. Payments made
// with it keep their own sealed number. The answer is durable. Errors are
// refusals.
func (s *Switch) DeleteToken(a Account, id ID) error {
	return s.withToken(a, id, func(t *tokenRecord) error {
		var c storage.Command
		c.Delete(spaceCard, tokenKey(id))
		c.Delete(spaceCard, cardDigestKey(t.digest))
		c.Delete(spaceCard, customerKey(t.customer(), id))
		return s.doCards(&c, "deleted", t)
	})
}

var errNoTerminal = &Refusal{Code: CodeForbidden, Detail: "This shop may not send what terminals read of cards. Its operators can allow it."}

// prepareCard readies a payment by a saved card, one whose card is to be saved,
// or one whose card is present. Errors are refusals; nothing was changed.
func (s *Switch) prepareCard(a Account, r *PayRequest) error {
	switch {
	case r.Carried != nil && r.Carried.Channel.CardPresent() && !a.Merchant.CardPresent:
		return errNoTerminal
	case r.PIN != nil:
		return preparePIN(a, r)
	case r.Token.IsZero() && !r.SaveCard:
		return nil
	case r.Token.IsZero():
		return s.roomFor(a, r)
	}
	t, err := s.ownedToken(a, r.Token)
	switch {
	case err == errNoToken:
		return errPayNoToken
	case err != nil:
		return err
	case r.Customer != "" && r.Customer != t.Customer:
		return errNotOfPayer
	case t.Card.Expiry.Expired(s.now()):
		return errExpired
	}
	pan, err := s.keys.open(t.sealed, t.ID)
	if err != nil {
		s.log.Error("a saved card could not be opened", "token", t.ID.Text(TokenPrefix), "error", err)
		return errInternal
	}
	r.PAN, r.Expiry, r.Customer, r.initialID = pan, t.Card.Expiry, t.Customer, t.NetworkTransactionID
	return nil
}

// roomFor refuses a payment whose card could not be saved afterwards, before
// anything is recorded.
func (s *Switch) roomFor(a Account, r *PayRequest) error {
	if r.Customer == "" {
		return &Refusal{Code: CodeInvalidRequest, Pointer: "/customer/id", Detail: "A card is saved for a customer: say whose it is."}
	}
	account := accountDigest(a)
	t, err := s.tokenOf(s.savedCardDigest(account, r.Customer, r.PAN))
	if err == nil && t == nil {
		var ids []ID
		if ids, err = s.tokenIDs(customerDigest(account, r.Customer)); err == nil && len(ids) >= maxCustomerTokens {
			return &Refusal{Code: CodeInvalidRequest, Pointer: "/save_card", Detail: errTooMany.Detail}
		}
	}
	if err != nil {
		s.log.Error("saved cards could not be read", "request_id", r.RequestID, "error", err)
		return errInternal
	}
	return nil
}

// cardSave is a card that is saved in the same step as the approval of its
// payment. The nil one saves nothing.
type cardSave struct {
	kept
	mu sync.Locker

	gone  []byte // the name of the card before, which finds it no more; nil: there was none
	owed  []byte // the name of what the new card owes; nil: nothing
	holds bool   // a hold is owed its end
}

// saveWith prepares to save the card of a payment that was just approved, and
// names the token in its outcome. What keeps the card from being saved never
// keeps the approval from being recorded: the answer then has no token.
func (s *Switch) saveWith(a Account, r *PayRequest, outcome *record) *cardSave {
	save := &cardSave{mu: s.cards.of(customerDigest(accountDigest(a), r.Customer))}
	save.mu.Lock()
	var err error
	save.kept, err = s.keep(a, &CardRequest{Customer: r.Customer, PAN: r.PAN, Expiry: r.Expiry})
	if err != nil {
		save.mu.Unlock()
		s.log.Error("the card of an approved payment could not be saved", "request_id", r.RequestID, "error", err)
		return nil
	}
	if x := outcome.addRare(); x.networkID != "" && save.token.NetworkTransactionID == "" {
		save.token.NetworkTransactionID, save.changed = x.networkID, true
	}
	outcome.rare.token = save.token.ID
	return save
}

// nameCard prepares to keep, with the saved card that a payment was made by, the
// card network's id of that payment: the first that the bank told. What keeps it
// from being kept never keeps the approval from being recorded.
func (s *Switch) nameCard(r *PayRequest, outcome *record) *cardSave {
	first, err := s.readToken(r.Token)
	if err != nil || first == nil || outcome.rare.networkID == "" {
		return nil
	}
	save := &cardSave{mu: s.cards.of(first.customer())}
	save.mu.Lock()
	t, err := s.readToken(r.Token)
	if err != nil || t == nil || t.NetworkTransactionID != "" || t.digest != first.digest {
		save.mu.Unlock()
		return nil
	}
	t.NetworkTransactionID = outcome.rare.networkID
	t.Version, t.UpdatedAt = t.Version+1, s.now()
	save.token, save.changed = t, true
	return save
}

// join adds the saved card to the step that records the approval.
func (k *cardSave) join(c *storage.Command) {
	if k == nil || !k.fresh && !k.changed {
		return
	}
	if k.gone != nil {
		c.Delete(spaceCard, k.gone)
	}
	k.token.put(c)
	if k.owed != nil {
		c.Set(spaceCard, k.owed, flagByte(k.holds))
	}
}

func flagByte(on bool) []byte {
	if on {
		return []byte{1}
	}
	return []byte{0}
}

func (k *cardSave) end() {
	if k != nil {
		k.mu.Unlock()
	}
}
