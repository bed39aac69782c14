package bench

import (
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"pgregory.net/rapid"
)

func TestLedger(t *testing.T) {
	tests := []struct {
		name           string
		notes          []outcome
		want           outcome
		contradictions uint64
	}{
		{"approved", []outcome{moneyYes}, moneyYes, 0},
		{"approved twice", []outcome{moneyYes, moneyYes}, moneyYes, 0},
		{"lost, then approved", []outcome{lost, moneyYes}, moneyYes, 0},
		{"approved, duplicate lost", []outcome{moneyYes, lost}, moneyYes, 0},
		{"approved, duplicate refused", []outcome{moneyYes, refused}, moneyYes, 0},
		{"unknown, then declined", []outcome{pending, moneyNo}, moneyNo, 0},
		{"lost stays open when the retry is refused", []outcome{lost, refused}, lost, 0},
		{"both ways", []outcome{moneyYes, moneyNo}, moneyYes, 1},
		{"both ways, other order", []outcome{moneyNo, moneyYes}, moneyYes, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var l ledger
			i := l.open()
			for _, o := range tt.notes {
				l.note(i, o)
			}
			if l.outcomes[i] != tt.want || l.contradictions != tt.contradictions {
				t.Errorf("outcome %d, %d contradictions; want %d, %d", l.outcomes[i], l.contradictions, tt.want, tt.contradictions)
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	tests := []struct {
		code   int
		status string
		want   outcome
	}{
		{201, "captured", moneyYes}, {201, "authorized", moneyYes}, {201, "declined", moneyNo}, {201, "failed", moneyNo},
		{202, "unknown", pending}, {201, "", pending}, {503, "", refused}, {429, "", refused}, {422, "", refused}, {500, "", lost}, {502, "", lost},
	}
	for _, tt := range tests {
		if got := outcomeOf(&answer{code: tt.code, status: []byte(tt.status)}); got != tt.want {
			t.Errorf("%d %s: %d, want %d", tt.code, tt.status, got, tt.want)
		}
	}
}

// TestReturns: what the answer to a cancel or a refund says about the money, and that
// a duplicate of the payment, which tells what was told first, does not undo it.
func TestReturns(t *testing.T) {
	for _, tt := range []struct {
		code   int
		status string
		want   outcome
	}{
		{201, "succeeded", returned}, {202, "pending", doubtful}, {202, "unknown", doubtful}, {201, "declined", moneyYes}, {201, "failed", moneyYes},
		{201, "reversed", moneyYes}, {409, "", moneyYes}, {503, "", moneyYes}, {500, "", doubtful}, {201, "", doubtful},
	} {
		var l ledger
		i := l.open()
		l.note(i, moneyYes)
		l.operated(i, returnedBy(&answer{code: tt.code, status: []byte(tt.status)}))
		l.note(i, moneyYes)
		if l.outcomes[i] != tt.want || l.contradictions != 0 {
			t.Errorf("%d %s: %d, want %d", tt.code, tt.status, l.outcomes[i], tt.want)
		}
		l.note(i, moneyNo)
		if l.contradictions != 1 {
			t.Errorf("%d %s: approved, then declined, is no contradiction", tt.code, tt.status)
		}
	}
}

// TestFollowers: a payment has one operation at a time, of a kind that it can have.
func TestFollowers(t *testing.T) {
	var f followers
	if _, ok := f.take(kindRefund, 5); ok {
		t.Error("a refund of nothing")
	}
	f.add(followed{payment: 1, held: true}, 0)
	f.add(followed{payment: 2}, 0)
	if _, ok := f.take(kindCapture, 7); !ok {
		t.Error("no capture of the held payment")
	}
	if _, ok := f.take(kindCapture, 7); ok {
		t.Error("a capture of a captured payment")
	}
	if p, ok := f.take(kindCancel, 3); !ok || p.payment != 2 {
		t.Errorf("canceled %+v, %v", p, ok)
	}
	for i := range uint64(3 * maxFollowed) {
		f.add(followed{payment: i}, i)
	}
	seen := map[uint64]bool{}
	for {
		p, ok := f.take(kindRefund, uint64(len(seen))*7)
		if !ok {
			break
		}
		if seen[p.payment] {
			t.Fatalf("payment %d was given twice", p.payment)
		}
		seen[p.payment] = true
	}
	if len(seen) != maxFollowed {
		t.Errorf("%d payments were remembered", len(seen))
	}
}

// TestCompareBooks plants each disagreement.
func TestCompareBooks(t *testing.T) {
	at := func(net int64, j JournalView) books { return books{bank: &BankView{Net: net}, journal: &j} }
	before := at(1000, JournalView{Approved: 10, ApprovedAmount: 1000})
	merchants := MerchantView{Approved: 2, ApprovedAmount: 300, Open: 1, OpenAmount: 50}
	tests := []struct {
		name  string
		after books
		m     MerchantView
		ok    bool
	}{
		{"agree", at(1300, JournalView{Approved: 12, ApprovedAmount: 1300}), merchants, true},
		{"the open one was approved", at(1350, JournalView{Approved: 13, ApprovedAmount: 1350}), merchants, true},
		{"charged without approval", at(1400, JournalView{Approved: 12, ApprovedAmount: 1300}), merchants, false},
		{"approved without charge", at(1250, JournalView{Approved: 12, ApprovedAmount: 1300}), merchants, false},
		{"an acknowledged approval is gone", at(1200, JournalView{Approved: 11, ApprovedAmount: 1200}), merchants, false},
		{"approvals nobody asked for", at(1500, JournalView{Approved: 14, ApprovedAmount: 1500}), merchants, false},
		{"still open", at(1300, JournalView{Approved: 12, ApprovedAmount: 1300, Open: 1}), merchants, false},
		{"contradiction", at(1300, JournalView{Approved: 12, ApprovedAmount: 1300}), MerchantView{Approved: 2, ApprovedAmount: 300, Contradictions: 1}, false},
		{"unreadable", books{problem: errAgain}, merchants, false},
		{"bank only, agree", books{bank: &BankView{Net: 1350}}, merchants, true},
		{"bank only, too much", books{bank: &BankView{Net: 1351}}, merchants, false},
		{"bank only, too little", books{bank: &BankView{Net: 1299}}, merchants, false},
		{"journal only, agree", books{journal: &JournalView{Approved: 12, ApprovedAmount: 1300}}, merchants, true},
		{"nothing to compare", books{}, merchants, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := compareBooks(before, tt.after, tt.m); got.OK != tt.ok {
				t.Errorf("OK = %v, want %v: %v", got.OK, tt.ok, got.Findings)
			}
		})
	}
}

// TestHistogramsMerge: split over workers and merged, the percentiles are those of
// one histogram that saw everything.
func TestHistogramsMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(-5, int64(2*maxLatency)), 1, 300).Draw(t, "values")
		one, sum := newHist(), newHist()
		shards := []*hdrhistogram.Histogram{newHist(), newHist(), newHist()}
		for i, v := range values {
			record(one, time.Duration(v))
			record(shards[i%3], time.Duration(v))
		}
		for _, s := range shards {
			if sum.Merge(s) != 0 {
				t.Fatal("a merge dropped values")
			}
		}
		if int(sum.TotalCount()) != len(values) || !sum.Equals(one) || summarise(sum) != summarise(one) {
			t.Fatalf("merged %+v, one %+v", summarise(sum), summarise(one))
		}
	})
}
