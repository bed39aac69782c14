package frontend

import (
	"strconv"
	"sync"

	"github.com/tranzit/tranzit/iso"
)

// declineTexts holds, by code, the members of a decline that come from the
// catalogue. The record of a payment keeps the code alone, so a repeat has the
// bytes of the first answer within one version of the catalogue. All three
// languages are always there: were one chosen by a header, a repeat under
// another header would have another body.
var declineTexts = sync.OnceValue(func() map[string][]byte {
	texts := map[string][]byte{}
	for _, reason := range iso.Declines().All() {
		text := append([]byte(nil), `,"advice":`...)
		text = appendString(text, reason.Advice)
		texts[reason.Code] = appendBuyer(append(text, `,"buyer_message":`...), &reason.Buyer)
	}
	return texts
})

// appendDeclineTexts appends advice and buyer_message; null for a code that the
// catalogue does not have.
func appendDeclineTexts(dst []byte, code string) []byte {
	if text, ok := declineTexts()[code]; ok {
		return append(dst, text...)
	}
	return append(dst, `,"advice":null,"buyer_message":null`...)
}

func appendBuyer(dst []byte, m *iso.BuyerMessage) []byte {
	dst = appendString(append(dst, `{"ru":`...), m.RU)
	dst = appendString(append(dst, `,"en":`...), m.EN)
	return append(appendString(append(dst, `,"es":`...), m.ES), '}')
}

// listDeclines answers GET /v1/declines: the whole catalogue.
func (c *call) listDeclines() {
	if !c.noQuery() {
		return
	}
	catalogue := iso.Declines()
	c.out = strconv.AppendInt(append(c.out[:0], `{"object":"list","version":`...), int64(catalogue.Version()), 10)
	c.out = append(c.out, `,"data":[`...)
	for i, reason := range catalogue.All() {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = appendReason(c.out, reason)
	}
	c.out = append(c.out, `],"has_more":false,"next_cursor":null}`...)
	c.answer(200, valueJSON)
}

func appendReason(dst []byte, reason *iso.DeclineReason) []byte {
	dst = appendString(append(dst, `{"object":"decline_reason","code":`...), reason.Code)
	giver := "bank"
	if reason.BySwitch {
		giver = "switch"
	}
	dst = appendString(append(dst, `,"given_by":`...), giver)
	dst = appendString(append(dst, `,"retry":`...), reason.Retry)
	dst = appendText(append(dst, `,"stops":`...), reason.Stops.String())
	dst = strconv.AppendBool(append(dst, `,"blocks_card":`...), reason.BlocksCard)
	dst = appendString(append(dst, `,"meaning":`...), reason.Meaning)
	return append(appendDeclineTexts(dst, reason.Code), '}')
}
