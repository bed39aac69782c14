package payswitch

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// spaceLetter holds what is still to be sent to people, and what could not be.
const spaceLetter storage.Space = 'L'

// The first byte of a key in spaceLetter. It is stored: never reuse one.
const (
	letterDue    = 'd' // due time in milliseconds, letter id -> Letter
	letterFailed = 'f' // letter id -> Letter that was given up

	letterReceipts = 'r' // payment id -> receiptCount
)

// LetterPrefix is the TypeID prefix of a letter.
const LetterPrefix = "let"

// MaxLetterData bounds what a letter's text is made from.
const MaxLetterData = 128 << 10

// Letter is one message to a person or to a shop's server that the switch owes.
// Its text is made when it is sent.
type Letter struct {
	ID       ID              `json:"-"`
	Channel  string          `json:"channel"` // LetterMail, LetterSMS or LetterWebhook
	To       string          `json:"to"`      // address, telephone number, or webhook endpoint's id
	Language string          `json:"language,omitempty"`
	Template string          `json:"template"` // of mail and SMS the template's name; of a webhook the message's type
	Data     json.RawMessage `json:"data,omitempty"`
	Attempts int             `json:"attempts,omitempty"` // that failed so far
	Due      time.Time       `json:"due"`                // not before
	Error    string          `json:"error,omitempty"`    // of the last attempt
	Checkout ID              `json:"checkout,omitzero"`  // the session whose link it brings: it leaves only while that is open
}

// The ways a letter goes.
const (
	LetterMail    = "mail"
	LetterSMS     = "sms"
	LetterWebhook = "webhook"
)

// Letters is the durable queue of letters. A letter stands in the journal since
// the very step it tells of, until it was taken or given up. All methods are
// goroutine-safe.
type Letters struct {
	s    *Switch
	wake atomic.Pointer[func()]
}

func (l *Letters) init(s *Switch) { l.s = s }

// Letters is the switch's one queue of letters.
func (s *Switch) Letters() *Letters { return &s.letters }

// Listen sets who is woken when a letter is due; what was due before is found by
// Due. The function must return at once.
func (l *Letters) Listen(wake func()) { l.wake.Store(&wake) }

// Wake tells the sender that letters were made durable.
func (l *Letters) Wake() {
	if wake := l.wake.Load(); wake != nil {
		(*wake)()
	}
}

// NewLetter makes a letter; data becomes JSON and is all that its text is made from.
func NewLetter(letter Letter, data any) (Letter, error) {
	body, err := json.Marshal(data)
	if err == nil && len(body) > MaxLetterData {
		err = fmt.Errorf("a letter with %d bytes of data, at most %d", len(body), MaxLetterData)
	}
	letter.Data = body
	return letter, err
}

// Add puts a letter into the command of the step it tells of, due at once; call
// Wake when the command is durable. REQUIRES: NewLetter made it.
func (l *Letters) Add(c *storage.Command, letter Letter) {
	now := l.s.now()
	letter.ID, letter.Due = l.s.ids.next(now), now
	letter.put(c)
}

func (y *Letter) key() []byte {
	key := binary.BigEndian.AppendUint64([]byte{letterDue}, uint64(y.Due.UnixMilli()))
	return append(key, y.ID[:]...)
}

func (y *Letter) put(c *storage.Command) { c.Set(spaceLetter, y.key(), y.encode()) }

// encode cannot fail: the one member that could is JSON already.
func (y *Letter) encode() []byte {
	body, _ := json.Marshal(y)
	return body
}

// Due are the letters due at now, at most limit, the first due first, but for those
// of channels that are skipped. next is when the first of the others will be; zero:
// there is none.
func (l *Letters) Due(now time.Time, limit int, skip map[string]bool) (list []Letter, next time.Time, err error) {
	var bad error
	err = l.s.store.Scan(storage.Range{Space: spaceLetter, Prefix: []byte{letterDue}}, func(key, body []byte) bool {
		if len(key) != 1+8+16 {
			bad = errRecord
			return false
		}
		if at := time.UnixMilli(int64(binary.BigEndian.Uint64(key[1:]))).UTC(); at.After(now) || len(list) == limit {
			next = at
			return false
		}
		var y Letter
		if bad = json.Unmarshal(body, &y); bad == nil && !skip[y.Channel] {
			y.ID = ID(key[9:])
			list = append(list, y)
		}
		return bad == nil
	})
	return list, next, errors.Join(err, bad)
}

// Sent makes it durable that a letter was taken.
func (l *Letters) Sent(y *Letter) error {
	var c storage.Command
	c.Delete(spaceLetter, y.key())
	if err := l.note(&c, y, SendingTaken); err != nil {
		return err
	}
	_, err := l.s.store.Do(&c)
	return err
}

// Later makes it durable that an attempt failed, and when the next one is. A zero
// time gives the letter up: it is kept for the operators, and an alarm is raised.
func (l *Letters) Later(y *Letter, why string, at time.Time) error {
	var c storage.Command
	c.Delete(spaceLetter, y.key())
	next := *y
	next.Attempts, next.Error, next.Due = y.Attempts+1, why, at.UTC().Truncate(time.Millisecond)
	if at.IsZero() {
		c.Set(spaceLetter, append([]byte{letterFailed}, y.ID[:]...), next.encode())
		if err := l.note(&c, y, SendingRefused); err != nil {
			return err
		}
		l.s.metrics.alarms.WithLabelValues("letter_failed").Inc()
	} else {
		next.put(&c)
	}
	_, err := l.s.store.Do(&c)
	return err
}

// Failed are letters that were given up, the oldest first, at most limit.
func (l *Letters) Failed(limit int) (list []Letter, err error) {
	var bad error
	err = l.s.store.Scan(storage.Range{Space: spaceLetter, Prefix: []byte{letterFailed}}, func(key, body []byte) bool {
		y := Letter{}
		if bad = json.Unmarshal(body, &y); bad == nil && len(key) == 1+16 {
			y.ID = ID(key[1:])
			list = append(list, y)
		}
		return bad == nil && len(list) < limit
	})
	return list, errors.Join(err, bad)
}

// Retry puts a letter that was given up back into the queue, its attempts begun
// anew. Errors are refusals.
func (l *Letters) Retry(id ID, act Act) error {
	if err := act.Validate(); err != nil {
		return err
	}
	key := append([]byte{letterFailed}, id[:]...)
	body, found, err := l.s.store.Get(spaceLetter, key, nil)
	var y Letter
	switch {
	case err != nil:
		return errInternal
	case !found:
		return &Refusal{Code: CodeNotFound, Detail: "No such letter was given up."}
	case json.Unmarshal(body, &y) != nil:
		return errInternal
	}
	y.ID, y.Attempts, y.Error, y.Due = id, 0, "", l.s.now()
	var c storage.Command
	c.Delete(spaceLetter, key)
	y.put(&c)
	if err := l.note(&c, &y, SendingOwed); err != nil {
		return errInternal
	}
	if _, err := l.s.store.Do(&c); err != nil {
		return errInternal
	}
	l.s.log.Warn("operator put a letter back", "letter", id.Text(LetterPrefix), "operator", act.Operator, "reason", act.Reason)
	l.Wake()
	return nil
}
