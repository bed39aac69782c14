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
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bojanz/currency"

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
		{"4000000003000009", payswitch.AuthChallenge, "challenge: the code is " + Code},
		{"4000000001250002", payswitch.AuthChallenge, "challenge; the bank declines it without one (code 1A)"},
		{"4000000003010008", payswitch.AuthYes, "frictionless: authenticated"},
		{"4000000003020007", payswitch.AuthAttempted, "frictionless: an attempt, proven"},
		{"4000000003030006", payswitch.AuthNo, "not authenticated: nothing is sent to the bank"},
		{"4000000003040005", payswitch.AuthRejected, "rejected by the issuer: nothing is sent to the bank"},
	}
}

// maxChallenges bounds the challenges that are open at once.
const maxChallenges = 10_000

// challenge is one that a payer was sent to.
type challenge struct {
	payment          payswitch.ID
	merchant, amount string
	last4, back      string
	until            time.Time
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
	s.open[name] = &challenge{payment: r.Payment, merchant: r.Merchant, amount: amount(r.Amount, r.Currency),
		last4: r.PAN.Last4(), back: r.ReturnURL, until: now.Add(payswitch.ChallengeLife)}
	return payswitch.Authentication{Status: payswitch.AuthChallenge, URL: s.base + Path + name}
}

func amount(minor int64, alpha string) string {
	a, err := currency.NewAmountFromInt64(minor, alpha)
	if err != nil {
		return alpha
	}
	return a.String()
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

// Path is where the challenges are. One more piece follows.
const Path = "/3ds/"

//go:embed challenge.html challenge.css
var assets embed.FS

var (
	page  = template.Must(template.ParseFS(assets, "challenge.html"))
	style = func() string { text, _ := assets.ReadFile("challenge.css"); return strings.TrimSpace(string(text)) }()

	// Policy is the content policy of the page: its own style, and a form that leads
	// back to the shop's page.
	Policy = "default-src 'none'; style-src 'sha256-" + func() string {
		sum := sha256.Sum256([]byte(style))
		return base64.StdEncoding.EncodeToString(sum[:])
	}() + "'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

// view is what the page shows. Back is set once the payer has acted.
type view struct {
	Style                  template.CSS
	Amount, Last4, Back    string
	Wrong, Over, Confirmed bool
}

// Answer answers a payer's browser: the form of a challenge, or, once it was sent,
// the way back. It is a whole document with a status.
func (s *Server) Answer(post bool, name string, body []byte) (status int, document []byte) {
	s.mu.Lock()
	c, done := s.open[name], s.done
	s.mu.Unlock()
	w := view{Style: template.CSS(style)}
	if c == nil || time.Now().After(c.until) {
		w.Over = true
		return render(404, &w)
	}
	w.Amount, w.Last4 = c.amount, c.last4
	if !post {
		return render(200, &w)
	}
	form, err := url.ParseQuery(string(body))
	cancel := form.Get("act") == "cancel"
	if err != nil || !cancel && form.Get("code") != Code {
		w.Wrong = true
		return render(422, &w)
	}
	s.mu.Lock()
	delete(s.open, name)
	s.mu.Unlock()
	found := result(payswitch.AuthYes, c.payment)
	if cancel {
		found = payswitch.Authentication{Status: payswitch.AuthNo}
	}
	// What became of the payment is told where the payer goes back to.
	_, _ = done(c.payment, found)
	w.Confirmed, w.Back = !cancel, c.back
	return render(200, &w)
}

func render(status int, w *view) (int, []byte) {
	var out strings.Builder
	if err := page.Execute(&out, w); err != nil {
		return 500, nil
	}
	return status, []byte(out.String())
}
