package payswitch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// recordKind names what a journal record says. The numbers are stored: never
// reuse one.
type recordKind byte

const (
	recordIntent           recordKind = 1  // a payment is about to be sent; nothing left before this was durable
	recordAnswered         recordKind = 2  // the bank answered: approved or declined
	recordNotSent          recordKind = 3  // provably no byte left for the bank
	recordUnknown          recordKind = 4  // sent and unanswered, or answered in doubt: a reversal is queued
	recordReversalSent     recordKind = 5  // a reversal is about to leave for the n-th time
	recordReversalAnswered recordKind = 6  // the bank answered a reversal
	recordLateAnswer       recordKind = 7  // an answer came after its payment was given up
	recordDesk             recordKind = 8  // the switch stopped trying: an operator must act
	recordRerouted         recordKind = 9  // provably not sent to one bank, about to be sent to the next
	recordClosed           recordKind = 10 // an operator settled it, with proof
	recordRetried          recordKind = 11 // an operator made the switch try again

	recordOperation         recordKind = 12 // a capture, cancel, refund or release is about to be sent
	recordOperationAnswered recordKind = 13 // the bank answered it, a repeat of it, or its reversal
	recordOperationNotSent  recordKind = 14 // provably no byte of a request left
	recordOperationUnknown  recordKind = 15 // unanswered: an advice is repeated, a request reversed
	recordOperationSent     recordKind = 16 // a repeat, or a reversal of a refund, is about to leave for the n-th time
	recordOperationLate     recordKind = 17 // an answer to a refund came after it was given up
	recordOperationDesk     recordKind = 18 // the switch stopped trying: an operator must act
	recordOperationClosed   recordKind = 19 // an operator settled it, with proof
	recordOperationRetried  recordKind = 20 // an operator made the switch try again

	recordRefused recordKind = 21 // the switch itself declined it; written with the intent, and nothing was sent

	recordChallenged    recordKind = 22 // the payer must prove who they are before anything is sent; nothing was
	recordAuthenticated recordKind = 23 // the payer did, and it is about to be sent; nothing left before this was durable
	lastRecordKind                 = recordAuthenticated
)

var recordKindNames = [...]string{
	"", "intent", "answered", "not_sent", "unknown", "reversal_sent", "reversal_answered", "late_answer", "desk",
	"rerouted", "closed", "retried",
	"operation", "operation_answered", "operation_not_sent", "operation_unknown", "operation_sent", "operation_late",
	"operation_desk", "operation_closed", "operation_retried",
	"refused", "challenged", "authenticated",
}

func (k recordKind) String() string {
	if int(k) < len(recordKindNames) {
		return recordKindNames[k]
	}
	return fmt.Sprintf("kind_%d", byte(k))
}

// The layouts of a record. A later one needs a new number.
const (
	recordSchema     = 1
	recordSchemaRare = 2 // the same with rare members behind
)

// record is one entry of a payment's history. Which members are meaningful
// depends on the kind; encode and decodeRecord are the one place that knows.
type record struct {
	kind recordKind
	at   time.Time // UTC, milliseconds

	intent *intent // recordIntent

	approved     bool // recordAnswered, recordLateAnswer
	responseCode string
	approvalCode string
	decline      Decline // recordAnswered when not approved, recordRefused
	message      []byte  // masked answer in compact form; may be empty

	reason string // recordUnknown, recordNotSent, recordRerouted, recordDesk: one word; recordClosed, recordRetried: the operator's

	way way // recordRerouted, recordAuthenticated

	url          string // recordChallenged: where the payer acts, until nextAt
	eci, threeDS string // recordAuthenticated: electronic commerce indicator, version of 3-D Secure

	operator string // recordClosed, recordRetried: who
	settled  Status // recordClosed: as what

	reversalSTAN   iso.STAN // recordUnknown
	reversalSentAt time.Time
	reversalReason iso.Reason

	attempt uint32    // recordReversalSent, recordReversalAnswered
	nextAt  time.Time // recordUnknown, recordReversalSent, recordReversalAnswered
	verdict iso.ReversalVerdict

	begun            *begun          // recordOperation
	op               uint32          // the operation's number in the payment, from 1; of all its records but the first
	settledOperation OperationStatus // recordOperationClosed: as what

	rare *rare // what few records have; of a recordIntent it stands in the intent
}

// way is where a payment goes: the bank, what it calls the merchant, and the
// trace numbers of the request. Follow-ups keep it (features R10).
type way struct {
	bank, dialect  string
	dialectVersion uint32
	requestType    iso.MTI // 0 in old journals: what the dialect says
	terminal       string
	bankMerchant   string
	acquirer       string
	stan           iso.STAN
	rrn            string
	sentAt         time.Time // transmission time, DE7
}

// intent is what must be known of a payment to send it, to undo it and to show
// it: everything but the card verification code, which is never stored.
type intent struct {
	way
	live, manual bool
	operation    iso.Operation
	merchant     string
	mcc          string
	nameLocation string
	country      string
	amount       int64
	currency     iso.Currency
	localAt      time.Time // card acceptor's wall clock, DE12 and DE13
	orderID      string
	description  string
	email        string
	initiator    string
	eci          string
	card         Card
	sealedPAN    []byte
	panDigest    [16]byte
	keyDigest    [16]byte // of the idempotency key
	fingerprint  Fingerprint
	metadata     []Pair
	rare         *rare
}

var errRecord = errors.New("journal record is not readable")

func (r *record) encode(dst []byte) []byte {
	extra, schema := r.rare, byte(recordSchema)
	if r.kind == recordIntent {
		extra = r.intent.rare
	}
	if extra != nil {
		schema = recordSchemaRare
	}
	dst = append(dst, byte(r.kind), schema)
	dst = r.encodeMembers(appendTime(dst, r.at))
	if extra != nil {
		dst = extra.encode(dst)
	}
	return dst
}

func (r *record) encodeMembers(dst []byte) []byte {
	switch r.kind {
	case recordIntent:
		dst = r.intent.encode(dst)
	case recordAnswered, recordLateAnswer:
		dst = appendBool(dst, r.approved)
		dst = appendString(dst, r.responseCode)
		dst = appendString(dst, r.approvalCode)
		dst = appendString(dst, r.decline.Code)
		dst = appendString(dst, r.decline.Message)
		dst = appendString(dst, r.decline.Retry)
		dst = appendBytes(dst, r.message)
	case recordNotSent, recordDesk:
		dst = appendString(dst, r.reason)
	case recordRerouted:
		dst = appendString(dst, r.reason)
		dst = r.way.encode(dst)
	case recordChallenged:
		dst = appendTime(appendString(dst, r.url), r.nextAt)
	case recordAuthenticated:
		dst = r.way.encode(appendString(appendString(dst, r.eci), r.threeDS))
	case recordClosed, recordRetried:
		dst = appendString(dst, r.reason)
		dst = appendString(dst, r.operator)
		dst = append(dst, byte(r.settled))
		dst = appendTime(dst, r.nextAt)
	case recordUnknown:
		dst = r.encodeUnknown(dst)
	case recordRefused:
		for _, text := range [...]string{r.decline.Source, r.decline.Code, r.decline.Message, r.decline.Retry} {
			dst = appendString(dst, text)
		}
	case recordReversalSent:
		dst = binary.AppendUvarint(dst, uint64(r.attempt))
		dst = appendTime(dst, r.nextAt)
	case recordReversalAnswered:
		dst = binary.AppendUvarint(dst, uint64(r.attempt))
		dst = append(dst, byte(r.verdict))
		dst = appendString(dst, r.responseCode)
		dst = appendTime(dst, r.nextAt)
		dst = appendBytes(dst, r.message)
	default:
		dst = r.encodeOperation(dst)
	}
	return dst
}

func (in *intent) encode(dst []byte) []byte {
	dst = appendBool(dst, in.live)
	dst = appendBool(dst, in.manual)
	dst = append(dst, byte(in.operation))
	dst = in.way.encode(dst)
	for _, s := range [...]string{
		in.merchant, in.mcc, in.nameLocation, in.country, in.currency.Alpha(), in.orderID, in.description, in.email,
		in.initiator, in.eci, in.card.BIN, in.card.Last4, in.card.Brand,
	} {
		dst = appendString(dst, s)
	}
	dst = binary.AppendUvarint(dst, uint64(in.amount))
	_, offset := in.localAt.Zone()
	dst = appendTime(dst, in.localAt)
	dst = binary.AppendVarint(dst, int64(offset))
	dst = binary.AppendUvarint(dst, uint64(in.card.Expiry.Year))
	dst = binary.AppendUvarint(dst, uint64(in.card.Expiry.Month))
	dst = appendBytes(dst, in.sealedPAN)
	dst = append(dst, in.panDigest[:]...)
	dst = append(dst, in.keyDigest[:]...)
	dst = append(dst, in.fingerprint[:]...)
	dst = binary.AppendUvarint(dst, uint64(len(in.metadata)))
	for _, p := range in.metadata {
		dst = appendString(dst, p.Key)
		dst = appendString(dst, p.Value)
	}
	return dst
}

func (y *way) encode(dst []byte) []byte {
	for _, s := range [...]string{y.bank, y.dialect, y.terminal, y.bankMerchant, y.acquirer, y.rrn} {
		dst = appendString(dst, s)
	}
	dst = binary.AppendUvarint(dst, uint64(y.requestType)<<32|uint64(y.dialectVersion)) // old programs read the lower half
	dst = binary.AppendUvarint(dst, uint64(y.stan))
	return appendTime(dst, y.sentAt)
}

// decodeRecord reads one record. The result shares no memory with body; its
// texts are parts of one copy of it. Any body that encode did not write is
// refused with errRecord.
func decodeRecord(body []byte) (record, error) {
	if len(body) < 2 || body[1] != recordSchema && body[1] != recordSchemaRare {
		return record{}, errRecord
	}
	d := decoder{b: body[2:], whole: string(body)}
	r := record{kind: recordKind(body[0])}
	r.at = d.time()
	switch r.kind {
	case recordIntent:
		r.intent = d.intent()
	case recordAnswered, recordLateAnswer:
		r.approved = d.bool()
		r.responseCode = d.string()
		r.approvalCode = d.string()
		r.decline = Decline{Source: "bank", Code: d.string(), Message: d.string(), Retry: d.string()}
		r.decline.ResponseCode = r.responseCode
		r.message = d.bytes()
	case recordNotSent, recordDesk:
		r.reason = d.string()
	case recordRerouted:
		r.reason = d.string()
		r.way = d.way()
	case recordChallenged:
		r.url, r.nextAt = d.string(), d.time()
	case recordAuthenticated:
		r.eci, r.threeDS, r.way = d.string(), d.string(), d.way()
	case recordClosed, recordRetried:
		r.reason = d.string()
		r.operator = d.string()
		r.settled = Status(d.byte())
		r.nextAt = d.time()
	case recordUnknown:
		d.unknown(&r)
	case recordRefused:
		r.decline = Decline{Source: d.string(), Code: d.string(), Message: d.string(), Retry: d.string()}
	case recordReversalSent:
		r.attempt = uint32(d.uvarint())
		r.nextAt = d.time()
	case recordReversalAnswered:
		r.attempt = uint32(d.uvarint())
		r.verdict = iso.ReversalVerdict(d.byte())
		r.responseCode = d.string()
		r.nextAt = d.time()
		r.message = d.bytes()
	default:
		if !d.operation(&r) {
			return record{}, errRecord
		}
	}
	if body[1] == recordSchemaRare {
		r.rare = d.rare()
	}
	if d.bad || len(d.b) != 0 {
		return record{}, errRecord
	}
	if r.kind == recordIntent {
		r.intent.rare, r.rare = r.rare, nil
	}
	return r, nil
}

func (d *decoder) way() way {
	var y way
	for _, s := range [...]*string{&y.bank, &y.dialect, &y.terminal, &y.bankMerchant, &y.acquirer, &y.rrn} {
		*s = d.string()
	}
	spoken := d.uvarint()
	y.dialectVersion, y.requestType = uint32(spoken), iso.MTI(spoken>>32)
	d.bad = d.bad || spoken>>48 != 0
	y.stan = iso.STAN(d.uvarint())
	y.sentAt = d.time()
	return y
}

func (d *decoder) intent() *intent {
	in := &intent{live: d.bool(), manual: d.bool(), operation: iso.Operation(d.byte()), way: d.way()}
	var currency string
	for _, s := range [...]*string{
		&in.merchant, &in.mcc, &in.nameLocation, &in.country, &currency, &in.orderID, &in.description, &in.email,
		&in.initiator, &in.eci, &in.card.BIN, &in.card.Last4, &in.card.Brand,
	} {
		*s = d.string()
	}
	var err error
	if in.currency, err = iso.ParseCurrency(currency); err != nil {
		d.bad = true
	}
	in.amount = int64(d.uvarint())
	local := d.time()
	in.localAt = local.In(time.FixedZone("", int(d.varint())))
	in.card.Expiry = iso.Expiry{Year: int(d.uvarint()), Month: int(d.uvarint())}
	in.sealedPAN = d.bytes()
	d.fixed(in.panDigest[:])
	d.fixed(in.keyDigest[:])
	d.fixed(in.fingerprint[:])
	n := d.uvarint()
	if n > maxMetadata {
		d.bad = true
		return in
	}
	for range n {
		in.metadata = append(in.metadata, Pair{Key: d.string(), Value: d.string()})
	}
	return in
}

const maxMetadata = 50

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func appendBytes(dst []byte, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// appendTime stores milliseconds; the zero time is stored as such.
func appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(dst, 0)
	}
	return binary.AppendVarint(dst, t.UnixMilli())
}

// decoder reads what the append functions wrote; after the first fault it
// returns zero values and bad is set.
type decoder struct {
	b     []byte
	whole string // what ends with b, of which texts are cut; empty: each is copied
	bad   bool
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) bool() bool { return d.byte() == 1 }

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) view() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) string() string {
	v := d.view()
	if d.whole == "" {
		return string(v)
	}
	end := len(d.whole) - len(d.b)
	return d.whole[end-len(v) : end]
}

func (d *decoder) bytes() []byte {
	v := d.view()
	if len(v) == 0 {
		return nil
	}
	return append([]byte(nil), v...)
}

func (d *decoder) fixed(dst []byte) {
	if len(d.b) < len(dst) {
		d.bad, d.b = true, nil
		return
	}
	copy(dst, d.b)
	d.b = d.b[len(dst):]
}

func (d *decoder) time() time.Time {
	ms := d.varint()
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
