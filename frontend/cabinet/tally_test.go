package cabinet

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestCountsAreKept: the count of a day that is over is read by the next life and not
// made again; that of today is not kept.
func TestCountsAreKept(t *testing.T) {
	r := newRig(t)
	u, _ := r.member("owner@shop.example", ownerOf(shopHats))
	a := r.account(shopHats)
	y, m, d := time.Now().In(a.Merchant.TimeZone).Date()
	today, past := time.Date(y, m, d, 0, 0, 0, 0, a.Merchant.TimeZone), time.Date(y, m, d-3, 0, 0, 0, 0, a.Merchant.TimeZone)
	count := &dayTally{cell: cell{Tried: 300, Approved: 250}, banks: map[string]cell{"alfa": {300, 250}}, bins: map[string]cell{}, codes: map[string]cell{"00": {250, 250}, "51": {50, 0}},
		volume: map[string]int64{"RUB": 12345}, counted: time.Now()}
	for i := range 300 {
		count.bins[fmt.Sprint(400000+i)] = cell{i + 1, i}
	}
	r.server.tallies.keep(a, past, count)
	r.server.tallies.keep(a, today, count)
	r.serve(r.server.log) // another life on the same journal
	c := r.enter(u)
	r.await("the count", func() bool {
		return strings.Contains(c.get(hatsTest+"/charts").body, "300 payments, 250 of them approved")
	})
	c.get(hatsTest+"/charts").want(t, 200, "123.45", "400299", "83 %")
	got := r.server.tallies.kept(a, past)
	if got == nil || len(got.bins) != keptBINs || got.bins["400299"] != (cell{300, 299}) || got.bins["400099"].Tried != 0 || !got.good(past, time.Now().Add(time.Hour)) {
		t.Errorf("kept is %+v", got)
	}
	if r.server.tallies.kept(a, today) != nil {
		t.Error("the count of a day that goes on is kept")
	}
	if r.server.tallies.kept(r.account(shopSocks), past) != nil {
		t.Error("another shop has the count")
	}
}
