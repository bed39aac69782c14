package isoload

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/iso"
)

func TestParseMix(t *testing.T) {
	m, err := ParseMix("purchase=80, reversal=15,echo=5")
	if err != nil || m != (Mix{Purchase: 80, Reversal: 15, Echo: 5}) {
		t.Errorf("%+v, %v", m, err)
	}
	var drawn [4]int
	for i := range 1000 {
		for j, op := range mixed {
			if m.draw(float64(i)/1000) == op {
				drawn[j]++
			}
		}
	}
	if drawn != [4]int{800, 0, 150, 50} {
		t.Errorf("drawn %v", drawn)
	}
	for _, bad := range []string{"", "purchase", "purchase=-1", "purchase=x", "refund=1", "echo=1,echo=2", "purchase=0", "reversal=1", "echo=1,reversal=1", "purchase=1000001"} {
		if m, err := ParseMix(bad); err == nil || !strings.HasPrefix(err.Error(), "mix: ") {
			t.Errorf("%q: %+v, %v", bad, m, err)
		}
	}
}

func TestParseCodes(t *testing.T) {
	codes, err := parseCodes("00=2,51=1")
	if err != nil || strings.Join(codes, " ") != "00 00 51" {
		t.Errorf("%v, %v", codes, err)
	}
	for _, bad := range []string{"", "00", "0=1", "0000=1", "00=0", "00=100001", "00=1,00=2"} {
		if codes, err := parseCodes(bad); err == nil || !strings.HasPrefix(err.Error(), "codes: ") {
			t.Errorf("%q: %v, %v", bad, codes, err)
		}
	}
}

func TestOptions(t *testing.T) {
	mute, err := iso.ParseDialect("mute.yaml", []byte(`inherits: ascii87
meta: {schema: 1, id: mute, version: 1, title: Without an echo}
network: {steps: {echo: ~, cut_over: ~, cut_over_done: ~}, connect: [sign_on]}
messages: {echo: ~}
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Options){
		"dialect:":                   func(o *Options) { o.Dialect = nil },
		"connect: at least":          func(o *Options) { o.Connect = nil },
		`connect: "x"`:               func(o *Options) { o.Connect = []string{"x"} },
		"links:":                     func(o *Options) { o.Links = 257 },
		"rate:":                      func(o *Options) { o.Rate = -1 },
		"poisson:":                   func(o *Options) { o.Poisson = true },
		"in-flight:":                 func(o *Options) { o.InFlight = maxInFlight + 1 },
		"duration:":                  func(o *Options) { o.Duration = time.Millisecond },
		"timeout:":                   func(o *Options) { o.Timeout = -1 },
		"mix:":                       func(o *Options) { o.Mix.Echo = -1 },
		"card:":                      func(o *Options) { o.Card = "4111111111111112" },
		"currency:":                  func(o *Options) { o.Currency = "XXY" },
		"amount:":                    func(o *Options) { o.Amount = -1 },
		"purchase in dialect ascii8": func(o *Options) { o.MCC = "x" },
		"echo in dialect":            func(o *Options) { o.Dialect, o.Mix = mute, Mix{Echo: 1} },
	} {
		o := Options{Dialect: dialect(t, "ascii87"), Connect: []string{"127.0.0.1:1"}}
		spoil(&o)
		o.EnsureDefaults()
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s %v", name, err)
		}
	}
}

// TestSchedule: the links' shares together are the rate, evenly or at random.
func TestSchedule(t *testing.T) {
	o := Options{Rate: 1000, Seed: 1}
	for _, o.Poisson = range []bool{false, true} {
		total, last := 0, time.Duration(0)
		for i := range 4 {
			last = 0
			for s := newSchedule(&o, i, 4); s.due() < 20*time.Second; s.next() {
				if total++; s.due() < last {
					t.Fatal("the times decrease")
				}
				last = s.due()
			}
		}
		if off := math.Abs(float64(total) - 20_000); !o.Poisson && off > 0 || off > 600 {
			t.Errorf("poisson %v: %d due in 20s", o.Poisson, total)
		}
	}
}

// TestTable: what waits longest is found whatever was answered in between.
func TestTable(t *testing.T) {
	d := dialect(t, "ascii87")
	tab := newTable(3)
	keys := make([]iso.Key, 5000)
	for i := range keys {
		m := iso.Message{MTI: iso.MTINetwork}
		m.SetString(7, "0612081500")
		m.Set(11, iso.STAN(i+1).Append(nil))
		d.RequestKey(&m, &keys[i])
	}
	add := func(i int) bool {
		at, s := tab.take()
		s.key, s.sent = keys[i], time.Duration(i)
		return tab.add(at)
	}
	drop := func(i int) {
		at, s := tab.find(&keys[i])
		if s == nil || s.sent != time.Duration(i) {
			t.Fatalf("%d is not found", i)
		}
		tab.drop(at)
	}
	if !add(0) || add(0) || !add(1) || !add(2) || !tab.full() {
		t.Fatal("three fit, each once")
	}
	for i := 3; i < len(keys); i++ { // 0 stays, the others come and go
		drop(i - 1)
		if !add(i) {
			t.Fatal(i)
		}
		if _, s := tab.oldest(); s == nil || s.sent != 0 {
			t.Fatalf("at %d the oldest is %+v", i, s)
		}
	}
	drop(0)
	if _, s := tab.oldest(); s == nil || s.sent != 1 {
		t.Errorf("the oldest is %+v", s)
	}
	drop(1)
	drop(len(keys) - 1)
	if _, s := tab.oldest(); s != nil || tab.size() != 0 || len(tab.queue) != 0 || len(tab.slots) != 3 {
		t.Errorf("%+v, %d pending, %d queued, %d slots", s, tab.size(), len(tab.queue), len(tab.slots))
	}
}
