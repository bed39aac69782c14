package frontend

import (
	"strconv"

	"github.com/tranzit/tranzit/frontend/page"
	payswitch "github.com/tranzit/tranzit/switch"
)

const buttonsPath = "/v1/buttons/"

// targetButton reads the button of the path, or answers 404.
func (c *call) targetButton(text []byte) bool {
	return c.identify(text, payswitch.ButtonPrefix, "button")
}

// createButton answers POST /v1/buttons.
func (c *call) createButton() {
	key, body, ok := c.keyed()
	if !ok {
		return
	}
	var d buttonReader
	defer d.close()
	if !d.decode(body) {
		c.refuseFaults(d.faults)
		return
	}
	wish, err := d.wish.Button()
	if err == nil {
		err = page.CheckButton(&wish, c.server.o.PlainWebhooks)
	}
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	made, replayed, err := c.server.sw.CreateButton(c.account, &payswitch.ButtonRequest{IdempotencyKey: string(key),
		Fingerprint: c.server.sw.Fingerprint("POST", "/v1/buttons", body), Wish: wish})
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.repeats(replayed)
	c.stands(buttonsPath, payswitch.ButtonPrefix, made.ID)
	c.answerJSON(201, c.server.page.Button(&made, ""))
}

// buttonReader decodes POST /v1/buttons. Not goroutine-safe.
type buttonReader struct {
	keyReader
	wish payswitch.ButtonWish
}

// decode reads a button to make. It reports false when the request is refused; faults
// then says why. The caller calls close.
func (d *buttonReader) decode(body []byte) bool {
	seen := map[string]bool{}
	d.read(body, func(name string) bool {
		seen[name] = true
		return d.buttonMember(name)
	})
	for _, name := range []string{"name", "currency", "order_id"} {
		if !d.broken && !seen[name] {
			d.fault("/"+name, "required", "This member is required.")
		}
	}
	return len(d.faults) == 0
}

func (d *buttonReader) buttonMember(name string) bool {
	w := &d.wish
	switch name {
	case "name":
		w.Name = d.line("/name", payswitch.MaxButtonName)
	case "amount":
		w.Amount, _ = d.integer("/amount", 1, maxAmount)
	case "min_amount":
		w.MinAmount, _ = d.integer("/min_amount", 1, maxAmount)
	case "max_amount":
		w.MaxAmount, _ = d.integer("/max_amount", 1, maxAmount)
	case "max_quantity":
		most, _ := d.integer("/max_quantity", 1, payswitch.MaxButtonQuantity)
		w.MaxQuantity = int(most)
	case "currency":
		w.Currency = d.line("/currency", 3)
	case "order_id":
		w.OrderID = d.line("/order_id", payswitch.MaxButtonOrder)
	case "reusable":
		yes := d.boolean("/reusable")
		w.Reusable = &yes
	case "description":
		w.Description = d.line("/description", 400)
	case "capture_method":
		w.CaptureMethod = d.line("/capture_method", 10)
	case "language":
		w.Language = d.line("/language", 2)
	case "success_url":
		w.SuccessURL = d.line("/success_url", payswitch.MaxEndpointURL)
	case "fail_url":
		w.FailURL = d.line("/fail_url", payswitch.MaxEndpointURL)
	case "return_url":
		w.ReturnURL = d.line("/return_url", payswitch.MaxEndpointURL)
	case "session_minutes":
		minutes, _ := d.integer("/session_minutes", int64(payswitch.MinPressLife.Minutes()), int64(payswitch.MaxPressLife.Minutes()))
		w.SessionMinutes = int(minutes)
	case "expires_at":
		w.ExpiresAt = d.time("/expires_at")
	default:
		return false
	}
	return true
}

func (c *call) answerButton(b payswitch.Button, err error) {
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.answerJSON(200, c.server.page.Button(&b, ""))
}

// getButton answers GET /v1/buttons/{id}.
func (c *call) getButton() {
	if c.noQuery() {
		c.answerButton(c.server.sw.Button(c.account, c.id))
	}
}

// disableButton answers POST /v1/buttons/{id}/disable.
func (c *call) disableButton() {
	if !c.acceptsBody() || !c.noQuery() {
		return
	}
	var d keyReader
	defer d.close()
	if !d.read(c.ctx.Request.Body(), func(string) bool { return false }) {
		c.refuseFaults(d.faults)
		return
	}
	c.answerButton(c.server.sw.DisableButton(c.account, c.id))
}

// listButtons answers GET /v1/buttons.
func (c *call) listButtons() {
	limit, cursor, ok := c.pageOfList(maxCheckoutPage)
	if !ok {
		return
	}
	buttons, err := c.server.sw.Buttons(c.account, limit, cursor)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	views, next := make([]page.ButtonView, 0, len(buttons.Buttons)), ""
	for i := range buttons.Buttons {
		views = append(views, c.server.page.Button(&buttons.Buttons[i], ""))
	}
	if buttons.More {
		next = buttons.Next.Text(cursorPrefix)
	}
	c.answerJSON(200, map[string]any{"object": "list", "data": views, "has_more": buttons.More, "next_cursor": textOrNull(next)})
}

// pageOfList reads limit and cursor of a list, or answers 400.
func (c *call) pageOfList(most int) (limit int, cursor payswitch.ID, ok bool) {
	limit = defaultPage
	ok = c.eachParameter(func(name string, value []byte) string {
		var err error
		switch name {
		case "limit":
			if limit, err = strconv.Atoi(string(value)); err == nil && (limit < 1 || limit > most) {
				return "out_of_range"
			}
		case "cursor":
			cursor, err = payswitch.ParseID(cursorPrefix, string(value))
		default:
			return "unknown_field"
		}
		if err != nil {
			return "invalid_format"
		}
		return ""
	})
	return limit, cursor, ok
}

// addButtons adds the routes of buttons.
func (r *routes) addButtons(with func(route) *route) {
	r.buttons = with(route{name: "/v1/buttons", get: (*call).listButtons, post: (*call).createButton, keyed: true,
		reads: payswitch.ScopeCheckoutRead, writes: payswitch.ScopeCheckoutWrite})
	r.button = with(route{name: "/v1/buttons/{id}", get: (*call).getButton, target: (*call).targetButton, reads: payswitch.ScopeCheckoutRead})
	r.endButton = with(route{name: "/v1/buttons/{id}/disable", post: (*call).disableButton, target: (*call).targetButton, writes: payswitch.ScopeCheckoutWrite})
}
