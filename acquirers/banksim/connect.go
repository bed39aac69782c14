package banksim

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// dialTimeout bounds connecting and the TLS handshake together.
const dialTimeout = 5 * time.Second

// keepConnected has one link to the switch, made again whenever it ends, until
// ctx ends. A link over which the switch said nothing counts as a failed try.
func (b *Bank) keepConnected(ctx context.Context) {
	low, high := b.cfg.ReconnectMin, b.cfg.ReconnectMax
	for pause := low; ; pause = min(2*pause, high) {
		if !b.mayDial(ctx) {
			return
		}
		if l := b.dialSwitch(ctx); l != nil {
			<-l.gone
			if l.heard.Load() {
				pause = low
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// mayDial waits while the bank refuses links. False: ctx ended.
func (b *Bank) mayDial(ctx context.Context) bool {
	for m := b.mode.Load(); m.name == ModeRefuse; m = b.mode.Load() {
		select {
		case <-m.changed:
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}

// dialSwitch makes one link. Nil: there is none.
func (b *Bank) dialSwitch(ctx context.Context) *link {
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := b.cfg.Dial(dialing, "tcp", b.cfg.Connect)
	if err != nil {
		b.cfg.Logger.Debug("the switch cannot be dialed", "address", b.cfg.Connect)
		return nil
	}
	if conn, err = b.secure(dialing, conn); err != nil {
		b.cfg.Logger.Warn("no TLS with the switch", "address", b.cfg.Connect)
		return nil
	}
	l := b.admit(conn)
	if l == nil || !b.cfg.SignsOn {
		return l
	}
	if err := b.startStep(l, b.stepOf(iso.EffectSignOn)); err != nil {
		b.cfg.Logger.Warn("the bank's own sign-on cannot be built")
	}
	return l
}

// secure puts TLS over a dialed connection when configured. On error the
// connection is closed.
func (b *Bank) secure(ctx context.Context, conn net.Conn) (net.Conn, error) {
	conf := b.cfg.TLS
	if conf == nil {
		return conn, nil
	}
	if conf.ServerName == "" && !conf.InsecureSkipVerify {
		conf = conf.Clone()
		conf.ServerName, _, _ = net.SplitHostPort(b.cfg.Connect)
	}
	over := tls.Client(conn, conf)
	if err := over.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return over, nil
}
