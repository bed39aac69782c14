// Package admin is the operators' HTTP listener: health, metrics, profiles and
// the admin API that the command line uses. It speaks net/http and must not be
// reachable from outside the operators' network.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tranzit/tranzit/frontend/guide"
	"github.com/tranzit/tranzit/frontend/page"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
	"github.com/tranzit/tranzit/switch/people"
)

// Options are what the listener shows.
type Options struct {
	Switch *payswitch.Switch
	People *people.People
	// CabinetURL is how browsers reach the cabinet; empty: there is none.
	CabinetURL string
	Store      *storage.Store
	Gatherer   prometheus.Gatherer
	Logger     *slog.Logger
	Joining    *joining.Office // nil: there are no applications
	Pages      *page.Service   // nil: there is no payment page
	// Guide writes the guides of merchants; nil: there are none.
	Guide *guide.Maker
}

// Server is the admin listener. Its methods are goroutine-safe.
type Server struct {
	o    Options
	http *http.Server
}

// New makes the listener's server.
func New(o Options) *Server {
	s := &Server{o: o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /admin/v1/banks", s.banks)
	mux.HandleFunc("GET /admin/v1/banks/{id}/frames", s.frames)
	mux.HandleFunc("GET /admin/v1/dialects", s.dialects)
	mux.HandleFunc("GET /admin/v1/catalogue", s.catalogue)
	mux.HandleFunc("GET /admin/v1/saf", s.saf)
	mux.HandleFunc("GET /admin/v1/journal/stats", s.stats)
	mux.HandleFunc("GET /admin/v1/journal/verify", s.verify)
	mux.HandleFunc("GET /admin/v1/journal/export", s.export)
	mux.HandleFunc("GET /admin/v1/payments/{id}", s.payment)
	s.routeActs(mux)
	s.routeKeys(mux)
	s.routeButtons(mux)
	s.routePeople(mux)
	s.routeOperators(mux)
	s.routeVault(mux)
	s.routeWebhooks(mux)
	s.routeJoining(mux)
	s.routeCheckouts(mux)
	s.routeTemplates(mux)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second,
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug)}
	return s
}

// Serve answers until Close; it returns nil after Close.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close stops at once.
func (s *Server) Close() error { return s.http.Close() }

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(body)
}

func fail(w http.ResponseWriter, err error) {
	reply(w, statusOf(err), map[string]string{"error": err.Error()})
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	ok, reasons := s.o.Switch.Ready()
	status, word := http.StatusOK, "ready"
	if !ok {
		status, word = http.StatusServiceUnavailable, "not ready"
	}
	reply(w, status, map[string]any{"status": word, "parts": reasons})
}

func (s *Server) banks(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{"data": s.o.Switch.BankStatuses()})
}

func (s *Server) dialects(w http.ResponseWriter, _ *http.Request) {
	releases, err := s.o.Switch.Releases()
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{"data": releases})
}

func (s *Server) frames(w http.ResponseWriter, r *http.Request) {
	frames, err := s.o.Switch.BankFrames(r.PathValue("id"))
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{"data": frames})
}

// OwedReversal is one line of /admin/v1/saf.
type OwedReversal struct {
	Payment   string `json:"payment"`
	Operation string `json:"operation,omitempty"` // of a capture, cancel, refund or release; else it is the payment's own reversal
	Bank      string `json:"bank"`
	Amount    int64  `json:"amount"`
	Currency  string `json:"currency"`
	RRN       string `json:"rrn"`
	Attempts  uint32 `json:"attempts"`
	Desk      string `json:"desk,omitempty"`
}

const maxOwed = 10_000

func (s *Server) saf(w http.ResponseWriter, r *http.Request) {
	limit := 100
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxOwed {
			reply(w, http.StatusBadRequest, map[string]string{"error": "limit must be 1..10000"})
			return
		}
		limit = n
	}
	owed, err := s.o.Switch.OwedReversals(limit)
	if err != nil {
		fail(w, err)
		return
	}
	out := make([]OwedReversal, 0, len(owed))
	for _, o := range owed {
		out = append(out, OwedReversal{Payment: o.Name, Operation: o.Operation, Bank: o.Bank, Amount: o.Amount,
			Currency: o.Currency, RRN: o.RRN, Attempts: o.Attempts, Desk: o.Desk})
	}
	reply(w, http.StatusOK, map[string]any{"data": out})
}

// JournalStats is /admin/v1/journal/stats.
type JournalStats struct {
	Totals payswitch.Totals `json:"totals"`
	Store  storage.Stats    `json:"store"`
}

func (s *Server) stats(w http.ResponseWriter, _ *http.Request) {
	totals, err := payswitch.Total(s.o.Store)
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusOK, JournalStats{Totals: totals, Store: s.o.Store.Stats()})
}

func (s *Server) verify(w http.ResponseWriter, r *http.Request) {
	report, err := s.o.Store.Verify(r.Context(), func(uint64, uint64) {})
	if err != nil && !errors.Is(err, context.Canceled) {
		fail(w, err)
		return
	}
	reply(w, http.StatusOK, report)
}

func (s *Server) payment(w http.ResponseWriter, r *http.Request) {
	_, id, ok := payswitch.ParsePaymentID(r.PathValue("id"))
	if !ok {
		reply(w, http.StatusBadRequest, map[string]string{"error": "not a payment id"})
		return
	}
	p, err := s.o.Switch.AnyPayment(id)
	if err != nil {
		fail(w, err)
		return
	}
	events, err := s.o.Switch.Story(id)
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{"merchant": p.Merchant, "status": p.Status.String(), "version": p.Version,
		"bank": p.Bank, "stan": p.STAN, "rrn": p.RRN, "amount": p.Amount, "currency": p.Currency.Alpha(), "events": events})
}
