package payswitch

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/acquirers/keystore"
	"github.com/tranzit/tranzit/iso"
)

// An operator changes the keys of a line while merchants pay: every payment is captured, and the bank's books agree.
func TestChangeKeysUnderLoad(t *testing.T) {
	for _, key := range []string{"request", "answer"} {
		t.Run(key, func(t *testing.T) {
			r := newRig(t)
			text := codedText("ascii87", "refute") + fmt.Sprintf(`  key_exchange: {slot: mac, kek: kek, form: key-block, field: 62, check: 63, steps: [key]}
network: {steps: {key: {code: "161", by: us, effect: none, key: %s}}}
encoding: {fields: {62: {class: ans, var: {width: 3, enc: ascii, unit: bytes}, max: 999, content: ascii, mask: secret}}}
`, key)
			var err error
			if r.spoken, err = iso.ParseDialect("coded.yaml", []byte(text)); err != nil {
				t.Fatal(err)
			}
			kek := bytes.Repeat([]byte{7, 11}, 8)
			r.lineKeys = map[string][]byte{"mac": lineKey, "kek": kek}
			stores := map[string]keystore.Store{}
			for _, b := range rigBanks {
				s := lineKeys(t)
				loadKey(t, s, keystore.Import{Slot: "line-kek", Usage: "K0"}, kek)
				stores[b.id] = s
			}
			r.adjust = func(o *Options) {
				for i := range o.Banks {
					l := &o.Banks[i].Link
					l.Keys, l.Slots, l.LinksPerEndpoint = stores[l.ID], map[string]string{"mac": "line", "kek": "line-kek"}, 2
				}
			}
			inThisRig(t, r, func() {
				answers := make(chan Payment, 200)
				for n := range 200 {
					go func() {
						time.Sleep(time.Duration(n) * 5 * time.Millisecond)
						answer, err := r.core.Pay(r.account("one"), r.request(fmt.Sprintf("key-%d", n), cardOf(banksim.Approve), 1000))
						if err != nil {
							t.Error(err)
							answers <- Payment{}
							return
						}
						answers <- answer.Payment
					}()
				}
				for range 4 {
					time.Sleep(200 * time.Millisecond)
					if err := r.core.ChangeKeys("alfa", rigAct); err != nil {
						t.Error(err)
					}
				}
				for range 200 {
					if p := <-answers; p.Status != StatusCaptured {
						t.Errorf("a payment is %s", p.Status)
					}
				}
				synctest.Wait()
				all, err := stores["alfa"].Slots()
				if err != nil || all[0].Name != "line" || all[0].Version != 5 {
					t.Errorf("%+v, %v", all, err)
				}
				bank := r.banks["alfa"]
				if bank.Status().Forged != 0 || bank.Books().Len() != 200 {
					t.Errorf("%d in the books, %+v", bank.Books().Len(), bank.Status())
				}
			})
		})
	}
}

// TestChangeKeysIsRefused: an operator is told when there is nothing to change.
func TestChangeKeysIsRefused(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		for _, c := range []struct {
			bank string
			act  Act
			want Code
		}{
			{"alfa", Act{}, CodeInvalidRequest},
			{"nobody", rigAct, CodeNotFound},
			{"alfa", rigAct, CodeInvalidState},
		} {
			if err := r.core.ChangeKeys(c.bank, c.act); codeOf(err) != c.want {
				t.Errorf("%s: %v, want %v", c.bank, err, c.want)
			}
		}
	})
}
