package bench

import (
	"context"
	"fmt"
	"time"
)

// Run performs one run: it starts what Options say, loads it, measures, compares
// the books and stops what it started. The result of a run that ctx ended early is
// returned with ctx's error; its figures cover the time there was.
func Run(ctx context.Context, o Options) (*Result, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	rig, err := startRig(ctx, &o)
	if err != nil {
		return nil, err
	}
	r, err := rig.measure(ctx, &o)
	if ended := rig.stop(); ended != nil && err == nil && r != nil {
		r.fault(ended)
	}
	return r, err
}

// measure runs the load against what is up.
func (r *rig) measure(ctx context.Context, o *Options) (*Result, error) {
	if err := control(ctx, o, o.Controls); err != nil {
		return nil, err
	}
	l, err := newLoad(o)
	if err != nil {
		return nil, err
	}
	var opening books
	if o.checksMoney() {
		opening = readBooks(ctx, o)
	}
	var begin, end snapshot
	seen, err := l.run(ctx, alongside{
		begin:  func() { begin = takeSnapshot(ctx, o, r.subjects, true) },
		end:    func() { end = takeSnapshot(ctx, o, r.subjects, false) },
		events: func(ctx context.Context, at time.Time) []Happened { return r.happen(ctx, o, at, l.show.happened) },
	})
	if err != nil {
		return nil, fmt.Errorf("the generator failed: %w", err)
	}
	result := newResult(o, seen)
	result.addSpan(begin, end, r.subjects)
	calmed := control(context.WithoutCancel(ctx), o, o.Controls)
	if o.checksMoney() && ctx.Err() == nil {
		result.Money = checkMoney(ctx, o, opening, seen.merchants)
	}
	result.judge(o)
	if calmed != nil {
		result.fault(calmed)
	}
	return result, ctx.Err()
}

// checksMoney: there are books to compare with.
func (o *Options) checksMoney() bool {
	return !o.SkipMoney && (o.Admin != "" || len(o.Books) > 0)
}
