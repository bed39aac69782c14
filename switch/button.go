package payswitch

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// ButtonPrefix is the TypeID prefix of a button.
const ButtonPrefix = "btn"

// spaceButton holds buttons and what pressing them led to. The first byte of a key
// says what stands there: the bytes are stored, never reuse one.
const spaceButton storage.Space = 'B'

const (
	buttonHead    = 'h' // button id -> Button as it is stored
	buttonHash    = 'f' // button id -> Fingerprint of the request that made it
	buttonList    = 'l' // account digest, button id: lists
	buttonSession = 's' // button id, session id: the sessions that presses made
	buttonOrder   = 'o' // order digest -> orderedSession
)

// Limits of buttons.
const (
	MaxButtons        = 5000 // of one merchant in one mode, the disabled ones included
	MaxButtonName     = 100  // characters
	MaxButtonOrder    = 100  // characters of OrderID: a press adds to it
	MaxButtonQuantity = 1000
	MaxOrderAmount    = 999_999_999_999 // minor units: the twelve digits of DE4
	MinPressLife      = 10 * time.Minute
	MaxPressLife      = 24 * time.Hour
	DefaultPressLife  = time.Hour
)

// Button is what a shop sells by a piece of HTML without a server of its own: each
// press makes a checkout session. It never changes, save that it ends. It is a
// value, safe to copy. Amounts are minor units of Currency; times are UTC with
// milliseconds.
type Button struct {
	ID            ID
	Version       uint32 // +1 with each change
	Merchant      string
	Live          bool
	Name          string // for the people of the shop
	Amount        int64  // of one piece; 0: the buyer chooses
	MinAmount     int64  // of what the buyer chooses
	MaxAmount     int64
	MaxQuantity   int // pieces of one press; 1: the buyer is not asked
	Currency      string
	OrderID       string
	Once          bool // OrderID is one order, which is paid once; else each press is an order, named OrderID and more
	Description   string
	ManualCapture bool
	Language      string
	SuccessURL    string
	FailURL       string
	ReturnURL     string
	PressLife     time.Duration // of the session that a press makes
	ExpiresAt     time.Time     // zero: never
	DisabledAt    time.Time     // zero: not
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// The states of a button.
const (
	ButtonActive   = "active"
	ButtonExpired  = "expired"
	ButtonDisabled = "disabled"
)

// Status is active, expired or disabled.
func (b *Button) Status(now time.Time) string {
	switch {
	case !b.DisabledAt.IsZero():
		return ButtonDisabled
	case !b.ExpiresAt.IsZero() && !now.Before(b.ExpiresAt):
		return ButtonExpired
	}
	return ButtonActive
}

// ButtonRequest is a wish to make a button.
type ButtonRequest struct {
	IdempotencyKey string
	Fingerprint    Fingerprint
	Wish           Button // Name to ExpiresAt; languages and addresses are the caller's to check
}

func buttonKey(kind byte, id ID) []byte { return append([]byte{kind}, id[:]...) }

func buttonListKey(account [8]byte, id ID) []byte {
	return append(append([]byte{buttonList}, account[:]...), id[:]...)
}

// buttonClaim is what the idempotency key of a button holds: nothing else's looks
// like it.
func buttonClaim(id ID) []byte { return append(append(make([]byte, 0, len(id)+1), id[:]...), 'B') }

var errNoButton = &Refusal{Code: CodeNotFound, Detail: "There is no such button."}

// complete fills the defaults of a wish and holds its members to each other. Errors
// are refusals that name the member.
func (b *Button) complete(now time.Time) error {
	fault := func(pointer, format string, args ...any) error {
		return &Refusal{Code: CodeInvalidRequest, Pointer: pointer, Detail: fmt.Sprintf(format, args...)}
	}
	if b.MaxQuantity == 0 {
		b.MaxQuantity = 1
	}
	if b.PressLife == 0 {
		b.PressLife = DefaultPressLife
	}
	b.ExpiresAt = b.ExpiresAt.UTC().Truncate(time.Millisecond)
	_, err := iso.ParseCurrency(b.Currency)
	unclean := func(text string) bool {
		return !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
	}
	switch {
	case strings.TrimSpace(b.Name) == "" || utf8.RuneCountInString(b.Name) > MaxButtonName || unclean(b.Name):
		return fault("/name", "Every button has a name of at most %d printable characters, by which the shop's people know it.", MaxButtonName)
	case err != nil:
		return fault("/currency", "Must be a code of ISO 4217, like RUB.")
	case b.OrderID == "" || utf8.RuneCountInString(b.OrderID) > MaxButtonOrder || unclean(b.OrderID):
		return fault("/order_id", "Must have 1 to %d printable characters.", MaxButtonOrder)
	case unclean(b.Description) || utf8.RuneCountInString(b.Description) > 400:
		return fault("/description", "Must have at most 400 printable characters.")
	case b.MaxQuantity < 1 || b.MaxQuantity > MaxButtonQuantity:
		return fault("/max_quantity", "Must be 1 to %d.", MaxButtonQuantity)
	case b.Amount == 0 && (b.MinAmount < 1 || b.MaxAmount < b.MinAmount || b.MaxAmount > MaxOrderAmount):
		return fault("/min_amount", "Say an amount, or with min_amount and max_amount between what the buyer chooses.")
	case b.Amount != 0 && (b.MinAmount != 0 || b.MaxAmount != 0):
		return fault("/amount", "Either there is an amount, or the buyer chooses between min_amount and max_amount.")
	case b.Amount < 0 || b.Amount > MaxOrderAmount/int64(b.MaxQuantity):
		return fault("/amount", "Must be more than 0 and, times max_quantity, at most %d.", int64(MaxOrderAmount))
	case b.Amount == 0 && b.MaxQuantity > 1:
		return fault("/max_quantity", "Pieces are of a fixed amount.")
	case b.Once && (b.Amount == 0 || b.MaxQuantity > 1):
		return fault("/reusable", "One order has one amount.")
	case b.PressLife < MinPressLife || b.PressLife > MaxPressLife:
		return fault("/session_minutes", "Must be %.0f to %.0f.", MinPressLife.Minutes(), MaxPressLife.Minutes())
	case !b.ExpiresAt.IsZero() && !b.ExpiresAt.After(now):
		return fault("/expires_at", "Must be in the future.")
	}
	return nil
}

// CreateButton makes a button. A repeat under its key and with the same request gets
// the button as it is now. Errors are refusals.
func (s *Switch) CreateButton(a Account, r *ButtonRequest) (made Button, replayed bool, err error) {
	key := s.idempotencyDigest(a, r.IdempotencyKey)
	if held, ok, err := s.store.Get(spaceKey, key[:], nil); err != nil {
		return made, false, errInternal
	} else if ok {
		made, err = s.sameButton(a, r.Fingerprint, held)
		return made, err == nil, err
	}
	if err := s.accepting(); err != nil {
		return made, false, err
	}
	b, now := r.Wish, s.now()
	if err := b.complete(now); err != nil {
		return made, false, err
	}
	prefix := append([]byte{buttonList}, accountSlice(a)...)
	ids, err := s.idsOf(storage.Range{Space: spaceButton, Prefix: prefix}, len(prefix), MaxButtons)
	switch {
	case err != nil:
		return made, false, errInternal
	case len(ids) >= MaxButtons:
		return made, false, wrongState("There are %d buttons, as many as one shop may have in one mode.", MaxButtons)
	}
	b.ID, b.Version, b.Merchant, b.Live, b.CreatedAt, b.UpdatedAt = s.ids.next(now), 1, a.Merchant.ID, a.Live, now, now
	body, err := json.Marshal(&b)
	if err != nil {
		return made, false, errInternal
	}
	var cmd storage.Command
	cmd.Claim(spaceKey, key[:], buttonClaim(b.ID))
	cmd.Set(spaceButton, buttonKey(buttonHead, b.ID), body)
	cmd.Set(spaceButton, buttonKey(buttonHash, b.ID), r.Fingerprint[:])
	cmd.Set(spaceButton, buttonListKey(accountDigest(a), b.ID), nil)
	result, err := s.store.Do(&cmd)
	switch {
	case err != nil:
		s.log.Error("journal refused a button", "error", err)
		return made, false, errInternal
	case result.Kind == storage.Exists:
		made, err = s.sameButton(a, r.Fingerprint, result.Value)
		return made, err == nil, err
	}
	s.log.Info("a button was made", "button", b.ID.Text(ButtonPrefix), "merchant", b.Merchant, "live", b.Live)
	return b, false, nil
}

func accountSlice(a Account) []byte {
	digest := accountDigest(a)
	return digest[:]
}

// sameButton is the answer to a repeat.
func (s *Switch) sameButton(a Account, fingerprint Fingerprint, held []byte) (Button, error) {
	if len(held) != len(ID{})+1 || held[len(ID{})] != 'B' {
		return Button{}, errKeyReused
	}
	id := ID(held[:len(ID{})])
	first, ok, err := s.store.Get(spaceButton, buttonKey(buttonHash, id), nil)
	switch {
	case err != nil || !ok:
		return Button{}, errInternal
	case string(first) != string(fingerprint[:]):
		return Button{}, errKeyReused
	}
	return s.Button(a, id)
}

// readButton returns nil when there is no such button.
func (s *Switch) readButton(id ID) (*Button, error) {
	body, ok, err := s.store.Get(spaceButton, buttonKey(buttonHead, id), nil)
	if err != nil || !ok {
		return nil, err
	}
	b := new(Button)
	if err := json.Unmarshal(body, b); err != nil {
		return nil, fmt.Errorf("button %s: %w", id.Text(ButtonPrefix), errRecord)
	}
	return b, nil
}

// Button shows a button. Errors are refusals.
func (s *Switch) Button(a Account, id ID) (Button, error) {
	b, err := s.readButton(id)
	switch {
	case err != nil:
		s.log.Error("a button could not be read", "button", id.Text(ButtonPrefix), "error", err)
		return Button{}, errInternal
	case b == nil || b.Merchant != a.Merchant.ID || b.Live != a.Live:
		return Button{}, errNoButton
	}
	return *b, nil
}

// DisableButton ends a button for good: no press after it returned makes a session.
// Sessions made before go on. Disabling twice is no error. Errors are refusals.
func (s *Switch) DisableButton(a Account, id ID) (Button, error) {
	if err := s.accepting(); err != nil {
		return Button{}, err
	}
	p := s.presses.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	b, err := s.Button(a, id)
	if err != nil || !b.DisabledAt.IsZero() {
		return b, err
	}
	b.Version++
	b.DisabledAt = s.now()
	b.UpdatedAt = b.DisabledAt
	body, err := json.Marshal(&b)
	if err != nil {
		return Button{}, errInternal
	}
	var cmd storage.Command
	cmd.Set(spaceButton, buttonKey(buttonHead, id), body)
	if _, err := s.store.Do(&cmd); err != nil {
		s.log.Error("journal refused the end of a button", "button", id.Text(ButtonPrefix), "error", err)
		return Button{}, errInternal
	}
	s.log.Info("a button was disabled", "button", id.Text(ButtonPrefix), "merchant", b.Merchant, "live", b.Live)
	return b, nil
}

// ButtonPage is one page of buttons, newest first.
type ButtonPage struct {
	Buttons []Button
	More    bool
	Next    ID
}

// Buttons is a page of the account's buttons, at most limit. Errors are refusals.
func (s *Switch) Buttons(a Account, limit int, cursor ID) (page ButtonPage, err error) {
	account := accountDigest(a)
	prefix := append([]byte{buttonList}, account[:]...)
	rng := storage.Range{Space: spaceButton, Prefix: prefix, Reverse: true}
	if !cursor.IsZero() {
		rng.To = buttonListKey(account, cursor)
	}
	ids, err := s.idsOf(rng, len(prefix), limit+1)
	for i, id := range ids {
		var b *Button
		if page.More = i == limit; page.More || err != nil {
			break
		}
		if b, err = s.readButton(ID(id)); b != nil {
			page.Buttons, page.Next = append(page.Buttons, *b), b.ID
		}
	}
	if err != nil {
		s.log.Error("buttons could not be read", "merchant", a.Merchant.ID, "error", err)
		return ButtonPage{}, errInternal
	}
	return page, nil
}
