package sim

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	payswitch "github.com/tranzit/tranzit/switch"
)

// act is one thing that a merchant asks of a payment it was told of, under a
// key of its own.
type act struct {
	n        int
	kind     payswitch.OperationKind
	amount   int64 // 0: all that is left
	final    bool
	wait     time.Duration // before it
	beside   bool          // the next one does not wait for its answer
	parallel int           // requests at once
	patience int           // repeats after an error before the merchant gives up
	repeats  int           // that nobody needed
	reuse    bool          // the key is used once more, for another amount
}

func (a *act) key(o *order) string { return fmt.Sprintf("act-%d-%d-%d", o.merchant, o.n, a.n) }

// sum is what the request names.
func (a *act) sum(other bool) int64 {
	if other {
		return a.amount + 3
	}
	return a.amount
}

var actPaths = map[payswitch.OperationKind]string{payswitch.KindCapture: "/capture", payswitch.KindCancel: "/cancel", payswitch.KindRefund: "/refunds",
	payswitch.KindIncrement: "/increment"}

func (a *act) String() string {
	return fmt.Sprintf("%s %d of %d final=%v after %v beside=%v parallel=%d patience=%d repeats=%d reuse=%v", a.kind, a.n, a.amount, a.final, a.wait,
		a.beside, a.parallel, a.patience, a.repeats, a.reuse)
}

// operationCards make the bank misbehave after the payment.
var operationCards = slices.DeleteFunc(banksim.Cards(), func(c banksim.TestCard) bool {
	return !slices.Contains([]banksim.Behaviour{banksim.OperationAnswerLost, banksim.CaptureRefused, banksim.VoidRefused, banksim.RefundDeclined,
		banksim.RefundUnanswered, banksim.RefundLate, banksim.RefundLateDecline}, c.Behaviour)
})

// drawActs gives the orders of a plan what their merchants do later.
func (p *plan) drawActs(r *rand.Rand) {
	if p.faults&operations == 0 {
		return
	}
	for _, o := range p.orders {
		if o.purpose != payswitch.PurposePayment {
			continue
		}
		if o.manual = oneIn(r, 2); p.faults&cardFaults != 0 && !o.partial && oneIn(r, 2) {
			o.card = operationCards[r.IntN(len(operationCards))]
		}
		if oneIn(r, 4) {
			continue // a hold of it is let go in time
		}
		for n := range 1 + r.IntN(4) {
			o.acts = append(o.acts, p.drawAct(r, o, n))
		}
	}
}

func (p *plan) drawAct(r *rand.Rand, o *order, n int) *act {
	a := &act{n: n, kind: payswitch.OperationKind(1 + r.IntN(3)), wait: between(r, 0, 800*time.Millisecond), beside: oneIn(r, 3),
		parallel: 1, patience: 1 + r.IntN(6)}
	if o.manual && n == 0 && !oneIn(r, 3) {
		a.kind = payswitch.KindCapture
	}
	switch r.IntN(8) {
	case 0, 1, 2: // all
	case 3:
		a.amount = o.amount + 1 + r.Int64N(100)
	default:
		a.amount = o.amount/4 + r.Int64N(o.amount/2)
	}
	if o.manual && n < 2 && oneIn(r, 5) {
		a.kind, a.amount = payswitch.KindIncrement, o.amount+1+r.Int64N(o.amount)
	}
	a.final = a.kind == payswitch.KindCapture && oneIn(r, 6)
	if p.faults&repeats != 0 {
		if oneIn(r, 3) {
			a.parallel = 2 + r.IntN(2)
		}
		a.repeats = r.IntN(2)
	}
	a.reuse = p.faults&keyReuse != 0 && a.amount > 0 && oneIn(r, 3)
	return a
}

// said is one request about a payment and what its merchant was told.
type said struct {
	order    *order
	act      *act
	other    bool // the key's second body
	inst     int  // -1: nobody listened
	from, at time.Time
	lost     bool // no answer came
	code     string
	later    bool // of a refusal: repeating can help
	replayed bool
	text     string // the answer, whole
	did      did
}

// did is what a merchant reads of an operation.
type did struct {
	ID      string `json:"id"`
	Kind    string `json:"object"`
	Method  string `json:"method"`
	Status  string `json:"status"`
	Amount  int64  `json:"amount"`
	Payment struct {
		ID         string `json:"id"`
		Authorized int64  `json:"amount_authorized"`
		Captured   int64  `json:"amount_captured"`
		Refunded   int64  `json:"amount_refunded"`
	} `json:"payment"`
}

func (s *said) sure() bool {
	return !s.lost && s.code != string(payswitch.CodeInternal) && s.code != string(payswitch.CodeOutcomeUncertain)
}

// paymentOf is the payment that an order's merchant was told of.
func (w *world) paymentOf(o *order) (id payswitch.ID, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.replies {
		if r.order == o && r.payment.ID != "" {
			id, err := payswitch.ParseID(payswitch.PaymentPrefix, r.payment.ID)
			return id, err == nil
		}
	}
	return id, false
}

// operate does what the merchant of an order wants after the payment.
func (w *world) operate(o *order) {
	id, ok := w.paymentOf(o)
	if !ok {
		return
	}
	var all sync.WaitGroup
	for _, a := range o.acts {
		pass(a.wait)
		if a.beside {
			all.Go(func() { w.persist(o, a, id) })
		} else {
			w.persist(o, a, id)
		}
	}
	all.Wait()
}

// persist asks for one act until there is an answer, or the merchant gives up.
func (w *world) persist(o *order, a *act, id payswitch.ID) {
	var other sync.WaitGroup
	if a.reuse {
		other.Go(func() { pass(20 * time.Millisecond); w.askFor(o, a, id, true) })
	}
	for try := 0; ; try++ {
		n := a.parallel
		if try > 0 {
			n = 1
		}
		var all sync.WaitGroup
		done := make([]bool, n)
		for i := range n {
			all.Go(func() {
				s := w.askFor(o, a, id, false)
				done[i] = s.did.ID != "" || s.sure() && s.code != "" && !s.later
			})
		}
		if all.Wait(); slices.Contains(done, true) || try >= a.patience {
			break
		}
		pass(50*time.Millisecond<<min(try, 6) + time.Duration(o.n)*time.Microsecond)
	}
	for range a.repeats {
		pass(300 * time.Millisecond)
		w.askFor(o, a, id, false)
	}
	other.Wait()
}

// askFor sends one request about a payment to whoever runs now.
func (w *world) askFor(o *order, a *act, id payswitch.ID, other bool) *said {
	s := &said{order: o, act: a, other: other, inst: -1, from: time.Now(), lost: true}
	if i := w.visit(); i != nil {
		s.inst = i.n
		if w.http {
			w.askForHTTP(i, s, id)
		} else {
			w.askForCore(i, s, id)
		}
		i.guests.Done()
	}
	s.at = time.Now()
	w.mu.Lock()
	w.sayings = append(w.sayings, s)
	w.mu.Unlock()
	w.note("shop %s %s of %s other=%v at %d: lost=%v %s later=%v %s %s", a.key(o), a.kind, id.Text(payswitch.PaymentPrefix), other, s.inst, s.lost,
		s.code, s.later, s.did.ID, s.did.Status)
	return s
}

func (w *world) askForCore(i *instance, s *said, id payswitch.ID) {
	account, _ := i.core.Authenticate([]byte(secrets[s.order.merchant]))
	a := s.act
	answer, err := i.core.Operate(account, &payswitch.OperationRequest{Payment: id, Kind: a.kind, IdempotencyKey: a.key(s.order),
		Fingerprint: i.core.Fingerprint("POST", actPaths[a.kind], fmt.Append(nil, a.sum(s.other))), RequestID: "req_sim",
		Amount: a.sum(s.other), Final: a.final})
	if err == nil {
		i.strictlyAnswered(&answer.Payment)
	}
	if s.lost = !i.answering(); s.lost {
		return
	}
	if err != nil {
		var refusal *payswitch.Refusal
		if !errors.As(err, &refusal) {
			w.broken(20, "an error that is no refusal: %v", err)
			return
		}
		s.code, s.later = string(refusal.Code), refusal.RetryAfter > 0
		return
	}
	op, p := answer.Operation, &answer.Payment
	s.replayed = answer.Replayed
	s.did = did{ID: op.ID.Text(op.Kind.Prefix()), Kind: op.Kind.String(), Method: op.Method.String(), Status: op.Status.String(), Amount: op.Amount}
	if op.Kind == payswitch.KindIncrement {
		s.did.Amount = op.Total // as the API shows it
	}
	s.did.Payment.ID = p.ID.Text(payswitch.PaymentPrefix)
	s.did.Payment.Authorized, s.did.Payment.Captured, s.did.Payment.Refunded = p.AmountAuthorized, p.AmountCaptured, p.AmountRefunded
	s.text = fmt.Sprintf("%+v %d %s %s %s", s.did, p.Version, p.Status, op.ResponseCode, op.UpdatedAt)
}

func (w *world) askForHTTP(i *instance, s *said, id payswitch.ID) {
	a, body := s.act, map[string]any{}
	if sum := a.sum(s.other); sum > 0 {
		body["amount"] = sum
	}
	if a.final {
		body["final"] = true
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	answer := w.post(i, posted{path: "/v1/payments/" + id.Text(payswitch.PaymentPrefix) + actPaths[a.kind], secret: secrets[s.order.merchant],
		key: a.key(s.order), body: string(text)})
	if answer == nil {
		return
	}
	s.lost, s.code, s.later, s.replayed, s.text = false, answer.code, answer.later, answer.replayed, answer.text
	if answer.code == "" {
		if err := json.Unmarshal([]byte(answer.text), &s.did); err != nil {
			w.broken(20, "an answer that is no JSON: %v", err)
		}
	}
}

// posted is a request over HTTP.
type posted struct{ path, secret, key, body string }

// response is what came back.
type response struct {
	code     string // of a problem
	later    bool
	replayed bool
	text     string
}

// post sends a request over a connection of its own; nil: no answer came.
func (w *world) post(i *instance, p posted) *response {
	conn, err := w.net.Dial(context.Background(), "tcp", instanceAddress)
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	head := "POST " + p.path + " HTTP/1.1\r\nHost: sim\r\nConnection: close\r\nAuthorization: Bearer " + p.secret +
		"\r\nContent-Type: application/json\r\nIdempotency-Key: " + p.key + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n", len(p.body))
	if _, err := io.WriteString(conn, head+p.body); err != nil {
		return nil
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil
	}
	w.hit("answered_over_http")
	r := &response{text: string(text), replayed: answer.Header.Get("Idempotency-Replayed") == "true", later: answer.Header.Get("Retry-After") != ""}
	if answer.StatusCode < 400 {
		return r
	}
	var problem struct{ Code string }
	if err := json.Unmarshal(text, &problem); err != nil {
		w.broken(20, "status %d and no problem document", answer.StatusCode)
	}
	if r.code = problem.Code; r.code == string(payswitch.CodeInvalidRequest) {
		w.broken(20, "the request was refused: %s", text)
	}
	return r
}

// lastActs: merchants who know nothing of what they asked for ask again, and
// one half of the others make sure that the answer is still the same.
func (w *world) lastActs() {
	for _, o := range w.orders {
		id, ok := w.paymentOf(o)
		if !ok {
			continue
		}
		for _, a := range o.acts {
			knows, wonders := false, false
			w.mu.Lock()
			for _, s := range w.sayings {
				if s.act == a && s.order == o && !s.other {
					knows, wonders = knows || s.did.ID != "", wonders || !s.sure()
				}
			}
			w.mu.Unlock()
			if !(knows && (o.n+a.n)%2 == 0 || !knows && wonders && (o.n+a.n)%3 != 0) {
				continue
			}
			s := w.askFor(o, a, id, false)
			for try := 0; s.lost && try < 3 && w.alive() != nil; try++ {
				s = w.askFor(o, a, id, false)
			}
			if s.inst >= 0 && !s.sure() {
				w.broken(20, "key %s has no answer after the faults ended: %s", a.key(o), s.code)
			}
		}
	}
}
