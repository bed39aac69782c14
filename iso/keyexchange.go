package iso

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
)

// keyExchange is the block security.key_exchange of a dialect.
type keyExchange struct {
	slot, kek    string
	field, check int // of the key and of its check value; check 0: none
	block        bool
	steps        []*NetworkStep // ours, in order
	habit        KeyHabit
}

// KeyHabit is when keys are changed and how long the key before goes on.
type KeyHabit struct {
	Overlap time.Duration
	Every   time.Duration // 0: time starts no change
	After   int           // messages under the key; 0: their number starts none
}

// KeyOffer is a new key on the line, under a key of key encryption.
type KeyOffer struct {
	Slot, KEK string // the dialect's names
	Block     string // a key block; or
	Sealed    []byte // a cryptogram, with
	Check     []byte // its check value; nil when the dialect has none
}

// ErrKeyOffer says that a message has no new key where the dialect has it.
var ErrKeyOffer = errors.New("iso: the message holds no new key")

// KeySteps are the steps by which we change keys, in order; none: we never start that.
func (d *Dialect) KeySteps() []*NetworkStep {
	if d.exchange == nil {
		return nil
	}
	return d.exchange.steps
}

// KeyHabit says when the bank wants its keys changed; zero: it says nothing of keys.
func (d *Dialect) KeyHabit() KeyHabit {
	if d.exchange == nil {
		return KeyHabit{}
	}
	return d.exchange.habit
}

// KeyOffer reads the new key out of a message. The error is ErrKeyOffer.
func (d *Dialect) KeyOffer(m *Message) (KeyOffer, error) {
	x := d.exchange
	if x == nil || len(m.Get(x.field)) == 0 || x.check != 0 && len(m.Get(x.check)) == 0 {
		return KeyOffer{}, ErrKeyOffer
	}
	o := KeyOffer{Slot: x.slot, KEK: x.kek}
	if x.check != 0 {
		var ok bool
		if o.Check, ok = d.keyBytes(m, x.check); !ok {
			return KeyOffer{}, ErrKeyOffer
		}
	}
	if x.block {
		o.Block = strings.TrimRight(string(m.Get(x.field)), " ")
		return o, nil
	}
	var ok bool
	if o.Sealed, ok = d.keyBytes(m, x.field); !ok {
		return KeyOffer{}, ErrKeyOffer
	}
	return o, nil
}

// keyBytes is a field's value as bytes: a text is hex digits.
func (d *Dialect) keyBytes(m *Message, field int) ([]byte, bool) {
	if d.codec.fields[field].class == classB {
		return append([]byte(nil), m.Get(field)...), true
	}
	b, err := hex.DecodeString(strings.TrimRight(string(m.Get(field)), " "))
	return b, err == nil
}

// SetKeyOffer writes a new key into a message, for a bank that gives one.
func (d *Dialect) SetKeyOffer(m *Message, o KeyOffer) {
	x := d.exchange
	put := func(field int, value []byte) {
		if d.codec.fields[field].class == classB {
			m.Set(field, value)
		} else {
			m.SetString(field, strings.ToUpper(hex.EncodeToString(value)))
		}
	}
	if x.block {
		m.SetString(x.field, o.Block)
	} else {
		put(x.field, o.Sealed)
	}
	if x.check != 0 {
		put(x.check, o.Check)
	}
}

// KeySlot is the name of the key that is changed on the line; empty: none is.
func (d *Dialect) KeySlot() string {
	if d.exchange == nil {
		return ""
	}
	return d.exchange.slot
}

// KeyForm tells how new keys come: in key blocks, else as cryptograms.
func (d *Dialect) KeyForm() (slot, kek string, block bool) {
	return d.exchange.slot, d.exchange.kek, d.exchange.block
}

func (l *loader) exchangeBlock(s *section) {
	x := &keyExchange{slot: s.slot("slot"), kek: s.slot("kek"), block: s.oneOf("form", []string{"key-block", "cryptogram"}) == 0}
	field := func(key string) int {
		f := s.number(key, 2, 128)
		if row := &l.d.codec.fields[f]; row.prefix == prefixNone || row.class == classN {
			l.fail(s.lineOf(key), "%s: field %d must be of variable length, of class ans or b, to hold a key", s.at(key), f)
		}
		return f
	}
	x.field = field("field")
	if s.has("check") || !x.block {
		x.check = field("check")
	}
	x.steps = l.stepList(s, "steps")
	x.habit = KeyHabit{Overlap: time.Hour}
	if s.has("overlap") {
		x.habit.Overlap = s.duration("overlap")
	}
	if s.has("every") {
		x.habit.Every = s.duration("every")
	}
	if s.has("after") {
		x.habit.After = s.number("after", 16, 1<<40)
	}
	if !slices.ContainsFunc(l.d.steps, func(st *NetworkStep) bool { return st.Key != KeyNowhere }) {
		s.fail("%s needs a step with the new key; write key: request or key: answer in one of network.steps", s.path)
	}
	if len(x.steps) == 0 && x.habit.Every+time.Duration(x.habit.After) > 0 {
		s.fail("%s: every and after start steps of ours, and there are none; write steps", s.path)
	}
	s.done()
	l.d.exchange = x
}
