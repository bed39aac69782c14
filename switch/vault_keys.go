package payswitch

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// spaceVault holds the data keys. Card numbers in records can never be sealed
// anew: records do not change. So what seals them is a data key, kept in the
// journal, and only the data keys are sealed under the keys of the key file:
// under every one of them, until a key is retired. The first byte of a key in the
// space is stored: never reuse one.
const spaceVault storage.Space = 'V'

const (
	vaultData    = 'd' // data key id -> dataKey
	vaultRetired = 'r' // id of a key of the file -> retiredKey
	vaultSweep   = 's' // -> sweep
)

// dataKey is a key that seals, as stored.
type dataKey struct {
	CreatedAt time.Time       `json:"created_at"`
	CreatedBy string          `json:"created_by"`
	Wraps     map[byte][]byte `json:"wraps,omitempty"`  // by the id of a key of the file: the data key, sealed under it
	Direct    bool            `json:"direct,omitempty"` // also the key of the file with this id: it sealed before there were data keys

	raw []byte
}

// retiredKey says that a key of the file opens nothing any more.
type retiredKey struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// sweep is how far the saved cards were sealed anew under a data key.
type sweep struct {
	Key      byte   `json:"key"`
	After    []byte `json:"after,omitempty"` // the last token that was looked at
	Seen     int64  `json:"seen"`
	Resealed int64  `json:"resealed"`
	Lost     int64  `json:"lost"` // could not be opened, and stay as they are
	Done     bool   `json:"done"`
}

// vault is what the Switch knows of its keys.
type vault struct {
	mu      sync.Mutex
	ring    *KeyRing // the file as it was read last
	data    map[byte]*dataKey
	retired map[byte]retiredKey
	sweep   sweep
	wake    chan struct{} // a sweep is to be done
}

func vaultName(kind, id byte) []byte { return []byte{kind, id} }

// openVault reads the data keys and makes the ring that seals with them. A new
// key in the file is taken into use; a journal of before the data keys goes on
// with the keys of its file as the first of them.
func (s *Switch) openVault(ring *KeyRing) error {
	v := &s.vault
	v.data, v.retired, v.wake = map[byte]*dataKey{}, map[byte]retiredKey{}, make(chan struct{}, 1)
	var bad error
	err := s.store.Scan(storage.Range{Space: spaceVault}, func(name, value []byte) bool {
		switch {
		case len(name) == 2 && name[0] == vaultData:
			k := &dataKey{}
			bad = json.Unmarshal(value, k)
			v.data[name[1]] = k
		case len(name) == 2 && name[0] == vaultRetired:
			var k retiredKey
			bad = json.Unmarshal(value, &k)
			v.retired[name[1]] = k
		case len(name) == 1 && name[0] == vaultSweep:
			bad = json.Unmarshal(value, &v.sweep)
		default:
			bad = errRecord
		}
		return bad == nil
	})
	if err = cmp.Or(err, bad); err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	s.keys = &KeyRing{path: ring.path, hashers: ring.hashers}
	v.mu.Lock()
	defer v.mu.Unlock()
	return s.takeKeys(ring, Act{Operator: "start"}, false)
}

// takeKeys puts the keys of a file into use: what the journal does not have
// sealed under each of them yet is made durable before anything is sealed with
// it. fresh asks for a new data key whatever there is. REQUIRES: v.mu.
func (s *Switch) takeKeys(ring *KeyRing, act Act, fresh bool) error {
	v, now := &s.vault, s.now()
	files := slices.DeleteFunc(slices.Clone(ring.files), func(f fileKey) bool { _, gone := v.retired[f.id]; return gone })
	if len(files) == 0 || files[len(files)-1].id != ring.present().id {
		return fmt.Errorf("%s: its last key was retired", ring.path)
	}
	data := v.copied()
	used := false
	if len(data) == 0 {
		var err error
		if used, err = s.everSealed(); err != nil {
			return err
		}
		for i := range files {
			if used {
				data[files[i].id] = &dataKey{CreatedAt: now, CreatedBy: act.Operator, Direct: true, Wraps: map[byte][]byte{}}
			}
		}
	}
	changed := map[byte]bool{}
	for id, k := range data {
		added, err := k.unwrap(id, files)
		if err != nil {
			return fmt.Errorf("%s: %w", ring.path, err)
		}
		changed[id] = added
		fresh = fresh || added
	}
	next := v.sweep
	if fresh || len(data) == 0 {
		id, k, err := newDataKey(data, files)
		if err != nil {
			return err
		}
		k.CreatedAt, k.CreatedBy = now, act.Operator
		data[id], changed[id] = k, true
		next = sweep{Key: id, Done: len(v.data) == 0 && !used}
	}
	if err := s.keepVault(data, changed, next); err != nil {
		return err
	}
	v.ring, v.data, v.sweep = ring, data, next
	sealing := &sealingKeys{current: slices.Max(slices.Collect(maps.Keys(data)))}
	for id, k := range data {
		sealing.aeads[id] = newAEAD(k.raw)
	}
	s.keys.sealing.Store(sealing)
	if changed[sealing.current] {
		s.log.Warn("the vault seals with a new data key", "data_key", sealing.current, "file_key", ring.present().id, "by", act.Operator, "reason", act.Reason)
	}
	return nil
}

// copied are the data keys, to be changed. REQUIRES: mu.
func (v *vault) copied() map[byte]*dataKey {
	data := map[byte]*dataKey{}
	for id, k := range v.data {
		next := *k
		next.Wraps = maps.Clone(k.Wraps)
		data[id] = &next
	}
	return data
}

// everSealed reports whether the journal may hold something that was sealed.
func (s *Switch) everSealed() (used bool, err error) {
	for _, space := range []storage.Space{spaceMerchant, spaceCard, spaceEndpoint} {
		if err = s.store.Scan(storage.Range{Space: space}, func(_, _ []byte) bool { used = true; return false }); err != nil || used {
			return used, err
		}
	}
	return false, nil
}

var errWrap = errors.New("is not the key of this id that the journal was sealed under: put the right one back")

// unwrap opens a data key with the keys at hand, and seals it under those of
// them that it is not sealed under yet.
func (k *dataKey) unwrap(id byte, files []fileKey) (added bool, err error) {
	for i := range files {
		f := &files[i]
		switch wrapped := k.Wraps[f.id]; {
		case wrapped != nil:
			raw, err := f.unwrap(wrapped, id)
			if err != nil || k.raw != nil && !bytes.Equal(raw, k.raw) {
				return false, fmt.Errorf("seal %d %w", f.id, errWrap)
			}
			k.raw = raw
		case k.Direct && f.id == id && k.raw == nil && len(k.Wraps) == 0:
			k.raw = f.raw
		}
	}
	if k.raw == nil {
		return false, fmt.Errorf("data key %d is sealed under the keys %v of the key file, and none of them is there: put one back", id, slices.Sorted(maps.Keys(k.Wraps)))
	}
	for i := range files {
		if f := &files[i]; k.Wraps[f.id] == nil {
			k.Wraps[f.id] = f.wrap(k.raw, id)
			added = true
		}
	}
	return added, nil
}

func wrapLabel(id byte) []byte { return append([]byte("vault data key "), id) }

// wrap seals a data key under a key of the file.
func (f *fileKey) wrap(raw []byte, id byte) []byte {
	nonce := make([]byte, sealNonce)
	_, _ = rand.Read(nonce)
	return newAEAD(f.raw).Seal(nonce, nonce, raw, wrapLabel(id))
}

// unwrap is the inverse of wrap.
func (f *fileKey) unwrap(wrapped []byte, id byte) ([]byte, error) {
	if len(wrapped) != sealNonce+vaultKeyBytes+16 {
		return nil, errSealed
	}
	return newAEAD(f.raw).Open(nil, wrapped[:sealNonce], wrapped[sealNonce:], wrapLabel(id))
}

// newDataKey makes a data key with the next id, sealed under all keys of the file.
func newDataKey(data map[byte]*dataKey, files []fileKey) (id byte, k *dataKey, err error) {
	last := byte(0)
	for used := range data {
		last = max(last, used)
	}
	if last == 255 {
		return 0, nil, &Refusal{Code: CodeInvalidState, Detail: "There are 255 data keys, as many as there can be."}
	}
	k = &dataKey{Wraps: map[byte][]byte{}, raw: make([]byte, vaultKeyBytes)}
	_, _ = rand.Read(k.raw)
	for i := range files {
		k.Wraps[files[i].id] = files[i].wrap(k.raw, last+1)
	}
	return last + 1, k, nil
}

// keepVault makes changed data keys and the sweep that belongs to them durable in
// one step.
func (s *Switch) keepVault(data map[byte]*dataKey, changed map[byte]bool, next sweep) error {
	var c storage.Command
	steps := 0
	for id, yes := range changed {
		if yes {
			steps++
			body, err := json.Marshal(data[id])
			if err != nil {
				return err
			}
			c.Set(spaceVault, vaultName(vaultData, id), body)
		}
	}
	if steps == 0 {
		return nil
	}
	if err := next.join(&c); err != nil {
		return err
	}
	if _, err := s.store.Do(&c); err != nil {
		return fmt.Errorf("the journal did not take the vault's keys: %w", err)
	}
	return nil
}

func (w *sweep) join(c *storage.Command) error {
	body, err := json.Marshal(w)
	if err == nil {
		c.Set(spaceVault, []byte{vaultSweep}, body)
	}
	return err
}
