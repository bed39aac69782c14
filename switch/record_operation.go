package payswitch

import (
	"encoding/binary"
	"time"

	"github.com/tranzit/tranzit/iso"
)

func (r *record) encodeOperation(dst []byte) []byte {
	if r.kind == recordOperation {
		return r.begun.encode(dst)
	}
	dst = binary.AppendUvarint(dst, uint64(r.op))
	switch r.kind {
	case recordOperationAnswered, recordOperationLate:
		dst = append(dst, byte(r.verdict))
		dst = binary.AppendUvarint(dst, uint64(r.attempt))
		for _, s := range [...]string{r.responseCode, r.approvalCode, r.decline.Code, r.decline.Message, r.decline.Retry} {
			dst = appendString(dst, s)
		}
		dst = appendTime(dst, r.nextAt)
		dst = appendBytes(dst, r.message)
	case recordOperationNotSent, recordOperationDesk:
		dst = appendString(dst, r.reason)
	case recordOperationUnknown:
		dst = r.encodeUnknown(dst)
	case recordOperationSent:
		dst = binary.AppendUvarint(dst, uint64(r.attempt))
		dst = appendTime(dst, r.nextAt)
	case recordOperationClosed, recordOperationRetried:
		dst = appendString(dst, r.reason)
		dst = appendString(dst, r.operator)
		dst = append(dst, byte(r.settledOperation))
		dst = appendTime(dst, r.nextAt)
	}
	return dst
}

// operation reads the rest of a record about an operation; false: it is none.
func (d *decoder) operation(r *record) bool {
	if r.kind == recordOperation {
		r.begun = d.begun()
		return true
	}
	if r.kind < recordOperation || r.kind >= recordRefused {
		return false
	}
	r.op = uint32(d.uvarint())
	switch r.kind {
	case recordOperationAnswered, recordOperationLate:
		r.verdict = iso.ReversalVerdict(d.byte())
		r.attempt = uint32(d.uvarint())
		r.responseCode = d.string()
		r.approvalCode = d.string()
		r.decline = Decline{Source: "bank", Code: d.string(), Message: d.string(), Retry: d.string(), ResponseCode: r.responseCode}
		r.nextAt = d.time()
		r.message = d.bytes()
	case recordOperationNotSent, recordOperationDesk:
		r.reason = d.string()
	case recordOperationUnknown:
		d.unknown(r)
	case recordOperationSent:
		r.attempt = uint32(d.uvarint())
		r.nextAt = d.time()
	case recordOperationClosed, recordOperationRetried:
		r.reason = d.string()
		r.operator = d.string()
		r.settledOperation = OperationStatus(d.byte())
		r.nextAt = d.time()
	}
	return true
}

func (r *record) encodeUnknown(dst []byte) []byte {
	dst = appendString(dst, r.reason)
	dst = binary.AppendUvarint(dst, uint64(r.reversalSTAN))
	dst = appendTime(dst, r.reversalSentAt)
	dst = append(dst, byte(r.reversalReason))
	dst = appendTime(dst, r.nextAt)
	dst = appendString(dst, r.responseCode)
	return appendBytes(dst, r.message)
}

func (d *decoder) unknown(r *record) {
	r.reason = d.string()
	r.reversalSTAN = iso.STAN(d.uvarint())
	r.reversalSentAt = d.time()
	r.reversalReason = iso.Reason(d.byte())
	r.nextAt = d.time()
	r.responseCode = d.string()
	r.message = d.bytes()
}

func (b *begun) encode(dst []byte) []byte {
	dst = append(dst, b.id[:]...)
	dst = append(dst, byte(b.kind), byte(b.method))
	dst = appendBool(dst, b.request)
	dst = appendBool(dst, b.hold)
	dst = appendBool(dst, b.final)
	dst = binary.AppendUvarint(dst, uint64(b.amount))
	dst = binary.AppendUvarint(dst, uint64(b.stays))
	dst = appendString(dst, b.reason)
	dst = append(dst, b.fingerprint[:]...)
	dst = binary.AppendUvarint(dst, uint64(b.stan))
	dst = appendString(dst, b.rrn)
	dst = appendTime(dst, b.sentAt)
	_, offset := b.localAt.Zone()
	dst = appendTime(dst, b.localAt)
	return binary.AppendVarint(dst, int64(offset))
}

func (d *decoder) begun() *begun {
	b := &begun{}
	d.fixed(b.id[:])
	b.kind, b.method = OperationKind(d.byte()), Method(d.byte())
	b.request, b.hold, b.final = d.bool(), d.bool(), d.bool()
	b.amount, b.stays = int64(d.uvarint()), int64(d.uvarint())
	b.reason = d.string()
	d.fixed(b.fingerprint[:])
	b.stan = iso.STAN(d.uvarint())
	b.rrn = d.string()
	b.sentAt = d.time()
	local := d.time()
	b.localAt = local.In(time.FixedZone("", int(d.varint())))
	if b.kind < KindCapture || b.kind > KindIncrement || b.method < MethodNone || b.method > MethodIncrement || b.amount < 0 || b.stays < 0 {
		d.bad = true
	}
	return b
}
