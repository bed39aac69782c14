package payswitch

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// EndpointPrefix is the TypeID prefix of a webhook endpoint.
const EndpointPrefix = "we"

// Limits of endpoints.
const (
	MaxEndpoints       = 16 // of one account
	MaxEndpointSecrets = 4  // at once, those that run out included
	MaxEndpointURL     = 2048
	MaxOverlap         = 7 * 24 * time.Hour
)

// Endpoint is an address at which an account is told of its events. A value
// that was handed out never changes.
type Endpoint struct {
	ID          ID
	Version     uint32
	Merchant    string
	Live        bool
	URL         string
	Description string
	Types       []string // as asked for: event types, `payment.*` or `*`
	Enabled     bool
	Disabled    string    // why not: "by_merchant", "by_operator" or "failing"; empty while enabled
	Failing     time.Time // since when no delivery succeeded; zero: it works
	Secrets     []EndpointSecret
	CreatedAt   time.Time
	UpdatedAt   time.Time

	all   bool
	types map[byte]uint64 // class -> bits of statuses
}

// EndpointSecret signs what is sent to an endpoint: the newest first.
type EndpointSecret struct {
	Secret    string    // whsec_ and 32 bytes in base64
	ExpiresAt time.Time // zero: it is the present one
}

const secretPrefix = "whsec_"

func newEndpointSecret() EndpointSecret {
	var key [32]byte
	_, _ = rand.Read(key[:])
	return EndpointSecret{Secret: secretPrefix + base64.StdEncoding.EncodeToString(key[:])}
}

// wants reports whether the endpoint is told of events of a type.
func (e *Endpoint) wants(t EventType) bool {
	return e.all || e.types[t.class]&(1<<t.status) != 0
}

// choose sets the types of an endpoint; false: one of them is none.
func (e *Endpoint) choose(types []string) bool {
	e.Types, e.all, e.types = slices.Clone(types), false, map[byte]uint64{}
	for _, word := range types {
		known := word == "*"
		e.all = e.all || known
		class, whole := strings.CutSuffix(word, ".*")
		for name, t := range eventTypes {
			if name == word || whole && strings.HasPrefix(name, class+".") {
				e.types[t.class] |= 1 << t.status
				known = true
			}
		}
		if !known {
			return false
		}
	}
	return len(types) > 0
}

// EndpointWish is what a merchant asks of an endpoint. A nil member is not asked.
type EndpointWish struct {
	URL         *string // checked by the caller; at most MaxEndpointURL bytes
	Description *string
	Types       []string
	Enabled     *bool
}

var errNoEndpoint = &Refusal{Code: CodeNotFound, Detail: "There is no such webhook endpoint."}

// MakeEndpoint adds an endpoint to an account, with a new secret. From its
// return on every event of the account it wants is owed to it. Errors are refusals.
func (o *Outbox) MakeEndpoint(a Account, w *EndpointWish) (*Endpoint, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	count := 0
	for _, e := range o.endpoints {
		if e.Merchant == a.Merchant.ID && e.Live == a.Live {
			count++
		}
	}
	if count >= MaxEndpoints {
		return nil, wrongState("An account has at most %d webhook endpoints; delete one.", MaxEndpoints)
	}
	now := o.s.now()
	e := &Endpoint{ID: o.s.ids.next(now), Merchant: a.Merchant.ID, Live: a.Live, Enabled: true, CreatedAt: now,
		Secrets: []EndpointSecret{newEndpointSecret()}}
	if w.Types == nil {
		w.Types = []string{"*"}
	}
	if err := e.grant(w); err != nil {
		return nil, err
	}
	return e, o.keep(e)
}

// grant takes over what is asked.
func (e *Endpoint) grant(w *EndpointWish) error {
	if w.URL != nil {
		e.URL = *w.URL
	}
	if w.Description != nil {
		e.Description = *w.Description
	}
	if w.Types != nil && !e.choose(w.Types) {
		return &Refusal{Code: CodeInvalidRequest, Pointer: "/types", Detail: "One of these is no event type; see the documentation for all."}
	}
	if w.Enabled != nil {
		e.grantEnabled(*w.Enabled, "by_merchant")
	}
	return nil
}

// grantEnabled enables or disables an endpoint, and says by whom.
func (e *Endpoint) grantEnabled(enabled bool, by string) {
	if enabled == e.Enabled {
		return
	}
	e.Enabled, e.Disabled, e.Failing = enabled, "", time.Time{}
	if !enabled {
		e.Disabled = by
	}
}

// change gives the endpoint a new version, made by edit from a copy.
func (o *Outbox) change(id ID, edit func(*Endpoint) error) (*Endpoint, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	old := o.endpoints[id]
	if old == nil {
		return nil, errNoEndpoint
	}
	e := new(Endpoint)
	*e = *old
	if err := edit(e); err != nil {
		return nil, err
	}
	return e, o.keep(e)
}

// keep makes an endpoint durable and known. REQUIRES: o.mu.
func (o *Outbox) keep(e *Endpoint) error {
	e.Version++
	e.UpdatedAt = o.s.now()
	var c storage.Command
	c.Set(spaceEndpoint, e.key(), e.encode(nil, o.s.keys))
	if _, err := o.s.store.Do(&c); err != nil {
		o.s.log.Error("journal refused a webhook endpoint", "endpoint", e.ID.Text(EndpointPrefix), "error", err)
		return errInternal
	}
	o.endpoints[e.ID] = e
	o.rebuild()
	o.changed(e)
	return nil
}

func (o *Outbox) changed(e *Endpoint) {
	if l := o.sink.Load(); l != nil {
		l.Changed(e)
	}
}

// ChangeEndpoint takes over what a merchant asks. Errors are refusals.
func (o *Outbox) ChangeEndpoint(a Account, id ID, w *EndpointWish) (*Endpoint, error) {
	if _, err := o.EndpointOf(a, id); err != nil {
		return nil, err
	}
	return o.change(id, func(e *Endpoint) error { return e.grant(w) })
}

// RotateSecret gives an endpoint a new secret. The one before signs along with
// it for the overlap, so that a shop can change over without losing a notice.
// Errors are refusals.
func (o *Outbox) RotateSecret(a Account, id ID, overlap time.Duration) (*Endpoint, error) {
	if _, err := o.EndpointOf(a, id); err != nil {
		return nil, err
	}
	return o.change(id, func(e *Endpoint) error {
		now := o.s.now()
		next := []EndpointSecret{newEndpointSecret()}
		for _, old := range e.Secrets {
			if old.ExpiresAt.IsZero() || old.ExpiresAt.After(now.Add(overlap)) {
				old.ExpiresAt = now.Add(overlap)
			}
			if old.ExpiresAt.After(now) && len(next) < MaxEndpointSecrets {
				next = append(next, old)
			}
		}
		e.Secrets = next
		return nil
	})
}

// DeleteEndpoint removes an endpoint; what it is still owed is forgotten.
// Errors are refusals.
func (o *Outbox) DeleteEndpoint(a Account, id ID) error {
	if _, err := o.EndpointOf(a, id); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	old := o.endpoints[id]
	if old == nil {
		return errNoEndpoint
	}
	var c storage.Command
	c.Delete(spaceEndpoint, old.key())
	if _, err := o.s.store.Do(&c); err != nil {
		return errInternal
	}
	delete(o.endpoints, id)
	o.rebuild()
	gone := *old
	gone.Enabled, gone.Disabled, gone.UpdatedAt = false, "deleted", time.Time{}
	o.changed(&gone)
	return nil
}

// EndpointOf is an account's endpoint. Errors are refusals.
func (o *Outbox) EndpointOf(a Account, id ID) (*Endpoint, error) {
	e := o.Endpoint(id)
	if e == nil || e.Merchant != a.Merchant.ID || e.Live != a.Live {
		return nil, errNoEndpoint
	}
	return e, nil
}

// Endpoint is any account's endpoint; nil: there is none.
func (o *Outbox) Endpoint(id ID) *Endpoint {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.endpoints[id]
}

// EndpointsOf are an account's endpoints, the oldest first.
func (o *Outbox) EndpointsOf(a Account) []*Endpoint {
	return o.pick(func(e *Endpoint) bool { return e.Merchant == a.Merchant.ID && e.Live == a.Live })
}

// Endpoints are those of all accounts, the oldest first.
func (o *Outbox) Endpoints() []*Endpoint {
	return o.pick(func(*Endpoint) bool { return true })
}

func (o *Outbox) pick(which func(*Endpoint) bool) (list []*Endpoint) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.endpoints {
		if which(e) {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b *Endpoint) int { return strings.Compare(string(a.ID[:]), string(b.ID[:])) })
	return list
}

// MarkFailing notes since when an endpoint takes nothing, zero: it does again.
func (o *Outbox) MarkFailing(id ID, since time.Time) error {
	_, err := o.change(id, func(e *Endpoint) error {
		e.Failing = since
		return nil
	})
	return err
}

// DisableFailing stops telling an endpoint that failed for days.
func (o *Outbox) DisableFailing(id ID) error {
	_, err := o.change(id, func(e *Endpoint) error {
		e.Enabled, e.Disabled = false, "failing"
		return nil
	})
	return err
}

// rebuild makes the audiences anew. REQUIRES: o.mu.
func (o *Outbox) rebuild() {
	by := map[accountKey]*audience{}
	of := func(merchant string, live bool) *audience {
		key := accountKey{merchant, live}
		if by[key] == nil {
			mode := "test"
			if live {
				mode = "live"
			}
			by[key] = &audience{account: digestAccount(mode, merchant)}
		}
		return by[key]
	}
	for _, e := range o.endpoints {
		if a := of(e.Merchant, e.Live); e.Enabled {
			a.endpoints = append(a.endpoints, e)
		}
	}
	for _, m := range o.s.dir.Load().byID {
		if m.Events {
			of(m.ID, false)
			of(m.ID, true)
		}
	}
	if len(by) == 0 {
		o.by.Store(nil)
		return
	}
	o.by.Store(&by)
}

// load reads the endpoints of earlier lives. A secret that was sealed under an
// older key is sealed anew.
func (o *Outbox) load() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.endpoints = map[ID]*Endpoint{}
	var old []*Endpoint
	var bad error
	err := o.s.store.Scan(storage.Range{Space: spaceEndpoint}, func(key, value []byte) bool {
		e, stale, err := decodeEndpoint(key, value, o.s.keys)
		if err != nil {
			bad = fmt.Errorf("webhook endpoint %x: %w", key, err)
			return false
		}
		o.endpoints[e.ID] = e
		if stale {
			old = append(old, e)
		}
		return true
	})
	switch {
	case err != nil:
		return err
	case bad != nil:
		return bad
	}
	if err := o.write(old); err != nil {
		return err
	}
	o.rebuild()
	return nil
}

// write seals endpoints anew. REQUIRES: o.mu.
func (o *Outbox) write(endpoints []*Endpoint) error {
	for _, e := range endpoints {
		var c storage.Command
		c.Set(spaceEndpoint, e.key(), e.encode(nil, o.s.keys))
		if _, err := o.s.store.Do(&c); err != nil {
			return err
		}
	}
	return nil
}

// reseal seals all secrets with the present key.
func (o *Outbox) reseal() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.write(slices.Collect(maps.Values(o.endpoints)))
}
