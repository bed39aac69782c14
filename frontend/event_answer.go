package frontend

import (
	"encoding/json"
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
	if s := e.Checkout; s != nil {
		dst = strconv.AppendBool(dst, s.Live)
		dst = append(dst, `,"payment_id":null,"checkout_session":"`...)
		dst = s.ID.Append(dst, checkoutPrefix)
	} else {
		dst = strconv.AppendBool(dst, e.Payment.Live)
		dst = append(dst, `,"payment_id":"`...)
		dst = e.Payment.ID.Append(dst, e.Payment.Purpose.Prefix())
	}
	dst = append(dst, `","sequence":`...)
	dst = strconv.AppendUint(dst, uint64(e.Sequence), 10)
	dst = append(dst, `,"created_at":`...)
	dst = appendTime(dst, e.At)
	dst = append(dst, `,"data":{"object":`...)
	switch {
	case e.Checkout != nil:
		body, _ := json.Marshal(viewOfCheckout(e.Checkout)) // of texts and numbers alone: it cannot fail
		dst = append(dst, body...)
	case e.Operation != nil:
		dst = appendOperation(dst, e.Operation, &e.Payment)
		dst = appendWithPayment(dst, &e.Payment)
	default:
		dst = appendObject(dst, &e.Payment)
	}
	return append(dst, "}}"...)
}
