package banksim

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/tranzit/tranzit/iso"
)

const eur = 978

func testBooks() *Books {
	codes := &Codes{}
	codes.ensureDefaults()
	return newBooks(codes, 0)
}

// fact is request n of the default terminal.
func fact(n int, amount int64) facts {
	return facts{mti: iso.MTIFinancial, amount: amount, currency: eur, bin: 411111, last4: 1111, panLen: 16, at: 1,
		merchant: []byte("MERCHANT0000001"),
		id: identity{class: 2, stan: uint32(n%999999 + 1), de7: []byte("0612082001"),
			rrn: fmt.Appendf(nil, "6163%08d", n), terminal: []byte("TERM0001")}}
}

var approval = Plan{Code: "00"}

// TestIdentity: each part of the identity makes another payment; nothing else does.
func TestIdentity(t *testing.T) {
	base := fact(1, 500)
	tests := []struct {
		part   string
		change func(f *facts)
		other  bool
	}{
		{"nothing", func(*facts) {}, false},
		{"repeat MTI", func(f *facts) { f.mti = f.mti.Repeat() }, false},
		{"1993 MTI", func(f *facts) { f.mti = 0x1200 }, false},
		{"merchant", func(f *facts) { f.merchant = []byte("OTHER") }, false},
		{"class", func(f *facts) { f.mti, f.id.class = iso.MTIAuthorization, 1 }, true},
		{"STAN", func(f *facts) { f.id.stan++ }, true},
		{"DE7", func(f *facts) { f.id.de7 = []byte("0612082002") }, true},
		{"RRN", func(f *facts) { f.id.rrn = []byte("616300000009") }, true},
		{"terminal", func(f *facts) { f.id.terminal = []byte("TERM0002") }, true},
	}
	for _, tt := range tests {
		b := testBooks()
		first, second := base, base
		tt.change(&second)
		b.request(&first, &approval, true)
		v := b.request(&second, &approval, true)
		if v.replay == tt.other || v.code != "00" {
			t.Errorf("%s: replay %v code %q", tt.part, v.replay, v.code)
		}
		want := int64(500)
		if tt.other {
			want = 1000
		}
		if got := b.Summary().Currencies["EUR"].Charged.Sum; got != want {
			t.Errorf("%s: charged %d, want %d", tt.part, got, want)
		}
	}
}

func TestConflictingDuplicateIsRefused(t *testing.T) {
	for name, change := range map[string]func(f *facts){
		"amount":   func(f *facts) { f.amount++ },
		"currency": func(f *facts) { f.currency = 643 },
		"card":     func(f *facts) { f.last4++ },
	} {
		b := testBooks()
		first := fact(1, 500)
		second := first
		change(&second)
		b.request(&first, &approval, true)
		if v := b.request(&second, &approval, true); v.code != "94" {
			t.Errorf("%s: code %q, want 94", name, v.code)
		}
		if s := b.Summary(); s.Conflicts != 1 || s.Currencies["EUR"].Net != 500 || s.Entries != 1 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestReversalRules(t *testing.T) {
	tests := []struct {
		name  string
		steps []string
		codes []string
		state State
		net   int64
	}{
		{"whole", []string{pay, reverse}, []string{"00", "00"}, StateReversed, 0},
		{"counted once", []string{pay, reverse, reverse, reverse}, []string{"00", "00", "00", "00"}, StateReversed, 0},
		{"never seen", []string{reverse, reverse}, []string{"00", "00"}, StateReversalOnly, 0},
		{"before its original", []string{reverse, pay, pay, reverse}, []string{"00", "12", "12", "00"}, StateRefused, 0},
		{"original again after it", []string{pay, reverse, pay}, []string{"00", "00", "12"}, StateReversed, 0},
		{"wrong amount", []string{pay, "amount"}, []string{"00", "13"}, StateCharged, 500},
		{"wrong currency", []string{pay, "currency"}, []string{"00", "13"}, StateCharged, 500},
		{"wrong card", []string{pay, "card"}, []string{"00", "14"}, StateCharged, 500},
		{"part", []string{pay, "part", "part"}, []string{"00", "00", "00"}, StatePartlyReversed, 200},
		{"part, then whole", []string{pay, "part", reverse, reverse}, []string{"00", "00", "00", "00"}, StateReversed, 0},
		{"part above the amount", []string{pay, "above"}, []string{"00", "13"}, StateCharged, 500},
		{"of a decline", []string{"decline", reverse}, []string{"51", "00"}, StateDeclined, 0},
		{"of half", []string{"half", reverse}, []string{"10", "00"}, StateReversed, 0},
		{"of half by its amount", []string{"half", "halfback"}, []string{"10", "00"}, StateReversed, 0},
		{"refused by plan", []string{pay, "no"}, []string{"00", "25"}, StateCharged, 500},
		{"of a refund", []string{"refund", reverse}, []string{"00", "00"}, StateReversed, 0},
		{"refund", []string{"refund", "refund"}, []string{"00", "00"}, StateCredited, -500},
	}
	for _, tt := range tests {
		b := testBooks()
		for i, step := range tt.steps {
			v := perform(b, step)
			if v.code != tt.codes[i] {
				t.Errorf("%s: step %d %s: code %q, want %q", tt.name, i, step, v.code, tt.codes[i])
			}
		}
		s := b.Summary()
		if s.Entries != 1 || s.States[tt.state.String()] != 1 || s.Currencies["EUR"].Net != tt.net {
			t.Errorf("%s: %+v, want %v and net %d", tt.name, s, tt.state, tt.net)
		}
	}
}

// TestReversalIsCountedOnce: repeats are acknowledged and told apart.
func TestReversalIsCountedOnce(t *testing.T) {
	b := testBooks()
	for _, step := range []string{pay, "part", "part", reverse, reverse, reverse} {
		perform(b, step)
	}
	s := b.Summary()
	if back := s.Currencies["EUR"].Reversed; back.Count != 1 || back.Sum != 500 || s.ReversalRepeats != 3 {
		t.Errorf("%+v, %d repeats", back, s.ReversalRepeats)
	}
	if e := b.Entries()[0]; e.ReversalsSeen != 5 || e.Requests != 1 {
		t.Errorf("%+v", e)
	}
}

// TestRowsOfOneHash: entries that share a hash are still told apart.
func TestRowsOfOneHash(t *testing.T) {
	f := fact(1, 500)
	r := row{mti: f.mti, stan: f.id.stan, terminal: 7}
	copy(r.rrn[:], f.id.rrn)
	copy(r.de7[:], f.id.de7)
	if !r.is(&f.id, 7) || r.is(&f.id, 8) {
		t.Error("the terminal does not count")
	}
	for name, change := range map[string]func(id *identity){
		"class": func(id *identity) { id.class = 1 },
		"STAN":  func(id *identity) { id.stan++ },
		"RRN":   func(id *identity) { id.rrn = id.rrn[:11] },
		"DE7":   func(id *identity) { id.de7 = []byte("0612082009") },
	} {
		id := f.id
		change(&id)
		if r.is(&id, 7) {
			t.Errorf("%s does not count", name)
		}
	}
}

const pay, reverse = "pay", "reverse"

// perform applies one named step to identity 1.
func perform(b *Books, step string) verdict {
	f, p := fact(1, 500), approval
	switch step {
	case pay:
		return b.request(&f, &p, true)
	case "decline":
		p.Code = "51"
		return b.request(&f, &p, true)
	case "half":
		p.Code, p.Amount = "10", 250
		return b.request(&f, &p, true)
	case "refund":
		f.kind = kindRefund
		return b.request(&f, &p, true)
	case "amount":
		f.amount = 499
	case "currency":
		f.currency = 643
	case "card":
		f.bin++
	case "part":
		f.actual = 200
	case "above":
		f.actual = 501
	case "halfback":
		f.amount = 250
	case "no":
		p.Code = "25"
	}
	return b.reversal(&f, &p)
}

// TestLateReversal: money that goes back after the answer left is told apart.
func TestLateReversal(t *testing.T) {
	b := testBooks()
	for n, answered := range []bool{true, false} {
		f := fact(n, 500)
		b.request(&f, &approval, answered)
		b.reversal(&f, &approval)
	}
	if s := b.Summary(); s.LateReversals != 1 || s.Currencies["EUR"].Reversed.Count != 2 {
		t.Errorf("%+v", s)
	}
}

// account is what the model knows of one identity.
type account struct {
	seen, closed      bool
	charged, returned int64
	charges           int
}

// TestConservation drives random requests, duplicates, conflicts and reversals
// against a model that knows only which identities were charged and reversed.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := testBooks()
		var model [10]account
		for range rapid.IntRange(1, 120).Draw(rt, "steps") {
			n := rapid.IntRange(0, len(model)-1).Draw(rt, "identity")
			op := rapid.SampledFrom([]string{pay, pay, reverse, "part", "wrong", "decline", "mute"}).Draw(rt, "op")
			model[n].step(rt, b, fact(n, int64(n+1)*100), op)
		}
		var charged, returned int64
		entries := 0
		for n, a := range model {
			if a.charges > 1 {
				rt.Fatalf("identity %d charged %d times", n, a.charges)
			}
			if a.seen {
				entries++
			}
			charged, returned = charged+a.charged, returned+a.returned
		}
		checkBalance(rt, b, charged, returned)
		if b.Len() != entries {
			rt.Fatalf("%d entries, want %d", b.Len(), entries)
		}
	})
}

// step sends one message about the account's identity and keeps the model.
func (a *account) step(rt *rapid.T, b *Books, f facts, op string) {
	p := approval
	switch op {
	case pay, "decline", "mute":
		switch op {
		case "decline":
			p.Code = "51"
		case "mute":
			p.Fault, p.Effect = FaultNoAnswer, Nothing
		}
		before := b.Summary().Currencies["EUR"].Charged
		v := b.request(&f, &p, true)
		if b.Summary().Currencies["EUR"].Charged != before {
			a.charges++
		}
		if v.replay != a.seen {
			rt.Fatalf("replay %v, seen %v", v.replay, a.seen)
		}
		if op == pay && !a.seen {
			a.charged = f.amount
		}
		if a.closed && approves(v.code) {
			rt.Fatal("approved after its reversal")
		}
	case reverse:
		b.reversal(&f, &p)
		a.returned, a.closed = a.charged, true
	case "part":
		f.actual = f.amount / 2
		b.reversal(&f, &p)
		a.closed = a.closed || !a.seen
		a.returned = max(a.returned, a.charged-a.charged/2)
	case "wrong":
		if !a.seen {
			return
		}
		f.amount++
		if v := b.reversal(&f, &p); v.code != "13" {
			rt.Fatalf("a wrong amount is answered %q", v.code)
		}
	}
	a.seen = true
}

func checkBalance(rt *rapid.T, b *Books, charged, returned int64) {
	s := b.Summary()
	t := s.Currencies["EUR"]
	if t.Charged.Sum != charged || t.Reversed.Sum != returned || t.Net != charged-returned {
		rt.Fatalf("totals %+v, want charged %d and reversed %d", t, charged, returned)
	}
	var sum, back int64
	states := map[string]uint64{}
	b.Each(1, func(e Entry) bool {
		sum, back = sum+e.Booked, back+e.Returned
		states[e.State]++
		return true
	})
	if sum != charged || back != returned {
		rt.Fatalf("entries sum to %d and %d, want %d and %d", sum, back, charged, returned)
	}
	for state, n := range s.States {
		if states[state] != n {
			rt.Fatalf("state %s counted %d, entries say %d", state, n, states[state])
		}
	}
}

func TestEachPagesAndStops(t *testing.T) {
	b := testBooks()
	const n = 3*slabRows + 17
	for i := range n {
		f := fact(i, 1)
		b.request(&f, &approval, true)
	}
	want := uint32(300)
	b.Each(want, func(e Entry) bool {
		if e.Seq != want {
			t.Fatalf("entry %d, want %d", e.Seq, want)
		}
		want++
		return true
	})
	if want != n+1 {
		t.Errorf("ended at %d, want %d", want, n+1)
	}
	calls := 0
	b.Each(1, func(Entry) bool { calls++; return calls < 5 })
	if calls != 5 {
		t.Errorf("%d calls after a stop at 5", calls)
	}
	b.Each(n+1, func(Entry) bool { t.Error("an entry after the last"); return false })
}

// TestMemoryPerEntry: a million payments must not fill a machine.
func TestMemoryPerEntry(t *testing.T) {
	if size := unsafe.Sizeof(row{}); size > 128 {
		t.Errorf("a row takes %d bytes", size)
	}
	const n = 500_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b := testBooks()
	f := fact(0, 500)
	for i := range n {
		f.id.stan = uint32(i%999999 + 1)
		appendDigits(f.id.rrn[:4], uint64(i), 8)
		b.request(&f, &approval, true)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := float64(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%.0f bytes per payment", per)
	if per > 200 {
		t.Errorf("%.0f bytes per payment, at most 200", per)
	}
	if got := b.Len(); got != n {
		t.Errorf("%d entries, want %d", got, n)
	}
}

func TestApprovalCodesDiffer(t *testing.T) {
	const n = 200_000
	seen := make(map[string]bool, n)
	var a approvals
	for seq := uint32(1); seq <= n; seq++ {
		c := a.code(seq)
		if len(c) != 6 || seen[c] {
			t.Fatalf("approval code of entry %d is %q, a repetition or not six characters", seq, c)
		}
		if c != string(appendApproval(nil, seq)) {
			t.Fatalf("approval code of entry %d depends on the way it is made", seq)
		}
		seen[c] = true
	}
}

func TestNumber(t *testing.T) {
	for _, bad := range []string{"", "-1", "+1", " 1", "1 ", "12a", "1234567890123456789"} {
		if _, ok := number([]byte(bad)); ok {
			t.Errorf("%q is taken for a number", bad)
		}
	}
	if n, ok := number([]byte("000000012500")); !ok || n != 12500 {
		t.Errorf("12500 is read as %d, %v", n, ok)
	}
}
