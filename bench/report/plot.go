package report

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
)

// Plot is a picture of series over two axes.
type Plot struct {
	Title  string
	X, Y   Axis
	Series []Series
}

// Series is one line of a plot. Points are drawn in their order; a value that the
// axis has no place for breaks the line.
type Series struct {
	Name   string
	Points []Point
	// Faint draws the line thin and dashed: a reference, not a finding.
	Faint bool
}

// Point is one value. Low and High, when they differ, draw an interval at it.
type Point struct {
	X, Y      float64
	Low, High float64
}

// Sizes of a picture in its own units: on a screen as wide as a phone the letters
// are still readable.
const (
	plotWidth   = 480
	plotHeight  = 270
	marginLeft  = 68
	marginRight = 14
	marginTop   = 46
	marginFoot  = 42
	barHeight   = 26
	maxMarked   = 24 // longer series are lines without marks
	palette     = 8  // colours in the style sheet
)

// picture is an SVG being written.
type picture struct{ bytes.Buffer }

func (p *picture) open(title string, height int) {
	fmt.Fprintf(p, `<svg class="plot" viewBox="0 0 %d %d" role="img" aria-label="%s" xmlns="http://www.w3.org/2000/svg">`+"\n",
		plotWidth, height, html.EscapeString(title))
	p.text(label{x: 8, y: 18, class: "title"}, title)
}

// label is where and how a text stands.
type label struct {
	x, y   float64
	class  string
	anchor string // start, middle, end; empty: start
	turned bool   // read from below
}

func (p *picture) text(at label, text string) {
	attributes := ""
	if at.anchor != "" {
		attributes = ` text-anchor="` + at.anchor + `"`
	}
	if at.turned {
		attributes += fmt.Sprintf(` transform="rotate(-90 %s %s)"`, px(at.x), px(at.y))
	}
	fmt.Fprintf(p, `<text class="%s" x="%s" y="%s"%s>%s</text>`+"\n", at.class, px(at.x), px(at.y), attributes, html.EscapeString(text))
}

// segment is a straight line.
type segment struct{ x1, y1, x2, y2 float64 }

func (p *picture) line(class string, s segment) {
	fmt.Fprintf(p, `<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`+"\n", class, px(s.x1), px(s.y1), px(s.x2), px(s.y2))
}

// px writes a coordinate with a tenth of a unit.
func px(v float64) string {
	s := strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
	if s == "-0" {
		return "0"
	}
	return s
}

// SVG draws the plot. The text holds no style of its own and refers to nothing;
// every text in it is escaped.
func (p *Plot) SVG() string {
	var out picture
	out.open(p.Title, plotHeight)
	var xs, ys []float64
	for _, s := range p.Series {
		for _, v := range s.Points {
			xs, ys = append(xs, v.X), append(ys, v.Y)
			if v.Low < v.High {
				ys = append(ys, v.Low, v.High)
			}
		}
	}
	x, y := newScale(&p.X, xs), newScale(&p.Y, ys)
	x.from, x.to = marginLeft, plotWidth-marginRight
	y.from, y.to = plotHeight-marginFoot, marginTop
	y.round(5)
	p.frame(&out, x, y)
	if len(xs) == 0 {
		out.text(label{x: (x.from + x.to) / 2, y: (y.from + y.to) / 2, class: "empty", anchor: "middle"}, "no data")
	}
	for i := range p.Series {
		p.series(&out, i, x, y)
	}
	p.legend(&out)
	out.WriteString("</svg>\n")
	return out.String()
}

// frame draws the grid, its labels and the names of the axes.
func (p *Plot) frame(out *picture, x, y *scale) {
	for _, t := range y.ticks(5) {
		at, _ := y.at(t.At)
		out.line("grid", segment{x.from, at, x.to, at})
		out.text(label{x: x.from - 6, y: at + 4, class: "tick", anchor: "end"}, t.Label)
	}
	for _, t := range x.ticks(6) {
		at, _ := x.at(t.At)
		out.line("grid", segment{at, y.to, at, y.from})
		out.text(label{x: at, y: y.from + 15, class: "tick", anchor: "middle"}, t.Label)
	}
	out.line("axis", segment{x.from, y.from, x.to, y.from})
	out.text(label{x: (x.from + x.to) / 2, y: plotHeight - 8, class: "name", anchor: "middle"}, p.X.Label)
	out.text(label{x: 12, y: (y.from + y.to) / 2, class: "name", anchor: "middle", turned: true}, p.Y.Label)
}

func (p *Plot) series(out *picture, i int, x, y *scale) {
	s := &p.Series[i]
	class := "line c" + strconv.Itoa(i%palette)
	if s.Faint {
		class += " faint"
	}
	var path bytes.Buffer
	step := byte('M')
	placed := 0
	for _, v := range s.Points {
		cx, ok1 := x.at(v.X)
		cy, ok2 := y.at(v.Y)
		if !ok1 || !ok2 {
			step = 'M'
			continue
		}
		fmt.Fprintf(&path, "%c%s %s", step, px(cx), px(cy))
		step = 'L'
		placed++
	}
	if placed > 1 {
		fmt.Fprintf(out, `<path class="%s" d="%s"/>`+"\n", class, path.Bytes())
	}
	if placed == 0 || placed > maxMarked || s.Faint {
		return
	}
	for _, v := range s.Points {
		cx, ok1 := x.at(v.X)
		cy, ok2 := y.at(v.Y)
		if !ok1 || !ok2 {
			continue
		}
		low, ok1 := y.at(v.Low)
		high, ok2 := y.at(v.High)
		if v.Low < v.High && ok1 && ok2 {
			out.line(class, segment{cx, low, cx, high})
		}
		fmt.Fprintf(out, `<circle class="mark c%d" cx="%s" cy="%s" r="3"><title>%s</title></circle>`+"\n", i%palette, px(cx), px(cy),
			html.EscapeString(fmt.Sprintf("%s: %s at %s", s.Name, p.Y.label(v.Y), p.X.label(v.X))))
	}
}

// legend names the series when there is more than one.
func (p *Plot) legend(out *picture) {
	if len(p.Series) < 2 {
		return
	}
	at := float64(marginLeft)
	for i, s := range p.Series {
		width := 30 + 7*float64(len([]rune(s.Name)))
		if at+width > plotWidth {
			break // the tooltips still name it
		}
		class := "line c" + strconv.Itoa(i%palette)
		if s.Faint {
			class += " faint"
		}
		out.line(class, segment{at, 32, at + 14, 32})
		out.text(label{x: at + 18, y: 36, class: "tick"}, s.Name)
		at += width
	}
}

// Bars is a picture of a few named amounts, longest first as given.
type Bars struct {
	Title  string
	Rows   []Bar
	Format func(float64) string // default FormatCount
}

// Bar is one row of Bars. Negative and missing values are drawn as nothing.
type Bar struct {
	Name  string
	Value float64
}

// SVG draws the bars, under the same promises as Plot.SVG.
func (b *Bars) SVG() string {
	const nameWidth, valueWidth, top = 110, 74, 34
	var out picture
	out.open(b.Title, top+barHeight*max(len(b.Rows), 1)+8)
	longest := 0.0
	for _, r := range b.Rows {
		longest = max(longest, r.Value)
	}
	axis := Axis{Format: b.Format}
	for i, r := range b.Rows {
		y := float64(top + i*barHeight)
		width := 0.0
		if longest > 0 && r.Value > 0 {
			width = r.Value / longest * (plotWidth - nameWidth - valueWidth)
		}
		out.text(label{x: nameWidth - 6, y: y + 15, class: "tick", anchor: "end"}, r.Name)
		fmt.Fprintf(&out, `<rect class="bar c%d" x="%d" y="%s" width="%s" height="%d" rx="2"/>`+"\n", i%palette, nameWidth, px(y+2), px(width), barHeight-8)
		out.text(label{x: nameWidth + width + 6, y: y + 15, class: "tick"}, axis.label(r.Value))
	}
	if len(b.Rows) == 0 {
		out.text(label{x: plotWidth / 2, y: top + 15, class: "empty", anchor: "middle"}, "no data")
	}
	out.WriteString("</svg>\n")
	return out.String()
}

// percentileTicks are places of an axis of 1/(1-p): each nine takes the same room.
var percentileTicks = []Tick{{1, "0"}, {2, "50 %"}, {10, "90 %"}, {100, "99 %"}, {1e3, "99.9 %"}, {1e4, "99.99 %"}, {1e5, "99.999 %"}, {1e6, "6 nines"}}

// byX sorts points that were measured in another order.
func byX(points []Point) []Point {
	slices.SortStableFunc(points, func(a, b Point) int {
		switch {
		case a.X < b.X:
			return -1
		case a.X > b.X:
			return 1
		}
		return 0
	})
	return points
}
