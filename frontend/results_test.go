package frontend

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestResults: pages and the CSV tell the same rows in the same order.
func TestResults(t *testing.T) {
	bench := newRig(t)
	s := openShop(t, func(o *Options) { o.Switch = bench.sw })
	for i := range 3 {
		id := idOf(t, s.pay(fmt.Sprint("results-", i), leanBody))
		s.want("201", "POST /v1/payments/"+id+"/refunds", `{"amount":100}`, "Idempotency-Key", fmt.Sprint("back-", i))
	}
	if r := s.want("200", "GET /v1/results", ""); !strings.Contains(r.body, `"data":[]`) {
		t.Errorf("rows without the pause: %s", r.body)
	}
	bench.ahead.Store(int64(10 * time.Second))
	var ids []string
	for query := "?limit=2"; ; {
		var page struct {
			Data    []struct{ ID, Object string }
			HasMore bool    `json:"has_more"`
			Next    *string `json:"next_cursor"`
		}
		must(t, json.Unmarshal([]byte(s.want("200", "GET /v1/results"+query, "").body), &page))
		for _, row := range page.Data {
			ids = append(ids, row.ID)
		}
		if !page.HasMore {
			break
		}
		query = "?limit=2&cursor=" + *page.Next
	}
	r := s.want("200", "GET /v1/results?format=csv", "")
	rows, err := csv.NewReader(strings.NewReader(r.body)).ReadAll()
	must(t, err)
	if len(ids) != 6 || len(rows) != 7 || len(rows[0]) != len(resultColumns) {
		t.Fatalf("%d rows in pages, %d lines of CSV: %s", len(ids), len(rows), r.body)
	}
	for i, id := range ids {
		if rows[i+1][1] != id || (i%2 == 1) != (rows[i+1][0] == "refund") {
			t.Errorf("line %d is %v, want %s", i+1, rows[i+1], id)
		}
	}
	noCardNumbers(t, "the results", r.body)
	for _, bad := range []string{"from=x", "to=x", "status=paid", "limit=0", "limit=1001", "cursor=x", "format=xml", "from=2026-02-02T00:00:00Z&to=2026-01-01T00:00:00Z",
		"format=csv&limit=5", "more=1"} {
		s.want("400 invalid_request", "GET /v1/results?"+bad, "")
	}
	if r := s.do("HEAD", "/v1/results?format=csv", ""); r.status != 200 || r.body != "" {
		t.Errorf("HEAD answers %d %q", r.status, r.body)
	}
}
