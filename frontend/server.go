// Package frontend is everything that speaks HTTP with merchants: it
// authenticates, bounds, decodes strictly, asks the switch once and answers.
// It decides nothing about a payment.
//
// It stands on fasthttp, whose buffers live only as long as a handler: whatever
// outlives it is copied. Card numbers become iso.PAN straight from the body's
// bytes, and the bytes are overwritten when the handler is done with them.
package frontend

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tranzit/tranzit/frontend/page"
	payswitch "github.com/tranzit/tranzit/switch"
)

// ErrClosed is returned by Serve after Shutdown was called.
var ErrClosed = errors.New("frontend: the server is shut down")

// Server is the merchants' HTTP API. All methods are goroutine-safe.
type Server struct {
	o       Options
	log     *slog.Logger
	sw      *payswitch.Switch
	http    fasthttp.Server
	routes  *routes
	page    *page.Service
	metrics *metrics
	quotas  quotas
	nonces  nonces
	started time.Time
	noise   *noise
	calls   sync.Pool // *call

	draining atomic.Bool
	open     atomic.Int64 // connections
	inFlight atomic.Int64 // requests between their last byte and their answer
	mu       sync.Mutex   // guards gates
	gates    []*gate
}

// New makes a Server. It listens to nothing before Serve.
// Errors name the option at fault.
func New(o Options) (*Server, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Server{o: o, log: o.Logger, sw: o.Switch, started: o.Now()}
	if s.page = o.Page; s.page == nil {
		var err error
		if s.page, err = page.New(page.Options{Switch: o.Switch, Logger: o.Logger, Now: o.Now}); err != nil {
			return nil, err
		}
	}
	s.metrics = newMetrics(o.Registerer, &s.open, &s.inFlight)
	s.routes = newRoutes(s.metrics)
	if o.Assist != nil {
		s.routes.placeAssist(s.metrics)
	}
	s.noise = &noise{log: o.Logger, metrics: s.metrics}
	s.calls.New = func() any { return new(call) }
	s.http = fasthttp.Server{
		Handler:                      s.handle,
		ErrorHandler:                 s.refuseProtocol,
		Logger:                       s.noise,
		SecureErrorLogMessage:        true,
		ReadTimeout:                  o.ReadTimeout,
		IdleTimeout:                  o.IdleTimeout,
		WriteTimeout:                 o.WriteTimeout,
		ReadBufferSize:               o.MaxHead,
		MaxRequestBodySize:           o.MaxBody,
		HeaderReceived:               s.longBody,
		Concurrency:                  2 * o.Concurrency, // the gate refuses first, and in the API's own words
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		CloseOnShutdown:              true,
	}
	return s, nil
}

// Serve answers the connections of a listener until Shutdown, after which it
// returns nil at once while requests in flight still run. It closes ln.
func (s *Server) Serve(ln net.Listener) error {
	g := &gate{Listener: ln, server: s}
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		_ = g.Close()
		return ErrClosed
	}
	s.gates = append(s.gates, g)
	s.mu.Unlock()
	return s.http.Serve(g)
}

// Shutdown stops accepting, lets requests in flight finish, ends long polls
// and closes keep-alive connections, their last answer saying so. It returns
// ctx's error when requests are left running at its end. Call it before the
// switch is drained, so that nobody is refused who was let in.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining.Store(true)
	var errs []error
	for _, g := range s.gates {
		errs = append(errs, g.Close())
	}
	s.mu.Unlock()
	errs = append(errs, s.http.ShutdownWithContext(ctx))
	return errors.Join(errs...)
}

// handle is the one entry of every request that could be read.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	c := s.calls.Get().(*call)
	c.begin(s, ctx, ctx.Time())
	defer c.end()
	defer c.recover()
	c.dispatch()
}
