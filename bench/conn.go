package bench

import (
	"errors"
	"net"
	"time"
)

// conn is one keep-alive connection with at most one request in flight.
type conn struct {
	token   int32
	fd      int // -1: not connected
	request     // payment is noPayment: idle
	sentAt  time.Duration
	out     []byte // the request
	written int
	blocked bool // the poller also waits for room to write
	in      []byte
	have    int
}

// connect makes the connection usable; when it cannot, it is left for the next tick.
func (w *worker) connect(c *conn) bool {
	fd, err := dial(route{host: w.mix.host, connection: int(w.number(uint64(c.token)))}, dialTimeout)
	if err == nil {
		if err = w.poll.add(fd, c.token); err != nil {
			closeSocket(fd)
		}
	}
	if err != nil {
		w.total.losses[lossConnect]++
		return false
	}
	c.fd, c.payment, c.have, c.blocked = fd, noPayment, 0, false
	w.rest(c)
	return true
}

// route is where one of the run's connections leads.
type route struct {
	host       string
	connection int // its number in the run, from 0
}

// perSource is how many connections begin at one source address. Linux gives it
// 28,000 ports to one host by default.
const perSource = 20_000

// from spreads connections to this machine over the source addresses 127.0.0.1,
// 127.0.0.2 and so on, because one has too few ports; nil leaves the choice to
// the kernel.
func (r route) from() net.Addr {
	host, _, err := net.SplitHostPort(r.host)
	if err != nil || r.connection < perSource || !net.ParseIP(host).Equal(net.IPv4(127, 0, 0, 1)) {
		return nil
	}
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+r.connection/perSource))}
}

// rest puts a connection that has nothing to do on the idle stack.
func (w *worker) rest(c *conn) {
	if len(w.idle) == 0 {
		w.freeSince = w.now()
	}
	w.idle = append(w.idle, c.token)
}

// drop closes the socket. It does not touch the idle stack.
func (w *worker) drop(c *conn) {
	if c.fd >= 0 {
		closeSocket(c.fd)
	}
	c.fd = -1
}

// send writes a request on an idle connection. REQUIRES: there is one.
func (w *worker) send(r request) {
	last := len(w.idle) - 1
	c := &w.conns[w.idle[last]]
	w.idle = w.idle[:last]
	c.request, c.sentAt = r, w.now()
	if n := w.number(r.payment); r.kind < kindCapture {
		c.out = w.mix.appendRequest(c.out[:0], n)
	} else {
		c.out = w.mix.appendOperation(c.out[:0], n, &c.request)
	}
	c.written = 0
	w.busy++
	w.total.sent++
	if w.plan.has(r.due) {
		w.measured.sent++
	}
	w.flush(c)
}

func (w *worker) flush(c *conn) {
	n, err := writeSome(c.fd, c.out[c.written:])
	if err != nil && !errors.Is(err, errAgain) {
		w.lose(c, lossConnection)
		return
	}
	c.written += n
	if full := c.written < len(c.out); full != c.blocked {
		c.blocked = full
		if err := w.poll.wantWrite(c.fd, c.token, full); err != nil {
			w.lose(c, lossConnection)
		}
	}
}

// ready is called when the connection has something to read, or room to write.
func (w *worker) ready(token int32) {
	c := &w.conns[token]
	if c.fd < 0 {
		return
	}
	if c.payment != noPayment && c.written < len(c.out) {
		w.flush(c)
		if c.fd < 0 {
			return
		}
	}
	if len(c.in)-c.have < readSize/2 {
		c.in = append(c.in, make([]byte, max(readSize, len(c.in)))...)
	}
	n, err := readSome(c.fd, c.in[c.have:])
	switch {
	case errors.Is(err, errAgain):
		return
	case err != nil || n == 0:
		w.lose(c, lossConnection)
		return
	}
	c.have += n
	if c.payment == noPayment {
		w.lose(c, lossProtocol) // an answer to nothing
		return
	}
	var a answer
	used, err := parseAnswer(c.in[:c.have], &a)
	switch {
	case err != nil, used != 0 && used != c.have:
		w.lose(c, lossProtocol)
	case used != 0:
		w.accept(c, &a)
	}
}

// accept books an answer and frees the connection.
func (w *worker) accept(c *conn, a *answer) {
	now := w.now()
	if w.plan.has(now) {
		w.measured.answer(a)
	}
	w.total.answer(a)
	w.learn(c, a)
	record(w.second.latency, now-c.due)
	if !w.retry(c, a, now) {
		e := endRefused
		if a.code < 300 {
			e = endPayment
		}
		w.finish(&c.request, e, now)
	}
	c.payment, c.have = noPayment, 0
	w.busy--
	if a.closes {
		w.drop(c)
		return
	}
	w.rest(c)
}

// retry books the connection's request for another attempt, when the merchant does
// not know for certain what became of it; a is nil without an answer.
func (w *worker) retry(c *conn, a *answer, now time.Duration) bool {
	if !w.o.RetryLost || !w.uncertain(&c.request, a) {
		return false
	}
	c.repeated = true
	w.again = append(w.again, repeat{request: c.request, notBefore: now + retryPause})
	return true
}

// lose gives the connection up; the next tick opens it again. A request in flight
// is booked as lost; the time it has waited is its latency, unless it is sent again.
func (w *worker) lose(c *conn, why int) {
	w.drop(c)
	if c.payment == noPayment {
		// It stood idle; a server may close such a connection at any time.
		for k, token := range w.idle {
			if token == c.token {
				w.idle = append(w.idle[:k], w.idle[k+1:]...)
				break
			}
		}
		return
	}
	now := w.now()
	w.total.losses[why]++
	if w.plan.has(now) {
		w.measured.losses[why]++
	}
	w.lost(&c.request)
	if !w.retry(c, nil, now) {
		w.finish(&c.request, endLost, now)
	}
	c.payment = noPayment
	w.busy--
}
