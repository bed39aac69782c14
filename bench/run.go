package bench

import (
	"context"
	"fmt"
	"os"
)

// Run performs one run: it starts what Options say, loads it, measures, compares
// the books and stops what it started. The result of a run that ctx ended early is
// returned with ctx's error; its figures cover the time there was.
func Run(ctx context.Context, o Options) (*Result, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	subjects := []subject{{generatorName, os.Getpid()}}
	if o.BankPID > 0 {
		subjects = append(subjects, subject{bankName, o.BankPID})
	}
	if o.ServePID > 0 {
		subjects = append(subjects, subject{serveName, o.ServePID})
	}
	for _, c := range []struct {
		name string
		args []string
	}{{bankName, o.BankArgs}, {serveName, o.ServeArgs}} {
		if len(c.args) == 0 {
			continue
		}
		ch, err := startChild(ctx, &o, c.name, c.args)
		if err != nil {
			return nil, err
		}
		// Deferred calls run in reverse: the switch drains while its bank is up.
		defer ch.stop()
		subjects = append(subjects, subject{c.name, ch.cmd.Process.Pid})
	}
	return measure(ctx, &o, subjects)
}

const generatorName = "generator"

// measure runs the load against what is up.
func measure(ctx context.Context, o *Options, subjects []subject) (*Result, error) {
	l, err := newLoad(o)
	if err != nil {
		return nil, err
	}
	var opening books
	if o.checksMoney() {
		opening = readBooks(ctx, o)
	}
	var begin, end snapshot
	seen, err := l.run(ctx,
		func() { begin = takeSnapshot(ctx, o, subjects, true) },
		func() { end = takeSnapshot(ctx, o, subjects, false) })
	if err != nil {
		return nil, fmt.Errorf("the generator failed: %w", err)
	}
	r := newResult(o, seen)
	r.addSpan(begin, end, subjects)
	if o.checksMoney() && ctx.Err() == nil {
		r.Money = checkMoney(ctx, o, opening, seen.merchants)
	}
	r.judge(o)
	return r, ctx.Err()
}

// checksMoney: there are books to compare with.
func (o *Options) checksMoney() bool {
	return !o.SkipMoney && (o.Admin != "" || len(o.Books) > 0)
}
