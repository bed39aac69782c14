package report

import (
	"fmt"
	"math"
	"slices"
)

// section shows a curve: a picture per group of figures, and the points.
func (c *Curve) section() *section {
	s := &section{Title: c.Title, Subtitle: c.Method, Good: true, Notes: c.Notes}
	counted := 0
	t := table{Title: "Points", Head: []string{c.X}}
	for _, f := range c.Figures {
		t.Head = append(t.Head, f.Title)
	}
	t.Head = append(t.Head, "counts")
	for _, p := range c.Points {
		cells := []string{c.XFormat.Text(p.X)}
		for _, f := range c.Figures {
			v, ok := p.Values[f.Key]
			if !ok {
				cells = append(cells, "-")
				continue
			}
			cells = append(cells, f.Format.Text(v))
		}
		state, mark := "yes", "good"
		if !p.Valid {
			state, mark = "NO", "bad"
		} else {
			counted++
		}
		if p.Note != "" {
			state += ": " + p.Note
		}
		t.Rows = append(t.Rows, row{Cells: append(cells, state), Mark: mark})
	}
	s.Tables = append(s.Tables, t)
	s.Verdict = fmt.Sprintf("%d of %d points count.", counted, len(c.Points))
	s.Good = counted == len(c.Points)
	for _, group := range c.groups() {
		s.plot(c.plot(group))
	}
	return s
}

// groups are the figures by the picture they share, in their order.
func (c *Curve) groups() (out [][]Figure) {
	for _, f := range c.Figures {
		at := slices.IndexFunc(out, func(g []Figure) bool { return f.Plot != "" && g[0].Plot == f.Plot })
		if at < 0 {
			out = append(out, []Figure{f})
		} else {
			out[at] = append(out[at], f)
		}
	}
	return out
}

// plot draws the points that count.
func (c *Curve) plot(group []Figure) *Plot {
	first := group[0]
	p := &Plot{Title: first.Title, X: Axis{Label: c.X, Log: c.XLog, Format: c.XFormat.Text},
		Y: Axis{Log: first.Log, FromZero: true, Binary: first.Format == FormatOfBytes, Format: first.Format.Text}}
	if first.Plot != "" {
		p.Title = first.Plot
	}
	for _, f := range group {
		line := Series{Name: f.Title}
		for _, point := range c.Points {
			if v, ok := point.Values[f.Key]; ok && point.Valid {
				line.Points = append(line.Points, Point{X: point.X, Y: v})
			}
		}
		line.Points = byX(line.Points)
		p.Series = append(p.Series, line)
	}
	return p
}

// section shows the goal table; a goal that is not met is never left out.
func (g *Goals) section() *section {
	s := &section{Title: "Goals", Good: g.missed() == 0}
	s.Verdict = fmt.Sprintf("%d of %d goals met.", len(g.Lines)-g.missed(), len(g.Lines))
	s.Subtitle = fmt.Sprintf("Measured %s in %.0f s.", g.Started.UTC().Format("2006-01-02 15:04 UTC"), g.Seconds)
	t := table{Head: []string{"goal", "gate", "ambition", "measured", "remark", "verdict"}}
	for _, l := range g.Lines {
		mark := "bad"
		switch l.State {
		case StateMet, StateAmbition:
			mark = "good"
		case StateNotMeasured:
			mark = "dull"
		}
		t.Rows = append(t.Rows, row{Cells: []string{l.Name, l.bar(l.Gate), l.bar(l.Ambition), l.measured(), l.remark(), string(l.State)}, Mark: mark})
	}
	s.Tables = append(s.Tables, t)
	return s
}

// section shows a comparison: the ratios, and the rounds they come from.
func (c *Comparison) section() *section {
	if c.NameA == "" {
		c.NameA, c.NameB = "a", "b"
	}
	s := &section{Title: c.NameA + " against " + c.NameB, Good: c.Valid,
		Subtitle: fmt.Sprintf("%d rounds in turns on one machine; every ratio is of two runs that stood next to each other, with a bootstrap 95 %% interval.", len(c.A))}
	s.Verdict = "Every round counts."
	if !c.Valid {
		s.Verdict = "At least one round does not count."
	}
	t := table{Head: []string{c.NameA + " / " + c.NameB, "ratio", "95 % interval", c.NameA + " is"}}
	for _, l := range c.lines() {
		mark := map[Verdict]string{Better: "good", Worse: "bad"}[l.verdict]
		t.Rows = append(t.Rows, row{Cells: []string{l.name, FormatRatio(l.ratio.Median), FormatRatio(l.ratio.Low) + " to " + FormatRatio(l.ratio.High), string(l.verdict)}, Mark: mark})
	}
	s.Tables = append(s.Tables, t)
	if len(c.A) != len(c.B) {
		return s
	}
	rate, cpu := c.rounds("Payments/s by round", "payments/s"), c.rounds("Switch CPU per payment by round", "CPU per payment")
	cpu.Y.Format = FormatMicros
	for i := range c.A {
		for k, r := range []*roundFigures{figuresOf(c, i, true), figuresOf(c, i, false)} {
			rate.Series[k].Points = append(rate.Series[k].Points, Point{X: float64(i + 1), Y: r.rate})
			cpu.Series[k].Points = append(cpu.Series[k].Points, Point{X: float64(i + 1), Y: r.cpu})
		}
	}
	s.plot(rate)
	s.plot(cpu)
	return s
}

func (c *Comparison) rounds(title, figure string) *Plot {
	return &Plot{Title: title, X: Axis{Label: "round"}, Y: Axis{Label: figure, FromZero: true}, Series: []Series{{Name: c.NameA}, {Name: c.NameB}}}
}

// roundFigures are one side of one round.
type roundFigures struct{ rate, cpu float64 }

func figuresOf(c *Comparison, i int, first bool) *roundFigures {
	r := c.B[i]
	if first {
		r = c.A[i]
	}
	if r == nil {
		return &roundFigures{math.NaN(), math.NaN()}
	}
	out := &roundFigures{rate: r.Achieved, cpu: math.NaN()}
	if p, ok := r.Processes["switch"]; ok {
		out.cpu = p.CPUPerPayment
	}
	return out
}
