package acquirers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/acquirers/keystore"
	"github.com/tranzit/tranzit/iso"
)

// changing is a dialect with codes and a change of keys in either direction, by keys of the bank's.
func changing(t testing.TB, form string) *iso.Dialect {
	return exchanging(t, "ascii87", form, `
    key_ready: {code: "160", by: us, effect: none}
    key_ask: {code: "161", by: us, effect: none, key: answer}
    key_used: {code: "163", by: us, effect: none}
    key_given: {code: "162", by: bank, effect: none, key: request}
`, "steps: [key_ready, key_ask, key_used]")
}

// giving is a dialect with codes and a change of keys in either direction, by keys of the switch's.
func giving(t testing.TB, base, form string) *iso.Dialect {
	return exchanging(t, base, form, `
    key_given: {code: "161", by: us, effect: none, key: request}
    key_asked: {code: "162", by: bank, effect: none, key: answer}
`, "steps: [key_given]\n    overlap: 10m\n    after: 500")
}

// exchanging is a built-in dialect with codes and steps that change the key of them.
func exchanging(t testing.TB, base, form, steps, order string) *iso.Dialect {
	t.Helper()
	edition := []string{"send: [", "send: ["}
	if base == "ascii93" {
		edition = []string{`["0100", "0200", "0220", "0420", "0800", "0810"]`, `["1100", "1200", "1220", "1420", "1804", "1814"]`,
			`["0110", "0210", "0230", "0430", "0800", "0810"]`, `["1110", "1210", "1230", "1430", "1804", "1814"]`}
	}
	return coded(t, base, append(edition, "security:\n", fmt.Sprintf(`encoding:
  fields:
    62: {class: ans, var: {width: 3, enc: ascii, unit: bytes}, max: 999, content: ascii, mask: secret}
    63: {class: ans, var: {width: 3, enc: ascii, unit: bytes}, max: 999, content: ascii}
network:
  steps:%ssecurity:
  key_exchange:
    slot: mac
    kek: kek
    form: %s
    field: 62
    check: 63
    %s
`, steps, form, order))...)
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
				for round := range 6 {
					running := r.load(1+60*round, 60)
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

// load pays n times, one a millisecond.
func (r *rig) load(first, n int) <-chan result {
	out := make(chan result, n)
	for i := range n {
		go func() {
			time.Sleep(time.Duration(i) * time.Millisecond)
			out <- r.pay(r.purchase(uint64(first+i)), 0)
		}()
	}
	return out
}

// TestOwnKeysUnderLoad: keys that the switch makes change under load, started by either side, over field 70 and over field
// 24, and every payment is answered. When the answer is lost, or the link is cut in the middle, no message is ever refused
// for its code, and the change comes to its end: the key is offered again, or in use because the bank uses it.
func TestOwnKeysUnderLoad(t *testing.T) {
	for _, base := range []string{"ascii87", "ascii93"} {
		for _, form := range []string{"key-block", "cryptogram"} {
			for _, fault := range []banksim.Fault{banksim.FaultNone, banksim.FaultNoAnswer, banksim.FaultLate, banksim.FaultCut, banksim.FaultCutUnseen, banksim.FaultCutHalf} {
				for _, ours := range []bool{true, false} {
					if ours || fault == banksim.FaultNone {
						t.Run(fmt.Sprintf("%s, %s, fault %d, ours %v", base, form, fault, ours), func(t *testing.T) {
							synctest.Test(t, func(t *testing.T) { ownKey(t, giving(t, base, form), fault, ours) })
						})
					}
				}
			}
		}
	}
}

func ownKey(t *testing.T, d *iso.Dialect, fault banksim.Fault, ours bool) {
	var faults atomic.Int64
	r, sim := codedRig(t, d, func(a *banksim.Ask, p *banksim.Plan) {
		if s := d.StepOf(a.Message, true); s != nil && s.Key == iso.KeyInRequest && faults.Add(1) == 1 {
			p.Fault = fault
		}
	}, kept(t, kekKey))
	defer sim.Close()
	r.awaitLinks(2)
	cut := fault == banksim.FaultCut || fault == banksim.FaultCutUnseen || fault == banksim.FaultCutHalf
	for round := range 3 {
		running := r.load(1+60*round, 60)
		time.Sleep(20 * time.Millisecond)
		err := sim.AskKey
		if ours {
			err = func() error { return r.ChangeKeys(t.Context()) }
		}
		if err := err(); err != nil && (round > 0 || fault == banksim.FaultNone) {
			t.Fatal(err)
		}
		for _, res := range collect(running, 60) {
			if cut && round == 0 && (res.fate == Unanswered || res.fate == NotSent) && res.Cause != CauseTimeout {
				continue // on the link that was cut
			}
			res.want(t, Answered, CauseNone)
		}
		r.awaitLinks(2)
	}
	for _, res := range collect(r.load(400, 20), 20) {
		res.want(t, Answered, CauseNone)
	}
	all, err := r.cfg.Keys.Slots()
	if err != nil {
		t.Fatal(err)
	}
	slot := all[slices.IndexFunc(all, func(s keystore.Slot) bool { return s.Name == "alfa-mac" })]
	if n := r.metrics.forged.Load() + sim.Status().Forged; n != 0 || slot.Version < 3 || slot.Offer != "" || int(r.metrics.keyChanges.Load()) != slot.Version-1 {
		t.Errorf("%d forged; %+v; alarms %v", n, slot, r.alarms)
	}
	if left := time.Until(slot.Until); left > 10*time.Minute || left < 8*time.Minute {
		t.Errorf("the key before goes on for %s", left)
	}
	if err := r.Drain(background()); err != nil {
		t.Fatal(err)
	}
}

// TestKeyOnOfferOutlivesTheProcess: a process that ends while the bank may have its key offers the same one in its next life.
func TestKeyOnOfferOutlivesTheProcess(t *testing.T) {
	for _, unseen := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			d := giving(t, "ascii87", "key-block")
			var store keystore.Store
			var quiet atomic.Bool
			quiet.Store(true)
			r, sim := codedRig(t, d, func(a *banksim.Ask, p *banksim.Plan) {
				if s := d.StepOf(a.Message, true); s != nil && s.Key == iso.KeyInRequest && quiet.Load() {
					if p.Fault = banksim.FaultNoAnswer; unseen {
						p.Fault = banksim.FaultCutUnseen
					}
				}
			}, kept(t, kekKey, func(c *Config) { store = c.Keys }))
			defer sim.Close()
			r.awaitLinks(2)
			if err := r.ChangeKeys(t.Context()); err == nil {
				t.Error("the change succeeded")
			}
			r.Close()
			quiet.Store(false)
			next := newRig(t, r.host, func(c *Config) {
				c.Keys, c.Slots = store, map[string]string{"mac": "alfa-mac", "kek": "alfa-kek"}
			})
			next.await(true)
			for _, res := range collect(next.start(1, 20), 20) {
				res.want(t, Answered, CauseNone)
			}
			time.Sleep(2 * keyRetry)
			for _, res := range collect(next.start(50, 20), 20) {
				res.want(t, Answered, CauseNone)
			}
			if n := next.metrics.forged.Load() + sim.Status().Forged; n != 0 || versionOf(t, next) != 2 || next.keys.onOffer.Load() != nil {
				t.Errorf("%d forged, version %d; alarms %v", n, versionOf(t, next), next.alarms)
			}
			next.Close()
		})
	}
}

// TestRefusedOfferIsWithdrawn: a key that the bank refuses when it first sees it is offered no more; one that it may have taken is.
func TestRefusedOfferIsWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := giving(t, "ascii87", "cryptogram")
		plan := banksim.Plan{Code: "96", Effect: banksim.Nothing}
		r, sim := codedRig(t, d, func(a *banksim.Ask, p *banksim.Plan) {
			if s := d.StepOf(a.Message, true); s != nil && s.Key == iso.KeyInRequest {
				*p = plan
			}
		}, kept(t, kekKey))
		defer sim.Close()
		r.awaitLinks(2)
		if err := r.ChangeKeys(t.Context()); err == nil || r.keys.onOffer.Load() != nil {
			t.Errorf("%v, on offer: %v", err, r.keys.onOffer.Load())
		}
		plan.Fault = banksim.FaultCutUnseen
		if err := r.ChangeKeys(t.Context()); err == nil || r.keys.onOffer.Load() == nil {
			t.Errorf("%v, on offer: %v", err, r.keys.onOffer.Load())
		}
		r.awaitLinks(2)
		plan.Fault = banksim.FaultNone
		if err := r.ChangeKeys(t.Context()); err == nil || r.keys.onOffer.Load() == nil {
			t.Errorf("%v, on offer: %v", err, r.keys.onOffer.Load())
		}
		r.pay(r.purchase(1), 0).want(t, Answered, CauseNone)
		r.Close()
	})
}

// TestKeyChangeByCount: a key that made so many codes is changed.
func TestKeyChangeByCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, sim := codedRig(t, giving(t, "ascii87", "cryptogram"), nil, kept(t, kekKey, func(c *Config) { c.KeyChangeAfter = 100 }))
		defer sim.Close()
		r.awaitLinks(2)
		for round := range 5 {
			for _, res := range collect(r.load(1+100*round, 100), 100) {
				res.want(t, Answered, CauseNone)
			}
			time.Sleep(5 * time.Second)
		}
		if v := versionOf(t, r); v < 5 || v > 7 || r.metrics.forged.Load()+sim.Status().Forged != 0 {
			t.Errorf("version %d after 500 payments; alarms %v", v, r.alarms)
		}
		r.Close()
	})
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
