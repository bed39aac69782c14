package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// The fault tests run the real process on real disks and sockets and break
// what is around it: the disk, the process, the links. Whatever was broken,
// the journal, the banks' books and what the merchants were told must agree
// afterwards.

// Cards of the fault tests, by what the merchant is told.
var (
	cardCharged = faultCard(banksim.ChargedWithoutAnswer) // unknown; the bank has charged
)

// wishesFor makes n wishes of one card at one bank. The name keeps the keys of
// one test apart.
func wishesFor(name, bank, card string, n int) []*wish {
	all := make([]*wish, n)
	for i := range all {
		all[i] = &wish{key: fmt.Sprintf("%s-%s-%s-%d", name, bank, card[12:], i), bank: bank, card: card, amount: int64(1000 + i)}
	}
	return all
}

// launch posts every wish at once; the returned function waits for the answers.
func (r *rig) launch(all []*wish) (answered func()) {
	var wg sync.WaitGroup
	for _, w := range all {
		wg.Add(1)
		go func() {
			defer wg.Done()
			w.code, w.body, _ = r.pay(w)
		}()
	}
	return wg.Wait
}

// mustAnswer fails the test unless every wish was answered with this code.
func (r *rig) mustAnswer(all []*wish, code int) {
	r.t.Helper()
	for _, w := range all {
		if w.code != code {
			r.t.Errorf("%s was answered with HTTP %d, want %d: %s", w.key, w.code, code, w.body)
		}
	}
}

// mustRefuse posts a wish that the switch must turn away with 503, this code
// and a Retry-After. The wish must leave no record: unrecorded checks that.
func (r *rig) mustRefuse(w *wish, problem string) {
	r.t.Helper()
	var header http.Header
	w.code, w.body, header = r.post(w)
	var told struct {
		Code      string `json:"code"`
		Retryable bool   `json:"retryable"`
	}
	_ = json.Unmarshal(w.body, &told)
	after, err := strconv.Atoi(header.Get("Retry-After"))
	if w.code != http.StatusServiceUnavailable || told.Code != problem || !told.Retryable || err != nil || after < 1 {
		r.t.Errorf("%s: HTTP %d, Retry-After %q, %s; want 503 %s with a Retry-After", w.key, w.code, header.Get("Retry-After"), w.body, problem)
	}
}

// traffic is a load of payments, half of them at each bank. Every fifth of a
// worker is declined and every ninth finds a bank that charges and does not
// answer, unless calm.
type traffic struct {
	name    string // keeps the keys of one test apart
	workers int
	calm    bool // good cards only
}

func (f *traffic) wish(worker, n int) *wish {
	w := &wish{key: fmt.Sprintf("%s-w%d-%d", f.name, worker, n), bank: "alfa", card: cardApproved, amount: int64(1000 + n)}
	if worker%2 == 1 {
		w.bank = "vega"
	}
	switch {
	case f.calm:
	case n%9 == 7:
		w.card = cardCharged
	case n%5 == 3:
		w.card = cardDeclined
	}
	return w
}

// pauseAfter keeps a load from spinning while nobody answers.
func pauseAfter(code int) time.Duration {
	switch code {
	case 0:
		return 50 * time.Millisecond
	case 503:
		return 5 * time.Millisecond
	}
	return 0
}

// load pays until stop is closed or the process is gone. A lost wish is
// repeated until then, a refused one is not.
func (r *rig) load(f traffic, stop <-chan struct{}) []*wish {
	var mu sync.Mutex
	var all []*wish
	var wg sync.WaitGroup
	for worker := range f.workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 0; ; n++ {
				w := f.wish(worker, n)
				mu.Lock()
				all = append(all, w)
				mu.Unlock()
				for lost := true; lost; lost = w.code == 0 {
					w.code, w.body, _ = r.pay(w)
					pause := time.After(pauseAfter(w.code))
					select {
					case <-stop:
						return
					case <-r.exited:
						return
					default:
					}
					select {
					case <-stop:
						return
					case <-r.exited:
						return
					case <-pause:
					}
				}
			}
		}()
	}
	wg.Wait()
	return all
}

// loadFor begins a load that lasts for d.
func (r *rig) loadFor(f traffic, d time.Duration) <-chan []*wish {
	stop, done := make(chan struct{}), make(chan []*wish, 1)
	timer := time.AfterFunc(d, func() { close(stop) })
	go func() {
		defer timer.Stop()
		done <- r.load(f, stop)
	}()
	return done
}

// awaitExit waits for the process to end by itself.
func (r *rig) awaitExit() *os.ProcessState {
	r.t.Helper()
	select {
	case <-r.exited:
	case <-time.After(patience):
		r.t.Fatalf("the switch did not exit within %s\n%s", patience, r.logTail())
	}
	r.process = nil
	return r.last.ProcessState
}

// finish repeats what was answered or lost, waits until no reversal is owed,
// stops the switch and holds journal, banks and merchants against each other.
// It returns how often a merchant was told one thing and the journal ends in
// another, as "told -> journal".
func (r *rig) finish(all []*wish) map[string]int {
	r.t.Helper()
	for id := range r.banks {
		r.control(id, banksim.Control{Mode: banksim.ActDelay})
		r.control(id, banksim.Control{Mode: banksim.ModeNormal})
	}
	r.repeatAll(told(all))
	return r.settle(all)
}

// settle is finish without the repeats. REQUIRES: every wish was answered.
func (r *rig) settle(all []*wish) map[string]int {
	r.t.Helper()
	r.await("store-and-forward to empty", r.quiet)
	r.signal(syscall.SIGTERM)
	if code := r.last.ProcessState.ExitCode(); code != 0 {
		r.t.Errorf("the drained switch exited with status %d\n%s", code, r.logTail())
	}
	if out, err := r.command("journal", "verify", "--data", filepath.Join(r.dir, "data")); err != nil {
		r.t.Errorf("journal verify: %s", out)
	}
	payments := r.journal()
	counts := r.compareAnswers(all, payments)
	r.compareWithBanks(payments)
	r.scanForCardData()
	r.t.Logf("%d wishes, %d payments; told -> journal: %v", len(all), len(payments), counts)
	return counts
}

// told are the wishes that were not refused: answered, or cut off so that
// nobody knows.
func told(all []*wish) (some []*wish) {
	for _, w := range all {
		switch w.code {
		case 500: // the process was on its way down; the answer says to repeat
			w.code = 0
			some = append(some, w)
		case 503:
		default:
			some = append(some, w)
		}
	}
	return some
}

// compareAnswers holds what the merchants were told against the journal: an
// answer is never contradicted, a refused wish has no record, nothing is open.
func (r *rig) compareAnswers(all []*wish, payments map[string]paymentView) map[string]int {
	r.t.Helper()
	counts := map[string]int{}
	owner := map[string]string{}
	byKey := map[string]bool{}
	for id, p := range payments {
		if byKey[p.OrderID] {
			r.t.Errorf("the key %s has two payments", p.OrderID)
		}
		byKey[p.OrderID] = true
		if p.Status == "unknown" || p.Status == "in_flight" {
			r.t.Errorf("%s is still %s", id, p.Status)
		}
	}
	for _, w := range all {
		if w.code == 503 {
			counts["refused"]++
			var why struct{ Code, Detail string }
			_ = json.Unmarshal(w.body, &why)
			counts["refused: "+why.Code+": "+why.Detail]++
			if byKey[w.key] {
				r.t.Errorf("%s was refused and has a record", w.key)
			}
			continue
		}
		var told paymentView
		if err := json.Unmarshal(w.body, &told); err != nil {
			r.t.Fatalf("%s: %s: %v", w.key, w.body, err)
		}
		now, ok := payments[told.ID]
		if !ok || now.OrderID != w.key || owner[told.ID] != "" {
			r.t.Errorf("%s was answered with payment %q; the journal has %q under it, and %q got it too", w.key, told.ID, now.OrderID, owner[told.ID])
			continue
		}
		owner[told.ID] = w.key
		counts[told.Status+" -> "+now.Status]++
		if told.Status != now.Status && (told.Status != "unknown" || now.Status != "reversed" && now.Status != "declined") {
			r.t.Errorf("%s: the merchant was told %s, the journal ends %s", told.ID, told.Status, now.Status)
		}
	}
	return counts
}

// reached fails a test that did not see what it is about.
func reached(t *testing.T, counts map[string]int, must ...string) {
	t.Helper()
	for _, m := range must {
		if counts[m] == 0 {
			t.Errorf("the run never saw %q: the test is vacuous", m)
		}
	}
}

// parts reads the readiness report: every part that is not ready, with its
// reason.
func (r *rig) parts() map[string]string {
	request, err := http.NewRequest(http.MethodGet, "http://"+r.admin+"/readyz", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return map[string]string{"process": err.Error()}
	}
	defer response.Body.Close()
	var told struct {
		Parts []struct{ Part, Detail string }
	}
	if err := json.NewDecoder(response.Body).Decode(&told); err != nil {
		return map[string]string{"process": err.Error()}
	}
	out := map[string]string{}
	for _, p := range told.Parts {
		if p.Detail != "" {
			out[p.Part] = p.Detail
		}
	}
	return out
}

// awaitReady waits until every part is ready.
func (r *rig) awaitReady() {
	r.t.Helper()
	r.await("every part to be ready", func() bool { return len(r.parts()) == 0 })
}

// awaitBooked waits until the bank's books hold n entries.
func (r *rig) awaitBooked(bank string, n int) {
	r.t.Helper()
	r.await(fmt.Sprintf("%d entries in the books of %s", n, bank), func() bool { return r.banks[bank].Books().Len() >= n })
}

// control changes what a bank does.
func (r *rig) control(bank string, c banksim.Control) {
	r.t.Helper()
	if err := r.banks[bank].Control(c); err != nil {
		r.t.Fatal(err)
	}
}
