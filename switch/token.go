package payswitch

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// TokenPrefix is the TypeID prefix of a saved card.
const TokenPrefix = "tok"

// maxCustomerTokens bounds the saved cards of one customer.
const maxCustomerTokens = 50

// spaceCard holds saved cards. The first byte of a key says what stands there:
// the bytes are stored, never reuse one.
const spaceCard storage.Space = 'c'

const (
	cardToken    = 't' // token id -> tokenRecord
	cardDigest   = 'f' // keyed digest of account, customer and card number -> token id
	cardCustomer = 'u' // digest of account and customer, token id: lists
)

// Token is a saved card as it may be shown: one customer's card of one account.
// It is a value, safe to copy. Times are UTC with milliseconds.
type Token struct {
	ID       ID
	Version  uint32 // +1 with each change of the card
	Live     bool
	Customer string // the shop's name for its customer
	Card     Card
	Expired  bool // at the moment of the answer
	// NetworkTransactionID is the card network's id of the first payment by the
	// card, which later ones by the merchant carry; empty: none is known.
	NetworkTransactionID string
	CreatedAt, UpdatedAt time.Time
}

// CardRequest asks to keep a card, or to put another under a token.
type CardRequest struct {
	Customer  string // 1..64 characters; of SaveCard
	PAN       iso.PAN
	Expiry    iso.Expiry
	RequestID string // for logs only
}

// tokenRecord is a saved card as stored. Unlike a payment's records it changes
// in place, so that a card can be replaced, sealed anew and wiped.
type tokenRecord struct {
	Token
	merchant string
	digest   [16]byte // keyed hash by which it is found again
	sealed   []byte   // card number, bound to the token's id
}

// customer is the list the token stands in, and what its changes are locked by.
func (t *tokenRecord) customer() [16]byte {
	mode := "test"
	if t.Live {
		mode = "live"
	}
	return customerDigest(digestAccount(mode, t.merchant), t.Customer)
}

// The layouts of a tokenRecord. A later one needs a new number.
const (
	tokenSchema      = 1
	tokenSchemaNamed = 2 // the same with the network transaction id behind
)

func (t *tokenRecord) encode(dst []byte) []byte {
	schema := byte(tokenSchema)
	if t.NetworkTransactionID != "" {
		schema = tokenSchemaNamed
	}
	dst = append(dst, schema)
	dst = binary.AppendUvarint(dst, uint64(t.Version))
	dst = appendBool(dst, t.Live)
	for _, s := range [...]string{t.merchant, t.Customer, t.Card.BIN, t.Card.Last4, t.Card.Brand} {
		dst = appendString(dst, s)
	}
	dst = binary.AppendUvarint(dst, uint64(t.Card.Expiry.Year))
	dst = binary.AppendUvarint(dst, uint64(t.Card.Expiry.Month))
	dst = appendTime(appendTime(dst, t.CreatedAt), t.UpdatedAt)
	dst = append(dst, t.digest[:]...)
	dst = appendBytes(dst, t.sealed)
	if schema == tokenSchemaNamed {
		dst = appendString(dst, t.NetworkTransactionID)
	}
	return dst
}

// decodeToken reads what encode wrote and refuses anything else with errRecord.
// The result shares no memory with body.
func decodeToken(id ID, body []byte) (*tokenRecord, error) {
	d := decoder{b: body}
	t := &tokenRecord{}
	t.ID = id
	schema := d.byte()
	if schema != tokenSchema && schema != tokenSchemaNamed {
		return nil, fmt.Errorf("token %s: %w", id.Text(TokenPrefix), errRecord)
	}
	t.Version, t.Live = uint32(d.uvarint()), d.bool()
	for _, s := range [...]*string{&t.merchant, &t.Customer, &t.Card.BIN, &t.Card.Last4, &t.Card.Brand} {
		*s = d.string()
	}
	t.Card.Expiry = iso.Expiry{Year: int(d.uvarint()), Month: int(d.uvarint())}
	t.CreatedAt, t.UpdatedAt = d.time(), d.time()
	d.fixed(t.digest[:])
	t.sealed = d.bytes()
	if schema == tokenSchemaNamed {
		t.NetworkTransactionID = d.string()
		d.bad = d.bad || t.NetworkTransactionID == ""
	}
	if d.bad || len(d.b) != 0 {
		return nil, fmt.Errorf("token %s: %w", id.Text(TokenPrefix), errRecord)
	}
	return t, nil
}

func tokenKey(id ID) []byte { return append([]byte{cardToken}, id[:]...) }

func cardDigestKey(digest [16]byte) []byte { return append([]byte{cardDigest}, digest[:]...) }

func customerKey(customer [16]byte, id ID) []byte {
	return append(append([]byte{cardCustomer}, customer[:]...), id[:]...)
}

// customerDigest is the list prefix of one customer of an account.
func customerDigest(account [8]byte, customer string) (d [16]byte) {
	sum := sha256.Sum256(append(append(account[:], "customer\x00"...), customer...))
	copy(d[:], sum[:])
	return d
}

// savedCardDigest finds a customer's card again. It is keyed, and the account
// is in it: nobody can tell from it that two shops know the same card.
func (s *Switch) savedCardDigest(account [8]byte, customer string, pan iso.PAN) [16]byte {
	var buf [24]byte
	clear := pan.Append(buf[:0])
	d := s.keys.digest("saved card", string(account[:])+customer, clear)
	wipe(clear)
	return d
}

// put writes the saved card with what finds it.
func (t *tokenRecord) put(c *storage.Command) {
	c.Set(spaceCard, tokenKey(t.ID), t.encode(nil))
	c.Set(spaceCard, cardDigestKey(t.digest), t.ID[:])
	c.Set(spaceCard, customerKey(t.customer(), t.ID), nil)
}

// setCard gives the token another card. The digest of the one before must be
// removed by the caller.
func (s *Switch) setCard(t *tokenRecord, pan iso.PAN, expiry iso.Expiry) {
	t.Card = Card{BIN: pan.BIN(), Last4: pan.Last4(), Brand: pan.Brand(), Expiry: expiry}
	t.sealed = s.keys.seal(nil, pan, t.ID)
}

// readToken returns nil when there is no such token.
func (s *Switch) readToken(id ID) (*tokenRecord, error) {
	val, ok, err := s.store.Get(spaceCard, tokenKey(id), nil)
	if err != nil || !ok {
		return nil, err
	}
	return decodeToken(id, val)
}

// tokenOf finds the token of a customer's card, or nil.
func (s *Switch) tokenOf(digest [16]byte) (*tokenRecord, error) {
	val, ok, err := s.store.Get(spaceCard, cardDigestKey(digest), nil)
	switch {
	case err != nil || !ok:
		return nil, err
	case len(val) != len(ID{}):
		return nil, errRecord
	}
	return s.readToken(ID(val))
}

var (
	errNoToken = &Refusal{Code: CodeNotFound, Detail: "There is no such saved card."}
	errTooMany = &Refusal{Code: CodeInvalidState, Detail: fmt.Sprintf("This customer has %d saved cards, the most there may be. Delete one first.", maxCustomerTokens)}
	errTaken   = &Refusal{Code: CodeInvalidState, Detail: "This customer has that card saved under another token."}
	errExpired = &Refusal{Code: CodeCardExpired, Pointer: "/payment_method/token",
		Detail: "The saved card has expired: replace it, or let the customer pay with another."}
	errPayNoToken = &Refusal{Code: CodeUnknownToken, Pointer: "/payment_method/token", Detail: "There is no such saved card."}
	errNotOfPayer = &Refusal{Code: CodeUnknownToken, Pointer: "/payment_method/token", Detail: "This customer has no such saved card."}
)

// ownedToken is readToken for a merchant: another merchant's token, or one of
// the other mode, does not exist for it.
func (s *Switch) ownedToken(a Account, id ID) (*tokenRecord, error) {
	t, err := s.readToken(id)
	switch {
	case err != nil:
		s.log.Error("a saved card could not be read", "token", id.Text(TokenPrefix), "error", err)
		return nil, errInternal
	case t == nil || t.merchant != a.Merchant.ID || t.Live != a.Live:
		return nil, errNoToken
	}
	return t, nil
}

// Token shows a saved card. Errors are refusals.
func (s *Switch) Token(a Account, id ID) (Token, error) {
	t, err := s.ownedToken(a, id)
	if err != nil {
		return Token{}, err
	}
	return t.shown(s.now()), nil
}

func (t *tokenRecord) shown(now time.Time) Token {
	out := t.Token
	out.Expired = out.Card.Expiry.Expired(now)
	return out
}

// Tokens are the saved cards of one customer, newest first; none is no error.
// There are never more than fit one answer. Errors are refusals.
func (s *Switch) Tokens(a Account, customer string) ([]Token, error) {
	who := customerDigest(accountDigest(a), customer)
	ids, err := s.tokenIDs(who)
	var out []Token
	for _, id := range ids {
		var t *tokenRecord
		if t, err = s.readToken(id); err != nil {
			break
		}
		if t != nil { // one deleted meanwhile is left out
			out = append(out, t.shown(s.now()))
		}
	}
	if err != nil {
		s.log.Error("saved cards could not be read", "merchant", a.Merchant.ID, "error", err)
		return nil, errInternal
	}
	return out, nil
}

// tokenIDs are a customer's tokens, newest first.
func (s *Switch) tokenIDs(who [16]byte) (ids []ID, err error) {
	prefix := append([]byte{cardCustomer}, who[:]...)
	err = s.store.Scan(storage.Range{Space: spaceCard, Prefix: prefix, Reverse: true}, func(key, _ []byte) bool {
		ids = append(ids, ID(key[len(prefix):]))
		return true
	})
	return ids, err
}
