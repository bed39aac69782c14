package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// WebhookEndpoint is an address that is told of the account's events.
type WebhookEndpoint struct {
	ID             string      `json:"id"`
	Object         string      `json:"object"`
	Version        int         `json:"version"`
	Live           bool        `json:"livemode"`
	URL            string      `json:"url"`
	Description    string      `json:"description"`
	Types          []string    `json:"types"` // event types, families as payment.*, or *
	Enabled        bool        `json:"enabled"`
	DisabledReason string      `json:"disabled_reason"` // by_merchant, by_operator or failing; empty while enabled
	FailingSince   *time.Time  `json:"failing_since"`   // nil: it works
	OldSecrets     []OldSecret `json:"old_secrets"`
	CreatedAt      time.Time   `json:"created_at"`
	UpdatedAt      time.Time   `json:"updated_at"`
	Secret         string      `json:"secret"` // whsec_...; there when it was just made, and never again
}

// OldSecret is a secret that still signs along with the present one.
type OldSecret struct {
	Hint      string    `json:"hint"` // its last characters
	ExpiresAt time.Time `json:"expires_at"`
}

// WebhookEndpointRequest is a new endpoint.
type WebhookEndpointRequest struct {
	URL         string   `json:"url"`
	Description string   `json:"description,omitempty"`
	Types       []string `json:"types,omitempty"` // none: all
}

// WebhookEndpointChange says what to change of an endpoint; a nil member stays.
type WebhookEndpointChange struct {
	URL         *string  `json:"url,omitempty"`
	Description *string  `json:"description,omitempty"`
	Types       []string `json:"types,omitempty"`
	Enabled     *bool    `json:"enabled,omitempty"`
}

const webhookEndpoints = "/v1/webhook_endpoints"

// CreateWebhookEndpoint makes an endpoint. It is sent once: when it ends with a
// *Lost, list the endpoints and delete the one whose secret you never saw.
func (c *Client) CreateWebhookEndpoint(ctx context.Context, r WebhookEndpointRequest) (*WebhookEndpoint, error) {
	return tell[WebhookEndpoint](ctx, c, webhookEndpoints, r, true)
}

// ChangeWebhookEndpoint changes, enables or disables an endpoint. It may be
// repeated.
func (c *Client) ChangeWebhookEndpoint(ctx context.Context, id string, r WebhookEndpointChange) (*WebhookEndpoint, error) {
	return tell[WebhookEndpoint](ctx, c, webhookEndpoints+segment(id), r, false)
}

// RollWebhookSecret gives an endpoint a new secret; the one before signs along for
// some hours, 0 to 168. Like CreateWebhookEndpoint it is sent once.
func (c *Client) RollWebhookSecret(ctx context.Context, id string, keepOldHours int) (*WebhookEndpoint, error) {
	return tell[WebhookEndpoint](ctx, c, webhookEndpoints+segment(id)+"/roll_secret", map[string]int{"keep_old_hours": keepOldHours}, true)
}

// GetWebhookEndpoint reads an endpoint.
func (c *Client) GetWebhookEndpoint(ctx context.Context, id string) (*WebhookEndpoint, error) {
	return read[WebhookEndpoint](ctx, c, call{method: http.MethodGet, path: webhookEndpoints + segment(id)})
}

// ListWebhookEndpoints reads all endpoints of the account, the oldest first.
func (c *Client) ListWebhookEndpoints(ctx context.Context) ([]WebhookEndpoint, error) {
	var list struct{ Data []WebhookEndpoint }
	_, err := c.do(ctx, call{method: http.MethodGet, path: webhookEndpoints}, &list)
	return list.Data, err
}

// DeleteWebhookEndpoint deletes an endpoint. A second time is a *Problem with
// not_found.
func (c *Client) DeleteWebhookEndpoint(ctx context.Context, id string) error {
	return c.discard(ctx, call{method: http.MethodDelete, path: webhookEndpoints + segment(id)})
}

// WebhookTest is what came of a test message.
type WebhookTest struct {
	Object      string    `json:"object"`
	Endpoint    string    `json:"webhook_endpoint"`
	Delivered   bool      `json:"delivered"`
	HTTPStatus  int       `json:"http_status"` // 0: there was no answer, and Error says why
	Error       string    `json:"error"`
	TookMS      int       `json:"took_ms"`
	AttemptedAt time.Time `json:"attempted_at"`
}

// TestWebhookEndpoint sends one test message and waits for what comes of it.
func (c *Client) TestWebhookEndpoint(ctx context.Context, id string) (*WebhookTest, error) {
	return tell[WebhookTest](ctx, c, webhookEndpoints+segment(id)+"/test", struct{}{}, true)
}

// Replay is what a replay sends again.
type Replay struct {
	Object   string     `json:"object"`
	Endpoint string     `json:"webhook_endpoint"`
	Events   int        `json:"events"`
	HasMore  bool       `json:"has_more"` // the period has more: replay from NextFrom
	NextFrom *time.Time `json:"next_from"`
}

// ReplayEvents sends the events of a period to an endpoint again, at most 10000 in
// one call; to zero: until now. It may be repeated.
func (c *Client) ReplayEvents(ctx context.Context, id string, from, to time.Time) (*Replay, error) {
	period := map[string]time.Time{"from": from.UTC()}
	if !to.IsZero() {
		period["to"] = to.UTC()
	}
	return tell[Replay](ctx, c, webhookEndpoints+segment(id)+"/replay", period, false)
}

// tell posts a body that moves no money and reads the answer.
func tell[T any](ctx context.Context, c *Client, path string, body any, single bool) (*T, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return read[T](ctx, c, call{method: http.MethodPost, path: path, body: text, single: single})
}
