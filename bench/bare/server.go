// Package bare is the least work that a durable payment over HTTP and a bank line
// can cost: a fixed JSON answer, two group-committed records and one frame to an
// echo and back over a shared link. It knows nothing of payments and checks nothing.
// It is the reference that the switch's cost is divided by in the same run, under
// the same generator.
package bare

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tranzit/tranzit/storage"
)

// Sizes of what a payment writes, in bytes: about those of the real ones.
const (
	recordBytes = 320
	frameBytes  = 200
)

// Options say which parts the bare path has. Without Dir and Echo it is a no-op
// HTTP server, the ceiling of everything.
type Options struct {
	// Listen is the HTTP address. Required; port 0 picks a free one.
	Listen string
	// Dir is the folder of the journal; empty: no records.
	Dir string
	// Echo is the address of an Echo; empty: no frames.
	Echo string
	// Links to the echo. Default 2.
	Links int
	// Logger receives the journal's words. Default slog.Default().
	Logger *slog.Logger
}

// EnsureDefaults fills what is zero.
func (o *Options) EnsureDefaults() {
	if o.Links == 0 {
		o.Links = 2
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// Validate names what makes no sense. REQUIRES: EnsureDefaults.
func (o *Options) Validate() error {
	if o.Listen == "" {
		return errors.New("listen: is required")
	}
	if o.Links < 1 || o.Links > 64 {
		return errors.New("links: must be 1..64")
	}
	return nil
}

// Server is a running bare path. Its methods are goroutine-safe.
type Server struct {
	store  *storage.Store
	links  []*link
	web    *fasthttp.Server
	listen net.Listener
	done   chan error
	paid   atomic.Uint64
	prefix uint64
	pool   sync.Pool // *work
}

// work is what one request needs, reused.
type work struct {
	command storage.Command
	id      storage.ID
	record  [recordBytes]byte
}

// Start opens the journal and the links and begins to answer.
func Start(o Options) (*Server, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Server{done: make(chan error, 1), prefix: uint64(time.Now().UnixNano())}
	s.pool.New = func() any { return new(work) }
	if err := s.open(&o); err != nil {
		return nil, errors.Join(err, s.closeParts())
	}
	s.web = &fasthttp.Server{Handler: s.handle, NoDefaultDate: true, NoDefaultServerHeader: true, Logger: quiet{},
		ReadTimeout: time.Minute, MaxRequestBodySize: 64 << 10, SecureErrorLogMessage: true}
	go func() { s.done <- s.web.Serve(s.listen) }()
	return s, nil
}

func (s *Server) open(o *Options) (err error) {
	if o.Dir != "" {
		if s.store, err = storage.Open(storage.Options{Dir: o.Dir, Logger: o.Logger}); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
	if o.Echo != "" {
		for range o.Links {
			l, err := dialLink(o.Echo)
			if err != nil {
				return fmt.Errorf("echo: %w", err)
			}
			s.links = append(s.links, l)
		}
	}
	if s.listen, err = net.Listen("tcp", o.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.listen.Addr().String() }

// Close finishes the requests in flight and closes everything.
func (s *Server) Close() error {
	err := s.web.Shutdown()
	return errors.Join(err, <-s.done, s.closeParts())
}

func (s *Server) closeParts() error {
	var errs []error
	for _, l := range s.links {
		errs = append(errs, l.close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	return errors.Join(errs...)
}

// body is as long as a payment object.
var body = []byte(`{"id":"pay_00000000000000000000000000","object":"payment","status":"captured","livemode":false,"amount":129900,` +
	`"amount_authorized":129900,"amount_captured":129900,"amount_refunded":0,"currency":"RUB","order_id":"b0123456789ab-0123456789abcdef",` +
	`"bank":"alfa","rrn":"632712000123","stan":"000123","approval_code":"123456","response_code":"00","card":{"bin":"411111","last4":"1111",` +
	`"brand":"visa","exp_month":12,"exp_year":2039},"decline":null,"resolution":null,"created_at":"2026-11-23T00:00:00.000Z",` +
	`"updated_at":"2026-11-23T00:00:00.000Z","metadata":{},"version":2}`)

func (s *Server) handle(c *fasthttp.RequestCtx) {
	switch string(c.Path()) {
	case "/v1/payments":
		if err := s.pay(); err != nil {
			c.Error("failed", fasthttp.StatusInternalServerError)
			return
		}
		c.SetStatusCode(fasthttp.StatusCreated)
		c.SetContentType("application/json")
		c.SetBody(body)
	case "/readyz", "/healthz":
		c.SetBodyString("ok")
	case "/metrics":
		c.SetBody(s.metrics())
	default:
		c.SetStatusCode(fasthttp.StatusNotFound)
	}
}

// pay is the bare path: a record, a frame there and back, a record.
func (s *Server) pay() error {
	w := s.pool.Get().(*work)
	defer s.pool.Put(w)
	n := s.paid.Add(1)
	binary.BigEndian.PutUint64(w.id[:8], s.prefix)
	binary.BigEndian.PutUint64(w.id[8:], n)
	if err := s.record(w, 1); err != nil {
		return err
	}
	if len(s.links) > 0 {
		if err := s.links[n%uint64(len(s.links))].roundTrip(); err != nil {
			return err
		}
	}
	return s.record(w, 2)
}

func (s *Server) record(w *work, version uint32) error {
	if s.store == nil {
		return nil
	}
	w.command.Reset()
	w.command.Append(w.id, version, w.record[:])
	_, err := s.store.Do(&w.command)
	return err
}

// metrics are the counters that package bench divides by payments, under the names
// the switch gives them.
func (s *Server) metrics() []byte {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/tiny/allocs:objects"}}
	metrics.Read(sample)
	out := fmt.Appendf(nil, "go_memstats_mallocs_total %d\n", sample[0].Value.Uint64()+sample[1].Value.Uint64())
	if s.store != nil {
		st := s.store.Stats()
		out = fmt.Appendf(out, "tranzit_journal_fsyncs_total %d\ntranzit_journal_groups_total %d\n", st.Syncs, st.Groups)
	}
	return out
}

// quiet drops fasthttp's log: its lines hold request bytes.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
