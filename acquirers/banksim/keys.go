package banksim

import (
	"sync"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/iso/security"
)

// keys are the bank's keys in clear, the present one of each slot and the one
// before. It is no secret of anybody's.
type keys struct {
	mu      sync.Mutex
	present map[string][]byte
	before  map[string][]byte
	next    map[string][]byte // given to the switch; present from its first message under it
}

func newKeys(all map[string][]byte) *keys {
	k := &keys{present: map[string][]byte{}, before: map[string][]byte{}, next: map[string][]byte{}}
	for slot, key := range all {
		k.present[slot] = key
	}
	return k
}

func (k *keys) get(slot string) (present, before []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.present[slot], k.before[slot]
}

// Sum implements iso.MACKeys.
func (k *keys) Sum(slot string, m security.MAC, data []byte) ([]byte, error) {
	present, _ := k.get(slot)
	return m.Sum(present, data)
}

// Verify implements iso.MACKeys.
func (k *keys) Verify(slot string, m security.MAC, data, code []byte) (bool, error) {
	present, before := k.get(slot)
	good, err := m.Verify(present, data, code)
	if err == nil && !good && before != nil {
		good, err = m.Verify(before, data, code)
	}
	if err != nil || good {
		return good, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.next[slot] == nil {
		return m.Verify(k.present[slot], data, code) // another link was faster
	}
	if good, err = m.Verify(k.next[slot], data, code); good {
		k.before[slot], k.present[slot] = k.present[slot], k.next[slot]
		delete(k.next, slot)
	}
	return good, err
}

// spoiled makes codes that are wrong.
type spoiled struct{ *keys }

// Sum implements iso.MACKeys.
func (s spoiled) Sum(slot string, m security.MAC, data []byte) ([]byte, error) {
	sum, err := s.keys.Sum(slot, m, data)
	if err == nil {
		sum[0] ^= 0xFF
	}
	return sum, err
}

// sealing is how a frame of the bank's is made.
type sealing struct {
	to    []byte // header of the message it answers
	wrong bool   // with a code that is wrong
}

// seal appends the frame of a message of the bank's, with its code when the
// dialect wants one.
func (l *link) seal(dst []byte, m *iso.Message, how sealing) ([]byte, error) {
	var k iso.MACKeys = l.bank.keys
	if how.wrong {
		k = spoiled{l.bank.keys}
	}
	return l.bank.cfg.Dialect.AppendSealed(dst, m, iso.Seal{Flow: iso.FromBank, Keys: k, To: how.to})
}
