package isoload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/tranzit/tranzit/iso"
)

const (
	tick         = 10 * time.Millisecond // overdue answers are looked for
	writeTimeout = 10 * time.Second
	redialMin    = 50 * time.Millisecond
	redialMax    = 2 * time.Second
	keptApproved = 1024 // approved messages that a reversal may undo
	grace        = 100 * time.Millisecond
)

// link is one connection to the host, made again when it ends.
type link struct {
	load  *load
	addr  string
	index int
	ended sync.WaitGroup

	mu        sync.Mutex
	changed   sync.Cond // out has bytes, or conn is another
	conn      net.Conn  // nil: down
	out       []byte
	pending   *table
	due       *schedule // nil: closed loop
	unblocked time.Duration
	approved  []original
	owed      []original // to be reversed because their answer did not come
	values    iso.Values
	rng       *rand.Rand
	counts    counts
	over      bool // the link's work is done
}

func (l *load) newLink(addr string, index, all int) *link {
	k := &link{load: l, addr: addr, index: index, pending: newTable(l.o.InFlight), values: l.values,
		rng: rand.New(rand.NewPCG(l.o.Seed, uint64(index)<<32|7))}
	k.changed.L = &k.mu
	if l.o.Rate > 0 {
		k.due = newSchedule(l.o, index, all)
	}
	return k
}

// open dials and signs on.
func (k *link) open(ctx context.Context) (*stream, error) {
	ctx, cancel := context.WithTimeout(ctx, max(dialTimeout, k.load.o.Timeout))
	defer cancel()
	conn, err := k.load.o.Dial(ctx, "tcp", k.addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.addr, err)
	}
	s := newStream(k.load.o, conn)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	err = k.signOn(s)
	if !stop() || err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%s: %w", k.addr, errors.Join(err, ctx.Err()))
	}
	return s, nil
}

var errSignOn = errors.New("the host refused the sign-on")

// signOn asks and waits for the answer. Whatever comes before it is dropped.
func (k *link) signOn(s *stream) error {
	d := k.load.o.Dialect
	if k.load.o.SkipSignOn || !d.Supports(iso.OpSignOn) {
		return nil
	}
	v, seq, now := k.load.values, k.load.seq.Add(1), time.Now()
	v.STAN, v.RRN, v.SentAt, v.LocalAt = d.STAN(seq), d.RRN(seq, now), now.UTC(), now
	var req, ans iso.Message
	var want, got iso.Key
	if err := d.Build(iso.OpSignOn, &v, &req); err != nil {
		return err
	}
	d.RequestKey(&req, &want)
	frame, err := k.seal(nil, &req)
	if err != nil {
		return err
	}
	if _, err := s.conn.Write(frame); err != nil {
		return err
	}
	for {
		body, err := s.next()
		if err == nil && body == nil {
			err = s.more()
		}
		if err != nil {
			return fmt.Errorf("no answer to the sign-on: %w", err)
		}
		if body == nil || s.read(body, &ans) != nil || !d.AnswerKey(&ans, &got) || got != want {
			continue
		}
		if !d.NetworkDone(string(ans.Get(39))) {
			return errSignOn
		}
		return nil
	}
}

// seal appends a message's frame, with its code where the dialect has one.
func (k *link) seal(dst []byte, m *iso.Message) ([]byte, error) {
	d := k.load.o.Dialect
	if !d.HasMAC() {
		return d.AppendFrame(dst, m)
	}
	return d.AppendSealed(dst, m, iso.Seal{Flow: iso.ToBank, Keys: k.load.o.Keys})
}

// run serves the link until its work is done. s is signed on.
func (k *link) run(ctx context.Context, s *stream) {
	ctx, cancel := context.WithCancel(ctx)
	k.ended.Go(func() {
		defer cancel()
		k.pace(ctx)
	})
	for s != nil {
		conn := s.conn
		k.up(conn)
		k.ended.Go(func() { k.write(conn) })
		err := k.read(s)
		k.down(err)
		_ = conn.Close()
		s = k.reopen(ctx)
	}
	k.ended.Wait()
}

// reopen dials until it works; nil: the link's work is done.
func (k *link) reopen(ctx context.Context) *stream {
	for pause := redialMin; !k.isOver(); pause = min(2*pause, redialMax) {
		if s, err := k.open(ctx); err == nil {
			return s
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
	return nil
}

func (k *link) isOver() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.over
}

func (k *link) up(conn net.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over {
		_ = conn.Close()
		return
	}
	k.conn, k.unblocked = conn, k.load.now()
	k.launch(k.unblocked)
	k.changed.Broadcast()
}

// down forgets the connection. What was in flight on it has no answer.
func (k *link) down(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conn, k.out = nil, k.out[:0]
	if !k.over {
		k.counts.Cuts++
		if errors.Is(err, errFraming) {
			k.counts.Unreadable++
		}
	}
	for at, s := k.pending.oldest(); s != nil; at, s = k.pending.oldest() {
		k.counts.Lost++
		k.unanswered(at, s)
	}
	k.changed.Broadcast()
}

// unanswered gives up on a message, and owes its reversal. REQUIRES: k.mu.
func (k *link) unanswered(at int32, s *slot) {
	if k.load.o.Reverse && (s.op == iso.OpPurchase || s.op == iso.OpAuthorization) {
		k.owed = append(k.owed, s.original)
	}
	k.release(at)
}

// release frees a slot. REQUIRES: k.mu.
func (k *link) release(at int32) {
	if k.pending.full() {
		k.unblocked = k.load.now()
	}
	k.pending.drop(at)
}

// write sends what queued, many frames at a time, until the connection is another.
func (k *link) write(conn net.Conn) {
	var out []byte
	for {
		k.mu.Lock()
		for k.conn == conn && len(k.out) == 0 {
			k.changed.Wait()
		}
		if k.conn != conn {
			k.mu.Unlock()
			return
		}
		out, k.out = k.out, out[:0]
		k.mu.Unlock()
		if conn.SetWriteDeadline(time.Now().Add(writeTimeout)) != nil {
			return
		}
		if _, err := conn.Write(out); err != nil {
			_ = conn.Close() // the reader notices
			return
		}
	}
}

// pace sends what falls due, gives up on what is overdue, and ends the link.
func (k *link) pace(ctx context.Context) {
	clock := newSleeper()
	defer clock.close()
	for {
		now := k.load.now()
		k.mu.Lock()
		k.expire(now)
		k.launch(now)
		k.over = ctx.Err() != nil || k.finished(now)
		over, conn, wake := k.over, k.conn, k.wake(now)
		k.mu.Unlock()
		if over {
			if conn != nil {
				_ = conn.Close()
			}
			return
		}
		clock.sleep(wake)
	}
}

// wake is how long nothing needs the pacer. REQUIRES: k.mu.
func (k *link) wake(now time.Duration) time.Duration {
	if k.due == nil || k.conn == nil || k.pending.full() || k.due.due() >= k.load.to {
		return tick
	}
	return max(min(k.due.due()-now, tick), 0)
}

// finished: everything was sent and answered, or its time is over. REQUIRES: k.mu.
func (k *link) finished(now time.Duration) bool {
	if now < k.load.to || k.pending.size() > 0 {
		return false
	}
	if now >= k.load.to+k.load.o.Timeout {
		return true
	}
	unsent := k.due != nil && k.due.due() < k.load.to && now < k.load.to+grace
	return len(k.owed) == 0 && !unsent
}

// expire gives up on what waited too long. REQUIRES: k.mu.
func (k *link) expire(now time.Duration) {
	for at, s := k.pending.oldest(); s != nil && now-s.sent >= k.load.o.Timeout; at, s = k.pending.oldest() {
		k.counts.Timeouts++
		k.unanswered(at, s)
	}
}
