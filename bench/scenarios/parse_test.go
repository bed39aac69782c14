package scenarios

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/bench"
)

const good = `about: all keys
warmup: 2s
retry: true
merchants:
  - {count: 2, share: 3}
  - {share: 1}
banks:
  - {id: alfa, dialect: ascii87, share: 2, think: 5ms, jitter: 1ms, links: 1, window: 10, response: 3s}
  - {id: vega}
mix: {purchase: 8, authorization: 1, duplicate: 1}
cards:
  - {card: approve, share: 9}
  - {card: "4000000000009995"}
phases:
  - {arrivals: constant, rate: 10, duration: 2s}
  - {arrivals: ramp, from: 10, to: 20, duration: 4s}
  - {arrivals: burst, size: 5, period: 100ms, duration: 4s}
events:
  - {at: 1s, bank: alfa, does: slow, delay: 1s}
  - {at: 5s, bank: vega, does: down}
  - {at: 6s, does: kill}
`

// TestParse reads every key, and Prepare turns it into a run.
func TestParse(t *testing.T) {
	s, err := Parse("dir/mine.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	s.Scale(2)
	s.Fit(5 * time.Second)
	dir := t.TempDir()
	var o bench.Options
	if err := s.Prepare(dir, &o); err != nil {
		t.Fatal(err)
	}
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	if o.Scenario != "mine" || o.Duration != 5*time.Second || !o.RetryLost || o.Warmup != 2*time.Second {
		t.Errorf("%+v", o)
	}
	if len(o.Keys) != 3 || o.KeyShares[0] != 1.5 || o.KeyShares[2] != 1 || o.BankShares[0] != 2 || o.BankShares[1] != 1 || len(o.MoreBanks) != 1 {
		t.Errorf("shares %v %v, banks %v", o.KeyShares, o.BankShares, o.MoreBanks)
	}
	want := []bench.Phase{{Arrivals: bench.Constant, Rate: 20, Duration: time.Second}, {Arrivals: bench.Ramp, Rate: 20, To: 40, Duration: 2 * time.Second},
		{Arrivals: bench.Burst, Size: 10, Period: 100 * time.Millisecond, Duration: 2 * time.Second}}
	for i, p := range o.Arrivals {
		if p != want[i] {
			t.Errorf("phase %d is %v, want %v", i+1, p, want[i])
		}
	}
	if e := o.Events; len(e) != 3 || e[0].At != time.Second/2 || e[1].At != 2500*time.Millisecond || len(e[1].Controls) != 2 || e[1].Controls[0].Bank != 1 || !e[2].Kill {
		t.Errorf("events %+v", e)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "tranzit.yaml")); err != nil || !strings.Contains(string(text), "window: 10\n") {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestParseNamesTheLine changes one line of the good file at a time.
func TestParseNamesTheLine(t *testing.T) {
	for _, tt := range []struct{ from, to, want string }{
		{"retry: true", "retri: true", `f.yaml:3: unknown key "retri"`},
		{"window: 10,", "windows: 10,", `f.yaml:8: unknown key "windows"`},
		{"retry: true", "retry: maybe", `f.yaml:3: "maybe" is not true or false`},
		{"warmup: 2s", "warmup: soon", `f.yaml:2: "soon" is not a duration`},
		{"count: 2", "count: two", `f.yaml:5: "two" is not a whole number`},
		{"count: 2", "count: -2", "f.yaml:5: merchants[0]"},
		{"count: 2", "count: 200000", "f.yaml:4: merchants: at most"},
		{"id: vega", "id: alfa", `f.yaml:9: banks[1].id: "alfa" is used twice`},
		{"id: vega", "id: Vega", "f.yaml:9: banks[1].id"},
		{"ascii87", "ascii1", "f.yaml:8: banks[0].dialect"},
		{"links: 1", "links: 100", "f.yaml:8: banks[0].links"},
		{"response: 3s", "response: 3ms", "f.yaml:8: banks[0].response"},
		{"purchase: 8", "gift: 8", "mix"},
		{"card: approve", "card: perhaps", "f.yaml:12: cards[0].card"},
		{"arrivals: constant", "arrivals: even", "f.yaml:15: phases[0].arrivals"},
		{"rate: 10,", "size: 10,", "f.yaml:15: phases[0].size: constant arrivals have no such key"},
		{"to: 20, duration: 4s", "to: 20", "f.yaml:16: phases[1].duration"},
		{"period: 100ms", "period: 1us", "f.yaml:17: phases[2]"},
		{"at: 1s", "at: 11s", "f.yaml:19: events[0].at"},
		{"does: down", "does: dance", "f.yaml:20: events[1].does"},
		{"bank: vega", "bank: vego", "f.yaml:20: events[1].bank"},
		{"delay: 1s", "code: \"05\"", "f.yaml:19: events[0].delay"},
		{"does: kill", "does: kill, bank: alfa", "f.yaml:21: events[2].bank"},
		{"about: all keys", "about: [", "f.yaml:"},
		{"  - {at: 6s, does: kill}", "---\na: b", "one document"},
	} {
		if !strings.Contains(good, tt.from) {
			t.Fatalf("%q is not in the good file", tt.from)
		}
		_, err := Parse("f.yaml", []byte(strings.Replace(good, tt.from, tt.to, 1)))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", tt.to, err, tt.want)
		}
	}
	if _, err := Parse("f.yaml", nil); err == nil || !strings.Contains(err.Error(), "phases") {
		t.Errorf("an empty file: %v", err)
	}
	if _, err := Load("no-such"); err == nil || !strings.Contains(err.Error(), "brown_out") {
		t.Errorf("%v", err)
	}
}

// TestDocumented: the example of the documentation is a good one, and every key, every
// scenario and every kind is explained there.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/bench.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	_, example, _ := strings.Cut(text, "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	if _, err := Parse("docs/bench.md", []byte(example)); err != nil {
		t.Error(err)
	}
	var words []string
	for _, of := range []reflect.Type{reflect.TypeFor[Scenario](), reflect.TypeFor[Phase](), reflect.TypeFor[Merchants](), reflect.TypeFor[Bank](),
		reflect.TypeFor[Card](), reflect.TypeFor[Event]()} {
		for i := range of.NumField() {
			if tag := of.Field(i).Tag.Get("yaml"); tag != "" && tag != "-" {
				words = append(words, tag)
			}
		}
	}
	words = append(words, Names()...)
	for _, kind := range []bench.Kind{bench.Purchase, bench.Authorization, bench.Duplicate, bench.Capture, bench.Cancel, bench.Refund} {
		words = append(words, string(kind))
	}
	for _, w := range words {
		if !strings.Contains(text, "`"+w+"`") && !strings.Contains(text, ": "+w+"`") {
			t.Errorf("docs/bench.md does not explain %q", w)
		}
	}
}

// FuzzParse: whatever is read, it is refused or can be run.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	for _, name := range Names() {
		text, _ := Text(name)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse("f.yaml", text)
		if err != nil {
			return
		}
		var o bench.Options
		s.fill(&o)
		o.Target, o.Books, o.Binary, o.ServeArgs = "http://127.0.0.1:1", make([]string, len(s.Banks)), "-", []string{"-"}
		o.EnsureDefaults()
		if err := o.Validate(); err != nil {
			t.Fatal(err)
		}
	})
}
