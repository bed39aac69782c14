package sim

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// scenarios are short stories without chance; TestCrashPoints cuts each of them
// off before every single operation of the disk.
var scenarios = []struct {
	name   string
	does   []banksim.Behaviour // one order for each
	change func(p *plan)
}{
	{"new journal", []banksim.Behaviour{banksim.Approve}, func(p *plan) { p.blank = true }},
	{"approved", []banksim.Behaviour{banksim.Approve, banksim.Approve}, nil},
	{"declined", []banksim.Behaviour{banksim.Decline51}, nil},
	{"no answer", []banksim.Behaviour{banksim.NoAnswer}, nil},
	{"charged without answer", []banksim.Behaviour{banksim.ChargedWithoutAnswer}, nil},
	{"late approval while the reversal is queued", []banksim.Behaviour{banksim.LateAnswer}, func(p *plan) { p.lateBy = 2 * time.Second }},
	{"late approval after the reversal", []banksim.Behaviour{banksim.LateAnswer}, func(p *plan) { p.lateBy = 8 * time.Second }},
	{"reversal refused", []banksim.Behaviour{banksim.ReversalRefused}, nil},
	{"duplicates at once", []banksim.Behaviour{banksim.WrongAmount}, func(p *plan) { p.orders[0].parallel = 3 }},
	{"reversal acknowledged late", []banksim.Behaviour{banksim.LostReversalAnswer}, nil},
	{"bank away while owed", []banksim.Behaviour{banksim.CutAfter}, func(p *plan) {
		p.events = []event{{at: time.Second, what: "down", size: 6 * time.Second}}
	}},
	{"two banks, two merchants, keys reused", []banksim.Behaviour{banksim.Approve, banksim.LateDecline, banksim.PartialApproval}, func(p *plan) {
		p.banks, p.lateBy = 2, time.Second
		for n, o := range p.orders {
			o.merchant, o.bank, o.manual, o.reuse = n%2, bankNames[n%2], n == 0, 50*time.Millisecond
			o.repeats = []time.Duration{900 * time.Millisecond}
		}
	}},
	{"captured in parts and refunded", []banksim.Behaviour{banksim.Approve}, held(
		act{kind: payswitch.KindCapture, amount: 400}, act{kind: payswitch.KindCapture, parallel: 2, reuse: true},
		act{kind: payswitch.KindRefund, amount: 300, repeats: 1}, act{kind: payswitch.KindCancel})},
	{"hold undone in part, then whole", []banksim.Behaviour{banksim.Approve}, held(
		act{kind: payswitch.KindCancel, amount: 300}, act{kind: payswitch.KindCancel})},
	{"charge undone in part, then whole", []banksim.Behaviour{banksim.Approve}, paid(
		act{kind: payswitch.KindCancel, amount: 300}, act{kind: payswitch.KindCancel, repeats: 1})},
	{"answers to operations lost, two banks", []banksim.Behaviour{banksim.OperationAnswerLost, banksim.OperationAnswerLost}, func(p *plan) {
		p.banks = 2
		held(act{kind: payswitch.KindCapture, amount: 500, beside: true}, act{kind: payswitch.KindCapture, amount: 200},
			act{kind: payswitch.KindRefund, amount: 100})(p)
		p.orders[1].bank = bankNames[1]
	}},
	{"refund in doubt beside another", []banksim.Behaviour{banksim.RefundUnanswered}, paid(
		act{kind: payswitch.KindRefund, amount: 600, beside: true}, act{kind: payswitch.KindRefund, amount: 300}, act{kind: payswitch.KindRefund})},
	{"refund approved late", []banksim.Behaviour{banksim.RefundLate}, paid(act{kind: payswitch.KindRefund, amount: 600})},
	{"refund declined late", []banksim.Behaviour{banksim.RefundLateDecline}, paid(act{kind: payswitch.KindRefund, amount: 600})},
	{"void refused, capture refused", []banksim.Behaviour{banksim.VoidRefused, banksim.CaptureRefused}, held(
		act{kind: payswitch.KindCancel}, act{kind: payswitch.KindCapture})},
	{"holds raised at two banks, then captured", []banksim.Behaviour{banksim.Approve, banksim.Approve}, func(p *plan) {
		p.banks = 2
		held(act{kind: payswitch.KindIncrement, amount: 1500, repeats: 1}, act{kind: payswitch.KindCapture}, act{kind: payswitch.KindRefund, amount: 1200})(p)
		p.orders[1].bank = bankNames[1]
	}},
	{"holds let go", []banksim.Behaviour{banksim.Approve, banksim.Approve, banksim.VoidRefused}, func(p *plan) {
		held(act{kind: payswitch.KindCapture, amount: 100})(p)
		p.orders[0].acts, p.orders[2].acts = nil, nil
		p.faults |= clockSteps
		p.events, p.echo = []event{{at: time.Second, what: "clock", size: holdTime}}, 10*time.Minute
	}},
	{"paid out twice of enough for one, one answer lost", []banksim.Behaviour{banksim.Approve, banksim.Approve, banksim.RefundUnanswered}, func(p *plan) {
		p.faults |= payouts
		for _, o := range p.orders[1:] {
			o.purpose, o.amount, o.at, o.patience = payswitch.PurposePayout, 700, 300*time.Millisecond, 9
		}
	}},
	{"cards asked whether they are good", []banksim.Behaviour{banksim.Approve, banksim.NoAnswer}, func(p *plan) {
		for _, o := range p.orders {
			o.purpose, o.amount, o.repeats = payswitch.PurposeVerification, 0, []time.Duration{600 * time.Millisecond}
		}
	}},
	{"a part held, captured and refunded", []banksim.Behaviour{banksim.PartialApproval}, welcome(held(
		act{kind: payswitch.KindCapture, amount: 400}, act{kind: payswitch.KindRefund, amount: 300}))},
	{"a part charged and undone", []banksim.Behaviour{banksim.PartialApproval}, welcome(paid(act{kind: payswitch.KindCancel, repeats: 1}))},
	{"an order paid once", []banksim.Behaviour{banksim.Decline51, banksim.NoAnswer, banksim.Approve, banksim.Approve}, func(p *plan) {
		for n, o := range p.orders {
			o.once, o.patience, o.at = "once-0", 8, time.Duration(50+200*n)*time.Millisecond
		}
	}},
	{"a batch", []banksim.Behaviour{banksim.Approve, banksim.OperationAnswerLost}, func(p *plan) {
		p.orders[1].manual = true
		p.loads = []*load{{rows: 5, at: 300 * time.Millisecond, parallel: 2, dice: 5}}
	}},
}

// welcome makes a part of every order welcome.
func welcome(change func(p *plan)) func(p *plan) {
	return func(p *plan) {
		change(p)
		for _, o := range p.orders {
			o.partial = true
		}
	}
}

// paid gives every order of a scenario what its merchant does later.
func paid(acts ...act) func(p *plan) {
	return func(p *plan) {
		p.faults |= operations
		for _, o := range p.orders {
			for n := range acts {
				a := acts[n]
				a.n, a.wait, a.parallel, a.patience = n, 40*time.Millisecond, max(a.parallel, 1), 9
				o.acts = append(o.acts, &a)
			}
		}
	}
}

// held is paid for orders that are captured later.
func held(acts ...act) func(p *plan) {
	return func(p *plan) {
		paid(acts...)(p)
		for _, o := range p.orders {
			o.manual = true
		}
	}
}

func scene(n int) *plan {
	s := scenarios[n]
	p := &plan{seed: uint64(n + 1), name: s.name, stubborn: true, faults: cardFaults, banks: 1, links: 1, window: 16, latency: time.Millisecond,
		echo: 15 * time.Second, lateBy: 2 * time.Second}
	for i, does := range s.does {
		o := &order{n: i, bank: bankNames[0], amount: int64(1000 + i), parallel: 1, patience: 5, cavv: fmt.Sprintf("AAABBWRhdG%016xA=", i),
			at: time.Duration(50+37*i) * time.Millisecond}
		for _, c := range banksim.Cards() {
			if c.Behaviour == does {
				o.card = c
			}
		}
		p.orders = append(p.orders, o)
	}
	if s.change != nil {
		s.change(p)
	}
	return p
}

// point is one crash: a scenario, an operation and a way to lose.
type point struct {
	scene int
	k     uint64
	loss  storage.Unsynced
	again uint64 // a second crash, at this operation of the recovery; 0: none
}

func (pt point) plan() *plan {
	p := scene(pt.scene)
	p.deaths = []death{{by: byRecord, k: pt.k, loss: storage.Crash{Unsynced: pt.loss, Seed: pt.k}, ending: ending(pt.k % uint64(endings)), down: 150 * time.Millisecond}}
	if pt.again > 0 {
		p.deaths = append(p.deaths, death{by: byRecord, k: pt.again, loss: storage.Crash{Unsynced: storage.RandomUnsynced, Seed: pt.again},
			down: 40 * time.Millisecond})
	}
	p.name += fmt.Sprintf(", operation %d, loss %d, then %d", pt.k, pt.loss, pt.again)
	return p
}

// TestCrashPoints: every scenario, cut off before every operation of the disk,
// in each of the three ways of losing what was not synced; and a sample of the
// same with a second crash in the recovery.
func TestCrashPoints(t *testing.T) {
	var points []point
	var story strings.Builder
	for n := range scenarios {
		whole := run(t, scene(n), false)
		if len(whole.bad) > 0 {
			t.Fatalf("%s, without any crash:\n%s", scenarios[n].name, listed(whole.bad))
		}
		fmt.Fprintf(&story, "%4d operations: %s\n", whole.ops, scenarios[n].name)
		for k := uint64(1); k <= whole.ops; k++ {
			for loss := range storage.RandomUnsynced + 1 {
				points = append(points, point{scene: n, k: k, loss: loss})
				if (k+uint64(loss))%4 == 0 {
					points = append(points, point{scene: n, k: k, loss: loss, again: 1 + (k*7+uint64(loss)*13)%60})
				}
			}
		}
	}
	step := uint64(pointStep)
	if *flagFull {
		step = 1
	}
	c := &crew{command: func(p *plan) string { return "go test ./bench/sim -run TestCrashPoints -sim.full # " + p.name }}
	c.plans = func(n uint64) *plan {
		if n*step >= uint64(len(points)) {
			return nil
		}
		return points[n*step].plan()
	}
	start, cpu := time.Now(), cpuTime()
	t.Run("all", c.work)
	t.Logf("every %d. of %d points of %d scenarios\n%s", step, len(points), len(scenarios), story.String())
	c.report(t, time.Since(start), cpuTime()-cpu)
}

// TestReplay: on one core a seed is the same life twice. The scheduler, select
// and maps keep some freedom, so the share is asked for, not every life.
func TestReplay(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	template()
	equal := 0
	for seed := range uint64(replaySeeds) {
		var twice [2]uint64
		for n := range twice {
			p := draw(seed + 1)
			p.loads = nil // rows of a batch run at once
			twice[n] = run(t, p, false).digest
		}
		if twice[0] == twice[1] {
			equal++
		} else {
			t.Logf("seed %d goes two ways", seed+1)
		}
	}
	t.Logf("%d of %d seeds went the same way twice", equal, replaySeeds)
	if equal < replaySeeds*7/10 {
		t.Errorf("only %d of %d seeds went the same way twice", equal, replaySeeds)
	}
}

// TestPartsNameTheirKeepers: every invariant of the list has a name, and a
// function or somebody who holds it.
func TestPartsNameTheirKeepers(t *testing.T) {
	for n, c := range checks {
		if c.number != n+1 || c.name == "" || c.check == nil && c.held == "" {
			t.Errorf("invariant %d is %+v", n+1, c)
		}
	}
	if len(checks) != 24 {
		t.Errorf("%d invariants", len(checks))
	}
	for _, c := range checks {
		for _, name := range testName.FindAllString(c.held, -1) {
			if !declared(t, "func "+name+"(") {
				t.Errorf("invariant %d is said to be held by %s, and there is no such test", c.number, name)
			}
		}
	}
	var once sync.Map
	for _, state := range slices.Concat(required, requiredOperations, requiredPurposes) {
		if _, twice := once.LoadOrStore(state, true); twice {
			t.Errorf("state %s is required twice", state)
		}
	}
}

var testName = regexp.MustCompile(`\b(Test|Fuzz)[A-Z]\w+`)

// declared reports whether a test file of the project holds this text.
func declared(t *testing.T, text string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil || found || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		found = bytes.Contains(content, []byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
