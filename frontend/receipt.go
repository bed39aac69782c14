package frontend

import (
	"strings"

	payswitch "github.com/tranzit/tranzit/switch"
)

// sendReceipt answers POST /v1/payments/{id}/receipt.
func (c *call) sendReceipt() {
	if !c.acceptsBody() || !c.noQuery() {
		return
	}
	key, ok := c.idempotencyKey()
	if !ok {
		return
	}
	body := c.ctx.Request.Body()
	var d sendReader
	defer d.close()
	if !d.read(body, d.member) {
		c.refuseFaults(d.faults)
		return
	}
	sent, replayed, err := c.server.sw.SendReceipt(c.account, c.id, &payswitch.ReceiptAgain{IdempotencyKey: string(key),
		Fingerprint: c.server.sw.Fingerprint("POST", string(c.ctx.Path()), body), Email: d.email, Language: d.language})
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	if replayed {
		c.ctx.Response.Header.SetCanonical(headReplayed, valueTrue)
	}
	c.answerJSON(200, map[string]any{"object": "receipt", "payment_id": sent.Payment.Name(), "kind": strings.TrimPrefix(sent.Template, "receipt_"),
		"to": sent.To, "sent_again": sent.Again})
}
