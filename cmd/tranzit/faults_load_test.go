//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// The load of the back-pressure test. A slow bank holds each payment for
// slowBank, so that its window of slowWindow takes slowWindow/2 payments in a
// second and the rest of slowRate is the excess.
const (
	slowBank   = 2 * time.Second
	slowWindow = 64
	slowRounds = 4
	slowRound  = 1100 * time.Millisecond
	// settled is the part of a round before the slow bank's window is full, or
	// before what it held has come back; it is not measured.
	settled  = 400 * time.Millisecond
	slowLong = 5 * time.Second // at least
)

// The other banks' bound: in the best of the slow rounds their p99 may be
// fastFactor times that of the worst round before, and fastSlack more, which is
// what a busy machine with few payments in a round adds by chance. Whoever waits
// for the slow bank waits in every slow round, and far longer.
const (
	fastFactor = 1.2
	fastSlack  = 25 * time.Millisecond
)

// timed is a wish with its times.
type timed struct {
	wish
	at    time.Time
	took  time.Duration
	after string // the Retry-After it was answered with
}

// offer posts wishes at an even rate until stop is closed, whether or not those
// before were answered. It sends them when all are answered.
func (r *rig) offer(name, bank string, rate int, stop <-chan struct{}) <-chan []*timed {
	own := *r
	own.client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	done := make(chan []*timed, 1)
	go func() {
		var all []*timed
		var busy sync.WaitGroup
		for begin := time.Now(); ; {
			due := begin.Add(time.Duration(len(all)) * time.Second / time.Duration(rate))
			select {
			case <-stop:
				busy.Wait()
				done <- all
				return
			case <-time.After(time.Until(due)):
			}
			w := &timed{wish: wish{key: fmt.Sprintf("%s-%d", name, len(all)), bank: bank, card: cardApproved, amount: int64(1000 + len(all))}, at: due}
			all = append(all, w)
			busy.Go(func() {
				var header http.Header
				w.code, w.body, header = own.post(&w.wish)
				w.took, w.after = time.Since(w.at), header.Get("Retry-After")
			})
		}
	}()
	return done
}

// span is a measured part of a run.
type span struct{ from, to time.Time }

// p99 is that of the payments that began in the span.
func (s span) p99(all []*timed) time.Duration {
	var took []time.Duration
	for _, w := range all {
		if w.at.After(s.from) && w.at.Before(s.to) {
			took = append(took, w.took)
		}
	}
	slices.Sort(took)
	if len(took) == 0 {
		return 0
	}
	return took[len(took)*99/100]
}

// p99s are those of the rounds, in ascending order.
func p99s(rounds []span, all []*timed) (out []time.Duration) {
	for _, s := range rounds {
		out = append(out, s.p99(all))
	}
	slices.Sort(out)
	return out
}

func median[T int | time.Duration](all []T) T {
	all = slices.Sorted(slices.Values(all))
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// TestSlowBank slows one of two banks to two seconds, in turns and then for
// long, while both are paid at by open load: the slow bank's excess is refused
// at once and leaves no record, the other bank's p99 stays, the memory stays,
// and reversals reach the slow bank past its full window.
func TestSlowBank(t *testing.T) {
	r := newRigWith(t, rigPlan{eager: true, links: 2, bank: fmt.Sprintf("    window: %d\n", slowWindow/2),
		timeouts: "{connect: 1s, write: 300ms, response: 3s, reversal: 3s}",
		settings: "journal: {memtable_mib: 2, cache_mib: 8}\n"})
	r.start()
	r.awaitReady()
	stop := make(chan struct{})
	began := time.Now()
	slowLoad, fastLoad := r.offer("slow", "alfa", slowRate, stop), r.offer("fast", "vega", fastRate, stop)

	var baseline, slowed []span
	for n := range 2 * slowRounds {
		delay, rounds := time.Duration(0), &baseline
		if n%2 == 1 {
			delay, rounds = slowBank, &slowed
		}
		r.control("alfa", banksim.Control{Mode: banksim.ActDelay, DelayMS: delay.Milliseconds()})
		begin := time.Now()
		<-time.After(slowRound)
		*rounds = append(*rounds, span{begin.Add(settled), time.Now()})
	}
	long, owed, grown := r.slowForLong()
	close(stop)
	slow, fast := <-slowLoad, <-fastLoad
	loaded := time.Since(began)
	r.control("alfa", banksim.Control{Mode: banksim.ActDelay})

	all := slices.Clone(owed)
	for _, w := range slices.Concat(slow, fast) {
		all = append(all, &w.wish)
	}
	base, during := p99s(baseline, fast), p99s(append(slowed, long), fast)
	accepted := r.refusals(slow, append(slowed, long))
	counts := r.settle(all)
	payments := counts["captured -> captured"] + counts["unknown -> reversed"]
	t.Logf("%d rounds and a long one in %s: p99 of the other bank %s, then %s (%.2f times in the median); the process grew by %d KiB; the slow bank took %d of %d",
		slowRounds, loaded.Round(time.Millisecond), base, during, float64(median(during))/float64(median(base)), grown, accepted, len(slow))
	if bound := time.Duration(fastFactor*float64(base[len(base)-1])) + fastSlack; during[0] > bound {
		t.Errorf("the other bank's p99 went from %s to %s, never below %s", base, during, bound)
	}
	if grown > flat {
		t.Errorf("the process grew by %d KiB while the bank was slow", grown)
	}
	for _, w := range fast {
		if w.code != http.StatusCreated {
			t.Errorf("%s at the other bank: HTTP %d %s", w.key, w.code, w.body)
		}
	}
	if journal := len(r.journal()); journal != payments || payments != accepted+len(fast)+len(owed) {
		t.Errorf("the journal has %d payments, %d were answered as such, %d were let in", journal, payments, accepted+len(fast)+len(owed))
	}
	reached(t, counts, "captured -> captured", "unknown -> reversed", "refused")
}

// slowForLong keeps the slow bank slow until the reversals it is owed have
// reached it, past a window that is full all the time. It returns the time that
// was measured, the wishes whose reversals they are, and how much the process
// grew after the window was full, in KiB.
func (r *rig) slowForLong() (measured span, owed []*wish, grown int) {
	r.t.Helper()
	r.control("alfa", banksim.Control{Mode: banksim.ActDelay, DelayMS: slowBank.Milliseconds()})
	begin := time.Now()
	owed = wishesFor("owed", "alfa", cardCharged, 6)
	var busy sync.WaitGroup
	for _, w := range owed {
		busy.Go(func() {
			for w.code, w.body, _ = r.pay(w); w.code == http.StatusServiceUnavailable; w.code, w.body, _ = r.pay(w) {
				<-time.After(pauseAfter(w.code))
			}
		})
	}
	var resident []int
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	answered := make(chan struct{})
	go func() { busy.Wait(); close(answered) }()
	for given := false; !given || !r.reversedAt("alfa", owed) || time.Since(begin) < slowLong; {
		select {
		case <-answered:
			given, answered = true, nil
		case <-tick.C:
		}
		if time.Since(begin) > slowBank/2 {
			resident = append(resident, r.residentKiB())
		}
		if time.Since(begin) > patience {
			r.t.Error("the slow bank did not get its reversals")
			break
		}
	}
	r.mustAnswer(owed, http.StatusAccepted)
	quarter := len(resident) / 4
	return span{begin.Add(settled), time.Now()}, owed, median(resident[len(resident)-quarter:]) - median(resident[:quarter])
}

// reversedAt reports whether the bank's books hold a reversal of each wish.
func (r *rig) reversedAt(bank string, all []*wish) bool {
	reversed := map[string]bool{}
	for _, e := range r.banks[bank].Books().Entries() {
		reversed[e.RRN] = reversed[e.RRN] || e.Reversed
	}
	for _, w := range all {
		var told paymentView
		if json.Unmarshal(w.body, &told) != nil || !reversed[told.RRN] {
			return false
		}
	}
	return true
}

// refusals checks what the slow bank's merchants were told: let in or refused
// with a Retry-After, and refused at once. It counts who was let in.
func (r *rig) refusals(slow []*timed, rounds []span) (accepted int) {
	r.t.Helper()
	var took []time.Duration
	for _, w := range slow {
		switch w.code {
		case http.StatusCreated:
			accepted++
		case http.StatusServiceUnavailable:
			took = append(took, w.took)
			if s, err := strconv.Atoi(w.after); err != nil || s < 1 {
				r.t.Errorf("%s was refused with Retry-After %q: %s", w.key, w.after, w.body)
			}
		default:
			r.t.Errorf("%s: HTTP %d %s", w.key, w.code, w.body)
		}
	}
	for _, s := range rounds {
		in, out := 0, 0
		for _, w := range slow {
			if w.at.After(s.from) && w.at.Before(s.to) {
				if out++; w.code == http.StatusCreated {
					in, out = in+1, out-1
				}
			}
		}
		most := slowWindow + int(float64(slowWindow)*s.to.Sub(s.from).Seconds()/slowBank.Seconds())
		if in > most || out == 0 {
			r.t.Errorf("of a round of %s the slow bank took %d, at most %d, and refused %d", s.to.Sub(s.from), in, most, out)
		}
	}
	if len(took) > 0 && median(took) > slowBank/4 {
		r.t.Errorf("a refusal took %s", median(took))
	}
	return accepted
}

// residentKiB is the memory of the process.
func (r *rig) residentKiB() int { return r.memory("VmRSS") }

// memory reads one line of the process's memory, in KiB.
func (r *rig) memory(line string) int {
	r.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.process.Process.Pid))
	m := regexp.MustCompile(line + `:\s+(\d+) kB`).FindSubmatch(status)
	if err != nil || m == nil {
		r.t.Fatalf("the memory of the process is not known: %v", err)
	}
	kib, _ := strconv.Atoi(string(m[1]))
	return kib
}
