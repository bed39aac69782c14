package browser

import "github.com/chromedp/cdproto/webauthn"

// HoldAuthenticator gives the tab a device of its own for passkeys, which always
// finds its owner there (W3C Web Authentication, section 11: user agent automation).
func (p *Page) HoldAuthenticator() {
	p.t.Helper()
	call(p, webauthn.Enable, webauthn.EnableParams{})
	call(p, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true,
		HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}})
}
