package plain

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options say what a plain stack is made of.
type Options struct {
	// Listen is the HTTP address. Required; port 0 picks a free one.
	Listen string
	// Dir is the folder of the store. Required.
	Dir string
	// Bank is the address of the bank's host. Required: Start signs on.
	Bank string
	// Dialect is ascii87 or binary87. Default binary87.
	Dialect string
	// Keys are the API keys that are let in. At least one.
	Keys []string
	// Links to the bank. Default 2; 1..64.
	Links int
	// Timeout is how long an answer of the bank is waited for. Default 30s.
	Timeout time.Duration
}

// EnsureDefaults fills what is zero.
func (o *Options) EnsureDefaults() {
	if o.Dialect == "" {
		o.Dialect = "binary87"
	}
	if o.Links == 0 {
		o.Links = 2
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
}

// Validate names what makes no sense. REQUIRES: EnsureDefaults.
func (o *Options) Validate() error {
	switch {
	case o.Listen == "":
		return errors.New("listen: is required")
	case o.Dir == "":
		return errors.New("dir: is required")
	case o.Bank == "":
		return errors.New("bank: is required")
	case framings[o.Dialect] == nil:
		return errors.New("dialect: must be ascii87 or binary87")
	case len(o.Keys) == 0 || slices.Contains(o.Keys, ""):
		return errors.New("keys: at least one is needed, none empty")
	case o.Links < 1 || o.Links > 64:
		return errors.New("links: must be 1..64")
	case o.Timeout < time.Millisecond || o.Timeout > time.Hour:
		return errors.New("timeout: must be 1ms..1h")
	}
	return nil
}

// Server is a running plain stack. Its methods are goroutine-safe.
type Server struct {
	o      Options
	store  *store
	bank   *bank
	seq    atomic.Uint64
	web    *http.Server
	listen net.Listener
	done   chan error

	mu      sync.Mutex
	running map[string]chan struct{} // idempotency keys at work
}

// Start opens the store, signs on to the bank and begins to answer.
func Start(o Options) (*Server, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Server{o: o, done: make(chan error, 1), running: map[string]chan struct{}{}}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.closeParts())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/payments", s.create)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("GET /admin/v1/journal/stats", s.stats)
	s.web = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: time.Minute}
	go func() { s.done <- s.web.Serve(s.listen) }()
	return s, nil
}

func (s *Server) open() (err error) {
	if s.store, err = openStore(s.o.Dir); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	last, err := s.store.last()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	s.seq.Store(last)
	if s.bank, err = dialBank(&s.o, func() uint64 { return s.seq.Add(1) }); err != nil {
		return fmt.Errorf("bank: %w", err)
	}
	if s.listen, err = net.Listen("tcp", s.o.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.listen.Addr().String() }

const drainTime = 40 * time.Second

// Close finishes the requests in flight and closes everything.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	err := s.web.Shutdown(ctx)
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(err, s.closeParts())
}

func (s *Server) closeParts() error {
	var errs []error
	if s.bank != nil && s.bank.pool != nil {
		errs = append(errs, s.bank.pool.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.close())
	}
	return errors.Join(errs...)
}

const maxBody = 64 << 10

// create answers POST /v1/payments.
func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	apiKey, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || !slices.Contains(s.o.Keys, apiKey) {
		refuse(w, http.StatusUnauthorized, "unauthorized")
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if key == "" || len(key) > 255 {
		refuse(w, http.StatusBadRequest, "idempotency_key_missing")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "invalid_request")
		return
	}
	asked, err := decode(body)
	if err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request")
		return
	}
	mac := hmac.New(sha256.New, []byte(apiKey))
	mac.Write(body)
	a, err := s.pay(asked, apiKey+"/"+key, mac.Sum(nil))
	switch {
	case errors.Is(err, errOtherBody):
		refuse(w, http.StatusUnprocessableEntity, "idempotency_key_reused")
		return
	case errors.Is(err, errNoBank):
		refuse(w, http.StatusServiceUnavailable, "bank_unavailable")
		return
	case err != nil:
		refuse(w, http.StatusInternalServerError, "internal")
		return
	}
	if a.replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "code": code})
}

// answer is what a merchant is told.
type answer struct {
	status   int
	body     []byte
	replayed bool
}

var (
	errOtherBody = errors.New("the key was used with another body")
	errNoBank    = errors.New("no link to the bank is up")
)

// pay walks one payment: claim, intent, bank, outcome.
func (s *Server) pay(r *request, key string, fingerprint []byte) (*answer, error) {
	defer s.own(key)()
	if c, found, err := s.store.claimed(key); found || err != nil {
		return s.replay(c, fingerprint, err)
	}
	link, err := s.bank.pool.Get()
	if err != nil {
		return nil, errNoBank
	}
	now := time.Now()
	seq := s.seq.Add(1)
	p := newPayment(seq, r, now)
	record, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	if err := s.store.intent(key, claim{seq, fingerprint}, record); err != nil {
		return nil, err
	}
	said, err := s.bank.purchase(link, r, p, now)
	if err != nil {
		said = nil
	}
	p.apply(said, time.Now())
	if record, err = json.Marshal(p); err != nil {
		return nil, err
	}
	if err := s.store.outcome(seq, record); err != nil {
		return nil, err
	}
	return &answer{status: statusOf(p), body: record}, nil
}

// own waits until no other request with the key is at work; the function it
// returns lets the next one in.
func (s *Server) own(key string) (leave func()) {
	mine := make(chan struct{})
	for {
		s.mu.Lock()
		other := s.running[key]
		if other == nil {
			s.running[key] = mine
			s.mu.Unlock()
			return func() {
				s.mu.Lock()
				delete(s.running, key)
				s.mu.Unlock()
				close(mine)
			}
		}
		s.mu.Unlock()
		<-other
	}
}

// replay is the answer to a key that was used before.
func (s *Server) replay(c claim, fingerprint []byte, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(c.fingerprint, fingerprint) {
		return nil, errOtherBody
	}
	record, err := s.store.newest(c.seq)
	if err != nil {
		return nil, err
	}
	var p payment
	if err := json.Unmarshal(record, &p); err != nil {
		return nil, err
	}
	return &answer{status: statusOf(&p), body: record, replayed: true}, nil
}

func statusOf(p *payment) int {
	if p.Status == statusUnknown {
		return http.StatusAccepted
	}
	return http.StatusCreated
}

// stats are the totals under the name the switch gives them, so that a load run
// can hold them against the bank's books.
func (s *Server) stats(w http.ResponseWriter, _ *http.Request) {
	lines, records, err := s.store.totals()
	if err != nil {
		refuse(w, http.StatusInternalServerError, "internal")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"records": records, "totals": map[string]any{"lines": lines}})
}

// metrics are the counters that package bench divides by payments.
func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/tiny/allocs:objects"}}
	metrics.Read(sample)
	_, _ = fmt.Fprintf(w, "go_memstats_mallocs_total %d\ntranzit_journal_fsyncs_total %d\n",
		sample[0].Value.Uint64()+sample[1].Value.Uint64(), s.store.syncs())
}
