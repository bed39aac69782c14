package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/iso"
)

// Every built-in dialect is measured, and a file beside them.
func TestBenchDialects(t *testing.T) {
	out, err := command(t, "", "bench", "dialects", tenthDialect(t), "--rounds", "2", "--round", "1ms", "--json")
	var told struct{ Dialects []dialectSpeed }
	if err != nil || json.Unmarshal([]byte(out), &told) != nil || len(told.Dialects) != len(iso.Builtins())+1 {
		t.Fatalf("%v %s", err, out)
	}
	fastest := 0
	for _, s := range told.Dialects {
		if s.Ratio == 1 {
			fastest++
		}
		if s.Nanoseconds <= 0 || s.Ratio < 1 || s.Fields < 15 || s.Bytes < 100 || s.Allocations >= 1 {
			t.Errorf("%+v", s)
		}
	}
	if fastest == 0 {
		t.Errorf("none is the fastest: %s", out)
	}
	if out, err := command(t, "", "bench", "dialects", "--rounds", "1", "--round", "100us"); err != nil || !strings.Contains(out, "ratio\nascii87") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := command(t, "", "bench", "dialects", "--rounds", "0"); err == nil || !isUsage(err) {
		t.Errorf("no rounds: %v", err)
	}
}
