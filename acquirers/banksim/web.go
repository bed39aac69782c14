package banksim

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Handler serves the bank's books and controls:
//
//	GET  /books?from=&limit=&rrn=&state=  entries in order of arrival, then totals
//	GET  /books/summary                   counts and sums
//	GET  /status                          links and counters
//	GET  /control, POST /control          the mode in force; change it
//	GET  /cards                           test cards and amount triggers
//	GET  /healthz
//
// It has no authentication: it is a test bank. REQUIRES: Start succeeded.
func (b *Bank) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /books", b.getBooks)
	mux.HandleFunc("GET /books/summary", func(w http.ResponseWriter, _ *http.Request) { b.writeJSON(w, b.books.Summary()) })
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { b.writeJSON(w, b.Status()) })
	mux.HandleFunc("GET /control", func(w http.ResponseWriter, _ *http.Request) { b.writeJSON(w, b.Standing()) })
	mux.HandleFunc("POST /control", b.postControl)
	mux.HandleFunc("GET /cards", func(w http.ResponseWriter, _ *http.Request) {
		b.writeJSON(w, map[string]any{"cards": Cards(), "amounts": Amounts(), "amount_triggers": b.cfg.AmountTriggers})
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { b.writeJSON(w, map[string]string{"status": "ok"}) })
	return b.counted(mux)
}

// counted lets Close wait for the requests that run.
func (b *Bank) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		if b.closed {
			b.mu.Unlock()
			http.Error(w, "the bank is closed", http.StatusServiceUnavailable)
			return
		}
		b.work.Add(1)
		b.mu.Unlock()
		defer b.work.Done()
		h.ServeHTTP(w, r)
	})
}

// serveBooks runs the HTTP port. REQUIRES: b.mu.
func (b *Bank) serveBooks(ln net.Listener) {
	b.webAddr = ln.Addr().String()
	b.web = &http.Server{Handler: b.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	web := b.web
	b.spawn(func() {
		if err := web.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			b.cfg.Logger.Error("the books' port failed")
		}
	})
}

func (b *Bank) writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		b.cfg.Logger.Debug("a reader of the books left")
	}
}

func (b *Bank) fail(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	if err := json.NewEncoder(w).Encode(map[string]string{"error": err.Error()}); err != nil {
		b.cfg.Logger.Debug("a reader of the books left")
	}
}

func (b *Bank) postControl(w http.ResponseWriter, r *http.Request) {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10))
	d.DisallowUnknownFields()
	var c Control
	if err := d.Decode(&c); err != nil {
		b.fail(w, fmt.Errorf("the body must be one JSON object with known fields: mode, code, book, delay_ms, jitter_ms"))
		return
	}
	if err := b.Control(c); err != nil {
		b.fail(w, err)
		return
	}
	b.writeJSON(w, b.Standing())
}

// query is what /books was asked.
type query struct {
	from, limit uint32
	rrn, state  string
}

func readQuery(r *http.Request) (query, error) {
	q := query{from: 1, limit: 100}
	for key, values := range r.URL.Query() {
		text := values[0]
		n, err := strconv.ParseUint(text, 10, 32)
		switch key {
		case "from":
			q.from = max(uint32(n), 1)
		case "limit":
			q.limit = uint32(n)
		case "rrn":
			q.rrn, err = text, nil
		case "state":
			q.state, err = text, nil
		default:
			return q, errors.New("unknown parameter; known: from, limit, rrn, state")
		}
		if err != nil {
			return q, fmt.Errorf("%s: it must be a whole number", key)
		}
	}
	return q, nil
}

// getBooks streams {"entries": [...], "next": n, "currencies": {...}}. limit 0
// is no limit; next is 0 at the end of the books.
func (b *Bank) getBooks(w http.ResponseWriter, r *http.Request) {
	q, err := readQuery(r)
	if err != nil {
		b.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(out)
	sent, next := uint32(0), uint32(0)
	_, werr := out.WriteString(`{"entries":[`)
	b.books.Each(q.from, func(e Entry) bool {
		if werr != nil || r.Context().Err() != nil {
			return false
		}
		if q.rrn != "" && e.RRN != q.rrn || q.state != "" && e.State != q.state {
			return true
		}
		if q.limit != 0 && sent == q.limit {
			next = e.Seq
			return false
		}
		if sent > 0 {
			werr = out.WriteByte(',')
		}
		sent++
		if werr == nil {
			werr = enc.Encode(e)
		}
		return werr == nil
	})
	if werr == nil {
		_, werr = fmt.Fprintf(out, `],"next":%d,"currencies":`, next)
	}
	if werr == nil {
		werr = enc.Encode(b.books.Summary().Currencies)
	}
	if werr == nil {
		werr = out.WriteByte('}')
	}
	if werr == nil {
		werr = out.Flush()
	}
	if werr != nil {
		b.cfg.Logger.Debug("a reader of the books left")
	}
}
