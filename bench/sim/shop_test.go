package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/tranzit/tranzit/frontend"
	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// reply is one request of a merchant and what it was told.
type reply struct {
	order    *order
	other    bool // the key's second body
	inst     int  // -1: nobody listened
	from, at time.Time
	lost     bool // no answer came: the merchant knows nothing
	code     string
	replayed bool
	text     string // the answer, whole
	payment  told
}

// told is what a merchant reads in an answer.
type told struct {
	ID           string `json:"id"`
	Status       string `json:"status"`
	Amount       int64  `json:"amount"`
	Currency     string `json:"currency"`
	OrderID      string `json:"order_id"`
	RRN          string `json:"rrn"`
	ApprovalCode string `json:"approval_code"`
}

// sure reports whether the answer says all there is to know.
func (r *reply) sure() bool {
	return !r.lost && r.code != string(payswitch.CodeInternal) && r.code != string(payswitch.CodeOutcomeUncertain)
}

// serve lives one order of a merchant.
func (w *world) serve(o *order) {
	pass(o.at)
	var other sync.WaitGroup
	if o.reuse > 0 {
		other.Go(func() { pass(o.reuse); w.ask(o, true) })
	}
	for try := 0; ; try++ {
		if w.askAll(o, try) || try >= o.patience {
			break
		}
		pass(30*time.Millisecond<<try + time.Duration(o.n)*time.Microsecond)
	}
	other.Go(func() { w.operate(o) })
	for _, pause := range o.repeats {
		pass(pause)
		w.ask(o, false)
	}
	other.Wait()
}

// askAll asks once, or several times at once; it reports whether a payment was
// told.
func (w *world) askAll(o *order, try int) (done bool) {
	if try > 0 || o.parallel < 2 {
		r := w.ask(o, false)
		return r.payment.ID != "" || r.code == string(payswitch.CodeKeyReused)
	}
	var all sync.WaitGroup
	replies := make([]*reply, o.parallel)
	for n := range replies {
		all.Go(func() { replies[n] = w.ask(o, false) })
	}
	all.Wait()
	for _, r := range replies {
		done = done || r.payment.ID != ""
	}
	return done
}

// ask sends one request to whoever runs now.
func (w *world) ask(o *order, other bool) *reply {
	r := &reply{order: o, other: other, inst: -1, from: time.Now(), lost: true}
	if i := w.visit(); i != nil {
		r.inst = i.n
		if w.http && o.plain() {
			w.askHTTP(i, r)
		} else {
			w.askCore(i, r)
		}
		i.guests.Done()
	}
	r.at = time.Now()
	w.mu.Lock()
	w.replies = append(w.replies, r)
	w.mu.Unlock()
	w.note("shop %s other=%v from %v at %d: lost=%v %s %s", o.key(), other, r.from.Sub(w.begin), r.inst, r.lost, r.code, r.payment.Status)
	return r
}

func (w *world) askCore(i *instance, r *reply) {
	account, _ := i.core.Authenticate([]byte(secrets[r.order.merchant]))
	request, err := payRequest(i, r)
	if err != nil {
		panic(err)
	}
	answer, err := i.core.Pay(account, request)
	if r.order.purpose == payswitch.PurposePayout {
		i.weigh()
	}
	if err == nil {
		i.strictlyAnswered(&answer.Payment)
	}
	if r.lost = !i.answering(); r.lost {
		return
	}
	if err != nil {
		var refusal *payswitch.Refusal
		if !errors.As(err, &refusal) {
			w.broken(20, "an error that is no refusal: %v", err)
			return
		}
		r.code = string(refusal.Code)
		return
	}
	p := &answer.Payment
	r.replayed = answer.Replayed
	r.payment = told{ID: p.Name(), Status: p.Status.String(), Amount: p.Amount, Currency: p.Currency.Alpha(), OrderID: p.OrderID,
		RRN: p.RRN, ApprovalCode: p.ApprovalCode}
	r.text = fmt.Sprintf("%+v %v %d %s %v %d %d %d %v %v", r.payment, p.Version, p.STAN, p.ResponseCode, p.Card, p.AmountAuthorized, p.AmountCaptured,
		p.AmountRefunded, p.CreatedAt.UnixMilli(), p.UpdatedAt.UnixMilli())
	if p.Decline != nil {
		r.text += fmt.Sprintf(" %+v", *p.Decline)
	}
	if p.Resolution != nil {
		r.text += fmt.Sprintf(" %+v", *p.Resolution)
	}
}

var euro, _ = iso.ParseCurrency("EUR")

func payRequest(i *instance, r *reply) (*payswitch.PayRequest, error) {
	o := r.order
	pan, err := iso.ParsePAN([]byte(o.card.Number))
	if err != nil {
		return nil, err
	}
	cvc, err := iso.ParseCVC([]byte("123"))
	if err != nil {
		return nil, err
	}
	id := o.id(r.other)
	q := &payswitch.PayRequest{IdempotencyKey: o.key(), Fingerprint: i.core.Fingerprint("POST", "/v1/payments", []byte(id)), RequestID: "req_sim",
		Amount: o.cost(r.other), Currency: euro, OrderID: o.orderID(r.other), Bank: o.bank, Purpose: o.purpose, PAN: pan, CVC: cvc, Expiry: iso.Expiry{Year: 2030, Month: 12},
		ManualCapture: o.manual, OrderOnce: o.once != ""}
	if o.once != "" {
		q.Description = id
	}
	if o.purpose == payswitch.PurposePayment {
		q.ThreeDS = payswitch.ThreeDS{ECI: "05", CAVV: o.cavv}
	}
	if o.partial {
		q.Carried = &iso.Carried{AcceptPartial: true}
	}
	return q, nil
}

// counter is the shop's side of the HTTP listener: the dead answer nobody.
type counter struct {
	net.Listener
	i *instance
}

func (c counter) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.i.mu.Lock()
	defer c.i.mu.Unlock()
	c.i.shops = append(c.i.shops, conn)
	return teller{conn, c.i}, nil
}

type teller struct {
	net.Conn
	i *instance
}

// Write implements net.Conn.
func (t teller) Write(p []byte) (int, error) {
	if !t.i.answering() {
		return 0, errUnplugged
	}
	return t.Conn.Write(p)
}

// listen opens the merchants' HTTP API on the network in memory.
func (i *instance) listen() (err error) {
	i.server, err = frontend.New(frontend.Options{Switch: i.core, Logger: i.w.logged, Now: i.w.now})
	if err != nil {
		return err
	}
	l, err := i.w.net.Listen(instanceAddress)
	if err != nil {
		return err
	}
	server := i.server
	go func() { i.served <- server.Serve(counter{l, i}) }()
	return nil
}

func (i *instance) unlisten() {
	if i.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = i.server.Shutdown(ctx)
	<-i.served
	i.server = nil
}

// askHTTP is askCore over HTTP.
func (w *world) askHTTP(i *instance, r *reply) {
	o := r.order
	method := "automatic"
	if o.manual {
		method = "manual"
	}
	bank := ""
	if o.bank != "" {
		bank = fmt.Sprintf(`"bank":%q,`, o.bank)
	}
	body := fmt.Sprintf(`{"amount":%d,"currency":"EUR","order_id":%q,%s"capture_method":%q,"payment_method":{"type":"card","card":`+
		`{"number":%q,"exp_month":12,"exp_year":2030,"cvc":"123"}},"three_ds":{"eci":"05","cavv":%q,"version":"2.2.0"}}`,
		o.cost(r.other), o.id(r.other), bank, method, o.card.Number, o.cavv)
	answer := w.post(i, posted{path: "/v1/payments", secret: secrets[o.merchant], key: o.key(), body: body})
	if answer == nil {
		return
	}
	r.lost, r.code = false, answer.code
	if answer.code != "" {
		return
	}
	r.replayed, r.text = answer.replayed, answer.text
	if err := json.Unmarshal([]byte(answer.text), &r.payment); err != nil {
		w.broken(20, "an answer that is no JSON: %v", err)
	}
}

// lastRound: merchants who know nothing ask again, and the others, in one half
// of the lives, make sure that the answer is still the same.
func (w *world) lastRound() {
	if w.alive() == nil {
		return
	}
	w.mu.Lock()
	replies := append([]*reply(nil), w.replies...)
	w.mu.Unlock()
	knows, wonders := map[*order]bool{}, map[*order]bool{}
	for _, r := range replies {
		if r.other {
			continue
		}
		knows[r.order] = knows[r.order] || r.payment.ID != ""
		wonders[r.order] = wonders[r.order] || !r.sure()
	}
	for _, o := range w.orders {
		if knows[o] && o.n%2 == 0 || !knows[o] && wonders[o] && o.n%3 != 0 {
			r := w.ask(o, false)
			for try := 0; r.lost && try < 3 && w.alive() != nil; try++ {
				r = w.ask(o, false) // a fault of the disk may strike once more
			}
			if r.inst >= 0 && !r.sure() {
				w.broken(20, "key %s has no answer after the faults ended: %s", o.key(), r.code)
			}
		}
	}
}
