package payswitch

import (
	"sync/atomic"
	"time"
)

// ShopCheck is how a merchant's own server is asked before each payment: may it
// be made? Nothing is recorded, sent or held at a bank while it is asked.
type ShopCheck struct {
	URL      string        // checked by the caller
	Secret   string        // whsec_ and a key in base64: signs the question as webhooks are signed
	Deadline time.Duration // for the whole answer, 100ms..10s; default DefaultShopDeadline
	GoOn     bool          // without an answer the payment goes on; default: it is refused
}

// Limits of the questions to shops.
const (
	DefaultShopDeadline = 2 * time.Second
	MinShopDeadline     = 100 * time.Millisecond
	MaxShopDeadline     = 10 * time.Second

	maxAskedShop = 256  // questions on their way to one shop; more count as without an answer
	maxAsked     = 4096 // to all shops
)

// ShopQuestion is what a shop is asked. It lives until the answer.
type ShopQuestion struct {
	ID       ID // of the question, a name for the shop's log
	Account  Account
	Request  *PayRequest
	Deadline time.Duration
	At       time.Time
}

// ShopAnswer is what came of a question. The zero value is no answer.
type ShopAnswer struct {
	Answered bool
	Accepted bool
	Reason   string // why not, in the shop's words, for the merchant to read
}

// ShopQuestionPrefix is the TypeID prefix of a question.
const ShopQuestionPrefix = "chk"

// asking counts the questions on their way.
type asking struct{ count atomic.Int64 }

func (a *asking) enter(limit int64) bool {
	if a.count.Add(1) > limit {
		a.count.Add(-1)
		return false
	}
	return true
}

func (a *asking) leave() { a.count.Add(-1) }

var (
	errShopSilent = &Refusal{Code: CodeShopSilent, RetryAfter: time.Second,
		Detail: "The shop was asked whether this payment may be made and did not answer in time. Nothing was recorded or sent."}
	errShopRefused = &Refusal{Code: CodeShopRefused, Detail: "The shop was asked whether this payment may be made, and refused it. Nothing was recorded or sent."}
)

// askShop asks the merchant's server about a payment that is not recorded yet. It
// holds nothing of the switch meanwhile, and not more than its share of waiting
// payments.
// REQUIRES: the merchant is to be asked.
func (s *Switch) askShop(a Account, r *PayRequest, key [16]byte) error {
	check := a.Merchant.Check
	var buf [16]byte
	if _, known, err := s.store.Get(spaceKey, key[:], buf[:0]); err != nil || known {
		return nil // a repeat gets the first answer; a journal that fails refuses the rest
	}
	if s.draining.Load() {
		return nil // admission refuses it
	}
	answer := ShopAnswer{}
	if own := a.Merchant.asking; own.enter(maxAskedShop) {
		if s.asking.enter(maxAsked) {
			answer = s.o.AskShop(&ShopQuestion{ID: s.ids.next(s.now()), Account: a, Request: r, Deadline: check.Deadline, At: s.now()})
			s.asking.leave()
		}
		own.leave()
	}
	switch {
	case answer.Accepted, !answer.Answered && check.GoOn:
		return nil
	case !answer.Answered:
		return errShopSilent
	case answer.Reason != "":
		return &Refusal{Code: CodeShopRefused, Detail: errShopRefused.Detail + " It said: " + answer.Reason}
	}
	return errShopRefused
}
