package acquirers

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/acquirers/keystore"
	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/iso"
)

// coded is a built-in dialect whose messages carry codes; change edits its text.
func coded(t testing.TB, base string, change ...string) *iso.Dialect {
	t.Helper()
	text := fmt.Sprintf(`inherits: %s
meta: {schema: 1, id: coded, title: "%s with codes", version: 1}
security:
  mac:
    algorithm: x9.19
    padding: zeros
    field: last
    bytes: 8
    covers: {length: false, header: false, mti: true}
    send: ["0100", "0200", "0220", "0420", "0800", "0810"]
    receive: ["0110", "0210", "0230", "0430", "0800", "0810"]
    keys: {send: mac, receive: mac}
    failure: refute
`, base, base)
	d, err := iso.ParseDialect("coded.yaml", []byte(strings.NewReplacer(change...).Replace(text)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var macKey = []byte("0123456789abcdef")

// newKeys is a key store with one key in slot alfa-mac.
func newKeys(t testing.TB) *keystore.File {
	t.Helper()
	secret := keystore.Secret{Key: bytes.Repeat([]byte{1}, 32)}
	path := filepath.Join(t.TempDir(), "keys")
	if err := keystore.CreateFile(path, secret); err != nil {
		t.Fatal(err)
	}
	s, err := keystore.OpenFile(path, secret)
	if err != nil {
		t.Fatal(err)
	}
	loadKey(t, s, "alfa-mac", "M3", macKey)
	return s
}

func loadKey(t testing.TB, s *keystore.File, slot, usage string, key []byte) {
	t.Helper()
	mask := bytes.Repeat([]byte{0x3C}, len(key))
	other := make([]byte, len(key))
	for i := range key {
		other[i] = key[i] ^ mask[i]
	}
	check, err := keystore.CheckValue('T', key, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Import(keystore.Import{Slot: slot, Usage: usage, Algorithm: 'T', Parts: [][]byte{mask, other}, Check: check}); err != nil {
		t.Fatal(err)
	}
}

// codedRig is a link to a simulated bank over a dialect with codes.
func codedRig(t *testing.T, d *iso.Dialect, script func(a *banksim.Ask, p *banksim.Plan), change func(*Config)) (*rig, *banksim.Bank) {
	t.Helper()
	network := simnet.New(simnet.Options{Latency: latency, Segment: 7})
	listener, err := network.Listen(hostAddr)
	if err != nil {
		t.Fatal(err)
	}
	sim, err := banksim.New(banksim.Config{Dialect: d, Listener: listener, Keys: map[string][]byte{"mac": macKey, "kek": kekKey}, Script: script})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	return newRig(t, &host{t: t, d: d, net: network}, func(c *Config) {
		c.Keys, c.Slots = newKeys(t), map[string]string{"mac": "alfa-mac", "kek": "alfa-kek"}
		if change != nil {
			change(c)
		}
	}), sim
}

var kekKey = []byte("fedcba9876543210")

// TestCodesWithSimulatedBank: both sides make codes and check each other's.
func TestCodesWithSimulatedBank(t *testing.T) {
	for _, base := range iso.Builtins() {
		plain, err := iso.Builtin(base)
		if err != nil {
			t.Fatal(err)
		}
		if plain.MTI(iso.OpPurchase) != iso.MTIFinancial {
			continue // the types that carry a code here are those of 1987
		}
		t.Run(base, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := coded(t, base)
				r, sim := codedRig(t, d, nil, nil)
				defer sim.Close()
				r.await(true)
				for _, res := range collect(r.start(1, 50), 50) {
					res.want(t, Answered, CauseNone)
				}
				r.pay(buildOp(t, d, iso.OpReversal, 7), 0).want(t, Answered, CauseNone)
				if err := r.Drain(background()); err != nil {
					t.Fatal(err)
				}
				if n := r.metrics.forged.Load() + sim.Status().Forged; n != 0 {
					t.Fatalf("%d forged; alarms %v", n, r.alarms)
				}
			})
		})
	}
}

// TestForgedAnswer: an approval whose code is wrong approves nothing, is counted
// and raises an alarm; the exchange ends as the dialect says.
func TestForgedAnswer(t *testing.T) {
	for policy, want := range map[string]struct {
		fate  Fate
		cause Cause
	}{"refute": {Refuted, CauseMAC}, "drop": {Unanswered, CauseTimeout}} {
		t.Run(policy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := coded(t, "ascii87", "failure: refute", "failure: "+policy)
				r, sim := codedRig(t, d, func(a *banksim.Ask, p *banksim.Plan) {
					if a.Message.MTI == iso.MTIFinancial && string(a.Message.Get(11)) == d.STAN(2).String() {
						p.Fault = banksim.FaultMAC
					}
				}, nil)
				defer sim.Close()
				r.await(true)
				r.pay(r.purchase(1), 0).want(t, Answered, CauseNone)
				r.pay(r.purchase(2), 0).want(t, want.fate, want.cause)
				r.pay(r.purchase(3), 0).want(t, Answered, CauseNone)
				if r.metrics.forged.Load() != 1 {
					t.Errorf("%d counted", r.metrics.forged.Load())
				}
				time.Sleep(time.Second)
				r.Close()
				if !strings.Contains(fmt.Sprint(r.alarms), "forged") {
					t.Errorf("alarms %v", r.alarms)
				}
			})
		})
	}
}

// TestForgedRequest: a request of the bank's own whose code is missing changes nothing; it is answered with the dialect's
// code for that, or not at all.
func TestForgedRequest(t *testing.T) {
	for _, answer := range []string{"", "63"} {
		synctest.Test(t, func(t *testing.T) {
			policy := "failure: refute"
			if answer != "" {
				policy += "\n    answer: \"" + answer + "\""
			}
			h := newHost(t, simnet.Options{})
			h.d = coded(t, "ascii87", `send: ["0100", "0200", "0220", "0420", "0800", "0810"]`, `send: ["0100"]`,
				`receive: ["0110", "0210", "0230", "0430", "0800", "0810"]`, `receive: ["0800"]`, "failure: refute", policy)
			answers := make(chan string, 1)
			h.serve = func(_ *hostConn, m *iso.Message) bool {
				if m.MTI == 0x0810 {
					answers <- string(m.Get(39))
				}
				return m.MTI == 0x0810
			}
			r := newRig(t, h, func(c *Config) { c.Keys, c.Slots = newKeys(t), map[string]string{"mac": "alfa-mac"} })
			defer r.Close()
			r.await(true)
			h.conn(1).request("002")
			synctest.Wait()
			time.Sleep(time.Second)
			got := ""
			select {
			case got = <-answers:
			default:
			}
			if got != answer || r.Ready() != nil || r.metrics.forged.Load() != 1 {
				t.Errorf("answered %q, want %q; ready: %v", got, answer, r.Ready())
			}
		})
	}
}

// TestOtherKey: a bank with another key refuses what we send and cannot sign on.
func TestOtherKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, sim := codedRig(t, coded(t, "binary87"), nil, func(c *Config) {
			loadKey(t, c.Keys.(*keystore.File), "alfa-mac", "M3", []byte("another one here"))
			if err := c.Keys.Change("alfa-mac", keystore.RetireBefore); err != nil {
				t.Fatal(err)
			}
		})
		defer sim.Close()
		time.Sleep(10 * time.Second)
		if r.Ready() == nil || sim.Status().Forged == 0 || r.metrics.forged.Load() == 0 {
			t.Errorf("ready: %v, %+v", r.Ready(), sim.Status())
		}
		r.Close()
	})
}

// TestKeysAreNeeded: a bank whose dialect names keys does not start without them.
func TestKeysAreNeeded(t *testing.T) {
	d := coded(t, "ascii87")
	keys := newKeys(t)
	for want, change := range map[string]func(c *Config){
		"there is no key store":      func(c *Config) {},
		`the bank gives none for it`: func(c *Config) { c.Keys = keys },
		`no slot "beta-mac"`:         func(c *Config) { c.Keys, c.Slots = keys, map[string]string{"mac": "beta-mac"} },
	} {
		c := Config{ID: "test", Endpoints: []string{hostAddr}}
		change(&c)
		if _, err := New(c, d, Hooks{NextSeq: func() (uint64, error) { return 1, nil }}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}
