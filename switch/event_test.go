package payswitch

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/storage"
)

// eventsMissing compares what the journal's records tell with the events and the
// notices beside them; every history of mer_two must have all of its events.
func eventsMissing(store *storage.Store, endpoints ...ID) (events int, missing []string) {
	account := digestAccount("test", "mer_two")
	var h history
	check := func(space storage.Space, key []byte, want eventRef) {
		var ref eventRef
		value, ok, err := store.Get(space, key, nil)
		if ok && len(value) >= eventRefBytes {
			ref, _ = parseEventRef(want.id, value[:eventRefBytes])
		}
		if err != nil || ref != want {
			missing = append(missing, fmt.Sprintf("%c %s %d %s: %v %v", space, h.ID.Text(PaymentPrefix), want.number, want.kind, ref, err))
		}
	}
	err := store.RecordsFrom(storage.ID{}, func(id storage.ID, version uint32, body []byte) bool {
		r, err := decodeRecord(body)
		if version == 1 {
			h = history{}
		}
		if err == nil {
			err = h.apply(ID(id), version, &r)
		}
		if err != nil {
			missing = append(missing, err.Error())
			return false
		}
		for i := range int(h.news.count) {
			ref := h.lastEvent(i)
			events++
			check(spaceEvent, append(account[:], ref.id[:]...), ref)
			for _, e := range endpoints {
				n := Notice{Endpoint: e, Event: ref.id}
				check(spaceNotice, n.key(nil), ref)
			}
		}
		return true
	})
	if err != nil {
		missing = append(missing, err.Error())
	}
	return events, missing
}

func TestEveryStateChangeHasItsEvent(t *testing.T) {
	rig := newRig(t)
	synctest.Test(t, func(t *testing.T) {
		rig.t = t
		defer rig.close()
		rig.startBanks()
		rig.start()
		rig.ready()
		a := rig.account("two")
		e, err := rig.core.Outbox().MakeEndpoint(a, &EndpointWish{})
		if err != nil {
			t.Fatal(err)
		}
		merchantLife(rig, banksim.RefundUnanswered, "alfa", func() bool { return true })
		for i, does := range []banksim.Behaviour{banksim.Approve, banksim.NoAnswer, banksim.Decline05, banksim.LateAnswer} {
			if _, err := rig.core.Pay(a, rig.request(fmt.Sprint(i), cardOf(does), 500)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Minute)
		n, missing := eventsMissing(rig.store, e.ID)
		if n < 12 || len(missing) > 0 {
			t.Errorf("%d events, missing:\n%s", n, strings.Join(missing, "\n"))
		}
		page, err := rig.core.Outbox().Events(a, EventQuery{Limit: 100})
		if err != nil || len(page.Events) != n || page.More {
			t.Errorf("%d events are listed, of %d: %v", len(page.Events), n, err)
		}
		told := map[ID]uint32{}
		for i := len(page.Events) - 1; i >= 0; i-- {
			ev := &page.Events[i]
			if told[ev.Payment.ID]++; ev.Sequence != told[ev.Payment.ID] {
				t.Errorf("event %s of %s has number %d, want %d", ev.Type, ev.Payment.ID.Text(PaymentPrefix), ev.Sequence, told[ev.Payment.ID])
			}
			if ev.Type.class == 0 && byte(ev.Payment.Status) != ev.Type.status || ev.Operation != nil && byte(ev.Operation.Status) != ev.Type.status {
				t.Errorf("event %s shows the status %s", ev.Type, ev.Payment.Status)
			}
		}
	})
}

// TestNoEventIsLostInACrash takes the disk as a power cut leaves it, before each
// of its operations during a payment, its refund and one that is unknown: what
// the journal holds then has its events, and what an endpoint is owed.
func TestNoEventIsLostInACrash(t *testing.T) {
	rig := newRig(t)
	synctest.Test(t, func(t *testing.T) {
		rig.t = t
		defer rig.close()
		rig.startBanks()
		rig.start()
		rig.ready()
		a := rig.account("two")
		e, err := rig.core.Outbox().MakeEndpoint(a, &EndpointWish{})
		if err != nil {
			t.Fatal(err)
		}
		var clones []*storage.Disk
		var mu sync.Mutex
		rig.disk.SetFaults(storage.Faults{OnOp: func(uint64, string, string) {
			mu.Lock()
			defer mu.Unlock()
			clones = append(clones, rig.disk.CrashClone(storage.Crash{Unsynced: storage.DropUnsynced}))
		}})
		merchantLife(rig, banksim.RefundUnanswered, "alfa", func() bool { return true })
		if _, err := rig.core.Pay(a, rig.request("late", cardOf(banksim.NoAnswer), 500)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		rig.disk.SetFaults(storage.Faults{})
		last := 0
		for i, clone := range clones {
			store, err := storage.Open(storage.Options{Disk: clone, Logger: rig.core.log})
			if err != nil {
				t.Fatalf("crash %d: %v", i, err)
			}
			n, missing := eventsMissing(store, e.ID)
			if n < last || len(missing) > 0 {
				t.Errorf("crash %d of %d: %d events after %d, missing:\n%s", i, len(clones), n, last, strings.Join(missing, "\n"))
			}
			last = n
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		}
		if len(clones) < 20 || last < 8 {
			t.Errorf("%d crashes, %d events at the last", len(clones), last)
		}
	})
}
