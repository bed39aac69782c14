package main

import (
	"errors"
	"fmt"
	"net/netip"

	payswitch "github.com/tranzit/tranzit/switch"
)

// trustedProxies are those whose word about a caller's address is taken.
func (c *Config) trustedProxies() (proxies []netip.Prefix, err error) {
	for i, text := range c.HTTP.Proxies {
		p, err := payswitch.ParseAddress(text)
		if err != nil {
			return nil, c.fault(fmt.Sprintf("http.trusted_proxies[%d]", i), "%q %v", text, err)
		}
		proxies = append(proxies, p)
	}
	return proxies, nil
}

// pins reads the pins of client certificates at a path. Without TLS no client
// could ever show one.
func (c *Config) pins(path string, texts []string) (pins []string, err error) {
	for i, text := range texts {
		pin, err := payswitch.ParsePin(text)
		switch {
		case err != nil:
			return nil, c.fault(fmt.Sprintf("%s[%d]", path, i), "%q %v", text, err)
		case c.HTTP.TLS == (httpTLS{}):
			return nil, c.fault(path, "needs http.tls: without it no client shows a certificate")
		case pin[0] == 's' && pin[1] == 'u' && c.HTTP.TLS.ClientCA == "":
			return nil, c.fault(fmt.Sprintf("%s[%d]", path, i), "a subject needs http.tls.client_ca: without it nobody vouches for the name")
		}
		pins = append(pins, pin)
	}
	return pins, nil
}

// keyAccess reads what a key of the configuration may do. What is left out is
// not restricted.
func (c *Config) keyAccess(i, j int) (y payswitch.Access, err error) {
	k := &c.Merchants[i].Keys[j]
	path := fmt.Sprintf("merchants[%d].keys[%d]", i, j)
	wish := payswitch.KeyWish{Scopes: k.Scopes, ExpiresAt: k.ExpiresAt, Addresses: k.Addresses}
	if len(k.Scopes) == 0 {
		wish.Scopes = []string{payswitch.AllScopes}
	}
	if y, err = wish.Access(); err != nil {
		var refusal *payswitch.Refusal
		if errors.As(err, &refusal) {
			return y, c.fault(path+"."+refusal.Pointer[1:], "%s", refusal.Detail)
		}
		return y, err
	}
	y.Certificates, err = c.pins(path+".certificates", k.Certificates)
	return y, err
}
