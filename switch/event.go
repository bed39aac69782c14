package payswitch

import (
	"encoding/binary"
	"time"
)

// EventPrefix is the TypeID prefix of an event.
const EventPrefix = "evt"

// EventType says what an event tells: a status that a payment reached, or one
// that an operation of it reached. The zero value is no event's type.
type EventType struct {
	class  byte // 0: of a payment itself, or classPurpose + Purpose; else the OperationKind
	status byte // Status or OperationStatus
}

// classPurpose is above every OperationKind. The classes are stored.
const classPurpose = 0x40

func (p Purpose) class() byte {
	if p == PurposePayment {
		return 0
	}
	return classPurpose + byte(p)
}

// ofOperation reports whether the event is about an operation of a payment.
func (t EventType) ofOperation() bool { return t.class != 0 && t.class < classPurpose }

// String is the word of the API: payment.captured, refund.succeeded.
func (t EventType) String() string {
	if t.ofCheckout() {
		return t.checkoutWord()
	}
	if !t.ofOperation() {
		return Purpose(t.class&^classPurpose).String() + "." + Status(t.status).String()
	}
	return OperationKind(t.class).String() + "." + OperationStatus(t.status).String()
}

// EventTypes are all that there are, in a fixed order.
func EventTypes() []EventType {
	var all []EventType
	for p := range purposeNames {
		for _, s := range Purpose(p).Statuses() {
			all = append(all, EventType{Purpose(p).class(), byte(s)})
		}
	}
	for k := 1; k < len(kindNames); k++ {
		for s := range operationStatusNames {
			if OperationStatus(s) != OperationInFlight {
				all = append(all, EventType{byte(k), byte(s)})
			}
		}
	}
	return append(all, eventCompleted, eventExpired)
}

var eventTypes = func() map[string]EventType {
	table := map[string]EventType{}
	for _, t := range EventTypes() {
		table[t.String()] = t
	}
	return table
}()

// ParseEventType is the inverse of String.
func ParseEventType(word string) (EventType, bool) {
	t, ok := eventTypes[word]
	return t, ok
}

// news is what the last record of a history changed for those outside. It is
// part of the fold, so that an event is known by its payment and its number
// alone: its id, its type and its object follow from the records.
type news struct {
	at    int64  // milliseconds; never less than of an earlier event of the payment
	told  uint32 // events of the payment so far, those in types included
	count uint8
	types [2]EventType // of the last record, in the order of their telling
	op    uint32       // of a type whose class is not 0
}

// tell notes what a record changed, given what was before it.
func (h *history) tell(r *record, before Status, operation OperationStatus) {
	h.news.count = 0
	h.news.at = max(h.news.at, r.at.UnixMilli())
	if n := h.operationTold(r); n > 0 {
		if o := &h.operations[n-1]; o.Status != operation {
			h.news.add(EventType{byte(o.Kind), byte(o.Status)})
			h.news.op = n
		}
	}
	if h.Status != before && h.Status != StatusInFlight {
		h.news.add(EventType{h.Purpose.class(), byte(h.Status)})
	}
}

func (n *news) add(t EventType) {
	n.types[n.count] = t
	n.count++
	n.told++
}

// operationTold is the number of the operation that a record is about, 0: none.
func (h *history) operationTold(r *record) uint32 {
	if r.begun != nil {
		return uint32(len(h.operations))
	}
	return r.op
}

// operationBefore is the status of the operation that a record is about, before it.
func (h *history) operationBefore(r *record) OperationStatus {
	if r.begun == nil && r.op >= 1 && int(r.op) <= len(h.operations) {
		return h.operations[r.op-1].Status
	}
	return OperationInFlight
}

// lastEvent is the i-th event of the last record.
func (h *history) lastEvent(i int) eventRef {
	number := h.news.told - uint32(h.news.count) + uint32(i) + 1
	return eventRef{payment: h.ID, version: h.Version, number: number, kind: h.news.types[i], id: h.eventID(number)}
}

// eventID is the id of the payment's n-th event while the record that tells it
// is the last one. Ids of one payment's events grow with their numbers.
func (h *history) eventID(number uint32) (id ID) {
	putIDTime(&id, h.news.at)
	id[6] = 0x70 | byte(number>>8&0x0f)
	id[7] = byte(number)
	copy(id[8:], h.ID[8:])
	return id
}

// eventRef is how the journal names an event: all the rest is the fold of the
// payment's records up to the version.
type eventRef struct {
	id      ID
	payment ID
	version uint32
	number  uint32 // among the payment's events, from 1
	kind    EventType
}

const eventRefBytes = 16 + 4 + 4 + 2

// append writes all but the id.
func (e *eventRef) append(dst []byte) []byte {
	dst = append(dst, e.payment[:]...)
	dst = binary.BigEndian.AppendUint32(dst, e.version)
	dst = binary.BigEndian.AppendUint32(dst, e.number)
	return append(dst, e.kind.class, e.kind.status)
}

func parseEventRef(id ID, b []byte) (e eventRef, ok bool) {
	if len(b) != eventRefBytes {
		return e, false
	}
	return eventRef{id: id, payment: ID(b[:16]), version: binary.BigEndian.Uint32(b[16:]), number: binary.BigEndian.Uint32(b[20:]),
		kind: EventType{b[24], b[25]}}, true
}

// Event is one change of a payment or of an operation of it, with the object
// as it stood then.
type Event struct {
	ID        ID
	Type      EventType
	Payment   Payment    // as it stood
	Operation *Operation // of an event about an operation: as it stood
	Checkout  *Checkout  // of an event about a checkout session: as it stood, without its letters; Payment is then zero
	Sequence  uint32     // number among the payment's events, or the session's, from 1, without a gap
	At        time.Time
}

// event reads an event from its payment's records. earlier are the ids of the
// payment's events before it, in order.
func (s *Switch) event(ref eventRef) (e Event, earlier []ID, err error) {
	if ref.kind.ofCheckout() {
		return s.checkoutEvent(ref)
	}
	note := func(h *history) bool {
		for n := uint32(len(earlier)); n < h.news.told; n++ {
			earlier = append(earlier, h.eventID(n+1))
		}
		return h.Version < ref.version
	}
	h, err := s.foldWhile(ref.payment, note)
	if err != nil {
		return Event{}, nil, err
	}
	note(h)
	for i := range int(h.news.count) {
		if last := h.lastEvent(i); last.number == ref.number {
			e = Event{ID: last.id, Type: last.kind, Payment: h.Payment, Sequence: last.number, At: h.UpdatedAt}
			if last.kind.ofOperation() {
				o := h.operations[h.news.op-1].Operation
				e.Operation = &o
			}
			return e, earlier[:last.number-1], nil
		}
	}
	return Event{}, nil, errRecord
}
