package page

import (
	"net/netip"
	"sync"
	"time"
)

// guardAddresses bounds how many addresses are remembered; beyond it all are
// forgotten at once, which lets a tester through for a minute and never the memory
// grow.
const guardAddresses = 100_000

// guard counts the forms that one address sends, so that nobody tests cards by the
// thousand. Those of one /64 network of IPv6 count as one. How often one session
// may be tried is the switch's own rule.
type guard struct {
	most int

	mu     sync.Mutex
	minute int64
	sent   map[netip.Addr]int // in this minute and half of the last
}

func (g *guard) init(perMinute int) { g.most, g.sent = perMinute, map[netip.Addr]int{} }

// admit counts one form and reports whether it may go on.
func (g *guard) admit(from netip.Addr, now time.Time) bool {
	if from.Is6() && !from.Is4In6() {
		if p, err := from.Prefix(64); err == nil {
			from = p.Addr()
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if minute := now.Unix() / 60; minute != g.minute {
		g.next(minute)
	}
	if len(g.sent) >= guardAddresses {
		clear(g.sent)
	}
	g.sent[from]++
	return g.sent[from] <= g.most
}

// next carries half of the last minute's count over, and nothing of an older one.
func (g *guard) next(minute int64) {
	for addr, n := range g.sent {
		if n /= 2; n == 0 || minute != g.minute+1 {
			delete(g.sent, addr)
		} else {
			g.sent[addr] = min(n, g.most/2)
		}
	}
	g.minute = minute
}
