package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/bench/report"
)

// tranzit runs a command of the program in this process; the children that it
// starts are this test binary.
func tranzit(t *testing.T, line ...string) (out []byte, err error) {
	t.Helper()
	t.Setenv(runAsTranzit, "1")
	c := rootCommand()
	var said bytes.Buffer
	c.SetArgs(line)
	c.SetOut(&said)
	c.SetErr(io.Discard)
	err = c.ExecuteContext(t.Context())
	return said.Bytes(), err
}

// TestBenchCompareAndReport: the real switch against itself, saved, read again and
// drawn.
func TestBenchCompareAndReport(t *testing.T) {
	dir := t.TempDir()
	text, err := tranzit(t, "bench", "compare", "this", "bare", "--rounds", "1", "--discard", "0", "-c", "8", "-d", "200ms", "--warmup", "50ms", "--data", dir, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var c report.Comparison
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	if !c.Valid || c.SwitchCPU == nil || c.A[0].Money == nil || !c.A[0].Money.OK || c.A[0].Payments == 0 || c.B[0].Payments == 0 {
		t.Errorf("%s", text)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	saved, page := filepath.Join(dir, "c.json"), filepath.Join(dir, "r.html")
	if err := os.WriteFile(saved, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err = tranzit(t, "bench", "compare", saved, saved); err != nil || !strings.Contains(string(text), "too few rounds to say") {
		t.Errorf("%s %v", text, err)
	}
	if _, err := tranzit(t, "bench", "report", "-o", page, saved); err != nil {
		t.Fatal(err)
	}
	if html, err := os.ReadFile(page); err != nil || !bytes.Contains(html, []byte("this against bare")) {
		t.Error(err)
	}
	for _, line := range [][]string{{"bench", "compare", "this"}, {"bench", "compare", "this", saved}, {"bench", "compare", "this", filepath.Join(dir, "none")}, {"bench", "report"}} {
		if _, err := tranzit(t, line...); err == nil || !isUsage(err) {
			t.Errorf("%v: %v, want wrong usage", line, err)
		}
	}
	if _, err := tranzit(t, "bench", "report", "-o", page, page); err == nil || isUsage(err) || !strings.Contains(err.Error(), "r.html") {
		t.Errorf("a page as a result: %v", err)
	}
}
