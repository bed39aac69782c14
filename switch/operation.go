package payswitch

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// OperationKind is what is done to a payment after its approval. The numbers
// are stored: never reuse one.
type OperationKind uint8

// The kinds of operation.
const (
	KindCapture OperationKind = 1 // takes what is held
	KindCancel  OperationKind = 2 // undoes a hold, or a charge of the same bank day
	KindRefund  OperationKind = 3 // gives captured money back
	KindRelease OperationKind = 4 // the switch lets a hold go at the bank's deadline

	KindIncrement OperationKind = 5 // raises a hold, or lengthens it
)

var kindNames = [...]string{"", "capture", "cancel", "refund", "release", "increment"}

// String is the word of the API.
func (k OperationKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind_%d", uint8(k))
}

var kindPrefixes = [...]string{"", "cap", "can", "ref", "rel", "inc"}

// Prefix is the TypeID prefix of the kind.
func (k OperationKind) Prefix() string { return kindPrefixes[k] }

// Method is how an operation is done at the bank. The numbers are stored: never
// reuse one.
type Method uint8

// The methods.
const (
	MethodNone            Method = 1 // the bank needs no message
	MethodCompletion      Method = 2 // a financial advice that completes a hold
	MethodVoid            Method = 3 // a hold undone whole
	MethodReversal        Method = 4 // a charge undone whole, on the bank's same day
	MethodPartialReversal Method = 5 // part of a hold or of a charge undone
	MethodRefund          Method = 6 // a credit of its own
	MethodIncrement       Method = 7 // a request that raises or lengthens a hold
)

var methodNames = [...]string{"", "none", "completion", "void", "reversal", "partial_reversal", "refund", "increment"}

// String is the word of the API.
func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return fmt.Sprintf("method_%d", uint8(m))
}

// OperationStatus is where an operation stands.
type OperationStatus uint8

// The states of an operation. OperationInFlight is never shown: it stands for
// one whose first outcome is not yet durable. A pending one is repeated until
// the bank acknowledges; an unknown one is being reversed.
const (
	OperationInFlight OperationStatus = iota
	OperationPending
	OperationSucceeded
	OperationDeclined
	OperationFailed
	OperationUnknown
	OperationReversed
)

var operationStatusNames = [...]string{"in_flight", "pending", "succeeded", "declined", "failed", "unknown", "reversed"}

// String is the word of the API.
func (s OperationStatus) String() string {
	if int(s) < len(operationStatusNames) {
		return operationStatusNames[s]
	}
	return "invalid"
}

// Operation is a capture, a cancel, a refund, a release or an increment as its
// records tell it.
type Operation struct {
	ID           ID
	Kind         OperationKind
	Method       Method
	Status       OperationStatus
	Amount       int64 // of an increment: what it adds to the hold
	Total        int64 // of an increment: what is held in all after it
	Final        bool  // of a capture: the last one
	Reason       string
	STAN         iso.STAN // 0: no message went
	RRN          string
	ResponseCode string
	ApprovalCode string
	Decline      *Decline
	Resolution   *Resolution // while pending or unknown
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Open reports that the operation is not settled with the bank yet.
func (o *Operation) Open() bool {
	return o.Status == OperationInFlight || o.Status == OperationPending || o.Status == OperationUnknown
}

// OperationRequest is a merchant's wish about a payment.
type OperationRequest struct {
	Payment        ID
	Kind           OperationKind // KindCapture, KindCancel, KindRefund or KindIncrement
	IdempotencyKey string        // 1..255 printable characters
	Fingerprint    Fingerprint   // of method, path and body; see Switch.Fingerprint
	RequestID      string        // for logs only
	Amount         int64         // minor units; 0: all that is left; of an increment: what is to be held in all
	Final          bool          // of a capture: no further ones; always so when all is taken
	Reason         string        // at most 200 characters
}

// operation is an operation with what is needed to send it again.
type operation struct {
	Operation
	request bool  // a request, that is reversed when it is not answered; else an advice, that is repeated
	stays   int64 // DE95 of a partial reversal; of an increment: what is held without it
	sentAt  time.Time
	localAt time.Time
	hold    bool          // a cancel of a hold, not of captured money; of an increment: the hold's time begins anew
	owed    reversalState // of the repeats, or of the refund's reversal

	fingerprint Fingerprint
	spoken      iso.Revision // the version of the dialect its request was built in
	requestType iso.MTI      // 0: what the dialect says
}

// open reports whether the operation may still move money either way.
func (o *operation) open() bool {
	switch o.Status {
	case OperationInFlight, OperationPending, OperationUnknown:
		return true
	}
	return o.owed.queued || o.owed.desk != ""
}

// begun is what is written of an operation before it is sent.
type begun struct {
	id          ID
	kind        OperationKind
	method      Method
	request     bool
	hold        bool
	final       bool
	amount      int64
	stays       int64
	reason      string
	fingerprint Fingerprint
	stan        iso.STAN
	rrn         string
	sentAt      time.Time
	localAt     time.Time

	claim *[16]byte // idempotency digest that its intent claims; not part of the record
}

// isoOperation is the dialect's operation that carries a method.
func (m Method) isoOperation() iso.Operation {
	switch m {
	case MethodCompletion:
		return iso.OpCapture
	case MethodVoid, MethodReversal, MethodPartialReversal:
		return iso.OpVoid
	case MethodIncrement:
		return iso.OpIncrement
	}
	return iso.OpRefund
}

// terms are what one bank allows after a payment, and when: what its profile
// allows and its dialect has a message for.
type terms struct {
	profile               *iso.Profile
	capture, void, refund bool // it has the message
	parts                 bool // a void can undo a part
	refundRequest         bool // a refund is a request, not an advice
	increment             bool // it has the message
	lengthens             bool // a hold's time counts from its last increment
	captureParts          bool // a capture can take less than is held
	several               bool // a hold takes several captures
	refundParts           bool
	overcapture           int64
	hold                  time.Duration
	refundable            time.Duration // after the approval; 0: for ever
	cutOver               time.Duration
	zone                  *time.Location
	ended                 *atomic.Int64 // Unix milliseconds: when the bank last said that its day ends; 0: never
}

// terms joins what a bank allows and what a version of its dialect can say.
func (b *bank) terms(d *iso.Dialect) terms {
	p := b.profile
	capture, _ := p.Terms(iso.OpCapture)
	void, voids := p.Terms(iso.OpVoid)
	refund, refunds := p.Terms(iso.OpRefund)
	increment, increments := p.Terms(iso.OpIncrement)
	return terms{
		profile: p, capture: d.Supports(iso.OpCapture), captureParts: capture.Partial, several: capture.Several, overcapture: int64(capture.OverPercent),
		void: voids && d.Supports(iso.OpVoid), parts: void.Partial && d.PartialVoid(),
		refund: refunds && d.Supports(iso.OpRefund), refundRequest: d.MTI(iso.OpRefund).Function() == 0, refundParts: refund.Partial,
		refundable: time.Duration(refund.Days) * 24 * time.Hour,
		increment:  increments && d.Supports(iso.OpIncrement), lengthens: increment.Lengthens,
		hold: b.hold(), cutOver: p.CutOver, zone: p.TimeZone, ended: &b.dayEnd,
	}
}

// hold is how long a hold stands at the bank.
func (b *bank) hold() time.Duration { return time.Duration(b.profile.HoldDays) * 24 * time.Hour }

// day is the bank's business day, in which t falls: it ends at the cut-over.
func (y *terms) day(t time.Time) [3]int {
	local := t.In(y.zone)
	year, month, day := local.Date()
	if clock := time.Duration(local.Hour())*time.Hour + time.Duration(local.Minute())*time.Minute + time.Duration(local.Second())*time.Second; y.cutOver > 0 && clock >= y.cutOver {
		year, month, day = local.AddDate(0, 0, 1).Date()
	}
	return [3]int{year, int(month), day}
}
