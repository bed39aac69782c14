package banksim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, b *Bank, path string, into any) int {
	t.Helper()
	r, err := http.Get("http://" + b.BooksAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, r, into)
}

func decode(t *testing.T, r *http.Response, into any) int {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(body), approveCard) {
		t.Error("a card number left the bank")
	}
	if into != nil {
		if err := json.Unmarshal(body, into); err != nil {
			t.Fatalf("not JSON: %v: %.200s", err, body)
		}
	}
	return r.StatusCode
}

type page struct {
	Entries    []Entry           `json:"entries"`
	Next       uint32            `json:"next"`
	Currencies map[string]Totals `json:"currencies"`
}

func TestBooksOverHTTP(t *testing.T) {
	b := start(t, Config{BooksListen: "127.0.0.1:0"})
	c := signedOn(t, b)
	const n = 25
	for i := range n {
		request, reversal := c.purchase(approveCard, 100)
		c.ask(request)
		if i%5 == 0 {
			c.ask(reversal)
		}
	}
	var all []Entry
	for from := uint32(1); from != 0; {
		var p page
		if status := get(t, b, fmt.Sprintf("/books?from=%d&limit=10", from), &p); status != 200 {
			t.Fatalf("status %d", status)
		}
		all, from = append(all, p.Entries...), p.Next
		if p.Currencies["EUR"].Net != 2000 {
			t.Errorf("%+v", p.Currencies)
		}
	}
	if len(all) != n || all[n-1].Seq != n || all[0].Card != "411111******1111" || !all[0].Reversed || all[1].Reversed {
		t.Errorf("%d entries, first %+v", len(all), all[0])
	}
	var p page
	get(t, b, "/books?limit=0&state=reversed", &p)
	if len(p.Entries) != 5 || p.Next != 0 {
		t.Errorf("%d reversed entries, next %d", len(p.Entries), p.Next)
	}
	get(t, b, "/books?rrn="+all[3].RRN, &p)
	if len(p.Entries) != 1 || p.Entries[0].Seq != all[3].Seq {
		t.Errorf("by RRN: %+v", p.Entries)
	}
	var s Summary
	get(t, b, "/books/summary", &s)
	if eur := s.Currencies["EUR"]; s.Entries != n || eur.Charged.Count != n || eur.Charged.Sum != 2500 || eur.Reversed.Count != 5 || eur.Net != 2000 || s.States["reversed"] != 5 {
		t.Errorf("%+v", s)
	}
	for _, path := range []string{"/books?from=x", "/books?limit=-1", "/books?form=1"} {
		var e map[string]string
		if status := get(t, b, path, &e); status != 400 || e["error"] == "" {
			t.Errorf("%s: status %d %v", path, status, e)
		}
	}
	for _, path := range []string{"/healthz", "/status", "/control"} {
		if status := get(t, b, path, nil); status != 200 {
			t.Errorf("%s: status %d", path, status)
		}
	}
	if r, err := http.Get("http://" + b.BooksAddr() + "/cards"); err != nil || r.StatusCode != 200 {
		t.Errorf("/cards: %v", err)
	} else if err := r.Body.Close(); err != nil {
		t.Error(err)
	}
}

func TestControlOverHTTP(t *testing.T) {
	b := start(t, Config{BooksListen: "127.0.0.1:0"})
	post := func(body string) (int, Standing) {
		r, err := http.Post("http://"+b.BooksAddr()+"/control", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		var s Standing
		return decode(t, r, &s), s
	}
	if status, s := post(`{"mode":"decline","code":"61"}`); status != 200 || s.Mode != "decline" || s.Code != "61" {
		t.Errorf("status %d %+v", status, s)
	}
	if status, s := post(`{"mode":"delay","delay_ms":5}`); status != 200 || s.Mode != "decline" || s.DelayMS != 5 {
		t.Errorf("status %d %+v", status, s)
	}
	for _, bad := range []string{``, `[]`, `{"mode":"mute","cod":"61"}`, `{"mode":"nap"}`, `{"mode":"` + strings.Repeat("x", 5000) + `"}`} {
		if status, _ := post(bad); status != 400 {
			t.Errorf("%.40s: status %d", bad, status)
		}
	}
	c := signedOn(t, b)
	request, _ := c.purchase(approveCard, 100)
	if got := c.ask(request); code(got) != "61" {
		t.Errorf("code %q", code(got))
	}
}

// TestPage: docs/test-bank.md names every card, amount, state and mode, and its
// curl lines work as they stand.
func TestPage(t *testing.T) {
	raw, err := os.ReadFile("../../docs/test-bank.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, c := range Cards() {
		if row := fmt.Sprintf("| `%s` | %s |", c.Number, c.Does); !strings.Contains(text, row) {
			t.Errorf("the page lacks the row %s", row)
		}
	}
	for _, a := range Amounts() {
		if row := fmt.Sprintf("| `%s` | %s |", a.EndsIn, a.Does); !strings.Contains(text, row) {
			t.Errorf("the page lacks the row %s", row)
		}
	}
	for st := StateCharged; st < numStates; st++ {
		if !strings.Contains(text, "`"+st.String()+"`") {
			t.Errorf("the page lacks state %s", st)
		}
	}
	for _, m := range []string{ModeNormal, ModeMute, ModeRefuse, ModeStall, ModeDecline, ActDelay, ActSignOn, ActSignOff, ActEcho, ActDrop} {
		if !strings.Contains(text, "`"+m+"`") {
			t.Errorf("the page lacks mode %s", m)
		}
	}
	lines := regexp.MustCompile(`(?m)^curl .*$`).FindAllString(text, -1)
	if len(lines) < 8 {
		t.Fatalf("%d curl lines", len(lines))
	}
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	b := start(t, Config{BooksListen: "127.0.0.1:0"})
	c := signedOn(t, b)
	request, _ := c.purchase(approveCard, 100)
	c.ask(request)
	for _, line := range lines {
		if !strings.Contains(line, "127.0.0.1:9102") {
			t.Errorf("%s: another port than the page's", line)
		}
		line = strings.ReplaceAll(line, "127.0.0.1:9102", b.BooksAddr())
		cmd := exec.Command("sh", "-c", "set -e; curl() { '"+curl+"' --fail --max-time 10 \"$@\"; }; "+line)
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if !json.Valid(out) {
			t.Errorf("%s: not JSON: %.100s", line, out)
		}
	}
}
