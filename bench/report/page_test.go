package report

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/tranzit/tranzit/bench"
)

const evil = `<img src=x onerror="alert(1)">`

func runOf(t *testing.T, valid bool) *bench.Result {
	t.Helper()
	h := hdrhistogram.New(1000, int64(10*time.Minute), 3)
	for i := range int64(2000) {
		_ = h.RecordValue(1_000_000 + i*i*1000)
	}
	packed, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	r := &bench.Result{Mode: "constant", Seconds: 2, Achieved: 12345, Offered: 12500, Valid: valid, Histogram: string(packed),
		Latency: bench.Latency{Count: 2000, P50: 2000, P99: 4900}, Codes: map[string]uint64{"201": 2000, evil: 1},
		Processes: map[string]bench.Process{"switch": {CPUPerPayment: 101.5}, evil: {CPUPerPayment: 3}},
		Timeline:  []bench.Second{{Second: 1, Answered: 12000, P50: 2000, P99: 4000, Max: 9000}, {Second: 2, Answered: 12600, Bad: 3, P50: 2000, P99: 4000, Max: 9000}},
		Money:     &bench.MoneyCheck{OK: valid, Merchants: bench.MerchantView{Approved: 2000, ApprovedAmount: 777}, Bank: &bench.BankView{Net: 778}}}
	r.Scenario, r.Phases = evil, []bench.Part{{Name: "burst " + evil, From: 1, To: 2, Due: 4711}}
	r.Events = []bench.Happened{{At: 1.25, Name: "kill", Kill: true, Took: 0.314}, {At: 2, Name: "slow", Error: "no bank " + evil}}
	if !valid {
		r.Money.Findings = []string{"the bank holds 778, the journal says 777 " + evil}
	}
	return r
}

// rates are open loops that make a saturation curve.
func rates(t *testing.T) (runs []*bench.Result) {
	for _, rate := range []float64{3000, 1000, 2000} {
		r := runOf(t, true)
		r.Offered, r.Achieved = rate, rate*0.99
		runs = append(runs, r)
	}
	return runs
}

func fileOf(t *testing.T, name string, v any) File {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return File{name, text}
}

func everyKind(t *testing.T) []File {
	t.Helper()
	v := 1.44
	m := Machine{CPU: "AMD " + evil, Cores: 2, Fsync: &Fsync{Count: 10, P50: 210, P99: 900}}
	g := Goals{Kind: KindGoals, Machine: m, Lines: []GoalLine{{Name: "CPU " + evil, Format: FormatOfRatio, Gate: 1.6, Ambition: 1.25, Value: &v},
		{Name: "plain", Reason: "it is not there"}}}
	g.Judge()
	rounds := make([]*bench.Result, 5)
	for i := range rounds {
		rounds[i] = runOf(t, true)
	}
	c, err := bench.CompareResults(rounds, rounds)
	if err != nil {
		t.Fatal(err)
	}
	return []File{
		fileOf(t, evil+".json", runOf(t, false)), fileOf(t, "rates.json", rates(t)), fileOf(t, "list.json", []*bench.Result{runOf(t, true), runOf(t, true)}),
		fileOf(t, "curve.json", Curve{Kind: KindCurve, Title: "Links " + evil, X: "links", XLog: true, Machine: m, Notes: []string{evil},
			Figures: []Figure{{Key: "tps", Title: "payments/s"}, {Key: "p50", Title: "p50", Plot: "Latency", Format: FormatOfMicros}, {Key: "p99", Title: "p99", Plot: "Latency", Format: FormatOfMicros}},
			Points:  []CurvePoint{{X: 1, Values: map[string]float64{"tps": 9876, "p50": 10, "p99": 30}, Valid: true}, {X: 64, Note: "the limit of open files is 20000"}}}),
		{"search.json", []byte(`{"bound_us":50000,"rate":15000,"limited_by":"switch<b>","valid":false,"overload":{"goodput":0.977,"peak":16000,"point":{"offered":30000,"achieved":15632,"p50_us":9e5,"p99_us":2e6,"money_ok":true}},
			"points":[{"offered":1000,"achieved":999,"p50_us":800,"p99_us":3000,"kept":true,"money_ok":true},{"offered":15000,"achieved":14990,"p50_us":8000,"p99_us":30000,"kept":true,"money_ok":false},
			{"offered":22500,"achieved":16000,"p50_us":80000,"p99_us":300000,"money_ok":true,"generator_bound":true}]}`)},
		fileOf(t, "goals.json", g), fileOf(t, "compare.json", Comparison{Kind: KindComparison, NameA: evil, NameB: "b", Comparison: *c}),
	}
}

// TestPage: everything is on it, nothing refers outside, nothing from a file is markup.
func TestPage(t *testing.T) {
	var out bytes.Buffer
	if err := Write(&out, everyKind(t), Options{Title: evil, Machine: &Machine{CPU: "report maker"}}); err != nil {
		t.Fatal(err)
	}
	page := out.String()
	for _, want := range []string{"THE BOOKS DO NOT AGREE", "the books agree", "the bank holds 778", "101", "12.3k", "met", "not measured", "it is not there",
		"no difference seen", "limit of open files", "report maker", "210 µs", "Saturation: latency", "4711", "314 ms", "burst", "no bank", "Scenario", "0.977", "15k payments/s keep the bound", "the generator was the limit", "1 of 2 goals met", "1 of 2 points count", "Latency by percentile", "prefers-color-scheme: dark"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
	if found := regexp.MustCompile(`(?i)<(img|script|link|iframe|object|embed)\b|@import|url\(|\bsrc=|href="[^#]|https?://[^w]`).FindAllString(
		strings.ReplaceAll(page, `src=x onerror=`, ""), -1); found != nil {
		t.Errorf("the page refers outside, or holds markup of a file: %q", found)
	}
	if strings.Count(page, "<svg") != strings.Count(page, "</svg>") || strings.Count(page, "<svg") < 15 {
		t.Errorf("%d pictures", strings.Count(page, "<svg"))
	}
}

func TestPageRefuses(t *testing.T) {
	for name, text := range map[string]string{"not JSON": "<html>", "something else": `{"a":1}`, "a number": "7", "no run": "[]",
		"a list of others": `[{"x":1}]`, "runs that are not there": `{"throughput":{"median":1},"a":[null],"b":[null]}`} {
		if err := Write(new(bytes.Buffer), []File{{"broken.json", []byte(text)}}, Options{}); err == nil {
			t.Errorf("%s makes a report", name)
		} else if name != "no run" && !strings.Contains(err.Error(), "broken.json") {
			t.Errorf("%s: the error does not name the file: %v", name, err)
		}
	}
	if err := Write(new(bytes.Buffer), nil, Options{}); err == nil {
		t.Error("no file makes a report")
	}
}

func TestGoalStates(t *testing.T) {
	f := func(v float64) *float64 { return &v }
	g := Goals{Lines: []GoalLine{
		{Name: "low", Gate: 1.6, Ambition: 1.25, Value: f(1.25)}, {Name: "gate", Gate: 1.6, Ambition: 1.25, Value: f(1.6)},
		{Name: "over", Gate: 1.6, Ambition: 1.25, Value: f(1.601)}, {Name: "high", Higher: true, Gate: 20000, Ambition: 32000, Value: f(32000)},
		{Name: "short", Higher: true, Gate: 20000, Ambition: 32000, Value: f(19999)}, {Name: "none"},
		{Name: "invalid", Gate: 1, Ambition: 1, Value: f(0.5), Invalid: true, Reason: "the books do not agree"},
	}}
	g.Judge()
	want := []State{StateAmbition, StateMet, StateMissed, StateAmbition, StateMissed, StateNotMeasured, StateInvalid}
	for i, l := range g.Lines {
		if l.State != want[i] {
			t.Errorf("%s: %s, want %s", l.Name, l.State, want[i])
		}
	}
	var text bytes.Buffer
	if err := g.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"MISSED", "INVALID", "not measured", "invalid: the books do not agree", "3 of 7 goals met", ">= 20k"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "0.5") {
		t.Errorf("the figure of a run that does not count is shown\n%s", text.String())
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		rounds    int
		higher    bool
		want      Verdict
	}{
		{1.1, 1.2, 5, true, Better}, {1.1, 1.2, 5, false, Worse}, {0.8, 0.9, 5, true, Worse}, {0.8, 0.9, 5, false, Better},
		{0.9, 1.1, 5, true, NoDifference}, {0.9, 1.1, 5, false, NoDifference}, {1, 1, 5, true, NoDifference}, {1.5, 1.6, 3, true, TooFew},
	} {
		if got := Judge(bench.Ratio{Median: 1, Low: c.low, High: c.high}, c.rounds, c.higher); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestMachine(t *testing.T) {
	m := ReadMachine(t.TempDir())
	if m.Cores < 1 || m.Go == "" || m.Fsync == nil || m.Fsync.Count < 1 || m.Fsync.P50 <= 0 || m.Fsync.P99 < m.Fsync.P50 {
		t.Errorf("%+v %+v", m, m.Fsync)
	}
	if m := ReadMachine("/nowhere/at/all"); m.Fsync != nil {
		t.Error("the fsync of a missing folder was measured")
	}
	if got := valueOf([]byte("a\t: 1\nmodel name\t: EPYC: 2\nmodel name : x\n"), "model name"); got != "EPYC: 2" {
		t.Error(got)
	}
}
