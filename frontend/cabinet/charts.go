package cabinet

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
)

// chartsPage shows how payments went in the days before now.
type chartsPage struct {
	Days    int
	Bars    []bar
	Highest int
	Banks   []line
	BINs    []line
	Codes   []line
	Totals  cell
	Volumes []volume
	Waiting int // days that are not counted yet
	Width   int
	Bar     int // width of one
}

// bar is one day of the chart; heights are of barHeight.
type bar struct {
	Day             string
	Cell            cell
	X, Middle       int
	Tried, Okay     int
	Label, Counting bool
}

// line is one row of a table with its share of approvals in percent.
type line struct {
	Name  string
	Cell  cell
	Share int
}

type volume struct {
	Currency string
	Days     []int64
	Total    int64
}

const (
	barHeight  = 160
	chartWidth = 1080
	topLines   = 12
)

// choices of how many days are shown.
var chartDays = []int{7, 30, 90}

func (v *visit) showCharts() error {
	page := chartsPage{Days: 7}
	for _, n := range chartDays {
		if v.r.URL.Query().Get("days") == strconv.Itoa(n) {
			page.Days = n
		}
	}
	zone := v.account.Merchant.TimeZone
	y, m, d := time.Now().In(zone).Date()
	var days []time.Time
	for i := page.Days - 1; i >= 0; i-- {
		days = append(days, time.Date(y, m, d-i, 0, 0, 0, 0, zone))
	}
	page.fill(days, v.s.tallies.of(v.account, days))
	return v.show("charts", page)
}

func (c *chartsPage) fill(days []time.Time, counts []*dayTally) {
	for _, d := range counts {
		if d != nil {
			c.Highest = max(c.Highest, d.Tried)
		}
	}
	step := chartWidth / len(days)
	c.Width, c.Bar = chartWidth, min(step*2/3, 64)
	volumes := map[string]*volume{}
	for i, d := range counts {
		b := bar{Day: days[i].Format("01-02"), X: i*step + (step-c.Bar)/2, Middle: i*step + step/2, Counting: d == nil, Label: len(days) <= 10 || i%(len(days)/6) == 0}
		if d == nil {
			c.Waiting++
		} else {
			b.Cell = d.cell
			c.Totals.plus(d.cell)
			b.Tried, b.Okay = height(d.Tried, c.Highest), height(d.Approved, c.Highest)
			for code, n := range d.volume {
				v := volumes[code]
				if v == nil {
					v = &volume{Currency: code, Days: make([]int64, len(days))}
					volumes[code] = v
				}
				v.Days[i] += n
				v.Total += n
			}
		}
		c.Bars = append(c.Bars, b)
	}
	for _, code := range slices.Sorted(maps.Keys(volumes)) {
		c.Volumes = append(c.Volumes, *volumes[code])
	}
	c.Banks = lines(sum(counts, func(d *dayTally) map[string]cell { return d.banks }))
	c.BINs = lines(sum(counts, func(d *dayTally) map[string]cell { return d.bins }))
	c.Codes = lines(sum(counts, func(d *dayTally) map[string]cell { return d.codes }))
}

func height(n, highest int) int {
	if highest == 0 {
		return 0
	}
	return (n*barHeight + highest - 1) / highest
}

// lines are the counts with the most tries first.
func lines(counts map[string]cell) []line {
	out := make([]line, 0, len(counts))
	for name, c := range counts {
		out = append(out, line{name, c, share(c.Approved, c.Tried)})
	}
	slices.SortFunc(out, func(x, y line) int { return cmp.Or(y.Cell.Tried-x.Cell.Tried, cmp.Compare(x.Name, y.Name)) })
	return out[:min(len(out), topLines)]
}

// share is a part in whole percent.
func share(part, whole int) int {
	if whole == 0 {
		return 0
	}
	return (100*part + whole/2) / whole
}
