// Package acs is a 3-D Secure server with an access control server behind it, both
// simulated: it says by the card's number who a payer is, and asks for a code on a
// page like an issuer's. It is for test mode only, and knows no HTTP server.
//
// What it stands in for has this shape: a request with the card and the amount, an
// answer with a result or the address of a challenge, and, once the payer's browser
// is through, the result of that.
package acs

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// Code is what a payer enters to pass a challenge.
const Code = "1234"

// Card is a test card with the result of its authentication.
type Card struct {
	Number string
	Status payswitch.AuthStatus // AuthChallenge: the payer decides
	Does   string
}

// Cards are those with a result of their own. Every other card is unknown here:
// nobody could tell (U), and the payment goes on without proof.
func Cards() []Card {
	return []Card{
		{"4000000003000009", payswitch.AuthChallenge, "Challenge: the code is " + Code + "."},
		{"4000000001250002", payswitch.AuthChallenge, "Challenge; the bank declines it without one (code 1A)."},
		{"4000000003010008", payswitch.AuthYes, "Frictionless: authenticated."},
		{"4000000003020007", payswitch.AuthAttempted, "Frictionless: an attempt, proven."},
		{"4000000003030006", payswitch.AuthNo, "Not authenticated: nothing is sent to the bank."},
		{"4000000003040005", payswitch.AuthRejected, "Rejected by the issuer: nothing is sent to the bank."},
	}
}

// maxChallenges bounds the challenges that are open at once.
const maxChallenges = 10_000

// challenge is one that a payer was sent to.
type challenge struct {
	asked payswitch.AuthenticationRequest // without the card
	last4 string
	until time.Time
}

// Server is the simulated server. All methods are goroutine-safe.
type Server struct {
	mu   sync.Mutex
	base string
	done func(payswitch.ID, payswitch.Authentication) (payswitch.Payment, error)
	open map[string]*challenge
}

// New makes a server. It asks nobody before Bind.
func New() *Server { return &Server{open: map[string]*challenge{}} }

// Bind sets at which address, without a path, payers reach the server, and who is told
// the results of challenges.
func (s *Server) Bind(address string, done func(payswitch.ID, payswitch.Authentication) (payswitch.Payment, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base, s.done = strings.TrimRight(address, "/"), done
}

// Authenticate answers a switch. A live payment's payer is never asked here.
func (s *Server) Authenticate(r *payswitch.AuthenticationRequest) payswitch.Authentication {
	status := payswitch.AuthUnavailable
	number := r.PAN.Append(nil)
	for _, c := range Cards() {
		if !r.Live && string(number) == c.Number {
			status = c.Status
		}
	}
	clear(number)
	if status != payswitch.AuthChallenge {
		return result(status, r.Payment)
	}
	raw := make([]byte, 18)
	_, _ = rand.Read(raw) // stops the process rather than return short
	name := base64.RawURLEncoding.EncodeToString(raw)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, c := range s.open {
		if c.until.Before(now) {
			delete(s.open, old)
		}
	}
	if s.done == nil || len(s.open) >= maxChallenges {
		return payswitch.Authentication{Status: payswitch.AuthUnavailable}
	}
	c := &challenge{asked: *r, last4: r.PAN.Last4(), until: now.Add(payswitch.ChallengeLife)}
	c.asked.PAN = iso.PAN{}
	s.open[name] = c
	return payswitch.Authentication{Status: payswitch.AuthChallenge, URL: s.base + Path + name}
}

// result is a result with the values that belong to it: of a card network's form, and
// worth nothing to a real bank.
func result(status payswitch.AuthStatus, payment payswitch.ID) payswitch.Authentication {
	out := payswitch.Authentication{Status: status}
	eci := map[payswitch.AuthStatus]string{payswitch.AuthYes: "05", payswitch.AuthAttempted: "06"}[status]
	if eci == "" {
		return out
	}
	mac := hmac.New(sha256.New, []byte("simulated issuer"))
	mac.Write(payment[:])
	out.ThreeDS = payswitch.ThreeDS{ECI: eci, Version: "2.2.0", CAVV: base64.StdEncoding.EncodeToString(mac.Sum(nil)[:20]),
		TransactionID: fmt.Sprintf("%x-%x-%x-%x-%x", payment[:4], payment[4:6], payment[6:8], payment[8:10], payment[10:])}
	return out
}
