package payswitch

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// What was paid before the bank said that its day ends is refunded, what was paid after it is reversed; a restart
// forgets neither.
func TestCutOverByTheBank(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		one := func(key string) Payment {
			answer, err := r.core.Pay(r.account("one"), r.request(key, cardOf(banksim.Approve), 1000))
			if err != nil {
				t.Fatal(err)
			}
			return answer.Payment
		}
		before := one("before")
		time.Sleep(time.Second)
		if err := r.banks["alfa"].Control(banksim.Control{Mode: banksim.ActCutOver}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		after := one("after")
		if at := r.core.BankStatuses()[0].CutOverAt; at.Before(before.CreatedAt) || at.After(after.CreatedAt) {
			t.Errorf("the day ended at %s", at)
		}
		r.stop()
		r.start()
		r.ready()
		for id, want := range map[ID]Method{before.ID: MethodRefund, after.ID: MethodReversal} {
			o := r.undo(id, KindCancel, "undo"+id.Text(PaymentPrefix), 0)
			if o.Method != want || o.Status != OperationSucceeded {
				t.Errorf("%s: %s, %s", o.Method, o.Status, want)
			}
		}
	})
}
