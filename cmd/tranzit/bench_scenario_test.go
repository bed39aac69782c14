package main

import (
	"testing"
	"time"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/scenarios"
)

// scenarioRun runs a scenario with real processes of the code under test.
func scenarioRun(t *testing.T, s *scenarios.Scenario, change func(*bench.Options)) *bench.Result {
	t.Helper()
	var o bench.Options
	if err := s.Prepare(t.TempDir(), &o); err != nil {
		t.Fatal(err)
	}
	o.ChildEnv = []string{runAsTranzit + "=1"}
	if change != nil {
		change(&o)
	}
	r, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Money == nil || !r.Money.OK || r.Payments == 0 {
		t.Errorf("%d payments, money %+v, warnings %v", r.Payments, r.Money, r.Warnings)
	}
	return r
}

// TestScenarios runs every embedded scenario for a second with the money check, at a
// rate that a machine under the race detector keeps.
func TestScenarios(t *testing.T) {
	for _, name := range scenarios.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := scenarios.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			if name != "overload" {
				s.Scale(0.3)
			}
			s.Fit(1200 * time.Millisecond)
			s.Warmup, s.Connections = 300*time.Millisecond, 256
			r := scenarioRun(t, s, nil)
			if r.Scenario != name || len(r.Events) != len(s.Events) || len(r.Phases) != len(s.Phases) {
				t.Errorf("scenario %q with %d of %d events and %d of %d phases", r.Scenario, len(r.Events), len(s.Events), len(r.Phases), len(s.Phases))
			}
			for _, h := range r.Events {
				if h.Error != "" {
					t.Errorf("%+v", h)
				}
			}
			refused := uint64(0)
			for _, p := range r.Phases {
				refused += p.Refused
			}
			switch name {
			case "overload", "bank_outage":
				if refused == 0 {
					t.Error("nothing was refused: the scenario shows nothing")
				}
			case "duplicates":
				if r.Replayed == 0 || r.Statuses["declined"] == 0 || len(r.Kinds) != 3 {
					t.Errorf("%d replayed, statuses %v, kinds %v", r.Replayed, r.Statuses, r.Kinds)
				}
			case "auth_capture", "refund":
				for _, k := range r.Kinds {
					if k.Payments == 0 || k.Refused > 0 {
						t.Errorf("%+v", k)
					}
				}
				if r.Statuses["succeeded"] == 0 || len(r.Kinds) < 3 {
					t.Errorf("statuses %v, kinds %+v", r.Statuses, r.Kinds)
				}
			case "soak":
				if len(r.Banks) != 3 || r.Banks[0].Payments <= r.Banks[2].Payments {
					t.Errorf("banks %+v, shares are 5:3:2", r.Banks)
				}
			}
		})
	}
}

// TestKillsUnderBenchLoad: the switch is killed in full traffic and started on its
// journal; the merchants repeat what got no answer, learn of every payment, and the
// books agree.
func TestKillsUnderBenchLoad(t *testing.T) {
	s, err := scenarios.Parse("kills.yaml", []byte(`
retry: true
merchants: [{count: 4}]
banks:
  - {id: alfa, dialect: ascii87, think: 5ms, jitter: 5ms}
  - {id: vega, think: 5ms, jitter: 5ms}
mix: {purchase: 6, authorization: 3, duplicate: 1, capture: 1.5, cancel: 1, refund: 1}
cards: [{card: approve, share: 9}, {card: decline_51, share: 1}]
phases: [{arrivals: poisson, rate: 200, duration: 4s}]
`))
	if err != nil {
		t.Fatal(err)
	}
	const kills = 4
	r := scenarioRun(t, s, func(o *bench.Options) { o.Kills = kills })
	if len(r.Events) != kills {
		t.Fatalf("%d of %d kills took place: %+v", len(r.Events), kills, r.Events)
	}
	for _, h := range r.Events {
		if h.Error != "" || !h.Kill || h.Took == 0 {
			t.Errorf("%+v", h)
		}
	}
	if r.Losses["connection_lost"] == 0 || r.Retries == 0 {
		t.Errorf("losses %v, %d repeats: the kills hit nothing", r.Losses, r.Retries)
	}
	if m := r.Money.Merchants; m.Approved == 0 || m.Open > m.Approved/2 {
		t.Errorf("merchants %+v: most lost payments must have been learnt of", m)
	}
	if p := r.Processes["switch"]; p.CPU <= 0 {
		t.Errorf("the use of the killed processes is lost: %+v", r.Processes)
	}
	t.Logf("%d payments, %d repeats, losses %v, merchants %+v, p99 %.0f us, events %+v", r.Payments, r.Retries, r.Losses, r.Money.Merchants, r.Latency.P99, r.Events)
}
