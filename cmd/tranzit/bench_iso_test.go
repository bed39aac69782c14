package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/isoload"
	"github.com/tranzit/tranzit/iso"
)

// TestBenchISO: the client's command against a host, as text and as JSON.
func TestBenchISO(t *testing.T) {
	d, err := iso.Builtin("binary87")
	if err != nil {
		t.Fatal(err)
	}
	host, err := isoload.NewHost(isoload.HostOptions{Dialect: d, Codes: "51=1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	load := []string{"bench", "iso", "client", "--dialect", "binary87", "--connect", host.Addr(), "--mix", "purchase=1,echo=1",
		"--warmup", "-1s", "--duration", "200ms", "--in-flight", "4"}
	text, err := tranzit(t, load...)
	if err != nil || !strings.Contains(string(text), `Code "51"`) {
		t.Errorf("%v\n%s", err, text)
	}
	text, err = tranzit(t, append(load, "--json")...)
	var r isoload.Result
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if err != nil || r.Sent == 0 || r.Codes["51"] != r.Operations["purchase"].Sent || r.Codes["00"] != r.Operations["echo"].Sent {
		t.Errorf("%v, %+v", err, r)
	}
}

// TestBenchPlain: the process of its own, in the two general dialects of 1987, which
// are all it speaks.
func TestBenchPlain(t *testing.T) {
	for _, dialect := range []string{"ascii87", "binary87"} {
		text, err := tranzit(t, "bench", "run", "--plain", "--dialect", dialect, "-c", "8", "-d", "200ms", "--warmup", "50ms", "--data", t.TempDir(), "--json")
		var r bench.Result
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		if err != nil || r.Payments == 0 || r.Money == nil || !r.Money.OK || r.Money.Bank == nil || r.Money.Journal == nil {
			t.Errorf("%s: %v\n%s", dialect, err, text)
		}
	}
}

func TestBenchWrongUsage(t *testing.T) {
	for _, words := range [][]string{
		{"bench", "run", "--bare", "--plain"},
		{"bench", "iso"},
		{"bench", "iso", "client"},
		{"bench", "iso", "client", "--connect", "127.0.0.1:1", "--mix", "refund=1"},
		{"bench", "iso", "client", "--connect", "127.0.0.1:1", "--poisson"},
		{"bench", "iso", "server", "--codes", "00"},
	} {
		if text, err := tranzit(t, words...); err == nil || !isUsage(err) {
			t.Errorf("%v: %v\n%s", words, err, text)
		}
	}
}
