package payswitch

import (
	"testing"
	"time"
)

// TestListFilters: a page holds the payments of the query, and those alone.
func TestListFilters(t *testing.T) {
	r := newRig(t)
	r.start()
	defer func() { r.core.Close(); _ = r.store.Close() }()
	const n = 40
	r.fillMillions(n, time.Now().Add(-time.Hour))
	a := r.account("one")
	for _, tt := range []struct {
		name string
		q    ListQuery
		want int
	}{
		{"any", ListQuery{}, n}, {"refunded", ListQuery{Status: StatusRefunded}, n / 2}, {"declined", ListQuery{Status: StatusDeclined}, 0},
		{"of the bank", ListQuery{Bank: "alfa"}, n}, {"of another bank", ListQuery{Bank: "vega"}, 0}, {"of another card", ListQuery{Last4: "1111"}, 0},
		{"at least what they are", ListQuery{AmountFrom: 1000}, n}, {"more", ListQuery{AmountFrom: 1001}, 0}, {"at most what they are", ListQuery{AmountTo: 1000}, n},
		{"less", ListQuery{AmountTo: 999}, 0}, {"of a code", ListQuery{ResponseCode: "00"}, n}, {"of another code", ListQuery{ResponseCode: "05"}, 0},
	} {
		tt.q.Limit = 100
		page, err := r.core.List(a, tt.q)
		if err != nil || len(page.Payments) != tt.want || page.More {
			t.Errorf("%s: %d payments, more %v, %v; want %d", tt.name, len(page.Payments), page.More, err, tt.want)
		}
	}
}
