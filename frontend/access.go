package frontend

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	payswitch "github.com/tranzit/tranzit/switch"
)

// permitted holds the request to what its key may do, or answers 403.
func (c *call) permitted() bool {
	need := c.route.writes
	if header := &c.ctx.Request.Header; header.IsGet() || header.IsHead() {
		need = c.route.reads
	}
	detail := c.forbidden(need)
	if detail != "" {
		c.refuse(problem{kind: problemForbidden, detail: detail + " This request had no effect."})
	}
	return detail == ""
}

// forbidden says what the account's key may not do: the scope, the addresses and
// the certificates of the key are asked. Nothing: it may.
func (c *call) forbidden(need payswitch.Scope) (detail string) {
	key := c.account.Key
	if key == nil {
		return ""
	}
	pins := key.Certificates
	if len(pins) == 0 {
		pins = c.account.Merchant.Certificates
	}
	switch {
	case len(key.Addresses) > 0 && !c.comesFrom(key.Addresses):
		detail = "This key may not be used from this address."
	case len(pins) > 0 && !c.holdsOne(pins):
		detail = "This key may be used with one of its client certificates only."
	case !c.account.May(need):
		detail = "This key needs the scope " + strings.Join(need.Words(), ", ") + "."
		if need == 0 {
			detail = "This address is for keys of all scopes only."
		}
	}
	return detail
}

// comesFrom reports whether the caller's address is in one of the ranges.
func (c *call) comesFrom(ranges []netip.Prefix) bool {
	addr := c.caller()
	return addr.IsValid() && slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(addr) })
}

var headForwarded = "X-Forwarded-For"

// caller is the address the request comes from: that of the connection or, when
// this is a proxy we trust, the last one of X-Forwarded-For that is not. An
// address that cannot be read is none.
func (c *call) caller() netip.Addr {
	addr, ok := remoteAddr(c.ctx)
	if !ok || !c.server.trusts(addr) {
		return addr
	}
	lines := c.ctx.Request.Header.PeekAll(headForwarded)
	for _, line := range slices.Backward(lines) {
		hops := bytes.Split(line, []byte(","))
		for _, hop := range slices.Backward(hops) {
			next, err := netip.ParseAddr(string(bytes.TrimSpace(hop)))
			if err != nil {
				return netip.Addr{}
			}
			if addr = next.Unmap().WithZone(""); !c.server.trusts(addr) {
				return addr
			}
		}
	}
	return addr
}

// remoteAddr is the other end of the connection.
func remoteAddr(ctx *fasthttp.RequestCtx) (addr netip.Addr, ok bool) {
	remote, ok := ctx.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return addr, false
	}
	return remote.AddrPort().Addr().Unmap().WithZone(""), true
}

func (s *Server) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(s.o.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// holdsOne reports whether the caller proved to hold a certificate of the pins.
func (c *call) holdsOne(pins []string) bool {
	nc, ok := c.ctx.Conn().(*conn)
	if !ok {
		return false
	}
	digest, subject := nc.certificate()
	return digest != "" && slices.Contains(pins, digest) || subject != "" && slices.Contains(pins, subject)
}

// callerCertificate is what a connection's client certificate is pinned by.
type callerCertificate struct {
	known           bool
	digest, subject string
}

// certificate gives the pins of the client's certificate; both are empty when it
// showed none. The subject is known only of one that the listener's CA issued.
// REQUIRES: the handshake is done.
func (c *conn) certificate() (digest, subject string) {
	if c.shown.known {
		return c.shown.digest, c.shown.subject
	}
	c.shown.known = true
	if encrypted, ok := c.Conn.(*tls.Conn); ok {
		state := encrypted.ConnectionState()
		if len(state.PeerCertificates) > 0 {
			leaf := state.PeerCertificates[0]
			sum := sha256.Sum256(leaf.Raw)
			c.shown.digest = "sha256:" + hex.EncodeToString(sum[:])
			if len(state.VerifiedChains) > 0 {
				c.shown.subject = "subject:" + leaf.Subject.String()
			}
		}
	}
	return c.shown.digest, c.shown.subject
}
