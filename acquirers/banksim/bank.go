package banksim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// Bank is one bank host. Its methods are goroutine-safe.
type Bank struct {
	cfg   Config
	books *Books
	keys  *keys
	pins  pins
	clock *clock
	mode  atomic.Pointer[mode]
	stats counters
	stan  atomic.Uint32 // of messages the bank starts

	signsOn bool // the dialect has a sign-on

	mu          sync.Mutex
	started     bool
	closed      bool
	listener    net.Listener // nil: the bank dials
	stopDialing context.CancelFunc
	web         *http.Server
	webAddr     string
	links       []*link
	lastID      int

	work sync.WaitGroup
}

// counters count what no entry of the books tells.
type counters struct {
	accepted, rejected                 atomic.Uint64 // links
	frames, undecodable, outOfSync     atomic.Uint64
	ignored, muted                     atomic.Uint64 // messages of no use here; messages a mute bank read
	notSignedOn, formatErrors, forged  atomic.Uint64
	unbuilt, lostAnswers, forgotten    atomic.Uint64
	ownMessages, ownAnswered, scripted atomic.Uint64
}

// New makes a bank; nothing listens yet.
func New(cfg Config) (*Bank, error) {
	cfg.EnsureDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	b := &Bank{cfg: cfg, keys: newKeys(cfg.Keys), pins: pins{wrong: map[iso.PAN]int{}}}
	if b.books = cfg.Books; b.books == nil {
		b.books = newBooks(&b.cfg.Codes, cfg.OvercapturePercent)
		b.books.whole = cfg.Dialect.IncrementByTotal()
	}
	b.signsOn = slices.ContainsFunc(cfg.Dialect.NetworkSteps(), func(s *iso.NetworkStep) bool { return s.Effect == iso.EffectSignOn })
	return b, nil
}

// Start opens the ports and serves until Close. It returns when both ports
// accept connections; with Connect it returns before the first link is made.
// Call it once.
func (b *Bank) Start() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.started || b.closed {
		return errors.New("banksim: Start may be called once")
	}
	ln, err := b.listen()
	if err != nil {
		return fmt.Errorf("banksim: %w", err)
	}
	web := b.cfg.BooksListener
	if web == nil && b.cfg.BooksListen != "" {
		if web, err = net.Listen("tcp", b.cfg.BooksListen); err != nil {
			if ln != nil {
				err = errors.Join(err, ln.Close())
			}
			return fmt.Errorf("banksim: books: %w", err)
		}
	}
	b.started, b.listener = true, ln
	ctx, stop := context.WithCancel(context.Background())
	b.stopDialing = stop
	b.mode.Store(&mode{name: ModeNormal, delay: b.cfg.Delay, jitter: b.cfg.Jitter, changed: make(chan struct{})})
	b.clock = newClock(b.books, b.cfg.Seed)
	b.spawn(b.clock.run)
	if ln != nil {
		b.spawn(func() { b.accept(ln) })
	} else {
		for range b.cfg.ConnectLinks {
			b.spawn(func() { b.keepConnected(ctx) })
		}
	}
	if web != nil {
		b.serveBooks(web)
	}
	return nil
}

// listen opens the ISO 8583 port; with Connect there is none.
func (b *Bank) listen() (ln net.Listener, err error) {
	if b.cfg.Connect != "" {
		return nil, nil
	}
	if ln = b.cfg.Listener; ln == nil {
		if ln, err = net.Listen("tcp", b.cfg.Listen); err != nil {
			return nil, err
		}
	}
	if b.cfg.TLS != nil {
		ln = tls.NewListener(ln, b.cfg.TLS)
	}
	return ln, nil
}

// Run starts the bank and serves until ctx ends.
func (b *Bank) Run(ctx context.Context) error {
	if err := b.Start(); err != nil {
		return err
	}
	<-ctx.Done()
	return b.Close()
}

// Close cuts every link, closes the ports and waits until nothing of the bank
// runs. The books stay readable. Safe to call twice.
func (b *Bank) Close() error {
	b.mu.Lock()
	if b.closed || !b.started {
		b.closed = true
		b.mu.Unlock()
		b.work.Wait()
		return nil
	}
	b.closed = true
	web, links := b.web, slices.Clone(b.links)
	b.mu.Unlock()
	b.stopDialing()
	var err error
	if b.listener != nil {
		if err = b.listener.Close(); errors.Is(err, net.ErrClosed) {
			err = nil
		}
	}
	if web != nil {
		err = errors.Join(err, web.Close())
	}
	close(b.clock.stop)
	for _, l := range links {
		l.close()
	}
	b.work.Wait()
	return err
}

// Addr is the address of the ISO 8583 port; "" = none, as the bank dials.
// REQUIRES: Start succeeded.
func (b *Bank) Addr() string {
	if b.listener == nil {
		return ""
	}
	return b.listener.Addr().String()
}

// BooksAddr is the address of the books' HTTP port; "" = none.
func (b *Bank) BooksAddr() string { return b.webAddr }

// Books are the bank's own books.
func (b *Bank) Books() *Books { return b.books }

// spawn runs f under the bank's wait group.
func (b *Bank) spawn(f func()) { b.work.Go(f) }

func (b *Bank) accept(ln net.Listener) {
	pause := 5 * time.Millisecond
	for {
		conn, err := ln.Accept()
		if err != nil {
			if b.isClosed() || errors.Is(err, net.ErrClosed) {
				return
			}
			b.cfg.Logger.Warn("accepting a link failed; trying again")
			select {
			case <-b.clock.stop:
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, time.Second)
			continue
		}
		pause = 5 * time.Millisecond
		b.admit(conn)
	}
}

func (b *Bank) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// admit makes a connection a link. Nil: the bank takes none, and it was closed.
func (b *Bank) admit(conn net.Conn) *link {
	b.mu.Lock()
	if b.closed || b.mode.Load().name == ModeRefuse || len(b.links) >= b.cfg.MaxLinks {
		b.mu.Unlock()
		b.stats.rejected.Add(1)
		if err := conn.Close(); err != nil {
			b.cfg.Logger.Debug("closing a refused link")
		}
		return nil
	}
	b.lastID++
	l := newLink(b, b.lastID, conn)
	b.links = append(b.links, l)
	b.stats.accepted.Add(1)
	b.spawn(l.serveWake)
	b.spawn(func() {
		l.run()
		l.close()
		b.forget(l)
	})
	b.mu.Unlock()
	if b.cfg.EchoInterval > 0 {
		b.clock.after(b.cfg.EchoInterval, true, due{link: l, act: actEcho})
	}
	return l
}

func (b *Bank) forget(l *link) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.links, l); i >= 0 {
		b.links = slices.Delete(b.links, i, i+1)
	}
}

func (b *Bank) liveLinks() []*link {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.links)
}

// elsewhere puts an answer whose link is gone on another signed-on link, when
// the bank does that.
func (b *Bank) elsewhere(gone *link, frame []byte) bool {
	if b.cfg.AnswerElsewhere {
		for _, l := range b.liveLinks() {
			if l != gone && l.signedOn.Load() && l.put(frame) {
				l.kick()
				return true
			}
		}
	}
	b.stats.lostAnswers.Add(1)
	return false
}
