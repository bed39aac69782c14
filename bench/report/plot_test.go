package report

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden pictures anew")

// TestPictures holds every kind of picture against its text in testdata.
func TestPictures(t *testing.T) {
	var rising []Point
	for i := range 40 {
		rising = append(rising, Point{X: float64(i), Y: float64(i * i)})
	}
	for name, svg := range map[string]string{
		"line": (&Plot{Title: "Throughput over time", X: Axis{Label: "second"}, Y: Axis{Label: "payments/s", FromZero: true},
			Series: []Series{{Name: "answered", Points: []Point{{X: 1, Y: 9800}, {X: 2, Y: 12100}, {X: 3, Y: 11950}}},
				{Name: "bare", Faint: true, Points: []Point{{X: 1, Y: 20000}, {X: 3, Y: 20500}}}}}).SVG(),
		"long": (&Plot{Title: "Many", Series: []Series{{Name: "squares", Points: rising}}}).SVG(),
		"log": (&Plot{Title: "Latency by percentile", X: Axis{Label: "percentile", Log: true, Ticks: percentileTicks},
			Y:      Axis{Label: "latency", Log: true, Format: FormatMicros},
			Series: []Series{{Name: "latency", Points: []Point{{X: 1, Y: 90}, {X: 2, Y: 700}, {X: 100, Y: 4000}, {X: 1e4, Y: 150e3}}}}}).SVG(),
		"gap": (&Plot{Title: "A value without a place breaks the line", Y: Axis{Log: true},
			Series: []Series{{Name: "x", Points: []Point{{X: 1, Y: 1}, {X: 2, Y: 2}, {X: 3, Y: 0}, {X: 4, Y: math.NaN()}, {X: 5, Y: 5, Low: 4, High: 7}, {X: 6, Y: 6}}}}}).SVG(),
		"empty":  (&Plot{Title: "Nothing", Series: []Series{{Name: "x"}}}).SVG(),
		"single": (&Plot{Title: "One", Series: []Series{{Name: "x", Points: []Point{{X: 5, Y: 7}}}}}).SVG(),
		"bars":   (&Bars{Title: "CPU per payment by process", Format: FormatMicros, Rows: []Bar{{"bank", 9}, {"switch", 100}, {"broken", math.NaN()}, {"idle", 0}}}).SVG(),
		"nobars": (&Bars{Title: "Nothing"}).SVG(),
	} {
		golden := filepath.Join("testdata", name+".svg")
		if *update {
			if err := os.WriteFile(golden, []byte(svg), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if svg != string(want) {
			t.Errorf("%s: the picture changed; look at it and run the test with -update\n%s", name, svg)
		}
		wellFormed(t, name, svg)
	}
}

func wellFormed(t *testing.T, name, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
	}
}

// TestPicturesEscape: no text of a file becomes markup.
func TestPicturesEscape(t *testing.T) {
	const evil = `"><script>alert(1)</script>&`
	p := Plot{Title: evil, X: Axis{Label: evil}, Y: Axis{Label: evil, Ticks: []Tick{{1, evil}}},
		Series: []Series{{Name: evil, Points: []Point{{X: 1, Y: 1}}}, {Name: "y"}}}
	b := Bars{Title: evil, Rows: []Bar{{evil, 1}}}
	for name, svg := range map[string]string{"plot": p.SVG(), "bars": b.SVG()} {
		if strings.Contains(svg, "<script") {
			t.Errorf("%s holds markup: %s", name, svg)
		}
		wellFormed(t, name, svg)
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		axis   Axis
		values []float64
		want   string
	}{
		{Axis{FromZero: true}, []float64{3, 97}, "0 20 40 60 80 100"},
		{Axis{}, []float64{0.001, 0.0012}, "0.001 0.00105 0.0011 0.00115 0.0012"},
		{Axis{Log: true, Format: FormatMicros}, []float64{80, 2e6}, "10 µs 100 µs 1 ms 10 ms 100 ms 1 s 10 s"},
		{Axis{Log: true}, []float64{20, 60}, "20 50"},
		{Axis{}, []float64{5}, "2 3 4 5 6 7 8"},
		{Axis{Binary: true, FromZero: true, Format: FormatBytes}, []float64{35_000}, "0 B 8 KiB 16 KiB 24 KiB 32 KiB 40 KiB"},
		{Axis{}, nil, "0 0.2 0.4 0.6 0.8 1"},
		{Axis{}, []float64{-10, 10}, "-10 -5 0 5 10"},
		{Axis{Log: true, Ticks: percentileTicks}, []float64{1, 150}, "0 50 % 90 % 99 %"},
	} {
		s := newScale(&c.axis, c.values)
		s.round(5)
		var got []string
		for _, tick := range s.ticks(7) {
			got = append(got, tick.Label)
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%v: %s, want %s", c.values, text, c.want)
		}
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{FormatCount(0), "0"}, {FormatCount(12345), "12.3k"}, {FormatCount(9999), "9999"}, {FormatCount(1e6), "1M"}, {FormatCount(0.0333333), "0.0333"},
		{FormatCount(-1500), "-1500"}, {FormatMicros(0.41), "410 ns"}, {FormatMicros(999.4), "999 µs"}, {FormatMicros(999.6), "1 ms"},
		{FormatMicros(30e6), "30 s"}, {FormatBytes(1023.7), "1 KiB"}, {FormatBytes(10240), "10 KiB"}, {FormatRatio(0.5), "0.500"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
	if p := byX([]Point{{X: 3}, {X: 1}, {X: 2}}); !slices.Equal([]float64{p[0].X, p[1].X, p[2].X}, []float64{1, 2, 3}) {
		t.Errorf("%v", p)
	}
}
