package acquirers

import (
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/tranzit/tranzit/acquirers/keystore"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/iso/security"
)

// codes are the bank's keys as its dialect names them.
type codes struct {
	store keystore.Store
	slots map[string]string // the dialect's name -> the store's

	changes string // the dialect's name of the key that is changed on the line
	after   uint64 // codes under one key; 0: any number
	bank    *Bank
}

// newCodes is nil for a dialect whose messages carry no codes.
func newCodes(c *Config, d *iso.Dialect) (*codes, error) {
	names := d.KeySlots()
	if len(names) == 0 {
		return nil, nil
	}
	if c.Keys == nil {
		return nil, fmt.Errorf("dialect %s needs keys (%v) and there is no key store", d.ID(), names)
	}
	all, err := c.Keys.Slots()
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for _, s := range all {
		have[s.Name] = true
	}
	for _, name := range names {
		switch slot := c.Slots[name]; {
		case slot == "":
			return nil, fmt.Errorf("dialect %s needs a key %q and the bank gives none for it", d.ID(), name)
		case !have[slot]:
			return nil, fmt.Errorf("the key store has no slot %q, which is the dialect's key %q", slot, name)
		}
	}
	if !d.HasMAC() {
		return nil, nil
	}
	return &codes{store: c.Keys, slots: c.Slots, changes: d.KeySlot(), after: uint64(c.KeyChangeAfter)}, nil
}

// Sum implements iso.MACKeys.
func (k *codes) Sum(slot string, m security.MAC, data []byte) ([]byte, error) {
	if k.after > 0 && slot == k.changes && k.bank.keys.made.Add(1) == k.after {
		signal(k.bank.keys.worn)
	}
	return k.store.Sum(keystore.Ref{Slot: k.slots[slot]}, m, data)
}

// Verify implements iso.MACKeys. A message under the key on offer proves that the bank has it.
func (k *codes) Verify(slot string, m security.MAC, data, code []byte) (bool, error) {
	in := k.slots[slot]
	good, err := keystore.Verify(k.store, in, keystore.Code{MAC: m, Data: data, Code: code})
	if good && k.bank.keys.offers(in) {
		sum, err := k.store.Sum(keystore.Ref{Slot: in, Before: true}, m, data)
		if err == nil && subtle.ConstantTimeCompare(sum[:min(len(sum), len(code))], code) == 1 {
			k.bank.takeOffer(in, "the bank uses it")
		}
	}
	return good, err
}

// frame appends a message's frame, with its code when the dialect wants one.
func (v *Version) frame(dst []byte, m *iso.Message) ([]byte, error) {
	if v.codes == nil {
		return v.dialect.AppendFrame(dst, m)
	}
	return v.dialect.AppendSealed(dst, m, iso.Seal{Flow: iso.ToBank, Keys: v.codes})
}

// reply is frame for an answer to a message that came with the header to.
func (v *Version) reply(dst []byte, m *iso.Message, to []byte) ([]byte, error) {
	if v.codes == nil {
		return v.dialect.AppendReply(dst, m, to)
	}
	return v.dialect.AppendSealed(dst, m, iso.Seal{Flow: iso.ToBank, Keys: v.codes, To: to})
}

// forged handles a message whose code does not verify: it is counted and told,
// and finalises nothing. An answer refutes its request, unless the dialect counts
// it as never come; a request of the bank's own is answered with the code that the
// dialect has for that, or not at all.
func (l *line) forged(m *iso.Message, why error) error {
	b, d := l.bank, l.version.dialect
	b.metrics.forged.Add(1)
	what := "its code is wrong or missing"
	if !errors.Is(why, iso.ErrMAC) {
		what = "its code cannot be checked: " + why.Error()
	}
	b.aside.alarm("forged", fmt.Sprintf("link %d: type %s: %s", l.link.number, m.MTI, what))
	if code := d.ForgedAnswer(); code != "" && m.MTI.ExpectsAnswer() {
		return l.respond(m, code, nothing)
	}
	if d.DropsForged() || !d.AnswerKey(m, &l.key) {
		return nil
	}
	if f, verdict := b.pending.claim(&l.key, l); verdict == claimWon {
		l.incoming, f.answer = f.answer, m
		f.answeredAt, f.fate, f.cause = l.readAt, Refuted, CauseMAC
		f.done <- struct{}{}
	}
	return nil
}
