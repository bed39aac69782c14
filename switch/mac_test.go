package payswitch

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/acquirers/keystore"
	"github.com/tranzit/tranzit/iso"
)

// coded is the dialect of codedText.
func coded(t *testing.T, base, policy string) *iso.Dialect {
	t.Helper()
	d, err := iso.ParseDialect("coded.yaml", []byte(codedText(base, policy)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// codedText is a built-in dialect whose messages carry codes, with the policy for those that are wrong.
func codedText(base, policy string) string {
	digit := map[string]string{"ascii93": "1", "jpos-cmf": "2"}[base]
	if digit == "" {
		digit = "0"
	}
	types := strings.NewReplacer("v", digit)
	return fmt.Sprintf(`inherits: %s
meta: {schema: 1, id: coded, title: With codes, version: 1}
security:
  mac:
    algorithm: x9.19
    padding: zeros
    field: last
    bytes: 4
    covers: {length: false, header: false, mti: true}
    send: [%s]
    receive: [%s]
    keys: {send: mac, receive: mac}
    failure: %s
`, base, types.Replace(`"v100", "v200", "v220", "v420"`), types.Replace(`"v110", "v210", "v230", "v430"`), policy)
}

var lineKey = []byte("0123456789abcdef")

// lineKeys is a key store with the key of the line to every bank.
func lineKeys(t *testing.T) keystore.Store {
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
	loadKey(t, s, keystore.Import{Slot: "line", Usage: "M3"}, lineKey)
	return s
}

// loadKey puts a triple DES key into a slot.
func loadKey(t *testing.T, s keystore.Store, i keystore.Import, key []byte) {
	t.Helper()
	mask, other := bytes.Repeat([]byte{0x3C}, len(key)), bytes.Clone(key)
	for n := range other {
		other[n] ^= mask[n]
	}
	check, err := keystore.CheckValue('T', key, 3)
	if err != nil {
		t.Fatal(err)
	}
	i.Algorithm, i.Parts, i.Check = 'T', [][]byte{mask, other}, check
	if _, err := s.Import(i); err != nil {
		t.Fatal(err)
	}
}

// An approval whose code is wrong approves nothing: the payment is unknown, its reversal is owed, goes out with a code that
// the bank finds right, and undoes the charge. So in every edition and under both policies.
func TestAnswerWithAWrongCode(t *testing.T) {
	for _, base := range []string{"ascii87", "ascii93", "jpos-cmf"} {
		for _, policy := range []string{"refute", "drop"} {
			t.Run(base+"/"+policy, func(t *testing.T) { wrongCode(t, base, policy) })
		}
	}
}

func wrongCode(t *testing.T, base, policy string) {
	r := newRig(t)
	r.spoken, r.lineKeys = coded(t, base, policy), map[string][]byte{"mac": lineKey}
	store, registry := lineKeys(t), prometheus.NewRegistry()
	r.adjust = func(o *Options) {
		o.Banks[0].Link.Registerer = registry
		for i := range o.Banks {
			o.Banks[i].Link.Keys, o.Banks[i].Link.Slots = store, map[string]string{"mac": "line"}
		}
	}
	inThisRig(t, r, func() {
		pay := func(does banksim.Behaviour, key string) Payment {
			answer, err := r.core.Pay(r.account("one"), r.request(key, cardOf(does), 1000))
			if err != nil {
				t.Fatal(err)
			}
			return answer.Payment
		}
		if p := pay(banksim.Approve, "right"); p.Status != StatusCaptured {
			t.Fatalf("a payment with right codes is %s", p.Status)
		}
		p := pay(banksim.WrongCode, "wrong")
		if p.Status != StatusUnknown || p.ApprovalCode != "" {
			t.Fatalf("the payment is %s, approval %q", p.Status, p.ApprovalCode)
		}
		if statuses := r.core.BankStatuses(); statuses[0].Reversals != 1 {
			t.Fatalf("%d reversals are owed", statuses[0].Reversals)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := r.now(p.ID); got.Status != StatusReversed {
			t.Errorf("in the end it is %s\n%s", got.Status, r.story(p.ID))
		}
		bank := r.banks["alfa"]
		if n := bank.Status().Forged; n != 0 {
			t.Errorf("the bank finds %d codes wrong", n)
		}
		entries := bank.Books().Entries()
		if e := entries[len(entries)-1]; !e.Charged || !e.Reversed {
			t.Errorf("the bank's books: %+v", e)
		}
		if n := forgedIn(t, registry); n != 1 {
			t.Errorf("%v forged messages are counted", n)
		}
	})
}

// forgedIn is the number of messages that were counted for their codes.
func forgedIn(t *testing.T, registry *prometheus.Registry) (n float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, label := range m.GetLabel() {
				if f.GetName() == "tranzit_bank_odd_frames_total" && label.GetValue() == "forged" {
					n += m.GetCounter().GetValue()
				}
			}
		}
	}
	return n
}
