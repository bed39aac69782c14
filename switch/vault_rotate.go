package payswitch

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// The pace at which saved cards are sealed anew: so many, then a pause, in which
// whoever waits for a customer's saved cards goes on.
const (
	sweepBatch = 64
	sweepPause = 50 * time.Millisecond
)

// VaultStatus is what operators see of the vault. It tells nothing of a key.
type VaultStatus struct {
	File  []FileKeyView `json:"file_keys"`
	Data  []DataKeyView `json:"data_keys"`
	Sweep SweepView     `json:"saved_cards"`
}

// FileKeyView is a key of the key file.
type FileKeyView struct {
	ID      int    `json:"id"`
	Check   string `json:"check"`   // see tranzit vault check
	Present bool   `json:"present"` // new data keys are sealed under it and under all others that are not retired
	Opens   int    `json:"opens"`   // how many data keys are sealed under it
	Retired bool   `json:"retired"` // it opens nothing: its line can be removed
}

// DataKeyView is a data key.
type DataKeyView struct {
	ID        int     `json:"id"`
	Present   bool    `json:"present"` // what is sealed now is sealed with it
	CreatedAt *string `json:"created_at"`
	CreatedBy string  `json:"created_by"`
	Under     []int   `json:"under"`  // keys of the file it is sealed under
	Direct    bool    `json:"direct"` // a key of the file that sealed card numbers itself, before there were data keys
}

// SweepView is how far saved cards and webhook secrets are sealed with the
// present data key.
type SweepView struct {
	Key      int   `json:"data_key"`
	Done     bool  `json:"done"`
	Seen     int64 `json:"seen"`
	Resealed int64 `json:"resealed"`
	Lost     int64 `json:"lost"` // could not be opened
}

// Vault reports the state of the keys.
func (s *Switch) Vault() VaultStatus {
	v := &s.vault
	v.mu.Lock()
	defer v.mu.Unlock()
	current := s.keys.sealing.Load().current
	out := VaultStatus{Sweep: SweepView{int(v.sweep.Key), v.sweep.Done, v.sweep.Seen, v.sweep.Resealed, v.sweep.Lost}, Data: []DataKeyView{}}
	for i := range v.ring.files {
		f := &v.ring.files[i]
		_, retired := v.retired[f.id]
		view := FileKeyView{ID: int(f.id), Check: f.check(), Present: f == v.ring.present(), Retired: retired}
		for _, k := range v.data {
			if k.Wraps[f.id] != nil {
				view.Opens++
			}
		}
		out.File = append(out.File, view)
	}
	for _, id := range slices.Sorted(maps.Keys(v.data)) {
		k := v.data[id]
		view := DataKeyView{ID: int(id), Present: id == current, CreatedAt: viewTime(k.CreatedAt), CreatedBy: k.CreatedBy, Direct: k.Direct, Under: []int{}}
		for _, under := range slices.Sorted(maps.Keys(k.Wraps)) {
			view.Under = append(view.Under, int(under))
		}
		out.Data = append(out.Data, view)
	}
	return out
}

// AddVaultKey takes a new key of the key file into use: the one that was added to
// it by hand, else a random one that is written there. Every data key is sealed
// under it besides the others, a new data key seals from now on, and the saved
// cards are sealed anew in the background. Nothing needs the new key until an old
// one is retired. Errors are refusals.
func (s *Switch) AddVaultKey(act Act) error {
	if err := act.Validate(); err != nil {
		return err
	}
	s.vault.mu.Lock()
	defer s.vault.mu.Unlock()
	ring, err := s.readKeyFile()
	if err != nil {
		return err
	}
	if s.knows(ring) {
		id, err := s.nextFileKey(ring)
		if err != nil {
			return err
		}
		if err := addFileKey(ring.path, id); err != nil {
			return &Refusal{Code: CodeInvalidState, Detail: "The key file was not changed: " + err.Error() + ". Where the switch may not write it, add a line `seal " +
				fmt.Sprint(id) + " HEX` with 32 random bytes by hand, then repeat."}
		}
		if ring, err = s.readKeyFile(); err != nil {
			return err
		}
	}
	return s.useKeys(ring, act, false)
}

// RotateVault seals with a new data key from now on, and the saved cards anew in
// the background, under the same key file. Errors are refusals.
func (s *Switch) RotateVault(act Act) error {
	if err := act.Validate(); err != nil {
		return err
	}
	s.vault.mu.Lock()
	defer s.vault.mu.Unlock()
	if !s.vault.sweep.Done {
		return errSweeping
	}
	ring, err := s.readKeyFile()
	if err != nil {
		return err
	}
	return s.useKeys(ring, act, true)
}

var errSweeping = &Refusal{Code: CodeInvalidState, Detail: "Saved cards are still being sealed anew: wait until that is done."}

// readKeyFile reads the file as it is now. REQUIRES: vault.mu.
func (s *Switch) readKeyFile() (*KeyRing, error) {
	ring, err := LoadKeyRing(s.keys.path)
	if err != nil {
		return nil, &Refusal{Code: CodeInvalidState, Detail: "The key file cannot be read: " + err.Error() + "."}
	}
	if ring.digest("check", "", nil) != s.keys.digest("check", "", nil) {
		return nil, &Refusal{Code: CodeInvalidState, Detail: "The key file has another digest key: put the old one back, it must stay."}
	}
	return ring, nil
}

// knows reports whether every key of a file is in use, or was retired.
func (s *Switch) knows(ring *KeyRing) bool {
	return !slices.ContainsFunc(ring.files, func(f fileKey) bool {
		_, retired := s.vault.retired[f.id]
		return !retired && s.vault.ring.file(f.id) == nil
	})
}

// nextFileKey is an id that no key of any file had.
func (s *Switch) nextFileKey(ring *KeyRing) (byte, error) {
	last := byte(0)
	for _, f := range ring.files {
		last = max(last, f.id)
	}
	for id := range s.vault.retired {
		last = max(last, id)
	}
	for _, k := range s.vault.data {
		for id := range k.Wraps {
			last = max(last, id)
		}
	}
	if last == 255 {
		return 0, &Refusal{Code: CodeInvalidState, Detail: "The key file has had 255 keys, as many as there can be."}
	}
	return last + 1, nil
}

// useKeys is takeKeys while the switch runs. REQUIRES: vault.mu.
func (s *Switch) useKeys(ring *KeyRing, act Act, fresh bool) error {
	if err := s.takeKeys(ring, act, fresh); err != nil {
		s.log.Error("the vault's keys were not changed", "error", err)
		if refusal, ok := err.(*Refusal); ok {
			return refusal
		}
		return &Refusal{Code: CodeInvalidState, Detail: "The keys were not changed: " + err.Error() + ". Mend it and repeat."}
	}
	select {
	case s.vault.wake <- struct{}{}:
	default:
	}
	return nil
}

// RetireVaultKey ends an old key of the key file: no data key stays sealed under
// it, and its line is removed from the file. check must be the check value of the
// present key in a copy of the file that is kept elsewhere: without that copy a
// lost file would now be a lost vault. Errors are refusals.
func (s *Switch) RetireVaultKey(id byte, check string, act Act) error {
	if err := act.Validate(); err != nil {
		return err
	}
	v := &s.vault
	v.mu.Lock()
	defer v.mu.Unlock()
	refuse := func(format string, args ...any) error {
		return &Refusal{Code: CodeInvalidState, Detail: fmt.Sprintf(format, args...)}
	}
	_, again := v.retired[id]
	switch present := v.ring.present(); {
	case again:
		return s.forgetKey(id)
	case v.ring.file(id) == nil:
		return &Refusal{Code: CodeNotFound, Detail: fmt.Sprintf("The key file has no key %d.", id)}
	case id == present.id:
		return refuse("Key %d is the present one: add another first.", id)
	case !v.sweep.Done:
		return errSweeping
	case v.sweep.Lost > 0:
		return refuse("%d saved cards could not be sealed anew; the log names them.", v.sweep.Lost)
	case check != present.check():
		return refuse("That is not the check value of key %d: copy the key file to a safe place and take the value from the copy, with `tranzit vault check`.", present.id)
	}
	var c storage.Command
	data := v.copied()
	for sealed, k := range data {
		delete(k.Wraps, id)
		body, err := json.Marshal(k)
		if err != nil || len(k.Wraps) == 0 {
			return errInternal
		}
		c.Set(spaceVault, vaultName(vaultData, sealed), body)
	}
	gone := retiredKey{At: s.now(), By: act.Operator, Reason: act.Reason}
	body, err := json.Marshal(&gone)
	if err != nil {
		return errInternal
	}
	c.Set(spaceVault, vaultName(vaultRetired, id), body)
	if _, err := s.store.Do(&c); err != nil {
		s.log.Error("the journal did not take the end of a vault key", "error", err)
		return errInternal
	}
	v.data, v.retired[id] = data, gone
	s.log.Warn("a vault key was retired", "file_key", id, "by", act.Operator, "reason", act.Reason)
	return s.forgetKey(id)
}

// forgetKey removes a retired key from the file. REQUIRES: vault.mu.
func (s *Switch) forgetKey(id byte) error {
	if err := dropFileKey(s.keys.path, id); err != nil {
		return &Refusal{Code: CodeInvalidState, Detail: "The key is retired, and its line is still in the key file: " + err.Error() + ". Remove it by hand."}
	}
	ring, err := s.readKeyFile()
	if err != nil {
		return err
	}
	s.vault.ring = ring
	return nil
}

// sweepCards seals saved cards anew after a rotation, and webhook secrets, until
// the switch stops.
func (s *Switch) sweepCards() {
	for {
		again, err := s.sweepStep()
		pause := sweepPause
		if err != nil {
			s.log.Error("saved cards could not be sealed anew; it is tried again", "error", err)
			again, pause = true, time.Minute
		}
		if !again {
			select {
			case <-s.vault.wake:
				continue
			case <-s.ctx.Done():
				return
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-s.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// sweepStep seals the next few saved cards anew. They and how far it came are one
// step of the journal. Nobody changes a saved card meanwhile, and whoever began
// before the rotation has ended: so none is missed.
func (s *Switch) sweepStep() (again bool, err error) {
	s.vault.mu.Lock()
	defer s.vault.mu.Unlock()
	next := s.vault.sweep
	if next.Done {
		return false, nil
	}
	for i := range s.cards {
		s.cards[i].Lock()
		defer s.cards[i].Unlock()
	}
	var c storage.Command
	seen := 0
	prefix := []byte{cardToken}
	from := prefix
	if next.After != nil {
		from = append(tokenKey(ID(next.After)), 0)
	}
	var bad error
	err = s.store.Scan(storage.Range{Space: spaceCard, Prefix: prefix, From: from}, func(key, value []byte) bool {
		id := ID(key[1:])
		var t *tokenRecord
		if t, bad = decodeToken(id, value); bad != nil {
			return false
		}
		seen++
		next.Seen, next.After = next.Seen+1, append([]byte(nil), id[:]...)
		if len(t.sealed) == 0 || t.sealed[0] != next.Key {
			if pan, err := s.keys.open(t.sealed, id); err != nil {
				next.Lost++
				s.log.Error("a saved card cannot be opened", "token", id.Text(TokenPrefix), "error", err)
			} else {
				next.Resealed++
				t.sealed = s.keys.seal(nil, pan, id)
				c.Set(spaceCard, tokenKey(id), t.encode(nil))
			}
		}
		return seen < sweepBatch
	})
	if err != nil || bad != nil {
		return true, fmt.Errorf("reading saved cards: %w", cmp.Or(err, bad))
	}
	if next.Done = seen < sweepBatch; next.Done {
		next.After = nil
		if err := s.outbox.reseal(); err != nil {
			return true, err
		}
	}
	if err := next.join(&c); err != nil {
		return true, err
	}
	if _, err := s.store.Do(&c); err != nil {
		return true, err
	}
	s.vault.sweep = next
	if next.Done {
		s.log.Warn("saved cards are sealed anew", "data_key", next.Key, "seen", next.Seen, "resealed", next.Resealed, "lost", next.Lost)
	}
	return !next.Done, nil
}
