package frontend

import (
	"time"

	"github.com/tranzit/tranzit/frontend/page"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
)

// sendReader decodes who is sent a letter: of a checkout session's link, or of a
// receipt.
type sendReader struct {
	keyReader
	email, phone, language string
	remindHours            int64
}

// maxRemindHours is the longest life of a session.
const maxRemindHours = int64(payswitch.MaxCheckoutLife / time.Hour)

// member reads one member of the body.
func (d *sendReader) member(name string) bool {
	switch name {
	case "email":
		if d.email = d.line("/email", maxEmail); d.email != "" && !joining.IsAddress(d.email) {
			d.fault("/email", "invalid_format", "Must look like name@example.com.")
		}
	case "language":
		if d.language = d.line("/language", 8); !page.Speaks(d.language) {
			d.fault("/language", "unknown_value", "Must be one of "+page.LanguageList()+".")
		}
	default:
		return false
	}
	return true
}

// linkMember reads one member of what is asked about a session's link.
func (d *sendReader) linkMember(name string) bool {
	switch name {
	case "phone":
		if d.phone = d.line("/phone", 16); !joining.IsPhone(d.phone) {
			d.fault("/phone", "invalid_format", "Must be an international number like +74951234567.")
		}
	case "remind_before_hours":
		d.remindHours, _ = d.integer("/remind_before_hours", 1, maxRemindHours)
	default:
		return d.member(name)
	}
	return true
}

// sendCheckout answers POST /v1/checkout_sessions/{id}/send.
func (c *call) sendCheckout() {
	key, body, ok := c.keyed()
	if !ok {
		return
	}
	var d sendReader
	defer d.close()
	if !d.read(body, d.linkMember) {
		c.refuseFaults(d.faults)
		return
	}
	s, replayed, err := c.server.sw.SendCheckout(c.account, c.id, &payswitch.CheckoutSend{IdempotencyKey: string(key),
		Fingerprint: c.server.sw.Fingerprint("POST", string(c.ctx.Path()), body), Email: d.email, Phone: d.phone, Language: d.language,
		RemindBefore: time.Duration(d.remindHours) * time.Hour, Page: c.server.page.URL})
	c.repeats(replayed)
	c.answerCheckout(s, err)
}

// sentLetter is one letter with a session's link as the API shows it.
type sentLetter struct {
	Channel string  `json:"channel"`
	To      string  `json:"to"`
	State   string  `json:"state"`
	At      *string `json:"at"`
	Due     *string `json:"due_at"`
}

func sentView(list []payswitch.CheckoutSending) []sentLetter {
	out := make([]sentLetter, 0, len(list))
	for _, sent := range list {
		out = append(out, sentLetter{Channel: sent.Channel, To: sent.To, State: sent.State, At: momentOrNull(sent.At), Due: momentOrNull(sent.Due)})
	}
	return out
}
