package admin

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
	"github.com/tranzit/tranzit/switch/people"
)

// Checkout is one checkout session as operators see it.
type Checkout struct {
	ID        string       `json:"id"`
	Merchant  string       `json:"merchant"`
	Live      bool         `json:"livemode"`
	Status    string       `json:"status"`
	Amount    int64        `json:"amount"`
	Currency  string       `json:"currency"`
	OrderID   string       `json:"order_id"`
	Attempts  int          `json:"attempts"`
	Payment   string       `json:"payment,omitempty"`
	URL       string       `json:"url,omitempty"` // none: it takes no payment any more
	ExpiresAt time.Time    `json:"expires_at"`
	CreatedAt time.Time    `json:"created_at"`
	Sent      []SentLetter `json:"sent"`
}

// SentLetter is a letter with a session's link.
type SentLetter struct {
	Channel string    `json:"channel"`
	To      string    `json:"to"` // masked
	State   string    `json:"state"`
	Due     time.Time `json:"due_at"`
}

// CheckoutAct is the body of an operator's act about a checkout session.
type CheckoutAct struct {
	Operator string `json:"operator"`
	Reason   string `json:"reason"`
	Email    string `json:"email,omitempty"` // send
	Phone    string `json:"phone,omitempty"`
	Language string `json:"language,omitempty"`
}

func (s *Server) routeCheckouts(mux *http.ServeMux) {
	mux.HandleFunc("GET /admin/v1/checkouts", s.checkouts)
	mux.HandleFunc("GET /admin/v1/checkouts/{id}", s.checkout(func(_ *http.Request, _ payswitch.Account, c payswitch.Checkout) (payswitch.Checkout, error) {
		return c, nil
	}))
	mux.HandleFunc("POST /admin/v1/checkouts/{id}/expire", s.checkoutAct("link_revoked", func(a payswitch.Account, id payswitch.ID, _ *CheckoutAct) (payswitch.Checkout, error) {
		return s.o.Switch.ExpireCheckout(a, id)
	}))
	mux.HandleFunc("POST /admin/v1/checkouts/{id}/send", s.checkoutAct("link_sent", s.sendCheckout))
}

// sendCheckout sends a session's link as an operator asks.
func (s *Server) sendCheckout(a payswitch.Account, id payswitch.ID, act *CheckoutAct) (payswitch.Checkout, error) {
	fault := func(pointer, detail string) (payswitch.Checkout, error) {
		return payswitch.Checkout{}, &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: pointer, Detail: detail}
	}
	switch {
	case act.Email != "" && !joining.IsAddress(act.Email):
		return fault("/email", "That is no e-mail address.")
	case act.Phone != "" && !joining.IsPhone(act.Phone):
		return fault("/phone", "Must be an international number like +74951234567.")
	case act.Language != "" && !slices.Contains([]string{"en", "ru", "es"}, act.Language):
		return fault("/language", "Must be en, ru or es.")
	}
	c, _, err := s.o.Switch.SendCheckout(a, id, &payswitch.CheckoutSend{IdempotencyKey: "\x00admin" + rand.Text(), Email: act.Email, Phone: act.Phone,
		Language: act.Language, Page: s.o.Pages.URL})
	return c, err
}

func (s *Server) viewCheckout(c *payswitch.Checkout) Checkout {
	view := Checkout{ID: c.ID.Text(payswitch.CheckoutPrefix), Merchant: c.Merchant, Live: c.Live, Status: c.Status, Amount: c.Amount, Currency: c.Currency,
		OrderID: c.OrderID, Attempts: c.Attempts, ExpiresAt: c.ExpiresAt, CreatedAt: c.CreatedAt, Sent: []SentLetter{}}
	if c.Payment != nil {
		view.Payment = c.Payment.Name()
	}
	if c.Status == payswitch.CheckoutOpen || c.Status == payswitch.CheckoutProcessing {
		view.URL = s.o.Pages.URL(c.ID)
	}
	for _, sent := range c.Sent {
		view.Sent = append(view.Sent, SentLetter{Channel: sent.Channel, To: sent.To, State: sent.State, Due: sent.Due})
	}
	return view
}

// maxCheckouts is the longest page of sessions.
const maxCheckouts = 1000

func (s *Server) checkouts(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit := 100
	var err error
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxCheckouts {
			reply(w, http.StatusBadRequest, map[string]string{"error": "limit must be 1..1000"})
			return
		}
	}
	a, err := s.o.Switch.AccountOf(q.Get("merchant"), q.Get("mode") == "live")
	if err != nil {
		fail(w, err)
		return
	}
	page, err := s.o.Switch.Checkouts(a, limit, payswitch.ID{})
	if err != nil {
		fail(w, err)
		return
	}
	views := []Checkout{}
	for i := range page.Sessions {
		views = append(views, s.viewCheckout(&page.Sessions[i]))
	}
	reply(w, http.StatusOK, map[string]any{"data": views, "has_more": page.More})
}

// checkout finds the session of the path, and answers with what do makes of it.
func (s *Server) checkout(do func(*http.Request, payswitch.Account, payswitch.Checkout) (payswitch.Checkout, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := payswitch.ParseID(payswitch.CheckoutPrefix, r.PathValue("id"))
		if err != nil {
			fail(w, &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Detail: "That is not the id of a checkout session."})
			return
		}
		a, c, err := s.o.Switch.OpenCheckout(id)
		if err == nil {
			c, err = do(r, a, c)
		}
		if err != nil {
			fail(w, err)
			return
		}
		reply(w, http.StatusOK, s.viewCheckout(&c))
	}
}

// checkoutAct is an act of an operator, which is logged with its reason and stands in the
// shop's own audit.
func (s *Server) checkoutAct(what string, do func(payswitch.Account, payswitch.ID, *CheckoutAct) (payswitch.Checkout, error)) http.HandlerFunc {
	return s.checkout(func(r *http.Request, a payswitch.Account, c payswitch.Checkout) (payswitch.Checkout, error) {
		var act CheckoutAct
		dec := json.NewDecoder(io.LimitReader(r.Body, maxAct))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&act); err != nil {
			return c, &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Detail: "The body must be JSON with operator, reason and what the act takes."}
		}
		if err := (payswitch.Act{Operator: act.Operator, Reason: act.Reason}).Validate(); err != nil {
			return c, err
		}
		done, err := do(a, c.ID, &act)
		if err == nil {
			name := c.ID.Text(payswitch.CheckoutPrefix)
			s.o.Logger.Warn("an operator acted on a checkout session", "act", what, "session", name, "operator", act.Operator, "reason", act.Reason)
			err = s.o.People.Record(&people.Act{Merchant: a.Merchant.ID, Live: a.Live, Who: act.Operator, Operator: true, What: what, Object: name, Detail: act.Reason})
		}
		return done, err
	})
}
