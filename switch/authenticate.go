package payswitch

import (
	"fmt"
	"sync"
	"time"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// spaceChallenge holds the ids of payments whose payer was asked to act, until their
// outcome: recovery reads it, since they may be older than the floor.
const spaceChallenge storage.Space = 'Q'

const (
	// ChallengeLife is how long a payer has to act.
	ChallengeLife = 10 * time.Minute
	// maxParked bounds the payments that wait for their payers at once.
	maxParked = 10_000
)

// AuthStatus is the result of an authentication (EMV 3-D Secure, transStatus).
type AuthStatus byte

// The results.
const (
	AuthYes         AuthStatus = 'Y' // the payer is who they say
	AuthNo          AuthStatus = 'N' // they are not, or could not prove it
	AuthUnavailable AuthStatus = 'U' // nobody could tell
	AuthAttempted   AuthStatus = 'A' // the issuer takes no part, and the attempt is proven
	AuthRejected    AuthStatus = 'R' // the issuer wants no authorization to be tried
	AuthInformation AuthStatus = 'I' // told to the issuer for its information; no proof
	AuthChallenge   AuthStatus = 'C' // the payer must act at URL
)

// AuthenticationRequest asks the payer's issuer, through a 3-D Secure server, who
// the payer is. The card's number may not outlive the call.
type AuthenticationRequest struct {
	Payment   ID
	Merchant  string
	Live      bool
	PAN       iso.PAN
	Expiry    iso.Expiry
	Amount    int64 // minor units
	Currency  string
	ReturnURL string // where the payer's browser goes after a challenge
	Language  string // that the payer reads, as ISO 639-1 names it; empty: not known
}

// Authentication is what came of it. The values go to the bank with AuthYes and
// AuthAttempted, and are empty otherwise. CAVV is never stored.
type Authentication struct {
	Status AuthStatus
	ThreeDS
	URL string // of a challenge
}

// proven reports whether the values go to the bank.
func (a *Authentication) proven() bool { return a.Status == AuthYes || a.Status == AuthAttempted }

// refused reports whether nothing may be sent to the bank.
func (a *Authentication) refused() bool { return a.Status == AuthNo || a.Status == AuthRejected }

var authenticationFailed = Decline{Source: "switch", Code: "authentication_failed", Retry: "with_changes",
	Message: "The payer did not prove by 3-D Secure who they are. Nothing was sent to the bank."}

// parked are the payments whose payers must act. A card's verification code may not
// be stored, so they wait in memory; what waits at the end of the process has failed,
// provably unsent. It is taken out once, by who goes on with it or ends it.
type parked struct {
	mu   sync.Mutex
	by   map[ID]*parkedPayment
	more chan struct{}
}

type parkedPayment struct {
	account Account
	key     [16]byte
	request PayRequest
	until   time.Time
}

func (p *parked) init() { p.by, p.more = map[ID]*parkedPayment{}, make(chan struct{}, 1) }

func (p *parked) put(id ID, waits *parkedPayment) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.by) >= maxParked {
		return false
	}
	p.by[id] = waits
	select {
	case p.more <- struct{}{}:
	default:
	}
	return true
}

// take takes a payment out; nil: it does not wait.
func (p *parked) take(id ID) *parkedPayment {
	p.mu.Lock()
	defer p.mu.Unlock()
	waits := p.by[id]
	delete(p.by, id)
	return waits
}

// over are the payments whose time is over, and when the next one's is.
func (p *parked) over(now time.Time) (ids []ID, next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, waits := range p.by {
		switch {
		case !waits.until.After(now):
			ids = append(ids, id)
		case next.IsZero() || waits.until.Before(next):
			next = waits.until
		}
	}
	return ids, next
}

func (w *parkedPayment) wipe() {
	w.request.PAN.Wipe()
	w.request.CVC.Wipe()
	w.request = PayRequest{}
}

// asksPayer reports whether the payer is asked before anything is sent.
func (s *Switch) asksPayer(r *PayRequest) bool {
	return r.Authenticate && s.o.Authenticate != nil && r.Purpose == PurposePayment && r.Secrets == nil && r.ThreeDS == ThreeDS{}
}

// askPayer asks by 3-D Secure who the payer is. asked is false when the payment may
// go to the bank now, with what was found out; else it is declined, or waits for its
// payer, and the flight has the answer.
func (s *Switch) askPayer(a Account, r *PayRequest, mine *flight) (asked bool, err error) {
	now := s.now()
	r.id = s.flights.name(mine.key, s.ids, now)
	found := s.o.Authenticate(&AuthenticationRequest{Payment: r.id, Merchant: a.Merchant.ID, Live: a.Live, PAN: r.PAN, Expiry: r.Expiry,
		Amount: r.Amount, Currency: r.Currency.Alpha(), ReturnURL: r.ReturnURL, Language: r.Language})
	switch {
	case found.refused():
		return true, s.decline(a, r, mine, authenticationFailed)
	case found.Status != AuthChallenge:
		if found.proven() {
			r.ThreeDS = found.ThreeDS
		}
		return false, nil
	}
	waits := &parkedPayment{account: a, key: mine.key, request: *r, until: now.Add(ChallengeLife)}
	if !s.parked.put(r.id, waits) {
		return true, s.refuse(r, mine.key, &Refusal{Code: CodeOverloaded, RetryAfter: time.Minute, Detail: "Too many payments wait for their payers."}, &mine.answer)
	}
	err = s.withhold(a, r, mine, &record{kind: recordChallenged, url: found.URL, nextAt: waits.until})
	if err != nil || mine.answer.Payment.ID != r.id {
		if left := s.parked.take(r.id); left != nil {
			left.wipe()
		}
	}
	return true, err
}

// goOn makes it durable that the payer of a payment acted and that it is about to be
// sent: commit 1 of a payment that waited. REQUIRES: prepare filled w.
func (s *Switch) goOn(w *work) error {
	r := w.wish
	w.h = *r.waiting
	h := &w.h
	mu := s.lock(h.ID)
	mu.Lock()
	defer mu.Unlock()
	if !s.append(h, &record{kind: recordAuthenticated, at: s.now(), way: w.intent.way, eci: r.ThreeDS.ECI, threeDS: r.ThreeDS.Version}) {
		return errInternal
	}
	return nil
}

// Authenticated takes the result of a challenge and goes on with its payment: to the
// bank, or to its end. It returns when that is durable. A result that comes twice, or
// after the payer's time, changes nothing. Errors are refusals.
func (s *Switch) Authenticated(id ID, found Authentication) (Payment, error) {
	waits := s.parked.take(id)
	if waits == nil {
		return Payment{}, wrongState("This payment does not wait for its payer.")
	}
	defer waits.wipe()
	h, err := s.history(id)
	if err != nil {
		s.log.Error("a payment that waits could not be read", "payment", id.Text(PaymentPrefix), "error", err)
		return Payment{}, errInternal
	}
	if found.refused() {
		return s.endChallenge(id, &record{kind: recordRefused, decline: authenticationFailed})
	}
	r := &waits.request
	if r.waiting = h; found.proven() {
		r.ThreeDS = found.ThreeDS
	}
	resumed := &flight{key: waits.key}
	if err := s.pay(waits.account, r, resumed); err == nil {
		return resumed.answer.Payment, nil
	}
	return s.endChallenge(id, &record{kind: recordNotSent, reason: "no_way"})
}

// endChallenge ends a payment that still waits for its payer: nothing was sent. One
// that does not wait any more is left as it is.
func (s *Switch) endChallenge(id ID, end *record) (Payment, error) {
	mu := s.lock(id)
	mu.Lock()
	defer mu.Unlock()
	h, err := s.history(id)
	if err != nil {
		s.log.Error("a payment that waits could not be read", "payment", id.Text(PaymentPrefix), "error", err)
		return Payment{}, errInternal
	}
	if h.Status != StatusRequiresAction {
		return h.Payment, nil
	}
	if end.at = s.now(); !s.append(h, end) {
		return Payment{}, errInternal
	}
	s.metrics.payments.WithLabelValues("none", h.Status.String()).Inc()
	return h.Payment, nil
}

// endChallenges ends the payments whose payers did not act in time, until the switch
// stops.
func (s *Switch) endChallenges() {
	for s.ctx.Err() == nil {
		now := s.now()
		over, next := s.parked.over(now)
		for _, id := range over {
			if waits := s.parked.take(id); waits != nil {
				waits.wipe()
				if _, err := s.endChallenge(id, &record{kind: recordNotSent, reason: "challenge_abandoned"}); err != nil {
					s.log.Error("a payment waits until the next start", "payment", id.Text(PaymentPrefix), "error", err)
				}
			}
		}
		pause := time.Duration(0)
		if !next.IsZero() {
			pause = max(next.Sub(now), time.Millisecond)
		}
		wait(s.ctx, s.parked.more, pause)
	}
}

// recoverChallenge gives a payment its owner that waited for its payer in an earlier
// life: its card's verification code is gone, and it has failed unsent, unless it had
// gone on.
func (s *Switch) recoverChallenge(id ID) error {
	h, err := s.history(id)
	switch {
	case err != nil:
		return fmt.Errorf("payment %s: %w", id.Text(PaymentPrefix), err)
	case h.Status == StatusInFlight:
		return s.recoverIntent(id, "restart")
	}
	_, err = s.endChallenge(id, &record{kind: recordNotSent, reason: "restart"})
	return err
}
