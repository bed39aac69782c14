package banksim

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/iso"
)

const (
	readBuffer = 64 << 10
	maxOutput  = 4 << 20 // unwritten bytes of one link; the reader waits above it
)

// link is one connection of a switch. run is its reader; write serves what the
// clock hands over.
type link struct {
	bank *Bank
	id   int
	conn net.Conn
	gone chan struct{} // closed when the link is
	wake chan struct{} // the writer has something to do

	signedOn atomic.Bool
	heard    atomic.Bool // the switch sent something

	// Of the reader alone.
	req, ans  iso.Message
	values    iso.Values
	decided   Plan
	step      *iso.NetworkStep // that req is; nil: it is none
	seen      iso.Seen         // of req
	facts     iso.Facts        // of req
	batch     []byte           // answers of the frames of one read
	scratch   []byte
	header    []byte // of the frame that is being served
	currency  currencyMemo
	cutting   bool // the link is to be cut after the batch
	approvals approvals
	now       time.Time
	mode      *mode

	mu        sync.Mutex
	drained   sync.Cond // out is empty and nobody writes, or the link is closed
	out, next []byte    // what is to be written; the spare buffer
	held      []byte    // answers that wait for a split frame's last piece
	splitting bool
	writing   bool
	closed    bool
}

// currencyMemo remembers the last currency text, which seldom changes.
type currencyMemo struct {
	text    [3]byte
	number  uint16
	isKnown bool
}

// approvals cuts approval codes from one text of 256, so that a code costs a
// small part of an allocation.
type approvals struct {
	text  string
	block uint32 // the entry of the text's first code
	buf   []byte
}

func newLink(b *Bank, id int, conn net.Conn) *link {
	l := &link{bank: b, id: id, conn: conn, gone: make(chan struct{}), wake: make(chan struct{}, 1)}
	l.drained.L = &l.mu
	return l
}

// run reads, decides and answers until the link ends.
func (l *link) run() {
	d := l.bank.cfg.Dialect
	buf := make([]byte, max(readBuffer, d.MaxFrame()+16))
	r, w := 0, 0
	for l.mayRead() {
		n, err := l.conn.Read(buf[w:])
		w += n
		if n > 0 {
			l.heard.Store(true)
			if !l.mayRead() {
				return
			}
			used, ok := l.drain(buf[r:w])
			if !ok {
				return
			}
			r += used
			if r == w {
				r, w = 0, 0
			} else if w == len(buf) {
				if r == 0 {
					l.bank.stats.outOfSync.Add(1)
					return
				}
				w = copy(buf, buf[r:w])
				r = 0
			}
		}
		if err != nil {
			return
		}
	}
}

// mayRead waits while the bank stalls. False: the link is closed.
func (l *link) mayRead() bool {
	m := l.bank.mode.Load()
	for m.name == ModeStall {
		select {
		case <-l.gone:
			return false
		case <-m.changed:
		}
		m = l.bank.mode.Load()
	}
	return true
}

// drain serves every whole frame in buf and writes their answers at once.
// False: the link is to be closed.
func (l *link) drain(buf []byte) (used int, ok bool) {
	l.now, l.mode = time.Now(), l.bank.mode.Load()
	ok = true
	for ok && !l.cutting {
		body, n, err := l.bank.cfg.Dialect.NextFrame(buf[used:])
		if err != nil {
			l.bank.stats.outOfSync.Add(1)
			ok = false
			break
		}
		if n == 0 {
			break
		}
		frame := buf[used : used+n]
		used += n
		if body != nil {
			l.header = l.bank.cfg.Dialect.FrameHeader(frame)
			l.serve(frame, body)
		} else if answer := l.bank.cfg.Dialect.Poll(frame); answer != nil {
			l.batch = append(l.batch, answer...)
		}
	}
	l.req.Wipe()
	l.flush()
	if l.cutting {
		l.waitDrained()
		return used, false
	}
	return used, ok
}

// flush hands the batch to the output and writes it.
func (l *link) flush() {
	if len(l.batch) == 0 {
		return
	}
	l.put(l.batch)
	l.batch = l.batch[:0]
	l.write()
}

// put appends bytes to the output, behind a split frame that is on its way.
// False: the link is closed.
func (l *link) put(frame []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if l.splitting {
		l.held = append(l.held, frame...)
	} else {
		l.out = append(l.out, frame...)
	}
	return true
}

// write writes the output until it is empty, unless somebody does already. It
// waits when the peer leaves too much unread.
func (l *link) write() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writing {
		for len(l.out) > maxOutput && l.writing && !l.closed {
			l.drained.Wait()
		}
		return
	}
	l.writing = true
	for len(l.out) > 0 && !l.closed {
		out := l.out
		l.out = l.next[:0]
		l.mu.Unlock()
		err := l.conn.SetWriteDeadline(time.Now().Add(l.bank.cfg.WriteTimeout))
		if err == nil {
			_, err = l.conn.Write(out)
		}
		if err != nil {
			l.close()
		}
		l.mu.Lock()
		l.next = out
	}
	l.writing = false
	l.drained.Broadcast()
}

// serveWake writes what the clock hands over, until the link ends.
func (l *link) serveWake() {
	for {
		select {
		case <-l.gone:
			return
		case <-l.wake:
			l.write()
		}
	}
}

func (l *link) kick() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *link) waitDrained() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for (l.writing || len(l.out) > 0) && !l.closed {
		l.drained.Wait()
	}
}

// close ends the link at once; what is unwritten is lost. Safe to call twice.
func (l *link) close() {
	l.mu.Lock()
	was := l.closed
	l.closed = true
	if !was {
		close(l.gone)
		l.drained.Broadcast()
	}
	l.mu.Unlock()
	if was {
		return
	}
	if err := l.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		l.bank.cfg.Logger.Debug("closing a link", "link", l.id)
	}
}

// perform does what fell due. It runs in the clock's goroutine and never
// writes. False: the answer was lost with its link.
func (l *link) perform(d *due) bool {
	switch d.act {
	case actSplit:
		return l.split(d.frame)
	case actPiece, actLast:
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.closed {
			return false
		}
		l.out = append(l.out, d.frame...)
		if d.act == actLast {
			l.splitting = false
			l.out = append(l.out, l.held...)
			l.held = l.held[:0]
		}
		return true
	case actCut:
		if len(d.frame) > 0 && l.put(d.frame) {
			l.bank.spawn(func() { l.write(); l.waitDrained(); l.close() })
			return false
		}
		l.close()
		return false
	case actEcho:
		l.bank.ownEcho(l)
		return true
	}
	if l.put(d.frame) {
		return true
	}
	return l.bank.elsewhere(l, d.frame)
}

// split sends a frame in five pieces: one byte, one more, up to the middle, up
// to the last byte, the last byte. A second split frame waits and goes whole.
func (l *link) split(frame []byte) bool {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	if l.splitting || len(frame) < 8 {
		l.held = append(l.held, frame...)
		if !l.splitting {
			l.out, l.held = append(l.out, l.held...), l.held[:0]
		}
		l.mu.Unlock()
		return true
	}
	l.splitting = true
	l.mu.Unlock()
	cuts := [...]int{0, 1, 2, len(frame) / 2, len(frame) - 1, len(frame)}
	for i := range len(cuts) - 1 {
		act := actPiece
		if i == len(cuts)-2 {
			act = actLast
		}
		l.bank.clock.after(time.Duration(i)*l.bank.cfg.PieceGap, true,
			due{link: l, frame: frame[cuts[i]:cuts[i+1]], act: act})
	}
	return true
}
