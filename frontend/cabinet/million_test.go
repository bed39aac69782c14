package cabinet

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

var millionJournal = flag.Int("cabinet.journal", 0, "payments in the journal of TestFirstPageOfMillions; 0: it is skipped")

// firstPageLimit is what the monitor's first page may take in the median.
const firstPageLimit = 100 * time.Millisecond

// TestFirstPageOfMillions pays so many times at the simulated bank, the journal on
// the real disk, and then looks at pages:
//
//	go test ./frontend/cabinet -run TestFirstPageOfMillions -cabinet.journal=1000000 -timeout 60m -v
//
// A million payments take some 1 GB of the temporary folder, which go with the test.
func TestFirstPageOfMillions(t *testing.T) {
	n := *millionJournal
	if n == 0 {
		t.Skip("it asks for minutes: see -cabinet.journal")
	}
	r := newRigOn(t, storage.Options{Dir: t.TempDir(), CheckAtOpen: -1, ScrubRate: -1, SlowAfter: time.Hour}, func(*payswitch.Options) {})
	u, _ := r.member("owner@shop.example", ownerOf(shopHats))
	word, err := r.people.EntryLink(u.ID)
	r.must(err)
	session, err := r.people.Enter(word, here)
	r.must(err)
	begun := time.Now()
	r.payMany(n)
	t.Logf("%d payments were made in %s", n, time.Since(begun).Round(time.Second))
	handler := r.server.Handler()
	for _, page := range []struct{ name, query string }{
		{"first page", ""}, {"the look for news", "?part=rows"}, {"all of an order", "?order=order-" + fmt.Sprint(n/2)}, {"declined, of which there are none", "?status=declined"},
		{"captured", "?status=captured"},
	} {
		var took []time.Duration
		for range 50 {
			request := httptest.NewRequest(http.MethodGet, hatsTest+"/payments"+page.query, nil)
			request.AddCookie(&http.Cookie{Name: cookieSession, Value: session})
			answer := httptest.NewRecorder()
			start := time.Now()
			handler.ServeHTTP(answer, request)
			took = append(took, time.Since(start))
			if answer.Code != http.StatusOK || page.query == "" && !strings.Contains(answer.Body.String(), "cursor=") {
				t.Fatalf("%s: %d", page.name, answer.Code)
			}
		}
		slices.Sort(took)
		t.Logf("%-36s least %s, median %s, 49 of 50 within %s", page.name, took[0], took[25], took[48])
		if took[25] > firstPageLimit && page.query == "" {
			t.Errorf("%s takes %s, limit %s", page.name, took[25], firstPageLimit)
		}
	}
}

// payMany pays n times, many at once.
func (r *rig) payMany(n int) {
	r.t.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 256 {
		all.Go(func() {
			for i := next.Add(1); i <= int64(n) && !r.t.Failed(); i = next.Add(1) {
				if p := r.pay(wish{shopHats, goodCard, fmt.Sprint("order-", i), 1000, false}); p.Status != payswitch.StatusCaptured {
					r.t.Errorf("payment %d is %s", i, p.Status)
				}
			}
		})
	}
	all.Wait()
}
