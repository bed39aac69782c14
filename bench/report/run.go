package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/tranzit/tranzit/bench"
)

// runSection shows one run.
func runSection(name string, r *bench.Result) *section {
	s := &section{Title: name, Good: r.Valid, Verdict: "This run counts: the books agree and the generator was not the bottleneck."}
	s.Subtitle = fmt.Sprintf("%s, started %s, %.3g s measured", loopWords(r), r.Started.UTC().Format("2006-01-02 15:04:05 UTC"), r.Seconds)
	switch {
	case !r.Valid:
		s.Verdict = "The figures of this run do not count."
		if r.Money != nil {
			s.Reasons = append(s.Reasons, r.Money.Findings...)
		}
		s.Reasons = append(s.Reasons, r.Warnings...)
	case r.Money == nil:
		s.Verdict = "This run counts as a reference: there were no books to compare."
		s.Reasons = r.Warnings
	default:
		s.Reasons = r.Warnings
	}
	s.Cards = runCards(r)
	timePlots(s, r.Timeline)
	s.plot(distributionPlot([]document{{name: "latency", run: r}}))
	s.draw(cpuBars(r).SVG())
	s.Tables = append(s.Tables, latencyTable(r), moneyTable(r))
	s.pairs("Settings", settings(r))
	s.pairs("Answers", answers(r))
	for _, parts := range []struct {
		title string
		list  []bench.Part
	}{{"Phases", r.Phases}, {"Banks", r.Banks}, {"Kinds of requests", r.Kinds}} {
		if len(parts.list) > 0 {
			s.Tables = append(s.Tables, partsTable(parts.title, parts.list))
		}
	}
	if len(r.Events) > 0 {
		s.Tables = append(s.Tables, eventsTable(r.Events))
	}
	return s
}

func partsTable(title string, parts []bench.Part) table {
	t := table{Title: title, Head: []string{"", "due", "paid", "refused", "lost", "p50", "p99", "p99 of payments"}}
	for _, p := range parts {
		name := p.Name
		if p.To > p.From {
			name += fmt.Sprintf(" (%.3g s to %.3g s)", p.From, p.To)
		}
		n := func(v uint64) string { return strconv.FormatUint(v, 10) }
		t.Rows = append(t.Rows, row{Cells: []string{name, n(p.Due), n(p.Payments), n(p.Refused), n(p.Lost), FormatMicros(p.Latency.P50),
			FormatMicros(p.Latency.P99), FormatMicros(p.Good.P99)}})
	}
	return t
}

func eventsTable(events []bench.Happened) table {
	t := table{Title: "Events", Head: []string{"second", "what", "took", "result"}}
	for _, e := range events {
		took, result, mark := "-", "done", "good"
		if e.Kill {
			took = FormatMicros(e.Took * 1e6)
		}
		if e.Error != "" {
			result, mark = e.Error, "bad"
		}
		t.Rows = append(t.Rows, row{Cells: []string{fmt.Sprintf("%.2f", e.At), e.Name, took, result}, Mark: mark})
	}
	return t
}

func loopWords(r *bench.Result) string {
	if r.Mode == "closed" {
		return "Closed loop: every connection sends its next payment when the last is answered"
	}
	scenario := ""
	if r.Scenario != "" {
		scenario = "Scenario " + r.Scenario + ": "
	}
	return scenario + "open loop (" + strings.TrimSpace(r.Mode+" "+r.Arrivals) + "): latency counts from the moment a payment was due"
}

func runCards(r *bench.Result) []card {
	cards := []card{
		{"Payments/s", FormatCount(r.Achieved), "offered " + FormatCount(r.Offered) + "/s"},
		{"Latency p50", FormatMicros(r.Latency.P50), "mean " + FormatMicros(r.Latency.Mean)},
		{"Latency p99", FormatMicros(r.Latency.P99), "p99.9 " + FormatMicros(r.Latency.P999)},
		{"Slowest", FormatMicros(r.Latency.Max), FormatCount(float64(r.Latency.Count)) + " measured"},
	}
	if p, ok := r.Processes["switch"]; ok {
		cards = append(cards, card{"CPU per payment", FormatMicros(p.CPUPerPayment), "switch, " + FormatCount(p.CPU) + " processors"},
			card{"Memory", FormatBytes(float64(p.RSSPeak)), "switch, peak resident"})
	}
	if r.FsyncsPerPayment != nil {
		cards = append(cards, card{"Fsyncs", FormatCount(*r.FsyncsPerPayment), "per payment"})
	}
	if r.AllocsPerPayment != nil {
		cards = append(cards, card{"Allocations", FormatCount(*r.AllocsPerPayment), "per payment"})
	}
	return cards
}

// timePlots draws throughput and latency over the seconds of a run.
func timePlots(s *section, seconds []bench.Second) {
	var answered, bad, inFlight, p50, p99, most []Point
	failed := uint64(0)
	for _, t := range seconds {
		x := float64(t.Second)
		answered = append(answered, Point{X: x, Y: float64(t.Answered)})
		bad = append(bad, Point{X: x, Y: float64(t.Bad)})
		inFlight = append(inFlight, Point{X: x, Y: float64(t.InFlight)})
		p50, p99, most = append(p50, Point{X: x, Y: t.P50}), append(p99, Point{X: x, Y: t.P99}), append(most, Point{X: x, Y: t.Max})
		failed += t.Bad
	}
	second := Axis{Label: "second of the run"}
	rate := &Plot{Title: "Throughput over time", X: second, Y: Axis{Label: "answers per second", FromZero: true},
		Series: []Series{{Name: "answered", Points: answered}}}
	if failed > 0 {
		rate.Series = append(rate.Series, Series{Name: "refused or lost", Points: bad})
	}
	s.plot(rate)
	s.plot(&Plot{Title: "Latency over time", X: second, Y: Axis{Label: "latency", Log: true, Format: FormatMicros},
		Series: []Series{{Name: "p50", Points: p50}, {Name: "p99", Points: p99}, {Name: "slowest", Points: most}}})
	s.plot(&Plot{Title: "In flight over time", X: second, Y: Axis{Label: "payments", FromZero: true}, Series: []Series{{Points: inFlight}}})
}

// distributionPlot draws latency by percentile: each further nine takes the same
// room, so that the tail is seen.
func distributionPlot(runs []document) *Plot {
	p := &Plot{Title: "Latency by percentile", X: Axis{Label: "percentile", Log: true, Ticks: percentileTicks},
		Y: Axis{Label: "latency", Log: true, Format: FormatMicros}}
	for _, d := range runs {
		h, err := hdrhistogram.Decode([]byte(d.run.Histogram))
		if err != nil || h.TotalCount() == 0 {
			continue
		}
		s := Series{Name: d.name}
		for _, b := range h.CumulativeDistributionWithTicks(8) {
			if rest := 1 - b.Quantile/100; rest > 0 && b.Count > 0 {
				s.Points = append(s.Points, Point{X: 1 / rest, Y: float64(b.ValueAt) / 1e3})
			}
		}
		p.Series = append(p.Series, s)
	}
	return p
}

func cpuBars(r *bench.Result) *Bars {
	b := &Bars{Title: "CPU per payment by process", Format: FormatMicros}
	for _, name := range slices.Sorted(maps.Keys(r.Processes)) {
		b.Rows = append(b.Rows, Bar{name, r.Processes[name].CPUPerPayment})
	}
	return b
}

func latencyTable(r *bench.Result) table {
	t := table{Title: "Latency", Head: []string{"", "payments", "generator late"}}
	for _, q := range []struct {
		name string
		at   func(*bench.Latency) float64
	}{
		{"min", func(l *bench.Latency) float64 { return l.Min }}, {"mean", func(l *bench.Latency) float64 { return l.Mean }},
		{"p50", func(l *bench.Latency) float64 { return l.P50 }}, {"p90", func(l *bench.Latency) float64 { return l.P90 }},
		{"p99", func(l *bench.Latency) float64 { return l.P99 }}, {"p99.9", func(l *bench.Latency) float64 { return l.P999 }},
		{"p99.99", func(l *bench.Latency) float64 { return l.P9999 }}, {"max", func(l *bench.Latency) float64 { return l.Max }},
	} {
		late := "-"
		if r.Lateness.Count > 0 {
			late = FormatMicros(q.at(&r.Lateness))
		}
		t.Rows = append(t.Rows, row{Cells: []string{q.name, FormatMicros(q.at(&r.Latency)), late}})
	}
	return t
}

// moneyTable holds the three views of the money against each other.
func moneyTable(r *bench.Result) table {
	t := table{Title: "Money check", Head: []string{"", "count", "minor units"}}
	add := func(name string, n uint64, amount int64) {
		t.Rows = append(t.Rows, row{Cells: []string{name, strconv.FormatUint(n, 10), strconv.FormatInt(amount, 10)}})
	}
	m := r.Money
	if m == nil {
		t.Rows = []row{{Cells: []string{"not made", "", ""}, Mark: "dull"}}
		return t
	}
	add("merchants were told approved", m.Merchants.Approved, m.Merchants.ApprovedAmount)
	add("merchants have no answer for", m.Merchants.Open, m.Merchants.OpenAmount)
	if m.Journal != nil {
		add("journal approved", m.Journal.Approved, m.Journal.ApprovedAmount)
		add("journal still open", m.Journal.Open, 0)
	}
	if m.Bank != nil {
		t.Rows = append(t.Rows, row{Cells: []string{"bank holds", "", strconv.FormatInt(m.Bank.Net, 10)}})
	}
	verdict := row{Cells: []string{"verdict", "", "the books agree"}, Mark: "good"}
	if !m.OK {
		verdict = row{Cells: []string{"verdict", "", "THE BOOKS DO NOT AGREE"}, Mark: "bad"}
	}
	t.Rows = append(t.Rows, verdict)
	return t
}

func settings(r *bench.Result) [][]string {
	return [][]string{{"Loop", r.Mode}, {"Offered", FormatCount(r.Offered) + "/s"}, {"Connections", strconv.Itoa(r.Connections)},
		{"Generator threads", strconv.Itoa(r.Workers)}, {"Processors", strconv.Itoa(r.Processors)}, {"Measured", fmt.Sprintf("%.3g s", r.Seconds)},
		{"Duplicates sent", strconv.FormatUint(r.Duplicates, 10)}, {"Answers replayed", strconv.FormatUint(r.Replayed, 10)},
		{"Waited for a connection", strconv.FormatUint(r.Starved, 10)}, {"Due and never sent", strconv.FormatUint(r.Dropped, 10)}}
}

func answers(r *bench.Result) (rows [][]string) {
	for _, group := range []struct {
		name   string
		counts map[string]uint64
	}{{"HTTP", r.Codes}, {"Payment", r.Statuses}, {"Refusal", r.Problems}, {"No answer", r.Losses}} {
		for _, k := range slices.Sorted(maps.Keys(group.counts)) {
			rows = append(rows, []string{strings.TrimSpace(group.name + " " + k), strconv.FormatUint(group.counts[k], 10)})
		}
	}
	return rows
}

// overview holds several runs against each other; nil when there are less than two.
func overview(all []document) *section {
	var runs []document
	for _, d := range all {
		if d.run != nil {
			runs = append(runs, d)
		}
	}
	if len(runs) < 2 {
		return nil
	}
	s := &section{Title: "All runs", Good: true}
	t := table{Head: []string{"run", "payments/s", "p50", "p99", "p99.9", "switch CPU", "counts"}}
	rate := &Plot{Title: "Throughput over time", X: Axis{Label: "second of the run"}, Y: Axis{Label: "answers per second", FromZero: true}}
	cpu := &Bars{Title: "CPU of the switch per payment", Format: FormatMicros}
	for _, d := range runs {
		r := d.run
		mark, counts := "good", "yes"
		if !r.Valid {
			mark, counts = "bad", "NO"
		}
		p, measured := r.Processes["switch"]
		used := "-"
		if measured {
			used = FormatMicros(p.CPUPerPayment)
			cpu.Rows = append(cpu.Rows, Bar{shorten(d.name), p.CPUPerPayment})
		}
		t.Rows = append(t.Rows, row{Cells: []string{d.name, FormatCount(r.Achieved), FormatMicros(r.Latency.P50), FormatMicros(r.Latency.P99),
			FormatMicros(r.Latency.P999), used, counts}, Mark: mark})
		line := Series{Name: shorten(d.name)}
		for _, sec := range r.Timeline {
			line.Points = append(line.Points, Point{X: float64(sec.Second), Y: float64(sec.Answered)})
		}
		rate.Series = append(rate.Series, line)
	}
	saturation(s, runs)
	if len(runs) <= palette {
		named := slices.Clone(runs)
		for i := range named {
			named[i].name = shorten(named[i].name)
		}
		s.plot(rate)
		s.plot(distributionPlot(named))
		s.draw(cpu.SVG())
	}
	s.Tables = append(s.Tables, t)
	return s
}

// leastRates make a saturation curve.
const leastRates = 3

// saturation draws what open loops at several rates were answered, when there are
// enough of them. Runs that do not count are left out.
func saturation(s *section, runs []document) {
	var achieved, due, p50, p99 []Point
	for _, d := range runs {
		r := d.run
		if r.Mode == "closed" || !r.Valid || slices.ContainsFunc(due, func(p Point) bool { return p.X == r.Offered }) {
			continue
		}
		due = append(due, Point{X: r.Offered, Y: r.Offered})
		achieved = append(achieved, Point{X: r.Offered, Y: r.Achieved})
		p50, p99 = append(p50, Point{X: r.Offered, Y: r.Latency.P50}), append(p99, Point{X: r.Offered, Y: r.Latency.P99})
	}
	if len(due) < leastRates {
		return
	}
	offered := Axis{Label: "offered per second", FromZero: true}
	s.plot(&Plot{Title: "Saturation: answered against offered", X: offered, Y: Axis{Label: "payments/s", FromZero: true},
		Series: []Series{{Name: "answered", Points: byX(achieved)}, {Name: "as offered", Points: byX(due), Faint: true}}})
	s.plot(&Plot{Title: "Saturation: latency against offered", X: offered, Y: Axis{Label: "latency", Log: true, Format: FormatMicros},
		Series: []Series{{Name: "p50", Points: byX(p50)}, {Name: "p99", Points: byX(p99)}}})
}

// shorten makes a name fit beside a picture.
func shorten(name string) string {
	const most = 16
	letters := []rune(name)
	if len(letters) <= most {
		return name
	}
	return "…" + string(letters[len(letters)-most+1:])
}
