package frontend

import (
	"strings"

	payswitch "github.com/tranzit/tranzit/switch"
)

// sendReceipt answers POST /v1/payments/{id}/receipt.
func (c *call) sendReceipt() {
	key, body, ok := c.keyed()
	if !ok {
		return
	}
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
	c.repeats(replayed)
	c.answerJSON(200, map[string]any{"object": "receipt", "payment_id": sent.Payment.Name(), "kind": strings.TrimPrefix(sent.Template, "receipt_"),
		"to": sent.To, "sent_again": sent.Again})
}
