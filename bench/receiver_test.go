package bench

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestReceivers: one answers and counts, one reads and never answers.
func TestReceivers(t *testing.T) {
	for _, dead := range []bool{false, true} {
		r, err := newReceiver(dead)
		if err != nil {
			t.Fatal(err)
		}
		shop := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}
		if dead {
			shop.Timeout = 100 * time.Millisecond
		}
		for range 3 {
			res, err := shop.Post(r.url(), "application/json", strings.NewReader(`{"id":"evt_1"}`))
			if (err == nil) == dead {
				t.Fatalf("dead %v: %v", dead, err)
			}
			if err == nil {
				_ = res.Body.Close()
			}
		}
		shop.CloseIdleConnections()
		r.close()
		if n := r.taken.Load(); n != 3 && !dead || n != 0 && dead {
			t.Errorf("dead %v: %d were taken", dead, n)
		}
	}
}

func TestMedianOfRounds(t *testing.T) {
	rounds := []WebhookRound{{Webhooks: 3}, {Webhooks: 1}, {Webhooks: 2}}
	of := func(r WebhookRound) float64 { return r.Webhooks }
	if odd, even := medianOf(rounds, of), medianOf(rounds[:2], of); odd != 2 || even != 2 {
		t.Errorf("%v, %v", odd, even)
	}
	for _, o := range []WebhookOptions{{}, {Rounds: -1}, {Dead: 17}} {
		if _, err := MeasureWebhooks(t.Context(), o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
