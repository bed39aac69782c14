package payswitch

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// Limits of sending one session's link.
const (
	MaxCheckoutLetters = 5           // of one session, reminders included
	CheckoutPause      = time.Minute // between two wishes to send it
)

// TemplateLink is the letter that brings a buyer the link to a session's page, and
// TemplateReminder the one that comes again before its end.
const (
	TemplateLink     = "payment_link"
	TemplateReminder = "payment_reminder"
)

// The states of a letter with a session's link.
const (
	SendingOwed      = "owed"
	SendingTaken     = "taken"     // by the mail server or the gateway of telephones
	SendingRefused   = "refused"   // nobody takes it; the operators have it
	SendingWithdrawn = "withdrawn" // the session was over before it left
)

// CheckoutSending is one letter with a session's link: a value.
type CheckoutSending struct {
	At      time.Time // when it was asked for
	Due     time.Time // of a reminder: when it leaves; else At
	Channel string    // LetterMail or LetterSMS
	To      string    // masked
	State   string
}

// CheckoutSend is a wish to send the link of a session, already syntactically valid.
type CheckoutSend struct {
	IdempotencyKey string
	Fingerprint    Fingerprint
	Email, Phone   string          // both empty: the e-mail address of the session
	Language       string          // empty: of the session
	RemindBefore   time.Duration   // > 0: the letter leaves so long before the session ends
	Page           func(ID) string // address of the session's page
}

// LinkData is what a letter with a session's link is made from.
type LinkData struct {
	Shop        string `json:"shop"`
	Order       string `json:"order"`
	Description string `json:"description,omitempty"`
	Amount      int64  `json:"amount"` // minor units
	Currency    string `json:"currency"`
	URL         string `json:"url"`
	Until       string `json:"until"` // on the shop's clock
	Test        bool   `json:"test,omitempty"`
}

func checkoutSentKey(session, letter ID) []byte {
	return append(checkoutKey(checkoutSent, session), letter[:]...)
}

// sendClaim is what the idempotency key of a wish to send holds: nothing else's
// is as long.
func sendClaim(id ID, f Fingerprint) []byte {
	return append(append(append([]byte{}, id[:]...), f[:]...), 'S')
}

// sentBefore is the answer to a repeat of a wish to send.
func sentBefore(held []byte, id ID, f Fingerprint) error {
	if string(held) != string(sendClaim(id, f)) {
		return errKeyReused
	}
	return nil
}

// SendCheckout makes the switch owe the letters that bring a buyer a session's link;
// they leave only while the session is open. A repeat under its key sends nothing
// and gets the session as it is now. Errors are refusals.
func (s *Switch) SendCheckout(a Account, id ID, r *CheckoutSend) (c Checkout, replayed bool, err error) {
	key := s.idempotencyDigest(a, r.IdempotencyKey)
	if held, ok, err := s.store.Get(spaceKey, key[:], nil); err != nil {
		return c, false, errInternal
	} else if ok {
		if err = sentBefore(held, id, r.Fingerprint); err == nil {
			c, err = s.Checkout(a, id)
		}
		return c, err == nil, err
	}
	if err := s.accepting(); err != nil {
		return c, false, err
	}
	mu := s.lock(id)
	mu.Lock()
	defer mu.Unlock()
	if c, err = s.Checkout(a, id); err != nil {
		return c, false, err
	}
	var cmd storage.Command
	cmd.Claim(spaceKey, key[:], sendClaim(id, r.Fingerprint))
	if err = s.oweLink(&cmd, a, &c, r); err != nil {
		return c, false, err
	}
	result, err := s.store.Do(&cmd)
	switch {
	case err != nil:
		s.log.Error("journal refused the letter of a checkout session", "session", id.Text(CheckoutPrefix), "error", err)
		return c, false, errInternal
	case result.Kind == storage.Exists:
		if err = sentBefore(result.Value, id, r.Fingerprint); err == nil {
			c, err = s.Checkout(a, id)
		}
		return c, err == nil, err
	}
	s.letters.Wake()
	return c, false, nil
}

// oweLink adds the letters of a wish to the command, and tells of them in c.
// REQUIRES: the session's lock, or nobody knows the session yet.
func (s *Switch) oweLink(cmd *storage.Command, a Account, c *Checkout, r *CheckoutSend) error {
	now := s.now()
	due := now
	if r.RemindBefore > 0 {
		due = c.ExpiresAt.Add(-r.RemindBefore)
	}
	wanted := 1
	if r.Email != "" && r.Phone != "" {
		wanted = 2
	}
	last := time.Time{}
	for _, sent := range c.Sent {
		if sent.Due.Equal(sent.At) { // no reminder
			last = sent.At
		}
	}
	switch {
	case c.Status != CheckoutOpen:
		return wrongState("This checkout session is %s.", c.Status)
	case r.Email == "" && r.Phone == "" && c.Email == "":
		return &Refusal{Code: CodeInvalidRequest, Pointer: "/email", Detail: "The session has no e-mail address of its buyer: say where to send the link."}
	case due.Before(now):
		return &Refusal{Code: CodeInvalidRequest, Pointer: "/remind_before", Detail: "The session ends sooner than that."}
	case len(c.Sent)+wanted > MaxCheckoutLetters:
		return wrongState("The link of a session is sent at most %d times.", MaxCheckoutLetters)
	case r.RemindBefore == 0 && now.Sub(last) < CheckoutPause:
		return &Refusal{Code: CodeInvalidState, RetryAfter: CheckoutPause - now.Sub(last), Detail: "The link was sent a moment ago; wait before you send it again."}
	}
	if r.Phone != "" {
		if err := s.oweLetter(cmd, a, c, linkLetter{r, LetterSMS, r.Phone, now, due}); err != nil {
			return err
		}
	}
	if to := cmp.Or(r.Email, c.Email); r.Email != "" || r.Phone == "" {
		return s.oweLetter(cmd, a, c, linkLetter{r, LetterMail, to, now, due})
	}
	return nil
}

type linkLetter struct {
	wish        *CheckoutSend
	channel, to string
	at, due     time.Time // the same, but for a reminder
}

func (s *Switch) oweLetter(cmd *storage.Command, a Account, c *Checkout, l linkLetter) error {
	zone := a.Merchant.TimeZone
	letter := Letter{Channel: l.channel, To: l.to, Language: cmp.Or(l.wish.Language, c.Language, a.Merchant.Language), Template: TemplateLink, Checkout: c.ID}
	if l.wish.RemindBefore > 0 {
		letter.Template = TemplateReminder
	}
	letter, err := NewLetter(letter, LinkData{Shop: a.Merchant.Name, Order: c.OrderID, Description: c.Description, Amount: c.Amount, Currency: c.Currency,
		URL: l.wish.Page(c.ID), Until: c.ExpiresAt.In(zone).Format("2006-01-02 15:04 MST"), Test: !a.Live})
	if err != nil {
		return errInternal
	}
	letter.ID, letter.Due = s.ids.next(l.at), l.due
	letter.put(cmd)
	sent := CheckoutSending{At: l.at, Due: l.due, Channel: l.channel, To: maskAddress(l.to), State: SendingOwed}
	body, err := json.Marshal(&sent)
	if err != nil {
		return errInternal
	}
	cmd.Set(spaceCheckout, checkoutSentKey(c.ID, letter.ID), body)
	c.Sent = append(c.Sent, sent)
	c.Version++
	return nil
}

// maskAddress shows of an address, or of a telephone number, only what its owner
// recognises.
func maskAddress(to string) string {
	if name, domain, ok := strings.Cut(to, "@"); ok {
		return name[:min(1, len(name))] + "***@" + domain
	}
	if len(to) < 6 {
		return "***"
	}
	return to[:2] + strings.Repeat("*", len(to)-5) + to[len(to)-3:]
}

// checkoutLetters are the letters with a session's link, the oldest first.
func (s *Switch) checkoutLetters(id ID) (list []CheckoutSending, err error) {
	var bad error
	err = s.store.Scan(storage.Range{Space: spaceCheckout, Prefix: checkoutKey(checkoutSent, id)}, func(_, body []byte) bool {
		var sent CheckoutSending
		bad = json.Unmarshal(body, &sent)
		list = append(list, sent)
		return bad == nil
	})
	return list, errors.Join(err, bad)
}

// Hold keeps back a letter whose link leads to a session that is not open: it is
// withdrawn when the session is over, and waits while a payment of it is on its way.
// False: the letter may leave.
func (l *Letters) Hold(y *Letter) (bool, error) {
	if y.Checkout.IsZero() {
		return false, nil
	}
	_, c, err := l.s.OpenCheckout(y.Checkout)
	var cmd storage.Command
	switch no, is := errors.AsType[*Refusal](err); {
	case is && no.Code == CodeNotFound: // its merchant is gone
	case err != nil || c.Status == CheckoutOpen:
		return false, err
	case c.Status == CheckoutProcessing:
		next := *y
		next.Due = l.s.now().Add(CheckoutPause)
		next.put(&cmd)
	}
	cmd.Delete(spaceLetter, y.key())
	if c.Status != CheckoutProcessing {
		if err := l.note(&cmd, y, SendingWithdrawn); err != nil {
			return false, err
		}
	}
	_, err = l.s.store.Do(&cmd)
	return err == nil, err
}

// note adds what became of a letter to the session it tells of, if it tells of one.
func (l *Letters) note(cmd *storage.Command, y *Letter, state string) error {
	if y.Checkout.IsZero() {
		return nil
	}
	key := checkoutSentKey(y.Checkout, y.ID)
	body, ok, err := l.s.store.Get(spaceCheckout, key, nil)
	if err != nil || !ok {
		return err
	}
	var sent CheckoutSending
	if err := json.Unmarshal(body, &sent); err != nil {
		return fmt.Errorf("letter %s: %w", y.ID.Text(LetterPrefix), errRecord)
	}
	sent.State = state
	if body, err = json.Marshal(&sent); err == nil {
		cmd.Set(spaceCheckout, key, body)
	}
	return err
}
