package webhooks

import (
	"context"
	"encoding/json"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"

	payswitch "github.com/tranzit/tranzit/switch"
)

// Asker asks merchants' servers whether payments may be made. It is goroutine-safe.
type Asker struct {
	caller  *Caller
	answers *prometheus.CounterVec
	seconds prometheus.Histogram
}

// NewAsker makes an Asker that calls by a Caller.
func NewAsker(c *Caller, reg prometheus.Registerer) *Asker {
	k := &Asker{caller: c, answers: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tranzit_shop_checks_total",
		Help: "Questions to shops whether a payment may be made, by answer: accepted, refused, none."}, []string{"answer"})}
	k.seconds = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tranzit_shop_check_seconds",
		Help: "How long a question to a shop took.", Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10}})
	reg.MustRegister(k.answers, k.seconds)
	return k
}

// question is what is posted: what the payment would be.
type question struct {
	ID          string            `json:"id"`
	Object      string            `json:"object"`
	MerchantID  string            `json:"merchant_id"`
	Live        bool              `json:"livemode"`
	Amount      int64             `json:"amount"`
	Currency    string            `json:"currency"`
	OrderID     string            `json:"order_id"`
	Description string            `json:"description"`
	Initiator   string            `json:"initiator"`
	Capture     string            `json:"capture_method"`
	Customer    map[string]string `json:"customer"`
	Method      questionMethod    `json:"payment_method"`
	Metadata    map[string]string `json:"metadata"`
	CreatedAt   string            `json:"created_at"`
}

type questionMethod struct {
	Type  string        `json:"type"`
	Token *string       `json:"token"`
	Card  *questionCard `json:"card"`
}

type questionCard struct {
	BIN   string `json:"bin"`
	Last4 string `json:"last4"`
	Brand string `json:"brand"`
}

func questionOf(q *payswitch.ShopQuestion) question {
	r := q.Request
	out := question{ID: q.ID.Text(payswitch.ShopQuestionPrefix), Object: "payment_check", MerchantID: q.Account.Merchant.ID, Live: q.Account.Live,
		Amount: r.Amount, Currency: r.Currency.Alpha(), OrderID: r.OrderID, Description: r.Description, Initiator: r.Initiator, Capture: "automatic",
		Customer: map[string]string{}, Metadata: map[string]string{}, Method: questionMethod{Type: "card"},
		CreatedAt: q.At.UTC().Format("2006-01-02T15:04:05.000Z")}
	if r.ManualCapture {
		out.Capture = "manual"
	}
	for name, value := range map[string]string{"id": r.Customer, "email": r.CustomerEmail} {
		if value != "" {
			out.Customer[name] = value
		}
	}
	for _, pair := range r.Metadata {
		out.Metadata[pair.Key] = pair.Value
	}
	if !r.Token.IsZero() {
		token := r.Token.Text(payswitch.TokenPrefix)
		out.Method = questionMethod{Type: "token", Token: &token}
	} else {
		out.Method.Card = &questionCard{BIN: r.PAN.BIN(), Last4: r.PAN.Last4(), Brand: r.PAN.Brand()}
	}
	return out
}

// maxVerdict is how much of a shop's answer is read.
const maxVerdict = 4 << 10

// Ask puts a question and returns within its deadline. Only a 200 with a JSON object
// that says `accept` is an answer.
func (k *Asker) Ask(q *payswitch.ShopQuestion) payswitch.ShopAnswer {
	begun := time.Now()
	answer := k.ask(q)
	k.seconds.Observe(time.Since(begun).Seconds())
	word := "none"
	switch {
	case answer.Accepted:
		word = "accepted"
	case answer.Answered:
		word = "refused"
	}
	k.answers.WithLabelValues(word).Inc()
	return answer
}

func (k *Asker) ask(q *payswitch.ShopQuestion) (none payswitch.ShopAnswer) {
	check := q.Account.Merchant.Check
	signers, err := signersOf(check.Secret)
	if err != nil {
		return none
	}
	asked := questionOf(q)
	body, err := json.Marshal(asked)
	if err != nil {
		return none
	}
	r := k.caller.post(context.Background(), &message{url: check.URL, id: asked.ID, body: body, signers: signers, limit: q.Deadline, answer: maxVerdict})
	var verdict struct {
		Accept *bool  `json:"accept"`
		Reason string `json:"reason"`
	}
	if r.code != 200 || len(r.body) > maxVerdict || json.Unmarshal(r.body, &verdict) != nil || verdict.Accept == nil {
		return none
	}
	return payswitch.ShopAnswer{Answered: true, Accepted: *verdict.Accept, Reason: shown(verdict.Reason)}
}

const (
	maxReason       = 200
	maxReasonDigits = 8 // with more it may hold a card number
)

// shown is a shop's reason fit for an answer; else nothing.
func shown(reason string) string {
	digits := 0
	for _, r := range reason {
		if unicode.IsDigit(r) {
			digits++
		}
		if !unicode.IsPrint(r) {
			return ""
		}
	}
	if len(reason) > maxReason || digits > maxReasonDigits {
		return ""
	}
	return strings.TrimSpace(reason)
}
