package iso

import (
	"encoding/hex"
	"errors"
	"strings"
)

// keyExchange is the block security.key_exchange of a dialect.
type keyExchange struct {
	slot, kek    string
	field, check int // of the key and of its check value; check 0: none
	block        bool
	steps        []KeyStep
}

// KeyStep is one message of a change of keys.
type KeyStep struct {
	Ours     bool   // we send it; else the bank does
	Code     string // DE70
	Key      bool   // the new key is in it, or in its answer
	InAnswer bool
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

// KeySteps are the messages by which keys are changed, in order; nil: never.
func (d *Dialect) KeySteps() []KeyStep {
	if d.exchange == nil {
		return nil
	}
	return d.exchange.steps
}

// BankKeyStep finds the step of a request of the bank's own.
func (d *Dialect) BankKeyStep(m *Message) (KeyStep, bool) {
	if d.exchange != nil && m.MTI.Normal() == d.requests[OpEcho].mti {
		for _, s := range d.exchange.steps {
			if !s.Ours && s.Code == string(m.Get(70)) {
				return s, true
			}
		}
	}
	return KeyStep{}, false
}

// BuildKeyStep is Build for a step of a change of keys.
func (d *Dialect) BuildKeyStep(s KeyStep, v *Values, m *Message) error {
	err := d.Build(OpEcho, v, m)
	if err == nil {
		m.SetString(70, s.Code)
	}
	return err
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
	steps := s.need("steps", `[{by: bank, code: "161", key: request}]`)
	if steps != nil {
		for _, item := range steps.Content {
			one := l.section(item, s.at("steps"))
			st := KeyStep{Ours: one.oneOf("by", []string{"us", "bank"}) == 0, Code: one.text("code", `"161"`, 4)}
			switch one.oneOf("key", []string{"none", "request", "answer"}) {
			case 1:
				st.Key = true
			case 2:
				st.Key, st.InAnswer = true, true
			}
			if st.Key && st.Ours != st.InAnswer {
				one.fail("%s: keys come from the bank: in the answer to a message by us, or in a request by the bank", s.at("steps"))
			}
			one.done()
			x.steps = append(x.steps, st)
		}
	}
	if len(x.steps) == 0 || !l.d.Supports(OpEcho) {
		s.fail("%s needs steps, and messages.echo, whose fields its messages have", s.path)
	}
	s.done()
	l.d.exchange = x
}
