// Package people keeps what is true about the people of a shop: who they are, how
// they prove it, what they may do at which merchant, where they are signed in, what
// they did, and what they and the operators wrote to each other. It stands on the
// journal and knows nothing of HTTP.
//
// A password is kept as its Argon2id digest (RFC 9106), a session, a link and a
// recovery code as the digest of a long random word, a TOTP secret (RFC 6238) not
// at all: the vault's digest key gives it anew each time. No copy of the journal
// lets anybody in.
package people

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// The spaces of people. The first byte of a key in spacePeople says what stands
// there: the bytes are stored, never reuse one.
const (
	spacePeople storage.Space = 'U'
	spaceTicket storage.Space = 'T' // see ticket.go
	spaceAct    storage.Space = 'A' // see act.go
)

const (
	peopleUser    = 'u' // user id -> userRecord
	peopleEmail   = 'e' // digest of the address -> user id; claimed
	peopleGrant   = 'g' // merchant digest, user id: who may do something at a merchant
	peopleLink    = 'l' // digest of a link's word -> linkRecord
	peopleSession = 's' // digest of a session's word -> sessionRecord
	peopleOf      = 'o' // user id, digest of a session's word: the sessions of a user
	peopleView    = 'v' // user id, account digest, view id -> View
	peopleLimit   = 'm' // account digest -> how much one person may refund, by currency
	peopleRefund  = 'r' // account digest, ask id -> RefundAsk
	peopleGuard   = 'w' // digest of a bucket's name -> keptBucket
)

// How long sessions live.
const (
	DefaultIdle    = 30 * time.Minute
	DefaultLasting = 12 * time.Hour
	MaxLasting     = 30 * 24 * time.Hour
)

// Options configure People.
type Options struct {
	Store  *storage.Store
	Switch *payswitch.Switch
	Logger *slog.Logger     // default: slog.Default
	Now    func() time.Time // the wall clock; default time.Now

	// Idle is how long a session lives without a request, and Lasting how long it
	// lives at most; default 30m and 12h.
	Idle, Lasting time.Duration
}

// EnsureDefaults fills what was left out.
func (o *Options) EnsureDefaults() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Idle == 0 {
		o.Idle = DefaultIdle
	}
	if o.Lasting == 0 {
		o.Lasting = DefaultLasting
	}
}

// Validate checks bounds and relations. Errors name the option.
func (o *Options) Validate() error {
	switch {
	case o.Store == nil || o.Switch == nil:
		return errors.New("people: Store and Switch are required")
	case o.Idle < time.Minute || o.Idle > 24*time.Hour:
		return fmt.Errorf("people: Idle is %s: want 1m..24h", o.Idle)
	case o.Lasting < o.Idle || o.Lasting > MaxLasting:
		return fmt.Errorf("people: Lasting is %s: want at least Idle, which is %s, and at most %s", o.Lasting, o.Idle, MaxLasting)
	}
	return nil
}

// People are the users of the merchants' cabinet. All methods are goroutine-safe.
// Errors that a caller may show are *payswitch.Refusal.
type People struct {
	o     Options
	store *storage.Store
	sw    *payswitch.Switch
	log   *slog.Logger
	mu    sync.Mutex // held over every change of a user, a link or a ticket
	guard guard
	work  chan struct{} // a place for each password that is digested at once
}

// New reads who tried to sign in too often; people are read when they are asked for.
// Errors name the option at fault.
func New(o Options) (*People, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p := &People{o: o, store: o.Store, sw: o.Switch, log: o.Logger, work: make(chan struct{}, passwordsAtOnce)}
	p.guard.init(o.Now, p.keepTries)
	if err := p.loadTries(); err != nil {
		return nil, fmt.Errorf("people: the tries of earlier lives: %w", err)
	}
	return p, nil
}

func (p *People) now() time.Time { return p.o.Now().UTC().Truncate(time.Millisecond) }

func (p *People) freshID() payswitch.ID { return p.sw.Outbox().FreshID() }

// digest is how a long random word is kept and found.
type digest [sha256.Size]byte

func digestOf(word string) digest { return sha256.Sum256([]byte(word)) }

// newWord is 130 random bits as text.
func newWord() string { return rand.Text() }

func key(kind byte, parts ...[]byte) []byte {
	k := []byte{kind}
	for _, part := range parts {
		k = append(k, part...)
	}
	return k
}

// shopDigest is the prefix of what belongs to a merchant, whatever the mode.
func shopDigest(merchant string) []byte {
	sum := sha256.Sum256([]byte(merchant))
	return sum[:16]
}

// accountDigest is the prefix of what belongs to a merchant in one mode.
func accountDigest(merchant string, live bool) []byte {
	sum := sha256.Sum256([]byte(modeWord(live) + "\x00" + merchant))
	return sum[:16]
}

func modeWord(live bool) string {
	if live {
		return "live"
	}
	return "test"
}

// read decodes what stands at a key; false: nothing does.
func (p *People) read(space storage.Space, name []byte, into any) (bool, error) {
	body, ok, err := p.store.Get(space, name, nil)
	if err == nil && ok {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		p.log.Error("a record of people could not be read", "error", err)
		return false, errInternal
	}
	return ok, nil
}

// set puts a value into a command.
func set(c *storage.Command, space storage.Space, name []byte, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return errInternal
	}
	c.Set(space, name, body)
	return nil
}

// do makes a command durable.
func (p *People) do(c *storage.Command) error {
	result, err := p.store.Do(c)
	switch {
	case err != nil:
		p.log.Error("a change of people could not be written", "error", err)
		return errInternal
	case result.Kind != storage.Applied:
		return errTaken
	}
	return nil
}

var (
	errInternal = &payswitch.Refusal{Code: payswitch.CodeInternal, RetryAfter: time.Second, Detail: "The change could not be written. Look whether it took effect."}
	errTaken    = &payswitch.Refusal{Code: payswitch.CodeInvalidState, Detail: "Somebody has this address already."}
)

func refusal(code payswitch.Code, pointer, format string, args ...any) error {
	return &payswitch.Refusal{Code: code, Pointer: pointer, Detail: fmt.Sprintf(format, args...)}
}

func invalid(pointer, format string, args ...any) error {
	return refusal(payswitch.CodeInvalidRequest, pointer, format, args...)
}

func notFound(what string) error {
	return refusal(payswitch.CodeNotFound, "", "There is no such %s.", what)
}
