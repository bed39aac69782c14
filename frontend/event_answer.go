package frontend

import (
	"strconv"

	payswitch "github.com/tranzit/tranzit/switch"
)

const (
	eventPrefix    = payswitch.EventPrefix
	endpointPrefix = payswitch.EndpointPrefix
)

// AppendEvent appends an event as the API shows it and as webhooks carry it.
// Equal events give equal bytes.
func AppendEvent(dst []byte, e *payswitch.Event) []byte {
	dst = append(dst, `{"id":"`...)
	dst = e.ID.Append(dst, eventPrefix)
	dst = append(dst, `","object":"event","type":"`...)
	dst = append(dst, e.Type.String()...)
	dst = append(dst, `","livemode":`...)
	dst = strconv.AppendBool(dst, e.Payment.Live)
	dst = append(dst, `,"payment_id":"`...)
	dst = e.Payment.ID.Append(dst, e.Payment.Purpose.Prefix())
	dst = append(dst, `","sequence":`...)
	dst = strconv.AppendUint(dst, uint64(e.Sequence), 10)
	dst = append(dst, `,"created_at":`...)
	dst = appendTime(dst, e.At)
	dst = append(dst, `,"data":{"object":`...)
	if e.Operation != nil {
		dst = appendOperation(dst, e.Operation, &e.Payment)
		dst = appendWithPayment(dst, &e.Payment)
	} else {
		dst = appendObject(dst, &e.Payment)
	}
	return append(dst, "}}"...)
}
