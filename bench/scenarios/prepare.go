package scenarios

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tranzit/tranzit/bench"
)

// fill sets what the scenario says in o, but for where the load goes.
func (s *Scenario) fill(o *bench.Options) {
	o.Scenario, o.Warmup, o.Timeout, o.Settle, o.Duration = s.Name, s.Warmup, s.Timeout, s.Settle, s.Duration()
	o.Connections, o.Workers, o.Seed, o.RetryLost, o.Mix = s.Connections, s.Workers, s.Seed, s.Retry, s.Mix
	o.Arrivals, o.Cards, o.CardShares, o.Banks, o.BankShares, o.Keys, o.KeyShares, o.Events, o.Controls = nil, nil, nil, nil, nil, nil, nil, nil, nil
	for i := range s.Phases {
		o.Arrivals = append(o.Arrivals, s.Phases[i].arrivals())
	}
	for _, c := range s.Cards {
		number, _ := cardNumber(c.Card) // validate has seen it
		o.Cards, o.CardShares = append(o.Cards, number), append(o.CardShares, c.Share)
	}
	if len(s.Banks) > 1 {
		for i := range s.Banks {
			o.Banks, o.BankShares = append(o.Banks, s.Banks[i].ID), append(o.BankShares, s.Banks[i].Share)
		}
	}
	for _, m := range s.Merchants {
		for range m.Count {
			o.Keys, o.KeyShares = append(o.Keys, keyOf(len(o.Keys))), append(o.KeyShares, m.Share/float64(m.Count))
		}
	}
	for i := range s.Banks {
		o.Controls = append(o.Controls, s.normal(i)...)
	}
	for i := range s.Events {
		o.Events = append(o.Events, s.event(&s.Events[i]))
	}
}

func keyOf(merchant int) string { return fmt.Sprintf("sk_test_bench_0123456789_%05d", merchant) }

// normal are the controls that make a bank think as long as it does by itself.
func (s *Scenario) normal(bank int) []bench.Control {
	b := &s.Banks[bank]
	return []bench.Control{{Bank: bank, JSON: `{"mode":"normal"}`},
		{Bank: bank, JSON: fmt.Sprintf(`{"mode":"delay","delay_ms":%d,"jitter_ms":%d}`, b.Think.Milliseconds(), b.Jitter.Milliseconds())}}
}

func (s *Scenario) event(e *Event) bench.Event {
	out := bench.Event{At: e.At, Name: e.Bank + " " + e.Does}
	if e.Does == doesKill {
		out.Name, out.Kill = "kill", true
		return out
	}
	bank := s.bankIndex(e.Bank)
	say := func(format string, args ...any) {
		out.Controls = append(out.Controls, bench.Control{Bank: bank, JSON: fmt.Sprintf(format, args...)})
	}
	switch e.Does {
	case doesSlow:
		out.Name += " " + e.Delay.String()
		say(`{"mode":"delay","delay_ms":%d,"jitter_ms":%d}`, e.Delay.Milliseconds(), e.Jitter.Milliseconds())
	case doesDown:
		say(`{"mode":"refuse"}`)
		say(`{"mode":"drop"}`)
	case doesDecline:
		say(`{"mode":"decline","code":%q}`, e.code())
	case doesMute, doesStall:
		say(`{"mode":%q}`, e.Does)
	default:
		out.Controls = s.normal(bank)
	}
	return out
}

func (e *Event) code() string {
	if e.Code == "" {
		return "05"
	}
	return e.Code
}

// Aim sets in o what the scenario says, for a switch that runs already: o has Target
// and Keys, and Books in the order of the scenario's banks when there are events.
func (s *Scenario) Aim(o *bench.Options) error {
	keys, kills := o.Keys, o.Kills
	s.fill(o)
	o.Keys, o.KeyShares, o.Kills = keys, nil, kills
	if len(o.Books) == 0 {
		if o.Controls = nil; len(o.Events) > 0 {
			return errors.New("a scenario with events needs --books of its banks, in its order")
		}
	}
	if len(o.Books) > 0 && len(o.Books) != len(s.Banks) {
		return fmt.Errorf("the scenario has %d banks, --books are %d", len(s.Banks), len(o.Books))
	}
	return nil
}

// Prepare sets in o what the scenario says, with a switch and banks of its own that
// the run will start: this program's, with configuration and journal in dir.
func (s *Scenario) Prepare(dir string, o *bench.Options) error {
	s.fill(o)
	free, err := bench.FreeAddresses(2 + 2*len(s.Banks))
	if err != nil {
		return err
	}
	api, admin, hosts, books := free[0], free[1], free[2:2+len(s.Banks)], free[2+len(s.Banks):]
	config := filepath.Join(dir, "tranzit.yaml")
	if err := os.WriteFile(config, s.configuration(place{api, admin, filepath.Join(dir, "data"), hosts}), 0o600); err != nil {
		return err
	}
	if o.Binary == "" {
		if o.Binary, err = os.Executable(); err != nil {
			return err
		}
	}
	o.Target, o.Admin, o.Books, o.MoreBanks = "http://"+api, "http://"+admin, nil, nil
	for i := range s.Banks {
		o.Books = append(o.Books, "http://"+books[i])
		args := []string{"bank", "--dialect", s.Banks[i].Dialect, "--listen", hosts[i], "--books", books[i]}
		if i == 0 {
			o.BankArgs = args
		} else {
			o.MoreBanks = append(o.MoreBanks, args)
		}
	}
	o.ServeArgs = []string{"serve", "--config", config}
	return nil
}

// place is where the parts of a run are.
type place struct {
	api, admin, data string
	hosts            []string // of the banks
}

// configuration is the switch's.
func (s *Scenario) configuration(p place) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "listen: %s\nadmin: %s\ndata: %q\nlog: {level: warn}\nlimits: {merchant_share: 1}\nbanks:\n", p.api, p.admin, p.data)
	for i := range s.Banks {
		bank := &s.Banks[i]
		fmt.Fprintf(&b, `  - id: %s
    dialect: %q
    endpoints: ["%s"]
    links_per_endpoint: %d
    window: %d
    timeouts: {connect: 1s, write: %s, response: %s, reversal: %[7]s}
    reconnect: {min: 100ms, max: 1s}
    institution: "123456"
`, bank.ID, bank.Dialect, p.hosts[i], bank.Links, bank.Window, min(bank.Response/2, writeLimit), bank.Response)
	}
	b.WriteString("merchants:\n")
	n := 0
	for _, group := range s.Merchants {
		for range group.Count {
			fmt.Fprintf(&b, "  - {id: mer_%[1]d, name: SHOP %[1]d, city: BERLIN, country: \"276\", mcc: \"5411\", keys: [{mode: test, key: %[2]s}], banks: [", n, keyOf(n))
			for i := range s.Banks {
				fmt.Fprintf(&b, "{bank: %s, merchant_id: MERCHANT%07d, terminals: [TERM0001, TERM0002, TERM0003, TERM0004]},", s.Banks[i].ID, n)
			}
			b.WriteString("]}\n")
			n++
		}
	}
	return []byte(b.String())
}
