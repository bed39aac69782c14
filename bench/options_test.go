package bench

import (
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options)
		want   string // in the error; "" is valid
	}{
		{"defaults", func(*Options) {}, ""},
		{"open loop", func(o *Options) { o.Rate, o.Poisson = 1000, true }, ""},
		{"https", func(o *Options) { o.Target = "https://127.0.0.1" }, "target"},
		{"path", func(o *Options) { o.Target = "http://127.0.0.1:1/v1" }, "target"},
		{"no key", func(o *Options) { o.Keys = nil }, "keys"},
		{"key with a line break", func(o *Options) { o.Keys = []string{"a\r\nb"} }, "only letters"},
		{"poisson without rate", func(o *Options) { o.Poisson = true }, "poisson"},
		{"negative rate", func(o *Options) { o.Rate = -1 }, "rate"},
		{"more workers than connections", func(o *Options) { o.Workers, o.Connections = 4, 3 }, "connections"},
		{"only duplicates", func(o *Options) { o.Duplicates = 1 }, "duplicates"},
		{"too short", func(o *Options) { o.Duration = time.Millisecond }, "duration"},
		{"mix", func(o *Options) { o.Mix = map[Kind]float64{Purchase: 1, Duplicate: 1} }, ""},
		{"shares for others", func(o *Options) { o.KeyShares = []float64{1, 2} }, "keys: 2 shares for 1"},
		{"negative share", func(o *Options) { o.KeyShares = []float64{-1} }, "share -1"},
		{"no share", func(o *Options) { o.CardShares = []float64{0} }, "above 0"},
		{"strange kind", func(o *Options) { o.Mix = map[Kind]float64{"gift": 1} }, "gift"},
		{"nothing to repeat", func(o *Options) { o.Mix = map[Kind]float64{Duplicate: 1} }, "duplicates"},
		{"event too late", func(o *Options) { o.Events = []Event{{At: time.Hour}} }, "not within"},
		{"event at no bank", func(o *Options) { o.Events = []Event{{Controls: []Control{{}}}} }, "bank 1"},
		{"kill what runs elsewhere", func(o *Options) { o.Kills = 1 }, "kills"},
		{"no binary", func(o *Options) { o.ServeArgs = []string{"serve"} }, "binary"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := Options{Target: "http://127.0.0.1:8080", Keys: []string{"sk_test_a"}}
			tt.change(&o)
			o.EnsureDefaults()
			err := o.Validate()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestParsePeak(t *testing.T) {
	if n := parsePeak([]byte("Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t  12 kB\n")); n != 12<<10 {
		t.Errorf("peak %d", n)
	}
}

func TestParseMetrics(t *testing.T) {
	page := "# HELP a b\na 1\na{x=\"}\"} 2\nab 100\na_total 7 1700000000\nbad x\n"
	got := parseMetrics(page, "a", "a_total", "bad", "none")
	if len(got) != 2 || got["a"] != 3 || got["a_total"] != 7 {
		t.Errorf("got %v", got)
	}
}
