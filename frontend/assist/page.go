package assist

import (
	"encoding/hex"
	"net/url"
	"strconv"

	payswitch "github.com/tranzit/tranzit/switch"
)

// maxSessions is how many checkout sessions one order may have, one after the other
// expired.
const maxSessions = 20

// page answers order.cfm: the order gets its checkout session, to whose page the
// payer's browser is sent. A form that is sent again leads to the same page until
// that has expired.
func (k *Ask) page() {
	o, no := k.readOrder()
	if no == nil && o.series != nil {
		no = &refusal{first: 15, second: 147, detail: "A recurring payment begins by /pay/silentpay.cfm. Nothing was recorded."}
	}
	var wish payswitch.Checkout
	if no == nil {
		wish, no = k.checkout(&o)
	}
	if no != nil {
		k.fail(no)
		return
	}
	for n := range maxSessions {
		text := []byte(o.number + " " + strconv.FormatInt(o.amount, 10) + wish.Currency + strconv.FormatBool(o.held) + " " + strconv.Itoa(n))
		fingerprint := k.adapter.sw.Fingerprint("POST", k.service.Path, text)
		c, _, err := k.adapter.sw.CreateCheckout(k.Account, &payswitch.CheckoutRequest{
			IdempotencyKey: "assist/order/" + hex.EncodeToString(fingerprint[:]), Fingerprint: fingerprint, Wish: wish})
		if err != nil {
			k.fail(k.refused(err))
			return
		}
		if c.Status != payswitch.CheckoutExpired {
			k.Session = c.ID
			return
		}
	}
	k.fail(&refusal{first: 15, second: 107, detail: "This order's page expired too often. Nothing was recorded: use another OrderNumber."})
}

// checkout is the order as a checkout session.
func (k *Ask) checkout(o *orderForm) (c payswitch.Checkout, no *refusal) {
	c = payswitch.Checkout{Amount: o.amount, Currency: o.currency.Alpha(), OrderID: o.number, Description: o.comment, ManualCapture: o.held, Email: o.email, Language: "ru"}
	if k.english {
		c.Language = "en"
	}
	for _, back := range []struct {
		name string
		into *string
	}{{"url_return", &c.ReturnURL}, {"url_return_ok", &c.SuccessURL}, {"url_return_no", &c.FailURL}} {
		text, there := k.params.get(back.name)
		if !there {
			continue
		}
		u, err := url.Parse(string(text))
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || len(text) > payswitch.MaxEndpointURL {
			return c, badForm(back.name, "must be an address like https://shop.example/thanks.")
		}
		*back.into = string(text)
	}
	return c, nil
}

// pageElsewhere answers payrequest.cfm.
func (k *Ask) pageElsewhere() {
	if _, no := k.readOrder(); no != nil {
		k.fail(no)
		return
	}
	k.fail(&refusal{first: 15, second: 350, detail: "The order is valid. Nothing was recorded: send the payer's browser to /pay/order.cfm, or use POST /v1/checkout_sessions."})
}
