package joining

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// spaceJoining holds the acts: application id, number of the act -> Act.
const spaceJoining storage.Space = 'i'

// Limits of an Office.
const (
	MaxApplications = 50_000
	maxPerAddress   = 3 // applications of one e-mail address in a day
	maxCodeTries    = 5
)

// Options configure an Office.
type Options struct {
	Switch *payswitch.Switch
	Store  *storage.Store
	Logger *slog.Logger     // default: slog.Default
	Now    func() time.Time // default: time.Now

	// Prove sends test messages to a webhook endpoint, one of them signed wrongly, and
	// says whether the shop took the right one and refused the other. Default: nobody
	// can tell, so the check does not pass.
	Prove func(*payswitch.Endpoint) (ok bool, detail string)

	TestBanks      []string      // of test mode; default: all test banks
	TestFor        time.Duration // how long test mode is open; default 24h
	ConfirmWithin  time.Duration // default 72h
	ForgetAfter    time.Duration // of silence after test mode ended without a choice; default 30 days
	MaxPerHour     int           // applications; default 60
	TestRate       float64       // requests per second in test mode; default 20
	TestBurst      int           // default 40
	Calendar       Calendar      // default: UTC, no holidays
	Documents      string        // directory of documents; empty: none are taken
	MaxDocument    int           // bytes; default 1 MiB
	OperatorsEmail string        // is told when an approval waits; empty: nobody
	API            string        // address of the API as shops reach it, in letters and guides; default https://api.example
	Cabinet        string        // address of the cabinet, for the links in letters; empty: there is none
}

// EnsureDefaults fills what was left out.
func (o *Options) EnsureDefaults() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Prove == nil {
		o.Prove = func(*payswitch.Endpoint) (bool, string) { return false, "This process sends no webhooks." }
	}
	if o.Calendar.Zone == nil {
		o.Calendar.Zone = time.UTC
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.TestFor, 24 * time.Hour}, {&o.ConfirmWithin, 72 * time.Hour}, {&o.ForgetAfter, 30 * 24 * time.Hour}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&o.MaxPerHour, 60}, {&o.TestBurst, 40}, {&o.MaxDocument, 1 << 20}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.TestRate == 0 {
		o.TestRate = 20
	}
	if o.API == "" {
		o.API = "https://api.example"
	}
}

// Validate checks bounds and relations. Errors name the option.
func (o *Options) Validate() error {
	switch {
	case o.Switch == nil || o.Store == nil:
		return errors.New("joining: Switch and Store are required")
	case o.TestFor < time.Minute || o.TestFor > maxExtend:
		return fmt.Errorf("joining: TestFor is %s: want 1m..%s", o.TestFor, maxExtend)
	case o.ConfirmWithin < time.Minute || o.ForgetAfter < time.Hour:
		return errors.New("joining: ConfirmWithin must be a minute at least, and ForgetAfter an hour")
	case o.MaxPerHour < 1 || o.TestRate <= 0 || o.TestBurst < 1:
		return errors.New("joining: MaxPerHour, TestRate and TestBurst must be above 0")
	case o.MaxDocument < 1 || o.MaxDocument > 16<<20:
		return fmt.Errorf("joining: MaxDocument is %d: want 1..16777216", o.MaxDocument)
	}
	for _, id := range o.TestBanks {
		if live, known := o.Switch.BankIsLive(id); !known || live {
			return fmt.Errorf("joining: TestBanks: %q is not a test bank", id)
		}
	}
	return nil
}

// Office takes applications and leads them to the end. All methods are
// goroutine-safe.
//
// Lock order: mu, then the locks of the switch. No lock is held while a shop's
// server is called.
type Office struct {
	o   Options
	log *slog.Logger

	mu     sync.Mutex
	by     map[payswitch.ID]*Application
	tries  map[payswitch.ID]int // of a wrong code, in this life
	recent []time.Time          // applications of the last hour
}

// New makes an Office over the applications of the journal. Errors name the option
// at fault, or the first application that does not fold.
func New(o Options) (*Office, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	f := &Office{o: o, log: o.Logger, by: map[payswitch.ID]*Application{}, tries: map[payswitch.ID]int{}}
	return f, f.load()
}

// load folds what earlier lives recorded.
func (f *Office) load() error {
	acts := map[payswitch.ID][]Act{}
	var bad error
	err := f.o.Store.Scan(storage.Range{Space: spaceJoining}, func(key, body []byte) bool {
		var act Act
		if len(key) != 16+4 {
			bad = fmt.Errorf("joining: a key of %d bytes", len(key))
			return false
		}
		id := payswitch.ID(key[:16])
		if bad = json.Unmarshal(body, &act); bad != nil {
			bad = fmt.Errorf("application %s: %w", id.Text(ApplicationPrefix), bad)
			return false
		}
		acts[id] = append(acts[id], act)
		return true
	})
	if err = errors.Join(err, bad); err != nil {
		return err
	}
	for id, list := range acts {
		a, err := fold(id, list)
		if err != nil {
			return err
		}
		f.by[id] = a
	}
	return nil
}

// API is the address of the API as shops reach it.
func (f *Office) API() string { return f.o.API }

func (f *Office) now() time.Time { return f.o.Now().UTC().Truncate(time.Millisecond) }

// Run ends what has run out, until ctx ends.
func (f *Office) Run(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		f.Sweep()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Sweep ends test modes whose time is over, and applications from which nothing
// came for too long.
func (f *Office) Sweep() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	for _, a := range f.by {
		act := Act{At: now, By: Actor{Kind: Machine}}
		switch stage := a.Stage(); {
		case stage == StageApplied && now.Sub(a.CreatedAt) >= f.o.ConfirmWithin:
			act.Type, act.Reason = ActExpire, "The address of the contact did not answer."
		case stage == StageTesting && a.TestEnded && now.Sub(a.UpdatedAt) >= f.o.ForgetAfter:
			act.Type, act.Reason = ActExpire, "No bank was chosen."
		case (stage == StageTesting || stage == StageJoining) && !a.TestEnded && !now.Before(a.TestUntil):
			act.Type = ActTestEnded
		default:
			continue
		}
		if _, err := f.record(a, act); err != nil {
			f.log.Error("an application could not be ended", "application", a.Name(), "act", act.Type, "error", err)
		}
	}
}

// Fresh is a new application with the applicant's secret, which nobody can read
// again.
type Fresh struct {
	Application *Application
	Secret      string
}

const secretOpening = "as_"

func digest(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// Apply takes an application: a letter with a code goes to its contact, and test
// mode is opened when the code comes back. Errors are *FormError or refusals.
func (f *Office) Apply(form Form) (Fresh, error) {
	if err := form.Validate(); err != nil {
		return Fresh{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if err := f.room(&form, now); err != nil {
		return Fresh{}, err
	}
	number, err := f.o.Store.Reserve("joining", 1)
	if err != nil {
		return Fresh{}, internal
	}
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return Fresh{}, internal
	}
	secret, code := secretOpening+rand.Text()+rand.Text(), fmt.Sprintf("%08d", n)
	a := &Application{ID: f.o.Switch.NewID()}
	act := Act{Type: ActApply, At: now, By: Actor{Kind: Applicant}, Form: &form, Secret: digest(secret), Code: digest(a.Name() + code), Number: number}
	next, err := a.with(act)
	if err != nil {
		return Fresh{}, err
	}
	next, err = f.keep(next, step{act: act, code: code})
	f.recent = append(f.recent, now)
	return Fresh{next, secret}, err
}

// room keeps strangers from filling the journal, and other people's mailboxes.
func (f *Office) room(form *Form, now time.Time) error {
	f.recent = slices.DeleteFunc(f.recent, func(at time.Time) bool { return now.Sub(at) >= time.Hour })
	same := 0
	for _, a := range f.by {
		if strings.EqualFold(a.Form.Email, form.Email) && now.Sub(a.CreatedAt) < 24*time.Hour {
			same++
		}
	}
	switch {
	case len(f.by) >= MaxApplications:
		return &payswitch.Refusal{Code: payswitch.CodeOverloaded, RetryAfter: time.Hour, Detail: "No more applications are taken now."}
	case len(f.recent) >= f.o.MaxPerHour:
		return &payswitch.Refusal{Code: payswitch.CodeOverloaded, RetryAfter: 10 * time.Minute, Detail: "Too many applications come in now: send yours again later."}
	case same >= maxPerAddress:
		return refused("%d applications of this address came in within a day: use one of them.", same)
	}
	return nil
}

var internal = &payswitch.Refusal{Code: payswitch.CodeInternal, RetryAfter: time.Second, Detail: "The act could not be written. Read the application to see whether it took effect."}

// Of is an application for its applicant: the secret proves it. One that does not
// exist and one of somebody else give the same refusal.
func (f *Office) Of(id payswitch.ID, secret string) (*Application, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.by[id]
	if a == nil || subtle.ConstantTimeCompare(a.secret, digest(secret)) != 1 {
		return nil, errNone
	}
	return a, nil
}

var errNone = &payswitch.Refusal{Code: payswitch.CodeNotFound, Detail: "There is no such application, or the secret is another one's."}

// Application is any application, for operators. Errors are refusals.
func (f *Office) Application(id payswitch.ID) (*Application, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.by[id]; a != nil {
		return a, nil
	}
	return nil, errNone
}

// OfMerchant is the application that a merchant came from; nil: it is one of the
// configuration.
func (f *Office) OfMerchant(id string) *Application {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.by {
		if a.Merchant == id && id != "" {
			return a
		}
	}
	return nil
}

// List is at most limit applications, the newest first, of one stage or, when it
// is empty, of all, and older than before unless that is zero.
func (f *Office) List(stage Stage, before payswitch.ID, limit int) (list []*Application, more bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.by {
		if (stage == "" || a.Stage() == stage) && (before.IsZero() || slices.Compare(a.ID[:], before[:]) < 0) {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(x, y *Application) int { return slices.Compare(y.ID[:], x.ID[:]) })
	if len(list) > limit {
		return list[:limit], true
	}
	return list, false
}

func actKey(id payswitch.ID, version uint32) []byte {
	return binary.BigEndian.AppendUint32(slices.Clone(id[:]), version)
}
