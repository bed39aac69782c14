package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Part is what became of a part of the requests that were due in the measured time:
// those of one phase, one bank or one kind. Times are microseconds.
type Part struct {
	Name string `json:"name"`
	// From and To bound a phase, in seconds since the measured time began.
	From float64 `json:"from_s,omitempty"`
	To   float64 `json:"to_s,omitempty"`

	Due      uint64  `json:"due"`
	Payments uint64  `json:"payments"` // answered with a payment, sooner or later
	Refused  uint64  `json:"refused"`  // answered with an error
	Lost     uint64  `json:"lost"`     // without an answer
	Latency  Latency `json:"latency"`  // of all of them, from the moment they were due
	Good     Latency `json:"latency_of_payments"`
}

// end is how a request ended.
type end int

const (
	endPayment end = iota
	endRefused
	endLost
	numEnds
)

// part counts one part. Not goroutine-safe.
type part struct {
	ends    [numEnds]uint64
	latency *hdrhistogram.Histogram
	good    *hdrhistogram.Histogram
}

func newParts(n int) []part {
	p := make([]part, n)
	for i := range p {
		p[i] = part{latency: newHist(), good: newHist()}
	}
	return p
}

func (p *part) note(e end, took time.Duration) {
	p.ends[e]++
	record(p.latency, took)
	if e == endPayment {
		record(p.good, took)
	}
}

func (p *part) result(name string) Part {
	out := Part{Name: name, Payments: p.ends[endPayment], Refused: p.ends[endRefused], Lost: p.ends[endLost],
		Latency: summarise(p.latency), Good: summarise(p.good)}
	out.Due = out.Payments + out.Refused + out.Lost
	return out
}

// split counts the requests of a run by phase, bank and kind; a list is empty when
// there is nothing to tell apart. Not goroutine-safe.
type split struct{ phases, banks, kinds []part }

func newSplit(o *Options) split {
	var s split
	if len(o.Arrivals) > 0 {
		s.phases = newParts(len(o.Arrivals))
	}
	if len(o.Banks) > 1 {
		s.banks = newParts(len(o.Banks))
	}
	if len(o.Mix) > 1 || o.Duplicates > 0 {
		s.kinds = newParts(len(kinds))
	}
	return s
}

func (s *split) merge(o *split) {
	for _, pair := range [][2][]part{{s.phases, o.phases}, {s.banks, o.banks}, {s.kinds, o.kinds}} {
		for i := range pair[0] {
			for e, n := range pair[1][i].ends {
				pair[0][i].ends[e] += n
			}
			pair[0][i].latency.Merge(pair[1][i].latency)
			pair[0][i].good.Merge(pair[1][i].good)
		}
	}
}

// finish books how a request that was due inside the plan ended.
func (w *worker) finish(r *request, e end, now time.Duration) {
	if !w.plan.has(r.due) {
		return
	}
	took := now - r.due
	record(w.latency, took)
	if w.split.phases != nil {
		w.split.phases[w.phaseOf(r.due)].note(e, took)
	}
	if w.split.banks == nil && w.split.kinds == nil {
		return
	}
	p := w.mix.parts(w.number(r.payment))
	if w.split.banks != nil {
		w.split.banks[p.bank].note(e, took)
	}
	if w.split.kinds != nil {
		if r.kind != kindPurchase {
			p.kind = r.kind
		}
		w.split.kinds[p.kind].note(e, took)
	}
}

// phaseOf is the number of the phase in which a request was due.
func (w *worker) phaseOf(due time.Duration) int {
	last := len(w.o.Arrivals) - 1
	ends := w.plan.from
	for i := range last {
		if ends += w.o.Arrivals[i].Duration; due < ends {
			return i
		}
	}
	return last
}

// addParts tells the parts of a run apart.
func (r *Result) addParts(o *Options, s *split) {
	from := time.Duration(0)
	for i := range s.phases {
		p := s.phases[i].result(o.Arrivals[i].String())
		p.From, p.To = from.Seconds(), (from + o.Arrivals[i].Duration).Seconds()
		from += o.Arrivals[i].Duration
		r.Phases = append(r.Phases, p)
	}
	for i := range s.banks {
		r.Banks = append(r.Banks, s.banks[i].result(o.Banks[i]))
	}
	for i := range s.kinds {
		if p := s.kinds[i].result(string(kinds[i])); p.Due > 0 {
			r.Kinds = append(r.Kinds, p)
		}
	}
}
