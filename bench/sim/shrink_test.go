package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// shrink drops orders, events, deaths and faults from a failing plan for as long
// as it still fails, and returns the smallest it found.
func shrink(p *plan, fails func(*plan) bool) *plan {
	for smaller := true; smaller; {
		smaller = false
		for _, q := range p.smaller() {
			if fails(q) {
				p, smaller = q, true
				break
			}
		}
	}
	return p
}

// breaks lives a plan up to three times, because the bubble's scheduler is not
// ours, and reports whether it breaks this invariant.
func breaks(t *testing.T, p *plan, number int) bool {
	for range 3 {
		if slices.ContainsFunc(run(t, p, false).bad, func(v violation) bool { return v.number == number }) {
			return true
		}
	}
	return false
}

// smaller are the plans with one thing less.
func (p *plan) smaller() (out []*plan) {
	add := func(change func(q *plan)) {
		q := *p
		change(&q)
		out = append(out, &q)
	}
	for i := range p.orders {
		if len(p.orders) > 1 {
			add(func(q *plan) { q.orders = without(p.orders, i) })
		}
	}
	for i := range p.events {
		add(func(q *plan) { q.events = without(p.events, i) })
	}
	for i := range p.loads {
		add(func(q *plan) { q.loads = without(p.loads, i) })
	}
	for i := range p.deaths {
		add(func(q *plan) { q.deaths = without(p.deaths, i) })
	}
	for bit := fault(1); bit <= allFaults; bit <<= 1 {
		if p.faults&bit != 0 {
			add(func(q *plan) { q.faults &^= bit })
		}
	}
	for i, o := range p.orders {
		for n := range o.acts {
			add(func(q *plan) {
				less := *o
				less.acts = without(o.acts, n)
				q.orders = slices.Clone(p.orders)
				q.orders[i] = &less
			})
		}
		if o.parallel > 1 || len(o.repeats) > 0 || o.reuse > 0 {
			add(func(q *plan) {
				plain := *o
				plain.parallel, plain.repeats, plain.reuse = 1, nil, 0
				q.orders = slices.Clone(p.orders)
				q.orders[i] = &plain
			})
		}
	}
	return out
}

func without[T any](all []T, i int) []T { return slices.Delete(slices.Clone(all), i, i+1) }

// String tells the whole plan, one thing on a line.
func (p *plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %s; http=%v blank=%v banks=%d links=%d window=%d late by %v, until %v\n", p.seed, p.faults, p.http, p.blank,
		p.banks, p.links, p.window, p.lateBy, p.until)
	for _, o := range p.orders {
		fmt.Fprintf(&b, "order %d at %v: merchant %d, bank %q, %s, amount %d, manual=%v %s partial=%v once=%q parallel=%d patience=%d repeats=%v reuse=%v\n", o.n, o.at,
			o.merchant, o.bank, o.card.Does, o.amount, o.manual, o.purpose, o.partial, o.once, o.parallel, o.patience, o.repeats, o.reuse)
		for _, a := range o.acts {
			fmt.Fprintf(&b, "  then %s\n", a)
		}
	}
	for _, e := range p.events {
		fmt.Fprintf(&b, "event at %v: %s at bank %d, %v\n", e.at, e.what, e.bank, e.size)
	}
	for _, l := range p.loads {
		fmt.Fprintf(&b, "batch of merchant %d at %v: %d rows, parallel=%d\n", l.merchant, l.at, l.rows, l.parallel)
	}
	for n, d := range p.deaths {
		fmt.Fprintf(&b, "death of instance %d: %s\n", n, d)
	}
	return b.String()
}

// TestShrink: a plan that fails because of one order and one death is cut down
// to them.
func TestShrink(t *testing.T) {
	p := draw(1)
	for seed := uint64(2); len(p.orders) < 4 || len(p.events) < 2 || len(p.deaths) < 2; seed++ {
		p = draw(seed)
	}
	guilty, death := p.orders[2], p.deaths[1]
	asked := 0
	least := shrink(p, func(q *plan) bool {
		asked++
		return slices.ContainsFunc(q.orders, func(o *order) bool { return o.n == guilty.n }) && slices.Contains(q.deaths, death)
	})
	if len(least.orders) != 1 || least.orders[0].n != guilty.n || len(least.deaths) != 1 || len(least.events) != 0 || least.faults != 0 {
		t.Errorf("after %d questions the smallest plan is\n%s", asked, least)
	}
	if len(p.orders) < 4 || p.faults == 0 {
		t.Errorf("the plan itself was changed:\n%s", p)
	}
}
