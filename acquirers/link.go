package acquirers

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// link is one connection we want to have. It lives as long as the bank and has
// one line after another.
type link struct {
	bank     *Bank
	number   int                     // from 1
	endpoint string                  // where we dial or listen
	line     atomic.Pointer[line]    // the newest, which may be gone
	epoch    uint32                  // of the newest line; only run touches it
	target   atomic.Pointer[Version] // by the plan
	wanted   atomic.Pointer[Version] // of the next line
	out, in  recorder

	mu        sync.Mutex
	state     linkState
	since     time.Time
	lastError string
	lines     uint64
}

type linkState string

const (
	stateStopped   linkState = "stopped"
	stateDialing   linkState = "dialing"
	stateSigningOn linkState = "signing_on"
	stateReady     linkState = "ready"
	stateSignedOff linkState = "signed_off_by_bank"
	stateWaiting   linkState = "waiting_to_reconnect"
	stateAwaiting  linkState = "waiting_for_the_bank"
	stateAccepting linkState = "accepting"
)

// note records what the link does now; why, when not empty, is the last error.
func (k *link) note(state linkState, why string) {
	k.mu.Lock()
	if k.state != state {
		k.state, k.since = state, time.Now()
	}
	if why != "" {
		k.lastError = why
	}
	k.mu.Unlock()
	k.bank.refresh()
}

// run keeps the link alive until ctx ends: dial, sign on, echo, and again after
// a pause with jitter, for ever; or attend when the bank dials.
func (k *link) run(ctx context.Context) {
	c := &k.bank.cfg
	defer k.note(stateStopped, "")
	if k.bank.door != nil {
		k.attend(ctx)
		return
	}
	for tries := 0; ; tries++ {
		up := k.dial(ctx)
		if ctx.Err() != nil {
			return
		}
		if l := k.line.Load(); l != nil && l.retired.Load() && l.version != k.wanted.Load() {
			continue
		}
		if up >= c.ReconnectMax {
			tries = 0
		}
		k.note(stateWaiting, "")
		if !rest(ctx, pause(c.ReconnectMin, c.ReconnectMax, tries)) {
			return
		}
	}
}

// pause is the wait before a reconnect: uniform between low and low doubled
// with each try, never above high, so that links cut together do not return
// together.
func pause(low, high time.Duration, tries int) time.Duration {
	span := high
	if tries < 30 {
		span = min(high, low<<(tries+1))
	}
	return low + rand.N(max(span-low, 0)+1)
}

// dial makes one connection and keeps it until it is gone or ctx ends. It
// returns how long the line was ready.
func (k *link) dial(ctx context.Context) (up time.Duration) {
	k.note(stateDialing, "")
	w, conn, err := k.bank.cfg.dial(ctx, k.endpoint)
	if err != nil {
		if stranger := (*strangerError)(nil); errors.As(err, &stranger) {
			k.bank.refuse(refusedStranger, stranger.peer)
		}
		k.lost("dial: " + causeOf(err))
		return 0
	}
	return k.live(ctx, w, conn)
}

// live keeps one line on an open connection until it is gone or ctx ends. It
// returns how long the line was ready.
func (k *link) live(ctx context.Context, w *wire, conn net.Conn) (up time.Duration) {
	b := k.bank
	k.epoch++
	l := newLine(k)
	l.wire = w
	var err error
	if l.transport, err = openTransport(w, conn, l.read); err != nil {
		w.Close()
		k.lost("the transport does not start")
		return 0
	}
	k.line.Store(l)
	close(l.opened)
	go l.writeLoop()
	defer func() {
		l.fail("closed here")
		<-l.buried
	}()
	stop := context.AfterFunc(ctx, func() {
		if !l.up.Load() {
			l.fail("closed here")
		}
	})
	defer stop()
	if err := l.signOn(); err != nil {
		b.aside.alarm("sign_on_failed", "link "+k.name()+": "+err.Error())
		l.fail(err.Error())
		return 0
	}
	b.log.Info("link is ready", "bank", b.cfg.ID, "link", k.number, "endpoint", k.endpoint, "peer", conn.RemoteAddr().String())
	since := time.Now()
	l.up.Store(true)
	k.note(stateReady, "")
	l.watch(ctx)
	if (ctx.Err() != nil || l.retired.Load()) && !b.closed.Load() {
		l.signOff()
	}
	return time.Since(since)
}

// doubt makes the link's line prove that it lives, when it leads to the peer
// and was silent for EchoTimeout: a bank that comes back while its old
// connection is half-open is not kept out until the next regular echo.
func (k *link) doubt(peer netip.Addr) {
	l := k.line.Load()
	if l != nil && l.wire.peer == peer && time.Since(time.Unix(0, l.lastRead.Load())) >= k.bank.cfg.EchoTimeout {
		signal(l.doubted)
	}
}

// lost records why the link has no line.
func (k *link) lost(why string) {
	state := stateWaiting
	if k.bank.door != nil {
		state = stateAwaiting
	}
	k.note(state, why)
	if !k.bank.stopping() {
		k.bank.log.Warn("link is down", "bank", k.bank.cfg.ID, "link", k.number, "endpoint", k.endpoint, "cause", why)
	}
}

// line is one connection of a link, from dial to burial.
type line struct {
	bank      *Bank
	link      *link
	version   *Version // from the first byte to the last
	epoch     uint32
	wire      *wire
	transport *transport
	queue     queue

	up        atomic.Bool // sign-on and first echo done
	signedOff atomic.Bool // by the bank
	leaving   atomic.Bool // takes only what was built before: the link changes its version
	retired   atomic.Bool // takes nothing any more: the same, a moment later
	inFlight  atomic.Int64
	rtt       atomic.Int64 // of the latest answer, nanoseconds
	lastRead  atomic.Int64 // Unix nanoseconds
	lastEcho  atomic.Int64

	end        sync.Once
	opened     chan struct{} // transport is set
	gone       chan struct{} // nothing more is queued or written
	writerGone chan struct{}
	readerGone chan struct{}
	buried     chan struct{} // every flight has its fate
	welcomed   chan struct{} // capacity 1: the bank signed on
	doubted    chan struct{} // capacity 1: an echo is wanted now
	dismissed  chan struct{} // closed when the line shall sign off and end

	// The reader's own.
	incoming *iso.Message
	reply    iso.Message
	values   iso.Values
	key      iso.Key
	outgoing []byte
	header   []byte // of the frame that is being handled
	readAt   time.Time

	handed []handed // the writer's own: the batch being written
}

func newLine(k *link) *line {
	l := &line{bank: k.bank, link: k, version: k.wanted.Load(), epoch: k.epoch, incoming: new(iso.Message),
		opened: make(chan struct{}), gone: make(chan struct{}), writerGone: make(chan struct{}),
		readerGone: make(chan struct{}), buried: make(chan struct{}),
		welcomed: make(chan struct{}, 1), doubted: make(chan struct{}, 1), dismissed: make(chan struct{})}
	l.lastRead.Store(time.Now().UnixNano())
	l.queue.init(2*k.bank.cfg.Window + maxReplies)
	k.mu.Lock()
	k.lines++
	k.mu.Unlock()
	return l
}

// enqueue hands a frame to the writer; e has no flight for an answer to the
// bank's own request. False: the line is gone or its queue full, and nothing
// will be sent.
func (l *line) enqueue(frame []byte, e *queued) bool { return l.queue.put(frame, e) }

func (l *line) isGone() bool {
	select {
	case <-l.gone:
		return true
	default:
		return false
	}
}

func (l *line) isReady() bool {
	return l.up.Load() && !l.signedOff.Load() && !l.retired.Load() && !l.isGone()
}

// fail ends the line, once. It does not wait; buried is closed when every
// flight of the line has its fate. Goroutine-safe.
func (l *line) fail(why string) {
	l.end.Do(func() {
		close(l.gone)
		l.queue.close()
		l.link.lost(why)
		go l.bury()
	})
}

// bury closes the connection and gives the flights their fates, after writer
// and reader stopped: the writer first proves what it can.
func (l *line) bury() {
	<-l.opened
	l.transport.close()
	<-l.writerGone
	<-l.readerGone
	l.bank.pending.lose(l, l.bank.lossCause())
	close(l.buried)
}

// signOffTimeout bounds how long a drain waits for the answer to each step before closing.
const signOffTimeout = 2 * time.Second

// signOff tells the bank that we leave, by the steps that the dialect has us start before a link is
// closed. Each is written before the connection closes; its answer is waited for, but not needed.
func (l *line) signOff() {
	c := &l.bank.cfg
	for _, s := range l.version.dialect.OnClose() {
		if l.isGone() || s.Effect == iso.EffectSignOff && !c.SignOn && !c.AwaitSignOn {
			continue
		}
		if _, err := l.step(s, min(signOffTimeout, l.version.cfg.EchoTimeout)); err != nil {
			l.bank.log.Warn("a step before closing was not acknowledged", "bank", c.ID, "link", l.link.number, "step", s.Name, "cause", err)
		}
	}
}
