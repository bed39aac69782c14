package frontend

import (
	"github.com/tranzit/tranzit/frontend/page"
	payswitch "github.com/tranzit/tranzit/switch"
)

const (
	checkoutPrefix  = payswitch.CheckoutPrefix
	checkoutPath    = "/v1/checkout_sessions/"
	maxCheckoutPage = 100
)

var valueSVG = []byte("image/svg+xml")

// targetCheckout reads the session of the path, or answers 404.
func (c *call) targetCheckout(text []byte) bool {
	return c.identify(text, checkoutPrefix, "checkout session")
}

// createCheckout answers POST /v1/checkout_sessions.
func (c *call) createCheckout() {
	key, body, ok := c.keyed()
	if !ok {
		return
	}
	d := checkoutReader{plain: c.server.o.PlainWebhooks}
	defer d.close()
	if !d.decode(body) {
		c.refuseFaults(d.faults)
		return
	}
	wish := payswitch.CheckoutRequest{IdempotencyKey: string(key),
		Fingerprint: c.server.sw.Fingerprint("POST", "/v1/checkout_sessions", body), Wish: d.wish()}
	if d.send {
		wish.Send = &payswitch.CheckoutSend{Page: c.server.page.URL}
	}
	made, replayed, err := c.server.sw.CreateCheckout(c.account, &wish)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.repeats(replayed)
	c.stands(checkoutPath, checkoutPrefix, made.ID)
	c.answerJSON(201, c.checkoutView(&made))
}

func (c *call) answerCheckout(s payswitch.Checkout, err error) {
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.answerJSON(200, c.checkoutView(&s))
}

// getCheckout answers GET /v1/checkout_sessions/{id}.
func (c *call) getCheckout() {
	if c.noQuery() {
		c.answerCheckout(c.server.sw.Checkout(c.account, c.id))
	}
}

// expireCheckout answers POST /v1/checkout_sessions/{id}/expire.
func (c *call) expireCheckout() {
	if c.emptyObject() {
		c.answerCheckout(c.server.sw.ExpireCheckout(c.account, c.id))
	}
}

// getCheckoutQR answers GET /v1/checkout_sessions/{id}/qr: the page's address as a
// picture that a telephone reads.
func (c *call) getCheckoutQR() {
	if !c.noQuery() {
		return
	}
	if _, err := c.server.sw.Checkout(c.account, c.id); err != nil {
		c.refuse(problemOf(err))
		return
	}
	picture, err := page.QR(c.server.page.URL(c.id))
	if err != nil {
		c.refuse(problem{kind: problemInternal, detail: "The address is too long for a picture."})
		return
	}
	c.out = append(c.out[:0], picture...)
	c.answer(200, valueSVG)
}

// listCheckouts answers GET /v1/checkout_sessions.
func (c *call) listCheckouts() {
	limit, cursor, ok := c.pageOfList(maxCheckoutPage)
	if !ok {
		return
	}
	sessions, err := c.server.sw.Checkouts(c.account, limit, cursor)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	views, next := make([]checkoutSession, 0, len(sessions.Sessions)), ""
	for i := range sessions.Sessions {
		views = append(views, c.checkoutView(&sessions.Sessions[i]))
	}
	if sessions.More {
		next = sessions.Next.Text(cursorPrefix)
	}
	c.answerJSON(200, map[string]any{"object": "list", "data": views, "has_more": sessions.More, "next_cursor": textOrNull(next)})
}

// checkoutSession is the object of the API.
type checkoutSession struct {
	ID            string            `json:"id"`
	Object        string            `json:"object"`
	Version       uint32            `json:"version"`
	Status        string            `json:"status"`
	Live          bool              `json:"livemode"`
	URL           *string           `json:"url"` // null: it takes no payment any more
	Amount        int64             `json:"amount"`
	Currency      string            `json:"currency"`
	OrderID       string            `json:"order_id"`
	Description   *string           `json:"description"`
	CaptureMethod string            `json:"capture_method"`
	Language      *string           `json:"language"`
	Customer      *checkoutCustomer `json:"customer"`
	SuccessURL    *string           `json:"success_url"`
	FailURL       *string           `json:"fail_url"`
	ReturnURL     *string           `json:"return_url"`
	Button        *string           `json:"button"` // that was pressed; null: none
	Receipt       bool              `json:"receipt"`
	Attempts      int               `json:"attempts"`
	Payment       *string           `json:"payment"`
	PaymentStatus *string           `json:"payment_status"`
	ExpiresAt     *string           `json:"expires_at"`
	CreatedAt     *string           `json:"created_at"`
	UpdatedAt     *string           `json:"updated_at"`
	Metadata      map[string]string `json:"metadata"`
	Sent          []sentLetter      `json:"sent"`
}

type checkoutCustomer struct {
	ID    *string `json:"id"`
	Email *string `json:"email"`
}

func (c *call) checkoutView(s *payswitch.Checkout) checkoutSession {
	view := viewOfCheckout(s)
	if s.Status == payswitch.CheckoutOpen || s.Status == payswitch.CheckoutProcessing {
		view.URL = textOrNull(c.server.page.URL(s.ID))
	}
	return view
}

// viewOfCheckout is the object without the page's address.
func viewOfCheckout(s *payswitch.Checkout) checkoutSession {
	view := checkoutSession{ID: s.ID.Text(checkoutPrefix), Object: "checkout_session", Version: s.Version, Status: s.Status, Live: s.Live,
		Amount: s.Amount, Currency: s.Currency, OrderID: s.OrderID, Description: textOrNull(s.Description), CaptureMethod: "automatic",
		Language: textOrNull(s.Language), SuccessURL: textOrNull(s.SuccessURL), FailURL: textOrNull(s.FailURL), ReturnURL: textOrNull(s.ReturnURL),
		Receipt: s.Receipt, Attempts: s.Attempts, ExpiresAt: momentOrNull(s.ExpiresAt), CreatedAt: momentOrNull(s.CreatedAt), UpdatedAt: momentOrNull(s.UpdatedAt),
		Metadata: map[string]string{}, Sent: sentView(s.Sent)}
	if s.ManualCapture {
		view.CaptureMethod = "manual"
	}
	if !s.Button.IsZero() {
		view.Button = textOrNull(s.Button.Text(payswitch.ButtonPrefix))
	}
	if s.Customer != "" || s.Email != "" {
		view.Customer = &checkoutCustomer{textOrNull(s.Customer), textOrNull(s.Email)}
	}
	if p := s.Payment; p != nil {
		view.Payment, view.PaymentStatus = textOrNull(p.Name()), textOrNull(shownStatus(p.Status).String())
		if p.UpdatedAt.After(s.UpdatedAt) {
			view.UpdatedAt = momentOrNull(p.UpdatedAt)
		}
	}
	for _, m := range s.Metadata {
		view.Metadata[m.Key] = m.Value
	}
	return view
}

// appendSession appends which checkout session a payment pays, or null.
func appendSession(dst []byte, id payswitch.ID) []byte {
	if id.IsZero() {
		return append(dst, "null"...)
	}
	return append(id.Append(append(dst, '"'), checkoutPrefix), '"')
}
