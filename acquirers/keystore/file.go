package keystore

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tranzit/tranzit/iso/security"
)

// File is a store in one sealed file. Its keys are in the memory of the process,
// so it is for development and tests. Several processes may change a file: each
// change reads it anew under a lock, and Reload takes over what others changed.
type File struct {
	path   string
	secret Secret
	mu     sync.Mutex // one change at a time
	slots  atomic.Pointer[map[string]*fileSlot]
}

// fileSlot is a slot with its keys. Immutable once it can be read.
type fileSlot struct {
	Slot
	Key    []byte `json:"key"`
	Second []byte `json:"second,omitempty"` // the key before
	// The one before may be of another algorithm.
	SecondAlgorithm string `json:"second_algorithm,omitempty"`
}

// CreateFile makes an empty store. The file must not be there.
func CreateFile(path string, secret Secret) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	text, err := secret.seal(map[string]*fileSlot{})
	if err == nil {
		_, err = f.Write(text)
	}
	return cmp.Or(err, f.Sync(), f.Close())
}

// OpenFile opens a store.
func OpenFile(path string, secret Secret) (*File, error) {
	s := &File{path: path, secret: secret}
	return s, s.Reload()
}

// Reload reads the file again. On error the keys stay as they were.
func (s *File) Reload() error {
	slots, err := s.read()
	if err == nil {
		s.slots.Store(&slots)
	}
	return err
}

func (s *File) read() (map[string]*fileSlot, error) {
	text, err := os.ReadFile(s.path)
	if err != nil {
		return nil, fmt.Errorf("key store: %w", err)
	}
	slots, err := s.secret.open(text)
	if err != nil {
		return nil, fmt.Errorf("key store %s: %w", s.path, err)
	}
	return slots, nil
}

// key finds a key by its name. The bytes are the store's.
func (s *File) key(k Ref, use byte) (raw []byte, algorithm string, err error) {
	slot, found := (*s.slots.Load())[k.Slot]
	switch {
	case !found:
		return nil, "", fmt.Errorf("%w: %q", ErrSlot, k.Slot)
	case slot.Usage[0] != use:
		return nil, "", fmt.Errorf("%w: slot %s has usage %s", ErrUse, k.Slot, slot.Usage)
	case !k.Before:
		return slot.Key, slot.Algorithm, nil
	case len(slot.Second) == 0 || !slot.second():
		return nil, "", fmt.Errorf("%w: %q", ErrNoKey, k.Slot)
	}
	return slot.Second, slot.SecondAlgorithm, nil
}

// Sum implements Store.
func (s *File) Sum(k Ref, m security.MAC, data []byte) ([]byte, error) {
	raw, _, err := s.key(k, 'M')
	if err != nil {
		return nil, err
	}
	return m.Sum(raw, data)
}

// TranslatePIN implements Store.
func (s *File) TranslatePIN(t Translation) ([]byte, error) {
	to, algorithm, err := s.key(Ref{Slot: t.To.Slot}, 'P')
	if err == nil {
		err = t.To.Takes(algorithm)
	}
	if err != nil {
		return nil, err
	}
	out := security.PINBlock{Format: t.To.Format, Key: to}
	return t.each(func(before bool) ([]byte, error) {
		from := security.PINBlock{Format: t.From.Format, Block: t.Block}
		if len(t.From.KSN) == 0 {
			if from.Key, algorithm, err = s.key(Ref{t.From.Slot, before}, 'P'); err == nil {
				err = t.From.Takes(algorithm)
			}
			if err != nil {
				return nil, err
			}
			return security.TranslatePIN(from, out, t.PAN)
		}
		bdk, algorithm, err := s.key(Ref{t.From.Slot, before}, 'B')
		if err == nil {
			err = t.From.Takes(algorithm)
		}
		if err != nil {
			return nil, err
		}
		derive := security.DeriveTDES
		if algorithm == "A" {
			derive = security.DeriveAES
		}
		if from.Key, err = derive(bdk, t.From.KSN, security.ForPIN); err != nil {
			return nil, err
		}
		defer clear(from.Key)
		return security.TranslatePIN(from, out, t.PAN)
	})
}

// Import implements Store.
func (s *File) Import(i Import) (Slot, error) {
	if i.Make != 0 {
		return s.offer(i)
	}
	k, err := i.open(s.lock)
	if err != nil {
		return Slot{}, err
	}
	defer k.wipe()
	check, err := k.check()
	if err != nil {
		return Slot{}, err
	}
	var done Slot
	err = s.change(func(slots map[string]*fileSlot) error {
		now := time.Now().UTC()
		next := &fileSlot{Slot: Slot{Name: i.Slot, Version: 1}}
		if old := slots[i.Slot]; old != nil {
			if err := old.mayFollow(&k); err != nil {
				return err
			}
			next.Version = old.Version + 1
			next.Second, next.SecondAlgorithm, next.Before, next.Until = old.Key, old.Algorithm, old.Check, i.until(now)
			if old.Check == check && slices.Equal(old.Key, k.raw) {
				next.Second, next.SecondAlgorithm, next.Before, next.Until = old.Second, old.SecondAlgorithm, old.Before, old.Until
			}
		}
		next.Usage, next.Algorithm, next.Check, next.Since = k.usage, string(k.algorithm), check, now
		next.Key = slices.Clone(k.raw)
		slots[i.Slot], done = next, next.Slot
		return nil
	})
	return done, err
}

// offer makes the key of an import.
func (s *File) offer(i Import) (done Slot, err error) {
	err = s.change(func(slots map[string]*fileSlot) error {
		old := slots[i.Slot]
		if old == nil {
			return fmt.Errorf("%w: %q", ErrSlot, i.Slot)
		}
		if done = old.Slot; old.Offer != "" {
			return nil
		}
		k, text, err := i.offer(old.Slot, len(old.Key), s.lock)
		if err != nil {
			return err
		}
		defer k.wipe()
		check, err := k.check()
		if err != nil {
			return err
		}
		next := *old
		next.Slot, next.Second, next.SecondAlgorithm = old.offered(&i, text, check), slices.Clone(k.raw), string(k.algorithm)
		slots[i.Slot], done = &next, next.Slot
		return nil
	})
	return done, err
}

// lock gives a key encryption key to an import.
func (s *File) lock(slot string, usages ...string) (lock, error) {
	raw, algorithm, err := s.key(Ref{Slot: slot}, 'K')
	if err != nil {
		return lock{}, err
	}
	if have := (*s.slots.Load())[slot].Usage; !slices.Contains(usages, have) {
		return lock{}, fmt.Errorf("%w: slot %s has usage %s", ErrUse, slot, have)
	}
	c := cipherOf(algorithm)
	under := func(whole func(cipher.Block, []byte) ([]byte, error)) func([]byte) ([]byte, error) {
		return func(data []byte) ([]byte, error) {
			b, err := c.Under(raw)
			if err != nil {
				return nil, err
			}
			return whole(b, data)
		}
	}
	return lock{size: len(raw), cipher: c, encrypt: under(encryptECB), decrypt: under(decryptECB),
		sum: func(m security.MAC, data []byte) ([]byte, error) { return m.Sum(raw, data) }}, nil
}

func cipherOf(algorithm string) security.Cipher {
	if algorithm == "A" {
		return security.AES
	}
	return security.TDES
}

func decryptECB(b cipher.Block, data []byte) ([]byte, error) {
	return inBlocks(b.BlockSize(), data, b.Decrypt)
}

func encryptECB(b cipher.Block, data []byte) ([]byte, error) {
	return inBlocks(b.BlockSize(), data, b.Encrypt)
}

func inBlocks(size int, data []byte, one func(dst, src []byte)) ([]byte, error) {
	if len(data) == 0 || len(data)%size != 0 || len(data) > 8*aes.BlockSize {
		return nil, fmt.Errorf("%w: %d bytes are no key in blocks of %d", security.ErrKey, len(data), size)
	}
	out := make([]byte, len(data))
	for at := 0; at < len(data); at += size {
		one(out[at:], data[at:])
	}
	return out, nil
}

// Change implements Store.
func (s *File) Change(slot string, c Change) error {
	return s.change(func(slots map[string]*fileSlot) error {
		old := slots[slot]
		if old == nil {
			return fmt.Errorf("%w: %q", ErrSlot, slot)
		}
		next := *old
		switch c {
		case RetireSlot:
			delete(slots, slot)
			return nil
		case RetireBefore:
			next.Second, next.SecondAlgorithm, next.Before, next.Until, next.Offer, next.Margin = nil, "", "", time.Time{}, "", 0
		case TakeOffer:
			if old.Offer == "" {
				return fmt.Errorf("%w: %q has none on offer", ErrNoKey, slot)
			}
			next.Key, next.Second, next.SecondAlgorithm = old.Second, old.Key, old.Algorithm
			next.Slot = old.taken(old.SecondAlgorithm)
		case RollBack:
			if len(old.Second) == 0 || old.Offer != "" || !time.Now().Before(old.Until) {
				return fmt.Errorf("%w: %q", ErrNoKey, slot)
			}
			next.Key, next.Algorithm, next.Check = old.Second, old.SecondAlgorithm, old.Before
			next.Second, next.SecondAlgorithm, next.Before = old.Key, old.Algorithm, old.Check
			next.Since, next.Version = time.Now().UTC(), old.Version+1
		}
		slots[slot] = &next
		return nil
	})
}

// Slots implements Store.
func (s *File) Slots() (all []Slot, err error) {
	for _, slot := range *s.slots.Load() {
		all = append(all, slot.Slot)
	}
	slices.SortFunc(all, func(a, b Slot) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// change edits the slots and writes them in one step.
func (s *File) change(edit func(slots map[string]*fileSlot) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	guard, err := os.OpenFile(s.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("key store: %w", err)
	}
	defer guard.Close()
	if err := unix.Flock(int(guard.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("key store: lock: %w", err)
	}
	slots, err := s.read()
	if err != nil {
		return err
	}
	if err := edit(slots); err != nil {
		return err
	}
	text, err := s.secret.seal(slots)
	if err == nil {
		err = replaceFile(s.path, text)
	}
	if err != nil {
		return fmt.Errorf("key store: %w", err)
	}
	s.slots.Store(&slots)
	return nil
}

// each tries a translation with the present key of where the block comes from, and
// with the one beside it when the block cannot be read; the present one again, as the two may have changed places.
func (t *Translation) each(try func(before bool) ([]byte, error)) ([]byte, error) {
	out, err := try(false)
	for _, before := range []bool{true, false} {
		if err == nil {
			break
		}
		if again, fault := try(before); fault == nil {
			out, err = again, nil
		}
	}
	return out, err
}
