package bench

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Second is one second of a run. Times are microseconds.
type Second struct {
	Second   int     `json:"second"`
	Answered uint64  `json:"answered"`
	Bad      uint64  `json:"bad"`
	InFlight int     `json:"in_flight"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	Max      float64 `json:"max_us"`
}

// collectSeconds merges the workers' seconds and shows each when all workers have
// moved on.
func collectSeconds(o *Options, reports <-chan *interval, show *progress) []Second {
	var done []Second
	open := map[int]*interval{}
	seen := map[int]int{}
	next := 0
	emit := func() {
		s := open[next]
		delete(open, next)
		delete(seen, next)
		next++
		if s == nil || s.answered+s.bad == 0 && s.busy == 0 {
			return
		}
		second := Second{Second: next, Answered: s.answered, Bad: s.bad, InFlight: s.busy,
			P50: micros(s.latency.ValueAtQuantile(50)), P99: micros(s.latency.ValueAtQuantile(99)), Max: micros(s.latency.Max())}
		done = append(done, second)
		show.second(second)
	}
	last := 0
	for r := range reports {
		seen[r.index]++
		last = max(last, r.index)
		if s := open[r.index]; s != nil {
			s.answered += r.answered
			s.bad += r.bad
			s.busy += r.busy
			s.latency.Merge(r.latency)
		} else {
			open[r.index] = r
		}
		for seen[next] == o.Workers {
			emit()
		}
	}
	for next <= last {
		emit()
	}
	show.end()
	return done
}

// progress shows a run while it goes on: a line per second and per event, or, on a
// terminal, one block that changes in place. What it writes always ends a line, so
// that whatever is printed next begins one. Goroutine-safe.
type progress struct {
	o *Options

	mu     sync.Mutex
	drawn  int // lines of the block that is on the terminal
	now    Second
	sum    Second   // answered and bad of the whole run
	recent []uint64 // answered in the last seconds
	events []string // the last ones
	over   bool
}

const (
	shownSeconds = 30
	shownEvents  = 4
	barWidth     = 30
	lineWidth    = 78 // fits the narrowest usual terminal, so that no line wraps
)

func newProgress(o *Options) *progress { return &progress{o: o} }

func (p *progress) second(s Second) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = s
	p.sum.Answered += s.Answered
	p.sum.Bad += s.Bad
	if p.recent = append(p.recent, s.Answered); len(p.recent) > shownSeconds {
		p.recent = p.recent[1:]
	}
	if p.o.Live {
		p.draw()
		return
	}
	p.print("%4ds %8d/s  p50 %9s  p99 %9s  max %9s  in flight %5d  bad %d\n", s.Second, s.Answered,
		shortTime(s.P50), shortTime(s.P99), shortTime(s.Max), s.InFlight, s.Bad)
}

func (p *progress) happened(h Happened) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h.At += p.o.Warmup.Seconds()
	text := h.text()
	if !p.o.Live {
		p.print("      event %s\n", text)
		return
	}
	if p.events = append(p.events, text); len(p.events) > shownEvents {
		p.events = p.events[1:]
	}
	p.draw()
}

func (h *Happened) text() string {
	text := fmt.Sprintf("at %.1fs %s", h.At, h.Name)
	if h.Took >= 0.05 {
		text += fmt.Sprintf(", took %.2fs", h.Took)
	}
	if h.Error != "" {
		first, _, _ := strings.Cut(h.Error, "\n")
		text += ", failed: " + first
	}
	return text
}

// end shows that the load is over and the books are being compared.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over = true; p.o.Live {
		p.draw()
	}
	p.print("\n")
}

// print ignores errors: nobody may be looking.
func (p *progress) print(format string, args ...any) {
	_, _ = fmt.Fprintf(p.o.Progress, format, args...)
}

// draw replaces the block on the terminal.
func (p *progress) draw() {
	var b bytes.Buffer
	if p.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", p.drawn)
	}
	lines := p.block()
	for _, line := range lines {
		if text := []rune(line); len(text) > lineWidth {
			line = string(text[:lineWidth])
		}
		b.WriteString(line + "\x1b[K\n")
	}
	p.drawn = len(lines)
	_, _ = io.Copy(p.o.Progress, &b)
}

// block is what the terminal shows.
func (p *progress) block() []string {
	o, s := p.o, &p.now
	at, whole := time.Duration(s.Second)*time.Second, o.Warmup+o.Duration
	state := "measuring"
	switch {
	case p.over:
		state = "done"
	case at <= o.Warmup:
		state = "warming up"
	case at > whole:
		state = "waiting for the last answers"
	}
	full := int(barWidth * min(float64(at)/float64(whole), 1))
	bar := strings.Repeat("#", full) + strings.Repeat(".", barWidth-full)
	offered := "closed loop"
	if o.open() {
		rate, name := o.offeredAt(at - time.Second/2)
		offered = "offered " + grouped(uint64(rate)) + "/s by " + name
	}
	lines := []string{
		fmt.Sprintf("%4ds of %s  [%s]  %s", s.Second, whole.Round(time.Second), bar, state),
		fmt.Sprintf("  rate      %s/s, %s", grouped(s.Answered), offered),
		fmt.Sprintf("            %s", spark(p.recent)),
		fmt.Sprintf("  latency   p50 %s  p99 %s  max %s", shortTime(s.P50), shortTime(s.P99), shortTime(s.Max)),
		fmt.Sprintf("  in flight %s   bad %s this second, %s of %s in all", grouped(uint64(s.InFlight)), grouped(s.Bad),
			grouped(p.sum.Bad), grouped(p.sum.Bad+p.sum.Answered)),
	}
	for _, e := range p.events {
		lines = append(lines, "  event     "+e)
	}
	return lines
}

// offeredAt is the rate at a time since the start of the run, and its phase.
func (o *Options) offeredAt(at time.Duration) (float64, string) {
	for _, p := range o.phases() {
		if at < p.Duration {
			return p.rateAt(at), p.String()
		}
		at -= p.Duration
	}
	return 0, "no phase"
}

// spark draws counts as bars of eight heights.
func spark(counts []uint64) string {
	most := uint64(1)
	for _, n := range counts {
		most = max(most, n)
	}
	heights := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, n := range counts {
		b.WriteRune(heights[n*uint64(len(heights)-1)/most])
	}
	return b.String()
}

// grouped writes a number with commas between thousands.
func grouped(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func micros(ns int64) float64 { return float64(ns) / 1e3 }

// shortTime prints microseconds as people read them.
func shortTime(us float64) string {
	switch {
	case us < 1_000:
		return fmt.Sprintf("%.0fus", us)
	case us < 1_000_000:
		return fmt.Sprintf("%.2fms", us/1e3)
	}
	return fmt.Sprintf("%.2fs", us/1e6)
}
