package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// operationKills is how often the process is killed while merchants capture,
// cancel and refund.
const operationKills = 10

// operationFaults are the cards of the last workers.
var operationFaults = []banksim.Behaviour{banksim.OperationAnswerLost, banksim.RefundUnanswered, banksim.RefundLate, banksim.VoidRefused,
	banksim.CaptureRefused}

// asked is one request of a merchant's chain: the payment, then what follows.
type asked struct {
	key, path, body string
	code            int // HTTP; 0: no answer
	answer          []byte
}

// chain is a payment and what its merchant does with it, one after the other.
type chain struct {
	payment string // id, once it is known
	steps   []*asked
	reached int // the step to do next
}

// following are a merchant's requests after a payment of an amount: path and body.
func following(n int, amount int64) [][2]string {
	part := func(share int64) string { return fmt.Sprintf(`{"amount":%d}`, amount*share/100) }
	switch n % 6 {
	case 0: // a hold, captured twice, refunded in part
		return [][2]string{{"/capture", part(40)}, {"/capture", "{}"}, {"/refunds", part(30)}}
	case 1: // a charge, canceled in part
		return [][2]string{{"/cancel", part(25)}, {"/cancel", "{}"}}
	case 2: // a hold, let go in part, the rest captured
		return [][2]string{{"/cancel", part(50)}, {"/capture", "{}"}, {"/refunds", "{}"}}
	case 3: // a charge, refunded twice
		return [][2]string{{"/refunds", part(20)}, {"/refunds", part(30)}}
	case 4: // a hold, canceled
		return [][2]string{{"/cancel", "{}"}}
	}
	return [][2]string{{"/refunds", "{}"}}
}

func newChain(round, worker, n int) *chain {
	key := fmt.Sprintf("o%d-w%d-%d", round, worker, n)
	card, bank, method, amount := cardApproved, "alfa", "automatic", int64(1000+n)
	if worker%2 == 1 {
		bank = "vega"
	}
	if worker >= 6 {
		card = faultCard(operationFaults[(round+worker+n)%len(operationFaults)])
	}
	if n%2 == 0 {
		method = "manual"
	}
	c := &chain{steps: []*asked{{key: key, path: "/v1/payments", body: fmt.Sprintf(`{"amount":%d,"currency":"EUR","order_id":%q,"bank":%q,"capture_method":%q,`+
		`"payment_method":{"type":"card","card":{"number":%q,"exp_month":12,"exp_year":%d,"cvc":"%s"}},"three_ds":{"eci":"05","cavv":"%s"}}`,
		amount, key, bank, method, card, time.Now().Year()+2, markerCVC, markerCAVV)}}}
	for i, f := range following(n, amount) {
		c.steps = append(c.steps, &asked{key: fmt.Sprintf("%s-%d", key, i), path: f[0], body: f[1]})
	}
	return c
}

// step does the chain's next request once; false: no answer came.
func (r *rig) step(c *chain) bool {
	a := c.steps[c.reached]
	path := a.path
	if c.reached > 0 {
		path = "/v1/payments/" + c.payment + a.path
	}
	code, body, _ := r.send(a.key, path, a.body)
	switch {
	case code == 0 || code == http.StatusInternalServerError:
		return false
	case code == http.StatusServiceUnavailable:
		<-time.After(5 * time.Millisecond)
		return true
	}
	a.code, a.answer = code, body
	if c.reached == 0 {
		var told paymentView
		if err := json.Unmarshal(body, &told); err != nil || told.ID == "" {
			r.t.Errorf("%s: HTTP %d %s", a.key, code, body)
		}
		if c.payment = told.ID; told.Status != "captured" && told.Status != "authorized" {
			c.steps = c.steps[:1]
		}
	}
	c.reached++
	return true
}

// operate keeps workers at their chains until stop is closed.
func (r *rig) operate(round int, stop <-chan struct{}) (all []*chain) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for worker := range 10 {
		wg.Go(func() {
			for n := 0; ; n++ {
				c := newChain(round, worker, n)
				mu.Lock()
				all = append(all, c)
				mu.Unlock()
				for c.reached < len(c.steps) {
					select {
					case <-stop:
						return
					default:
					}
					if !r.step(c) {
						return
					}
				}
			}
		})
	}
	wg.Wait()
	return all
}

// TestKillWhileOperating: killed at any instant of a load of purchases, holds,
// captures, cancels and refunds, the merchants' answers, the journal and the
// banks' books agree on every payment.
func TestKillWhileOperating(t *testing.T) {
	t.Parallel()
	newRigWith(t, rigPlan{eager: true}).killWhileOperating(operationKills)
}

func (r *rig) killWhileOperating(kills int) {
	t := r.t
	var all []*chain
	for round := range kills {
		r.start()
		stop := make(chan struct{})
		done := make(chan []*chain)
		go func() { done <- r.operate(round, stop) }()
		timer := time.NewTimer(time.Duration(180+41*round%300) * time.Millisecond)
		<-timer.C
		r.kill()
		close(stop)
		all = append(all, <-done...)
	}
	r.start()
	r.goOn(all)
	r.await("store-and-forward to empty", r.attend)
	r.signal(os.Interrupt)
	if out, err := r.command("journal", "verify", "--data", filepath.Join(r.dir, "data")); err != nil {
		t.Errorf("journal verify: %s", out)
	}
	payments := r.journal()
	counts := r.compareChains(all, payments)
	for _, p := range payments {
		r.compareMoney(p, r.banks[p.Bank].Books().ByRRN(p.RRN))
		counts["ends "+p.Status]++
	}
	t.Logf("%d payments, %d kills: %v", len(payments), kills, counts)
	reached(t, counts, "capture 201", "cancel 201", "refunds 201", "capture 202", "refunds 202", "repeated", "learnt after a kill",
		"ends captured", "ends canceled", "ends refunded", "ends partially_refunded")
	r.scanForCardData()
}

// attend is quiet with an operator at the desk. When a kill loses the refusal of an advice, its repeat is
// refused, too, and that alone proves nothing: it is closed as declined, and the
// bank's books show afterwards whether that was right.
func (r *rig) attend() bool {
	var owed struct {
		Data []struct{ Operation, Desk string } `json:"data"`
	}
	if r.get(r.admin, "/admin/v1/saf", &owed) != http.StatusOK {
		return false
	}
	for _, o := range owed.Data {
		if !strings.HasPrefix(o.Desk, "repeat_refused_with_") {
			continue
		}
		if out, err := r.command("saf", "close", o.Operation, "--as", "declined", "--reason", "the bank did not do it", "--admin", r.admin); err != nil {
			r.t.Errorf("closing %s: %v\n%s", o.Operation, err, out)
		}
	}
	return len(owed.Data) == 0
}

// goOn: every answer comes again, byte for byte, and what got none is asked
// again under its key until it has one.
func (r *rig) goOn(all []*chain) {
	r.t.Helper()
	for _, c := range all {
		for i, a := range c.steps[:c.reached] {
			path := a.path
			if i > 0 {
				path = "/v1/payments/" + c.payment + a.path
			}
			if a.code >= 400 {
				continue // nothing was recorded
			}
			if code, body, _ := r.send(a.key, path, a.body); code != a.code || !bytes.Equal(body, a.answer) {
				r.t.Errorf("repeat of %s differs:\n%d %s\n%d %s", a.key, a.code, a.answer, code, body)
			}
		}
	}
	for _, c := range all {
		if c.reached < len(c.steps) {
			before := c.reached
			r.await("an answer to "+c.steps[before].key, func() bool { r.step(c); return c.reached > before })
		}
	}
}

// compareChains holds what merchants were told against the journal's end.
func (r *rig) compareChains(all []*chain, payments map[string]paymentView) map[string]int {
	r.t.Helper()
	counts := map[string]int{}
	seen := map[string]string{}
	for _, c := range all {
		if c.payment == "" {
			continue
		}
		p, ok := payments[c.payment]
		if !ok || seen[c.payment] != "" || p.OrderID != c.steps[0].key {
			r.t.Errorf("%s was answered with %s, which is %+v and also answers %s", c.steps[0].key, c.payment, p, seen[c.payment])
		}
		seen[c.payment] = c.steps[0].key
		least := paymentView{}
		for i, a := range c.steps[:c.reached] {
			counts[fmt.Sprintf("%s %d", a.path[1:], a.code)]++
			if i == 0 || a.code >= 400 {
				continue
			}
			var told paymentView
			if err := json.Unmarshal(a.answer, &told); err != nil {
				r.t.Fatalf("%s: %s: %v", a.key, a.answer, err)
			}
			switch {
			case told.Status == "succeeded" && a.path == "/capture":
				least.Captured += told.Amount
			case told.Status == "succeeded" && a.path == "/refunds":
				least.Refunded += told.Amount
			}
		}
		if p.Captured < least.Captured || p.Refunded < least.Refunded {
			r.t.Errorf("%s: told %d captured and %d refunded, the journal says %+v", c.payment, least.Captured, least.Refunded, p)
		}
		if c.reached > 1 {
			counts["repeated"]++
		}
		if c.reached < len(c.steps) {
			counts["learnt after a kill"]++
		}
	}
	for id, p := range payments {
		if seen[id] == "" && p.Status != "declined" && p.Status != "failed" {
			r.t.Errorf("nobody was told of %s: %+v", id, p)
		}
	}
	return counts
}

// compareMoney holds one payment against its bank's books of it.
func (r *rig) compareMoney(p paymentView, booked []banksim.Entry) {
	r.t.Helper()
	sum := paymentView{}
	for _, e := range booked {
		if e.Kind != "charge" {
			r.t.Errorf("%s: the bank has a %s under its reference number", p.ID, e.Kind)
		}
		if e.State == "refused" || e.State == "reversal_only" {
			continue
		}
		if sum.Captured, sum.Refunded = e.Captured, e.Refunded; e.MTI == "0100" {
			sum.Authorized = e.Booked - e.Returned
			continue
		}
		sum.Captured, sum.Authorized = e.Booked, e.Booked
		sum.Refunded += e.Returned
	}
	want := p
	if slices.Contains([]string{"canceled", "expired"}, p.Status) && p.Captured == 0 {
		want.Authorized = 0
	}
	if p.Status == "reversed" || p.Status == "declined" || p.Status == "failed" {
		want = paymentView{}
		sum.Captured -= sum.Refunded
		sum.Refunded, sum.Authorized = 0, 0
	}
	if sum.Authorized != want.Authorized || sum.Captured != want.Captured || sum.Refunded != want.Refunded {
		r.t.Errorf("%s is %s: the journal says %d held, %d captured, %d refunded; the bank %d, %d, %d", p.ID, p.Status, want.Authorized, want.Captured,
			want.Refunded, sum.Authorized, sum.Captured, sum.Refunded)
	}
}
