package report

import (
	"fmt"
	"strconv"
)

// search is what a search for the highest rate wrote. Times are microseconds, rates
// per second.
type search struct {
	BoundUS   float64      `json:"bound_us"`
	Rate      float64      `json:"rate"`
	LimitedBy string       `json:"limited_by"`
	Points    []searchStep `json:"points"`
	Overload  *struct {
		Point   searchStep `json:"point"`
		Peak    float64    `json:"peak"`
		Goodput float64    `json:"goodput"`
	} `json:"overload"`
	Valid bool `json:"valid"`
}

type searchStep struct {
	Offered        float64 `json:"offered"`
	Achieved       float64 `json:"achieved"`
	P50            float64 `json:"p50_us"`
	P99            float64 `json:"p99_us"`
	CPUPerPayment  float64 `json:"cpu_us_per_payment"`
	Refused        uint64  `json:"refused"`
	Kept           bool    `json:"kept"`
	GeneratorBound bool    `json:"generator_bound"`
	MoneyOK        bool    `json:"money_ok"`
}

// says is what a step says about the switch.
func (p *searchStep) says() (word, mark string) {
	switch {
	case !p.MoneyOK:
		return "THE BOOKS DO NOT AGREE", "bad"
	case p.GeneratorBound:
		return "nothing: the generator was the limit", "dull"
	case p.Kept:
		return "kept", "good"
	}
	return "missed", "bad"
}

// searchSection shows the saturation curve. Steps that say nothing about the switch
// are listed and not drawn.
func searchSection(name string, f *search) *section {
	s := &section{Title: name, Good: f.Valid,
		Subtitle: "Search for the highest rate at which 99 % of the requests are answered within " + FormatMicros(f.BoundUS) + ", open loop."}
	s.Verdict = fmt.Sprintf("%s payments/s keep the bound; limited by the %s.", FormatCount(f.Rate), f.LimitedBy)
	if f.Rate == 0 {
		s.Verdict = "No rate kept the bound; limited by the " + f.LimitedBy + "."
	}
	if !f.Valid {
		s.Reasons = []string{"This search does not count: the books did not agree after every step, or the switch was not the limit."}
	}
	var due, achieved, p50, p99, cpu, bound []Point
	t := table{Title: "Steps", Head: []string{"offered/s", "answered/s", "p50", "p99", "switch CPU", "refused", "says"}}
	steps := f.Points
	if f.Overload != nil {
		steps = append(steps[:len(steps):len(steps)], f.Overload.Point)
		s.Cards = append(s.Cards, card{"Goodput in overload", FormatRatio(f.Overload.Goodput), "of the peak, " + FormatCount(f.Overload.Peak) + "/s"})
	}
	for _, p := range steps {
		word, mark := p.says()
		t.Rows = append(t.Rows, row{Cells: []string{FormatCount(p.Offered), FormatCount(p.Achieved), FormatMicros(p.P50), FormatMicros(p.P99),
			FormatMicros(p.CPUPerPayment), strconv.FormatUint(p.Refused, 10), word}, Mark: mark})
		if !p.MoneyOK || p.GeneratorBound {
			continue
		}
		at := func(y float64) Point { return Point{X: p.Offered, Y: y} }
		due, achieved, cpu = append(due, at(p.Offered)), append(achieved, at(p.Achieved)), append(cpu, at(p.CPUPerPayment))
		p50, p99, bound = append(p50, at(p.P50)), append(p99, at(p.P99)), append(bound, at(f.BoundUS))
	}
	offered := Axis{Label: "offered per second", FromZero: true}
	s.plot(&Plot{Title: "Saturation: answered against offered", X: offered, Y: Axis{Label: "payments/s", FromZero: true},
		Series: []Series{{Name: "answered", Points: byX(achieved)}, {Name: "as offered", Points: byX(due), Faint: true}}})
	s.plot(&Plot{Title: "Saturation: latency against offered", X: offered, Y: Axis{Label: "latency", Log: true, Format: FormatMicros},
		Series: []Series{{Name: "p50", Points: byX(p50)}, {Name: "p99", Points: byX(p99)}, {Name: "bound", Points: byX(bound), Faint: true}}})
	s.plot(&Plot{Title: "Switch CPU per payment against offered", X: offered, Y: Axis{Label: "CPU", FromZero: true, Format: FormatMicros},
		Series: []Series{{Points: byX(cpu)}}})
	s.Tables = append(s.Tables, t)
	return s
}
