package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// errBlocked is why an address is not called: it is not a public one.
var errBlocked = errors.New("the address is not public")

// notPublic are the networks of the IANA special-purpose registries that no shop
// on the Internet has, those that carry an IPv4 address inside included.
var notPublic = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/3", "4000::/2", "8000::/1", // all but 2000::/3, so loopback, mapped, unique local, link local and multicast too
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// guard says which addresses may be called.
type guard struct{ allow []netip.Prefix }

func (g *guard) permits(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	in := func(list []netip.Prefix) bool {
		for _, p := range list {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	return a.IsValid() && (in(g.allow) || !in(notPublic))
}

// dial looks a name up once and connects to an address that was checked, so that
// no second answer of a name server can lead elsewhere.
func (c *Caller) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Connect)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	found, err := c.o.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	last := fmt.Errorf("%s: %w", host, errBlocked)
	// The kernel is asked for this very address; Control sees what it is asked for.
	d := net.Dialer{Control: func(_, dialed string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(dialed)
		if err == nil && !c.guard.permits(to.Addr()) {
			err = errBlocked
		}
		return err
	}}
	for _, a := range found {
		if !c.guard.permits(a) {
			continue
		}
		conn, err := d.DialContext(ctx, network, net.JoinHostPort(a.Unmap().String(), port))
		if err == nil {
			return conn, nil
		}
		last = err
	}
	return nil, last
}
