package report

import (
	"bytes"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// Goals are the goals of the payment path and what was measured of each.
type Goals struct {
	Kind    string     `json:"kind"` // KindGoals
	Started time.Time  `json:"started"`
	Seconds float64    `json:"seconds"` // what measuring took
	Machine Machine    `json:"machine"`
	Lines   []GoalLine `json:"goals"`
}

// GoalLine is one goal. Value is nil when there is no figure that counts; Reason
// then says why.
type GoalLine struct {
	Name     string   `json:"name"`
	Format   Format   `json:"format"`
	Higher   bool     `json:"higher_is_better"`
	Gate     float64  `json:"gate"`
	Ambition float64  `json:"ambition"`
	Value    *float64 `json:"measured,omitempty"`
	// Low and High are the 95 % interval of a figure of several rounds.
	Low  *float64 `json:"low,omitempty"`
	High *float64 `json:"high,omitempty"`
	// Invalid: it was measured and the run does not count.
	Invalid bool   `json:"invalid,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Note says how the measurement differs from what the goal asks for.
	Note string `json:"note,omitempty"`
	// State is what Judge found.
	State State `json:"state"`
}

// State is how a goal fared.
type State string

// The states of a goal.
const (
	StateMet         State = "met"
	StateAmbition    State = "ambition met"
	StateMissed      State = "MISSED"
	StateInvalid     State = "INVALID"
	StateNotMeasured State = "not measured"
)

// Judge compares every figure with its gate and its ambition.
func (g *Goals) Judge() {
	for i := range g.Lines {
		g.Lines[i].State = g.Lines[i].judge()
	}
}

func (l *GoalLine) judge() State {
	if l.Invalid {
		return StateInvalid
	}
	if l.Value == nil {
		return StateNotMeasured
	}
	reaches := func(bar float64) bool {
		if l.Higher {
			return *l.Value >= bar
		}
		return *l.Value <= bar
	}
	switch {
	case reaches(l.Ambition):
		return StateAmbition
	case reaches(l.Gate):
		return StateMet
	}
	return StateMissed
}

// bar writes a gate or an ambition with its direction.
func (l *GoalLine) bar(v float64) string {
	if l.Higher {
		return ">= " + l.Format.Text(v)
	}
	return "<= " + l.Format.Text(v)
}

// measured writes the figure with its interval; a figure of a run that does not
// count is not shown.
func (l *GoalLine) measured() string {
	if l.Invalid || l.Value == nil {
		return "-"
	}
	s := l.Format.Text(*l.Value)
	if l.Low != nil && l.High != nil {
		s += " (" + l.Format.Text(*l.Low) + " to " + l.Format.Text(*l.High) + ")"
	}
	return s
}

// remark is the reason and the note.
func (l *GoalLine) remark() string {
	if l.Reason != "" && l.Note != "" {
		return l.Reason + "; " + l.Note
	}
	return l.Reason + l.Note
}

// missed counts the goals that are not met, for whatever reason.
func (g *Goals) missed() (n int) {
	for _, l := range g.Lines {
		if l.State != StateMet && l.State != StateAmbition {
			n++
		}
	}
	return n
}

// WriteText prints the table, one line per goal, and under it what is to be known
// about the figures.
func (g *Goals) WriteText(w io.Writer) error {
	var b bytes.Buffer
	rows := [][]string{{"goal", "gate", "ambition", "measured", "verdict"}}
	for _, l := range g.Lines {
		rows = append(rows, []string{l.Name, l.bar(l.Gate), l.bar(l.Ambition), l.measured(), string(l.State)})
	}
	writeColumns(&b, rows)
	b.WriteByte('\n')
	for _, l := range g.Lines {
		if r := l.remark(); r != "" {
			fmt.Fprintf(&b, "%s: %s\n", l.Name, r)
		}
	}
	fmt.Fprintf(&b, "\n%d of %d goals met in %.0f s.", len(g.Lines)-g.missed(), len(g.Lines), g.Seconds)
	for _, r := range g.Machine.rows() {
		fmt.Fprintf(&b, " %s: %s.", r[0], r[1])
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

// writeColumns lines the cells up by their number of characters.
func writeColumns(b *bytes.Buffer, rows [][]string) {
	widths := map[int]int{}
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, r := range rows {
		for i, cell := range r {
			b.WriteString(cell)
			if i < len(r)-1 {
				fmt.Fprintf(b, "%*s", widths[i]-utf8.RuneCountInString(cell)+2, "")
			}
		}
		b.WriteByte('\n')
	}
}
