package payswitch

import (
	"testing"
	"time"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// FuzzRecovery starts a switch on a journal of arbitrary records and indexes:
// it recovers or refuses with an error, and never panics. The input is a list
// of records, each a length byte and a body; the first byte of the input says
// in which indexes the payment stands.
func FuzzRecovery(f *testing.F) {
	at := time.UnixMilli(1_700_000_000_000).UTC()
	currency, err := iso.ParseCurrency("EUR")
	if err != nil {
		f.Fatal(err)
	}
	pack := func(indexes byte, records ...record) []byte {
		out := []byte{indexes}
		for i := range records {
			records[i].at = at
			body := records[i].encode(nil)
			out = append(append(out, byte(len(body))), body...)
		}
		return out
	}
	intent := record{kind: recordIntent, intent: &intent{way: way{bank: "alfa", rrn: "1", stan: 1}, merchant: "mer_one", amount: 1, currency: currency}}
	f.Add(pack(1, intent))
	f.Add(pack(2, intent, record{kind: recordUnknown, reason: "no_answer", nextAt: at}))
	f.Add(pack(3, intent, record{kind: recordAnswered, approved: true}))
	f.Add(pack(7, record{kind: recordDesk}))
	refund := &begun{id: ID{9}, kind: KindRefund, method: MethodRefund, amount: 1, request: true}
	f.Add(pack(8, intent, record{kind: recordAnswered, approved: true}, record{kind: recordOperation, begun: refund}))
	f.Add(pack(24, intent, record{kind: recordAnswered, approved: true}, record{kind: recordOperation, begun: refund},
		record{kind: recordOperationUnknown, op: 1, reason: "no_answer"}))
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) == 0 {
			return
		}
		r := newRig(t)
		store, err := storage.Open(storage.Options{Disk: r.disk, OnFatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		id := ID{1, 2, 3}
		var c storage.Command
		rest := input[1:]
		for version := uint32(1); len(rest) > 0 && version < 20; version++ {
			n := min(int(rest[0]), len(rest)-1)
			c.Append(storage.ID(id), version, rest[1:1+n])
			rest = rest[1+n:]
		}
		index(&c, id, input[0])
		if _, err := store.Do(&c); err != nil {
			t.Fatal(err)
		}
		s, err := New(r.options(store))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.recover(); err == nil {
			if err := s.recover(); err != nil {
				t.Errorf("recovered once and then not: %v", err)
			}
		}
		s.Close()
	})
}

// index puts a payment where recovery looks, bit by bit; the highest makes what
// stands there too short.
func index(c *storage.Command, id ID, bits byte) {
	short := int(bits >> 7)
	if bits&1 == 1 {
		c.Set(spaceFloor, floorKey, id[:len(id)-short])
	}
	for bit, space := range []storage.Space{spaceReversal, spaceDesk} {
		if bits>>(bit+1)&1 == 1 {
			c.Set(space, id[:], []byte("alfa"))
		}
	}
	ref := (&history{Payment: Payment{ID: id}}).operationRef(1)
	for bit, space := range []storage.Space{spaceOperation, spaceOperationDesk} {
		if bits>>(bit+3)&1 == 1 {
			c.Set(space, []byte{9, 15: 0}, ref[:len(ref)-short])
		}
	}
}
