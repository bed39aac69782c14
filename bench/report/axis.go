package report

import (
	"math"
	"strconv"
	"strings"
)

// Axis is one direction of a plot. The zero value is linear and shows plain numbers.
type Axis struct {
	// Label names what is shown, with its unit.
	Label string
	// Log makes the scale logarithmic; values that are not positive are left out.
	Log bool
	// FromZero lets a linear scale begin at 0.
	FromZero bool
	// Binary makes linear steps powers of two, for sizes.
	Binary bool
	// Format writes a value at the axis. Default FormatCount.
	Format func(float64) string
	// Ticks replaces the automatic ones; those outside the data are left out.
	Ticks []Tick
}

// Tick is a marked place of an axis.
type Tick struct {
	At    float64
	Label string
}

// scale maps values to pixels.
type scale struct {
	axis     *Axis
	low, top float64 // of the values, of their logarithms on a log axis
	from, to float64 // pixels
}

// newScale covers the values. Without any it covers 0..1.
func newScale(axis *Axis, values []float64) *scale {
	s := &scale{axis: axis, low: math.Inf(1), top: math.Inf(-1)}
	for _, v := range values {
		if v, ok := s.flat(v); ok {
			s.low, s.top = min(s.low, v), max(s.top, v)
		}
	}
	if s.low > s.top {
		s.low, s.top = 0, 1
	}
	if axis.FromZero && !axis.Log {
		s.low, s.top = min(s.low, 0), max(s.top, 0)
	}
	switch {
	case s.low < s.top:
	case axis.Log:
		s.low, s.top = s.low-0.5, s.top+0.5
	case s.low == 0:
		s.top = 1
	default:
		s.low, s.top = s.low-math.Abs(s.low)/2, s.top+math.Abs(s.top)/2
	}
	return s
}

// flat is the value in the units of low and top; false: it has no place.
func (s *scale) flat(v float64) (float64, bool) {
	if s.axis.Log {
		v = math.Log10(v)
	}
	return v, !math.IsNaN(v) && !math.IsInf(v, 0)
}

// round widens a scale without ticks of its own to whole steps.
func (s *scale) round(most int) {
	if len(s.axis.Ticks) > 0 {
		return
	}
	if s.axis.Log {
		if s.top-s.low > 0.7 {
			s.low, s.top = math.Floor(s.low+1e-9), math.Ceil(s.top-1e-9)
		}
		return
	}
	step := s.step(most)
	s.low, s.top = math.Floor(s.low/step+1e-9)*step, math.Ceil(s.top/step-1e-9)*step
}

// at is the pixel of a value; false: it has no place.
func (s *scale) at(v float64) (float64, bool) {
	v, ok := s.flat(v)
	return s.from + (v-s.low)/(s.top-s.low)*(s.to-s.from), ok
}

// ticks are at most about most places, with their labels.
func (s *scale) ticks(most int) []Tick {
	var out []Tick
	add := func(v float64, label string) {
		if f, ok := s.flat(v); ok && f >= s.low-1e-9 && f <= s.top+1e-9 {
			out = append(out, Tick{v, label})
		}
	}
	switch {
	case len(s.axis.Ticks) > 0:
		for _, t := range s.axis.Ticks {
			add(t.At, t.Label)
		}
	case s.axis.Log:
		for _, v := range logTicks(s.low, s.top, most) {
			add(v, s.axis.label(v))
		}
	default:
		step := s.step(most)
		for i := math.Ceil(s.low/step - 1e-9); i*step <= s.top+step*1e-9; i++ {
			add(i*step, s.axis.label(i*step))
		}
	}
	return out
}

// step is the distance of ticks on a linear scale.
func (s *scale) step(most int) float64 {
	v := (s.top - s.low) / float64(most)
	if s.axis.Binary && v > 0 {
		return math.Exp2(math.Ceil(math.Log2(v) - 1e-9))
	}
	return niceStep(v)
}

func (a *Axis) label(v float64) string {
	if a.Format == nil {
		return FormatCount(v)
	}
	return a.Format(v)
}

// niceStep is the smallest of 1, 2 and 5 times a power of ten that is not below v.
func niceStep(v float64) float64 {
	if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*power*(1+1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// logTicks are powers of ten, with 2 and 5 between them when there is room.
func logTicks(low, top float64, most int) (out []float64) {
	between := []float64{1}
	every := 1
	switch span := top - low; {
	case 3*span <= float64(most):
		between = []float64{1, 2, 5}
	case span > float64(most):
		every = int(math.Ceil(span / float64(most)))
	}
	for e := int(math.Floor(low)); e <= int(math.Ceil(top)); e++ {
		if e%every != 0 {
			continue
		}
		for _, m := range between {
			out = append(out, m*math.Pow(10, float64(e)))
		}
	}
	return out
}

// FormatCount writes a number as people read it: 950, 12k, 1.5M, 0.02.
func FormatCount(v float64) string {
	a := math.Abs(v)
	switch {
	case a >= 999.5e6:
		return digits3(v/1e9) + "G"
	case a >= 999.5e3:
		return digits3(v/1e6) + "M"
	case a >= 9999.5:
		return digits3(v/1e3) + "k"
	case a >= 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return digits3(v)
}

// FormatMicros writes microseconds as a time.
func FormatMicros(us float64) string {
	a := math.Abs(us)
	switch {
	case a == 0:
		return "0"
	case a < 0.9995:
		return digits3(us*1e3) + " ns"
	case a < 999.5:
		return digits3(us) + " µs"
	case a < 999.5e3:
		return digits3(us/1e3) + " ms"
	}
	return digits3(us/1e6) + " s"
}

// FormatBytes writes a size in binary units.
func FormatBytes(v float64) string {
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if math.Abs(v) < 1023.5 {
			return digits3(v) + " " + unit
		}
		v /= 1024
	}
	return digits3(v) + " TiB"
}

// FormatRatio writes a ratio, or any number that is best read plain.
func FormatRatio(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }

// digits3 writes three significant digits without a tail of zeros.
func digits3(v float64) string {
	if v == 0 {
		return "0"
	}
	after := 2 - int(math.Floor(math.Log10(math.Abs(v))+1e-9))
	s := strconv.FormatFloat(v, 'f', min(max(after, 0), 9), 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
