package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Event is one change, with the object as it stood then; it is also what a webhook
// carries, which json.Unmarshal reads from the body.
type Event struct {
	ID        string    `json:"id"`
	Object    string    `json:"object"`
	Type      string    `json:"type"` // payment.captured, refund.succeeded ...; webhook.test
	Live      bool      `json:"livemode"`
	PaymentID string    `json:"payment_id"`       // empty for an event of a checkout session
	SessionID string    `json:"checkout_session"` // of such an event; else empty
	Sequence  int       `json:"sequence"`         // number among the payment's events, or the session's, from 1, without a gap
	CreatedAt time.Time `json:"created_at"`

	// Payment is what the event is about, or the payment of the Operation it is
	// about. Both are nil in a test message.
	Payment   *Payment   `json:"-"`
	Operation *Operation `json:"-"`
	Payout    *Payout    `json:"-"` // or a verification: the event is about it, and the others are nil

	CheckoutSession *CheckoutSession `json:"-"` // the event is about it, and the others are nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *Event) UnmarshalJSON(text []byte) error {
	type plain Event
	var in struct {
		plain
		Data struct{ Object json.RawMessage }
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*e = Event(in.plain)
	var kind struct {
		Object  string
		Payment *Payment
	}
	if len(in.Data.Object) == 0 || json.Unmarshal(in.Data.Object, &kind) != nil {
		return nil
	}
	switch {
	case kind.Object == "payment":
		return json.Unmarshal(in.Data.Object, &e.Payment)
	case kind.Object == "checkout_session":
		return json.Unmarshal(in.Data.Object, &e.CheckoutSession)
	case kind.Object == "payout" || kind.Object == "verification":
		return json.Unmarshal(in.Data.Object, &e.Payout)
	case kind.Payment != nil:
		e.Payment = kind.Payment
		return json.Unmarshal(in.Data.Object, &e.Operation)
	}
	return nil
}

// EventFilter selects events.
type EventFilter struct {
	Types       []string
	PaymentID   string
	CreatedFrom time.Time // zero: no bound
	CreatedTo   time.Time // exclusive; zero: no bound
	Limit       int       // events of a page, 1 to 100; 0: the API's default
	Cursor      string    // of the page before
}

func (f *EventFilter) query() url.Values {
	q := url.Values{}
	for name, at := range map[string]time.Time{"created_from": f.CreatedFrom, "created_to": f.CreatedTo} {
		if !at.IsZero() {
			q.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	for name, text := range map[string]string{"type": strings.Join(f.Types, ","), "payment_id": f.PaymentID, "cursor": f.Cursor} {
		if text != "" {
			q.Set(name, text)
		}
	}
	return q
}

// EventPage is one page of events, newest first.
type EventPage = Page[Event]

// ListEvents reads one page of events, newest first.
func (c *Client) ListEvents(ctx context.Context, f EventFilter) (*EventPage, error) {
	return read[EventPage](ctx, c, call{method: http.MethodGet, path: "/v1/events", query: f.query()})
}

// AllEvents goes through all pages. It ends with the first error.
func (c *Client) AllEvents(ctx context.Context, f EventFilter) iter.Seq2[Event, error] {
	return all[Event](ctx, c, call{method: http.MethodGet, path: "/v1/events", query: f.query()})
}

// GetEvent reads an event.
func (c *Client) GetEvent(ctx context.Context, id string) (*Event, error) {
	return read[Event](ctx, c, call{method: http.MethodGet, path: "/v1/events" + segment(id)})
}

// WebhookDelivery is one attempt to deliver an event.
type WebhookDelivery struct {
	Object        string     `json:"object"`
	Event         string     `json:"event"`
	Endpoint      string     `json:"webhook_endpoint"`
	Status        string     `json:"status"`      // succeeded, retrying or failed
	HTTPStatus    int        `json:"http_status"` // 0: there was no answer, and Error says why
	Error         string     `json:"error"`
	TookMS        int        `json:"took_ms"`
	AttemptedAt   time.Time  `json:"attempted_at"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
}

// ListDeliveries reads the attempts to deliver an event, by endpoint and then by
// time.
func (c *Client) ListDeliveries(ctx context.Context, event string) ([]WebhookDelivery, error) {
	var list struct{ Data []WebhookDelivery }
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/events" + segment(event) + "/deliveries"}, &list)
	return list.Data, err
}

// ResendEvent sends an event again, to one endpoint or (empty) to all that want
// it, and tells to how many. It may be repeated.
func (c *Client) ResendEvent(ctx context.Context, event, endpoint string) (int, error) {
	body := map[string]string{}
	if endpoint != "" {
		body["webhook_endpoint"] = endpoint
	}
	out, err := tell[struct {
		Endpoints int `json:"webhook_endpoints"`
	}](ctx, c, "/v1/events"+segment(event)+"/resend", body, false)
	if err != nil {
		return 0, err
	}
	return out.Endpoints, nil
}
