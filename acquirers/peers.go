package acquirers

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// ParsePeer reads one entry of Config.Peers: an address, or a range in CIDR
// form. A range whose address has bits beyond its length is an error, as it
// says two things; so is an IPv4 range in IPv6 form, which would match nothing.
func ParsePeer(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, errNoPeer
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, errNoPeer
	case p.Addr().Is4In6():
		return netip.Prefix{}, errors.New("an IPv4 range is written in IPv4 form")
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("the range is not exact: write %s, or the address alone", p.Masked())
	}
	return p, nil
}

var errNoPeer = errors.New("neither an IP address nor a CIDR range")

// strangerError is a peer that Config.Peers does not allow.
type strangerError struct{ peer netip.Addr }

func (e *strangerError) Error() string { return peerName(e.peer) + " is not among the peers" }

// peerOf is the address at the other end, or the zero Addr when it is no IP
// address.
func peerOf(conn net.Conn) netip.Addr {
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// admits reports whether the peers allow an address. No peers allow every one.
func (c *Config) admits(a netip.Addr) bool {
	for _, p := range c.Peers {
		if p.Contains(a) {
			return true
		}
	}
	return len(c.Peers) == 0
}

func peerName(a netip.Addr) string {
	if !a.IsValid() {
		return "a peer without an IP address"
	}
	return a.String()
}

const (
	warnPause = time.Minute // between two alarms of one kind about one address
	warnRoom  = 32          // addresses warned of within warnPause; the rest is counted
)

// warnings keeps alarms about peers from being a peer's to make: one for each
// kind and address in warnPause, and warnRoom in all. Goroutine-safe.
type warnings struct {
	mu     sync.Mutex
	told   map[warning]time.Time
	untold int
}

type warning struct {
	kind string
	addr netip.Addr
}

// admit reports whether the warning may be told now, and how many were not
// since the last one that was.
func (w *warnings) admit(what warning, now time.Time) (untold int, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.told == nil {
		w.told = map[warning]time.Time{}
	}
	if len(w.told) >= warnRoom {
		for k, at := range w.told {
			if now.Sub(at) >= warnPause {
				delete(w.told, k)
			}
		}
	}
	at, known := w.told[what]
	if known && now.Sub(at) < warnPause || !known && len(w.told) >= warnRoom {
		w.untold++
		return 0, false
	}
	w.told[what] = now
	untold, w.untold = w.untold, 0
	return untold, true
}

// Why a peer was turned away: names of a metric and of alarms.
const (
	refusedStranger  = "peer_refused"     // Peers does not allow its address
	refusedTooMany   = "too_many_peers"   // every place is taken
	refusedDraining  = "peer_at_drain"    // the bank is being closed here
	refusedHandshake = "handshake_failed" // TLS did not come about
)

var refusals = [...]string{refusedStranger, refusedTooMany, refusedDraining, refusedHandshake}

// refuse counts a peer that was turned away and raises an alarm that names its
// address, unless there was one lately.
func (b *Bank) refuse(kind string, peer netip.Addr) {
	for i, k := range refusals {
		if k == kind {
			b.metrics.refused[i].Add(1)
		}
	}
	if kind == refusedDraining {
		return
	}
	untold, ok := b.warnings.admit(warning{kind, peer}, time.Now())
	if !ok {
		return
	}
	detail := peerName(peer)
	if untold > 0 {
		detail += fmt.Sprintf(", and %d more since the last such alarm", untold)
	}
	b.aside.alarm(kind, detail)
}
