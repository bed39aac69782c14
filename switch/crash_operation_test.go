package payswitch

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/storage"
)

// mortal is the network of one life: at its death every line is cut and no
// other is made.
type mortal struct {
	net   *simnet.Net
	mu    sync.Mutex
	conns []*simnet.Conn
	dead  bool
}

func (m *mortal) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := m.net.Dial(ctx, network, addr)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil && m.dead {
		c.(*simnet.Conn).Cut()
		return nil, fmt.Errorf("dead")
	}
	if err == nil {
		m.conns = append(m.conns, c.(*simnet.Conn))
	}
	return c, err
}

func (m *mortal) alive() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.dead
}

func (m *mortal) die() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
	for _, c := range m.conns {
		c.Cut()
	}
}

// TestOperationsSurviveACrashAnywhere cuts the power at each operation of the
// disk while a payment is captured, refunded and canceled. In the next life the
// merchant repeats everything under the same keys: what was told stays told,
// and the bank's books agree with the journal.
func TestOperationsSurviveACrashAnywhere(t *testing.T) {
	for _, does := range []banksim.Behaviour{banksim.Approve, banksim.OperationAnswerLost, banksim.RefundUnanswered, banksim.IncrementUnanswered} {
		for bank := range 2 {
			crashes := 0
			for at := uint64(1); ; at++ {
				rig := newRig(t)
				more := false
				synctest.Test(t, func(t *testing.T) { rig.t = t; more = crashAt(rig, does, rigBanks[bank].id, at) })
				if !more || t.Failed() {
					break
				}
				crashes++
			}
			if crashes < 10 {
				t.Errorf("%s at %s: only %d crashes", does, rigBanks[bank].id, crashes)
			}
		}
	}
}

// merchantLife makes a hold, raises it, captures a part, refunds a part of it and cancels
// the rest, and returns what it was told while heard was true, by key.
func merchantLife(r *rig, does banksim.Behaviour, bank string, heard func() bool) map[string]string {
	told := map[string]string{}
	tell := func(key, text string) {
		if heard() {
			told[key] = text
		}
	}
	a := r.account("two")
	wish := r.request("pay", cardOf(does), 1000)
	wish.ManualCapture, wish.Bank = true, bank
	answer, err := r.core.Pay(a, wish)
	if err != nil {
		return told
	}
	tell("pay", answer.Payment.ID.Text(PaymentPrefix)+" "+answer.Payment.Status.String())
	for _, o := range []OperationRequest{
		{Kind: KindIncrement, IdempotencyKey: "i1", Amount: 1500},
		{Kind: KindCapture, IdempotencyKey: "c1", Amount: 600},
		{Kind: KindRefund, IdempotencyKey: "r1", Amount: 200},
		{Kind: KindCancel, IdempotencyKey: "x1"},
	} {
		o.Payment = answer.Payment.ID
		for range 4 { // what is not settled yet is repeated
			did, err := r.core.Operate(a, &o)
			if err == nil {
				tell(o.IdempotencyKey, fmt.Sprintf("%s %s %s", did.Operation.ID.Text(did.Operation.Kind.Prefix()), did.Operation.Status, moneyOf(&did.Payment)))
				break
			}
			time.Sleep(20 * time.Second)
		}
	}
	return told
}

// crashAt is false when the life ended before its crash came.
func crashAt(r *rig, does banksim.Behaviour, bank string, at uint64) bool {
	r.startBanks()
	defer r.close()
	first := &mortal{net: r.net}
	r.dialer = first.Dial
	r.onFatal = func(error) {}
	r.start()
	r.ready()
	var ops uint64
	var clone *storage.Disk
	var mu sync.Mutex
	r.disk.SetFaults(storage.Faults{OnOp: func(uint64, string, string) {
		mu.Lock()
		defer mu.Unlock()
		if ops++; ops == at {
			clone = r.disk.CrashClone(storage.Crash{Unsynced: storage.DropUnsynced})
			first.die()
		}
	}})
	told := merchantLife(r, does, bank, first.alive)
	if first.alive() {
		return false
	}
	r.core.Close()
	_ = r.store.Close()
	r.disk, r.core, r.dialer = clone, nil, r.net.Dial
	r.start()
	r.ready()
	always := func() bool { return true }
	again := merchantLife(r, does, bank, always)
	for key, text := range told {
		if again[key] != text {
			r.t.Errorf("crash at %d: %s was told %q and then %q", at, key, text, again[key])
		}
	}
	time.Sleep(5 * time.Minute)
	synctest.Wait()
	if more := merchantLife(r, does, bank, always); fmt.Sprint(more) != fmt.Sprint(again) {
		r.t.Errorf("crash at %d: told %v and then %v", at, again, more)
	}
	p, err := r.core.List(r.account("two"), ListQuery{Limit: 2})
	if err != nil || len(p.Payments) != 1 {
		r.t.Fatalf("crash at %d: %d payments, %v", at, len(p.Payments), err)
	}
	if p.Payments[0].Status != StatusReversed {
		agree(r, bank, &p.Payments[0])
	}
	if r.t.Failed() {
		r.t.Errorf("crash at %d\n%s", at, r.story(p.Payments[0].ID))
	}
	return true
}
