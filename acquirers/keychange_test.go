package acquirers

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/acquirers/keystore"
	"github.com/tranzit/tranzit/iso"
)

// changing is a dialect with codes and a change of keys in either direction.
func changing(t testing.TB, form string) *iso.Dialect {
	t.Helper()
	return coded(t, "ascii87", "security:\n", fmt.Sprintf(`encoding:
  fields:
    62: {class: ans, var: {width: 3, enc: ascii, unit: bytes}, max: 999, content: ascii, mask: secret}
    63: {class: ans, var: {width: 3, enc: ascii, unit: bytes}, max: 999, content: ascii}
network:
  steps:
    key_ready: {code: "160", by: us, effect: none}
    key_ask: {code: "161", by: us, effect: none, key: answer}
    key_used: {code: "163", by: us, effect: none}
    key_given: {code: "162", by: bank, effect: none, key: request}
security:
  key_exchange:
    slot: mac
    kek: kek
    form: %s
    field: 62
    check: 63
    steps: [key_ready, key_ask, key_used]
`, form))
}

// kept gives the rig's store its key encryption key.
func kept(t *testing.T, key []byte, change ...func(*Config)) func(*Config) {
	return func(c *Config) {
		c.LinksPerEndpoint = 2
		loadKey(t, c.Keys.(*keystore.File), "alfa-kek", "K0", key)
		for _, f := range change {
			f(c)
		}
	}
}

func versionOf(t *testing.T, r *rig) int {
	t.Helper()
	all, err := r.cfg.Keys.Slots()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == "alfa-mac" {
			return s.Version
		}
	}
	t.Fatal("the slot is gone")
	return 0
}

// TestKeyChangeUnderLoad: keys change in both directions while payments run, and
// every payment is answered.
func TestKeyChangeUnderLoad(t *testing.T) {
	for _, form := range []string{"key-block", "cryptogram"} {
		t.Run(form, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, sim := codedRig(t, changing(t, form), nil, kept(t, kekKey))
				defer sim.Close()
				r.awaitLinks(2)
				next := 1
				load := func() <-chan result {
					first := next
					next += 60
					out := make(chan result, 60)
					go func() {
						for i := range 60 {
							go func() {
								time.Sleep(time.Duration(i) * time.Millisecond)
								out <- r.pay(r.purchase(uint64(first+i)), 0)
							}()
						}
					}()
					return out
				}
				for round := range 6 {
					running := load()
					time.Sleep(20 * time.Millisecond)
					var err error
					if round%2 == 0 {
						err = r.ChangeKeys(t.Context())
					} else {
						err = sim.GiveKey()
					}
					if err != nil {
						t.Fatal(err)
					}
					for _, res := range collect(running, 60) {
						res.want(t, Answered, CauseNone)
					}
				}
				if n := r.metrics.forged.Load() + sim.Status().Forged; n != 0 || versionOf(t, r) != 7 || r.metrics.keyChanges.Load() != 6 {
					t.Fatalf("%d forged, version %d; alarms %v", n, versionOf(t, r), r.alarms)
				}
				if err := r.Drain(background()); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// TestKeyChangeFails: a key under another key encryption key, a refusal and a cut
// link change nothing, are told, and payments go on.
func TestKeyChangeFails(t *testing.T) {
	at := func(code string, fault banksim.Plan) func(a *banksim.Ask, p *banksim.Plan) {
		return func(a *banksim.Ask, p *banksim.Plan) {
			if string(a.Message.Get(70)) == code {
				*p = fault
			}
		}
	}
	for name, c := range map[string]struct {
		kek    []byte
		script func(a *banksim.Ask, p *banksim.Plan)
	}{
		"another key of keys": {[]byte("not what it says"), nil},
		"the first is cut":    {kekKey, at("160", banksim.Plan{Code: "00", Fault: banksim.FaultCut})},
		"the second is cut":   {kekKey, at("161", banksim.Plan{Code: "00", Fault: banksim.FaultCut})},
		"no answer":           {kekKey, at("161", banksim.Plan{Code: "00", Fault: banksim.FaultNoAnswer})},
		"half an answer":      {kekKey, at("161", banksim.Plan{Code: "00", Fault: banksim.FaultCutHalf})},
		"a forged answer":     {kekKey, at("161", banksim.Plan{Code: "00", Fault: banksim.FaultMAC})},
		"refused":             {kekKey, at("161", banksim.Plan{Code: "96"})},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, sim := codedRig(t, changing(t, "key-block"), c.script, kept(t, c.kek))
				defer sim.Close()
				r.awaitLinks(2)
				if err := r.ChangeKeys(t.Context()); err == nil {
					t.Error("the change succeeded")
				}
				if name == "another key of keys" {
					if err := sim.GiveKey(); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Minute)
				r.awaitLinks(2)
				for _, res := range collect(r.start(1, 20), 20) {
					res.want(t, Answered, CauseNone)
				}
				if versionOf(t, r) != 1 {
					t.Errorf("version %d", versionOf(t, r))
				}
				r.Close()
				if !strings.Contains(fmt.Sprint(r.alarms), "key_change") {
					t.Errorf("alarms %v", r.alarms)
				}
			})
		})
	}
}

// TestKilledInAKeyChange: a process that ends after the new key is durable and
// before its answer leaves goes on with it in its next life.
func TestKilledInAKeyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := changing(t, "key-block")
		var store keystore.Store
		r, sim := codedRig(t, d, nil, kept(t, kekKey, func(c *Config) { store = c.Keys }))
		defer sim.Close()
		r.awaitLinks(2)
		dying := make(chan struct{})
		go func() {
			defer close(dying)
			for versionOf(t, r) == 1 {
				time.Sleep(time.Millisecond)
			}
			r.Close()
		}()
		if err := sim.GiveKey(); err != nil {
			t.Fatal(err)
		}
		<-dying
		next := newRig(t, r.host, func(c *Config) {
			c.Keys, c.Slots = store, map[string]string{"mac": "alfa-mac", "kek": "alfa-kek"}
		})
		next.await(true)
		for _, res := range collect(next.start(1, 20), 20) {
			res.want(t, Answered, CauseNone)
		}
		if n := next.metrics.forged.Load() + sim.Status().Forged; n != 0 {
			t.Errorf("%d forged", n)
		}
		next.Close()
	})
}

// TestKeyChangeInTime: keys change whenever their time is over.
func TestKeyChangeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, sim := codedRig(t, changing(t, "cryptogram"), nil, kept(t, kekKey, func(c *Config) { c.KeyChangeEvery = time.Hour }))
		defer sim.Close()
		r.awaitLinks(2)
		time.Sleep(3*time.Hour + time.Minute)
		if v := versionOf(t, r); v != 4 {
			t.Errorf("version %d after three hours; alarms %v", v, r.alarms)
		}
		r.pay(r.purchase(1), 0).want(t, Answered, CauseNone)
		r.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		r, sim := codedRig(t, coded(t, "ascii87"), nil, nil)
		defer sim.Close()
		if err := r.ChangeKeys(t.Context()); !errors.Is(err, ErrNoKeyChange) {
			t.Error(err)
		}
		r.Close()
	})
}
