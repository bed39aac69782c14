package payswitch

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// The first byte of a key in spaceAccess. It is stored: never reuse one.
const (
	accessKey       = 'k' // key id -> keyRecord
	accessUse       = 'u' // key id -> minute of the last use
	accessOperation = 'o' // account digest, operation id -> payment id, number
)

// issuedKeys are the API keys of the journal. The map is replaced, never changed,
// under mu; the directory in use was made from it.
type issuedKeys struct {
	mu      sync.Mutex
	by      map[ID]*APIKey
	touched chan struct{} // some key was used in a minute of which the journal does not know
	saved   map[ID]int64  // uses that are durable; keepUses's own
}

func (i *issuedKeys) init() {
	i.by, i.saved, i.touched = map[ID]*APIKey{}, map[ID]int64{}, make(chan struct{}, 1)
}

func (i *issuedKeys) signal() {
	select {
	case i.touched <- struct{}{}:
	default:
	}
}

func accessName(kind byte, id ID) []byte { return append([]byte{kind}, id[:]...) }

// loadKeys reads the keys that were made in earlier lives.
func (s *Switch) loadKeys() error {
	keys, bad := map[ID]*APIKey{}, error(nil)
	err := s.store.Scan(storage.Range{Space: spaceAccess, Prefix: []byte{accessKey}}, func(name, body []byte) bool {
		id := ID(name[1:])
		keys[id], bad = decodeKey(id, body)
		return bad == nil
	})
	if err = cmp.Or(err, bad); err != nil {
		return fmt.Errorf("API keys: %w", err)
	}
	err = s.store.Scan(storage.Range{Space: spaceAccess, Prefix: []byte{accessUse}}, func(name, at []byte) bool {
		if k := keys[ID(name[1:])]; k != nil && len(at) == 8 {
			minute := int64(binary.BigEndian.Uint64(at))
			k.used.Store(minute)
			s.issued.saved[k.ID] = minute
		}
		return true
	})
	if err != nil {
		return err
	}
	s.issued.mu.Lock()
	defer s.issued.mu.Unlock()
	s.issued.by = keys
	s.dir.Store(s.dir.Load().with(keys))
	return nil
}

// keepUses makes it durable when keys were used last, a minute's uses of all keys
// in one step, until the switch stops.
func (s *Switch) keepUses() {
	for running := true; running; {
		select {
		case <-s.issued.touched:
		case <-s.ctx.Done():
			running = false
		}
		s.issued.mu.Lock()
		keys := s.issued.by
		s.issued.mu.Unlock()
		var c storage.Command
		steps := 0
		for id, k := range keys {
			if minute := k.used.Load(); minute != s.issued.saved[id] && steps < storage.MaxSteps {
				c.Set(spaceAccess, accessName(accessUse, id), binary.BigEndian.AppendUint64(nil, uint64(minute)))
				s.issued.saved[id] = minute
				steps++
			}
		}
		if _, err := s.store.Do(&c); err != nil && running {
			s.log.Warn("the last uses of API keys could not be written", "error", err)
		}
	}
}

// AccountOf is a merchant's account for its operators: without a key, so that
// nothing is out of its reach. Errors are refusals.
func (s *Switch) AccountOf(merchant string, live bool) (Account, error) {
	m := s.dir.Load().byID[merchant]
	if m == nil {
		return Account{}, &Refusal{Code: CodeNotFound, Detail: fmt.Sprintf("There is no merchant %q.", merchant)}
	}
	return Account{Merchant: m, Live: live}, nil
}

// APIKeys are the keys of an account that the journal holds, the newest first;
// those of the configuration are not among them.
func (s *Switch) APIKeys(a Account) []APIKey {
	s.issued.mu.Lock()
	defer s.issued.mu.Unlock()
	var out []APIKey
	for _, k := range s.issued.by {
		if k.Merchant == a.Merchant.ID && k.Live == a.Live {
			out = append(out, *k)
		}
	}
	slices.SortFunc(out, func(x, y APIKey) int { return bytes.Compare(y.ID[:], x.ID[:]) })
	return out
}

// APIKey is one of the account's keys. Errors are refusals.
func (s *Switch) APIKey(a Account, id ID) (APIKey, error) {
	s.issued.mu.Lock()
	defer s.issued.mu.Unlock()
	k, err := s.issued.owned(a, id)
	if err != nil {
		return APIKey{}, err
	}
	return *k, nil
}

// owned is a key of the account. REQUIRES: mu.
func (i *issuedKeys) owned(a Account, id ID) (*APIKey, error) {
	if k := i.by[id]; k != nil && k.Merchant == a.Merchant.ID && k.Live == a.Live {
		return k, nil
	}
	return nil, &Refusal{Code: CodeNotFound, Detail: "There is no such API key."}
}

// IssueKey makes a key. What the account's own key may not do, the new one may
// not either. It is durable, and in force when it returns. Errors are refusals.
func (s *Switch) IssueKey(a Account, wish Access, act Act) (IssuedKey, error) {
	now := s.now()
	wish.ExpiresAt = wish.ExpiresAt.UTC().Truncate(time.Millisecond)
	if err := cmp.Or(act.Validate(), wish.validate(now)); err != nil {
		return IssuedKey{}, err
	}
	if err := reach(a, &wish); err != nil {
		return IssuedKey{}, err
	}
	if a.Live && a.Merchant.TestOnly {
		return IssuedKey{}, wrongState("The merchant is not live: it has no live keys.")
	}
	s.issued.mu.Lock()
	defer s.issued.mu.Unlock()
	dead, err := s.issued.room(a, now)
	if err != nil {
		return IssuedKey{}, err
	}
	k, secret := s.newKey(a, wish, act, "made")
	if err := s.keepKeys(dead, k); err != nil {
		return IssuedKey{}, err
	}
	s.log.Warn("an API key was made", "merchant", k.Merchant, "live", k.Live, "key", k.ID.Text(APIKeyPrefix), "by", act.Operator, "reason", act.Reason)
	return IssuedKey{*k, secret}, nil
}

// RollKey makes a key with the same access that takes the place of an old one,
// which goes on for grace (0..MaxKeyGrace) and then expires. Errors are refusals.
func (s *Switch) RollKey(a Account, id ID, grace time.Duration, act Act) (IssuedKey, error) {
	if err := act.Validate(); err != nil {
		return IssuedKey{}, err
	}
	if grace < 0 || grace > MaxKeyGrace {
		return IssuedKey{}, &Refusal{Code: CodeInvalidRequest, Pointer: "/keep_old_hours", Detail: fmt.Sprintf("Must be 0 to %d.", int(MaxKeyGrace.Hours()))}
	}
	now := s.now()
	s.issued.mu.Lock()
	defer s.issued.mu.Unlock()
	old, err := s.issued.owned(a, id)
	if err != nil {
		return IssuedKey{}, err
	}
	if old.Status(now) != "active" || !old.RolledTo.IsZero() {
		return IssuedKey{}, &Refusal{Code: CodeInvalidState, Detail: "Only a key that is active, and was not rolled before, can be rolled."}
	}
	if err := reach(a, &old.Access); err != nil {
		return IssuedKey{}, err
	}
	next, secret := s.newKey(a, old.Access, act, "made in place of "+id.Text(APIKeyPrefix))
	was := *old
	was.RolledTo = next.ID
	was.Acts = append(slices.Clip(was.Acts), act.line(now, "rolled"))
	if end := now.Add(grace); was.ExpiresAt.IsZero() || end.Before(was.ExpiresAt) {
		was.ExpiresAt = end
	}
	if err := s.keepKeys(ID{}, &was, next); err != nil {
		return IssuedKey{}, err
	}
	s.log.Warn("an API key was rolled", "merchant", was.Merchant, "live", was.Live, "key", id.Text(APIKeyPrefix),
		"next", next.ID.Text(APIKeyPrefix), "until", was.ExpiresAt, "by", act.Operator, "reason", act.Reason)
	return IssuedKey{*next, secret}, nil
}

// RevokeKey ends a key for good: no request that comes after it returned is let
// in. Revoking twice is no error. Errors are refusals.
func (s *Switch) RevokeKey(a Account, id ID, act Act) (APIKey, error) {
	if err := act.Validate(); err != nil {
		return APIKey{}, err
	}
	now := s.now()
	s.issued.mu.Lock()
	defer s.issued.mu.Unlock()
	old, err := s.issued.owned(a, id)
	if err != nil || !old.RevokedAt.IsZero() {
		if err != nil {
			return APIKey{}, err
		}
		return *old, nil
	}
	k := *old
	k.RevokedAt = now
	k.Acts = append(slices.Clip(k.Acts), act.line(now, "revoked"))
	if err := s.keepKeys(ID{}, &k); err != nil {
		return APIKey{}, err
	}
	s.log.Warn("an API key was revoked", "merchant", k.Merchant, "live", k.Live, "key", id.Text(APIKeyPrefix), "by", act.Operator, "reason", act.Reason)
	return k, nil
}

// reach keeps a key from making one that can do more than itself.
func reach(a Account, wish *Access) error {
	if a.Key == nil {
		return nil
	}
	if member := wish.within(&a.Key.Access); member != "" {
		return &Refusal{Code: CodeForbidden, Pointer: "/" + member, Detail: "A key makes no key that may do more than itself: " + member + "."}
	}
	return nil
}

// room refuses one key too many; dead is the oldest dead key when as many are
// kept as may be. REQUIRES: mu.
func (i *issuedKeys) room(a Account, now time.Time) (dead ID, err error) {
	active, kept := 0, 0
	for id, k := range i.by {
		if k.Merchant != a.Merchant.ID || k.Live != a.Live {
			continue
		}
		if kept++; k.Status(now) == "active" {
			active++
		} else if dead.IsZero() || bytes.Compare(id[:], dead[:]) < 0 {
			dead = id
		}
	}
	if active >= MaxKeys {
		return dead, &Refusal{Code: CodeInvalidState, Detail: fmt.Sprintf("There are %d active keys, as many as one shop may have in one mode: revoke one.", active)}
	}
	if kept < maxKeysKept {
		dead = ID{}
	}
	return dead, nil
}

func (s *Switch) newKey(a Account, wish Access, act Act, how string) (k *APIKey, secret string) {
	now := s.now()
	k = &APIKey{ID: s.ids.next(now), Merchant: a.Merchant.ID, Live: a.Live, Access: wish, CreatedAt: now, CreatedBy: act.Operator,
		Acts: []string{act.line(now, how)}, used: new(atomic.Int64)}
	return k, k.newSecret(s.keys)
}

// line tells an act for those who look at a key later.
func (a Act) line(at time.Time, what string) string {
	return at.Format(time.RFC3339) + " " + what + " by " + a.Operator + ": " + a.Reason
}

// keepKeys makes keys durable and then puts them in force, all at once; dead is
// forgotten unless it is zero. REQUIRES: mu.
func (s *Switch) keepKeys(dead ID, keys ...*APIKey) error {
	var c storage.Command
	next := maps.Clone(s.issued.by)
	for _, k := range keys {
		body, err := json.Marshal(k.record())
		if err != nil {
			return errInternal
		}
		c.Set(spaceAccess, accessName(accessKey, k.ID), body)
		next[k.ID] = k
	}
	if !dead.IsZero() {
		c.Delete(spaceAccess, accessName(accessKey, dead))
		c.Delete(spaceAccess, accessName(accessUse, dead))
		delete(next, dead)
	}
	if _, err := s.store.Do(&c); err != nil {
		s.log.Error("an API key could not be written", "error", err)
		return &Refusal{Code: CodeInternal, RetryAfter: time.Second, Detail: "The change could not be written. List the keys to see whether it took effect."}
	}
	s.issued.by = next
	s.dir.Store(s.dir.Load().with(next))
	return nil
}
