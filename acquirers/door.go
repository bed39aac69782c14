package acquirers

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// door takes the connections of a bank that dials in. An admitted one goes to
// a free link, of which there is one for each place.
type door struct {
	bank  *Bank
	in    chan *wire   // admitted, not yet taken by a link; has room for every place
	taken atomic.Int64 // places
}

func newDoor(b *Bank) *door { return &door{bank: b, in: make(chan *wire, b.cfg.MaxPeers)} }

// run keeps the listener open until ctx ends: an address that is taken is tried
// again for ever, as a bank that is down is dialed for ever.
func (d *door) run(ctx context.Context) {
	c := &d.bank.cfg
	for tries := 0; ctx.Err() == nil; tries++ {
		l, err := c.Listener(ctx, "tcp", c.Listen)
		if err == nil {
			d.bank.log.Info("listening for the bank", "bank", c.ID, "address", l.Addr().String())
			tries = 0
			stop := context.AfterFunc(ctx, func() { l.Close() })
			err = d.accept(ctx, l)
			stop()
			l.Close()
		}
		if ctx.Err() != nil {
			return
		}
		d.failed(err)
		rest(ctx, pause(c.ReconnectMin, c.ReconnectMax, tries))
	}
}

func (d *door) failed(err error) {
	why := "listen: " + causeOf(err)
	if _, ok := d.bank.warnings.admit(warning{kind: alarmListen}, time.Now()); ok {
		d.bank.aside.alarm(alarmListen, why)
	}
	for _, k := range d.bank.links {
		if l := k.line.Load(); l == nil || l.isGone() {
			k.note(stateAwaiting, why)
		}
	}
}

const alarmListen = "listen_failed"

// accept admits connections until the listener is closed.
func (d *door) accept(ctx context.Context, l net.Listener) error {
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			d.admit(conn)
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return err
		default:
			d.failed(err)
			rest(ctx, d.bank.cfg.ReconnectMin)
		}
	}
}

// admit gives the connection a place, or closes it before a byte is read.
func (d *door) admit(conn net.Conn) {
	b, peer, kind := d.bank, peerOf(conn), ""
	switch {
	case !b.cfg.admits(peer):
		kind = refusedStranger
	case b.draining.Load():
		kind = refusedDraining
	case d.taken.Add(1) > int64(b.cfg.MaxPeers):
		d.taken.Add(-1)
		kind = refusedTooMany
		for _, k := range b.links {
			k.doubt(peer)
		}
	}
	if kind != "" {
		conn.Close()
		b.refuse(kind, peer)
		return
	}
	d.in <- &wire{Conn: conn, timeout: b.cfg.WriteTimeout, peer: peer}
}

// clear closes what no link took. REQUIRES: neither run nor a link runs.
func (d *door) clear() {
	for {
		select {
		case w := <-d.in:
			w.Close()
		default:
			return
		}
	}
}

// rest waits, or returns false when ctx ended.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// attend keeps one connection after another of those the bank made, until ctx
// ends. A connection that did not get as far as traffic holds its place for
// ReconnectMin longer, so a bank that fails in a loop does so at our pace.
func (k *link) attend(ctx context.Context) {
	for {
		k.note(stateAwaiting, "")
		select {
		case <-ctx.Done():
			return
		case w := <-k.bank.door.in:
			if k.receive(ctx, w) == 0 {
				rest(ctx, k.bank.cfg.ReconnectMin)
			}
			k.bank.door.taken.Add(-1)
		}
	}
}

// receive keeps one accepted connection until it is gone and returns how long
// it was ready.
func (k *link) receive(ctx context.Context, w *wire) (up time.Duration) {
	k.note(stateAccepting, "")
	conn, err := k.bank.cfg.welcome(ctx, w)
	if err != nil {
		if ctx.Err() == nil {
			k.bank.refuse(refusedHandshake, w.peer)
		}
		w.Close()
		k.lost("handshake: " + causeOf(err))
		return 0
	}
	return k.live(ctx, w, conn)
}
