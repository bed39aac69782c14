package client

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// ButtonRequest is what a shop sells by a piece of HTML.
type ButtonRequest struct {
	IdempotencyKey string    `json:"-"` // new for everything you mean; made when empty
	Name           string    `json:"name"`
	Amount         int64     `json:"amount,omitempty"` // minor units; 0: the buyer chooses
	MinAmount      int64     `json:"min_amount,omitempty"`
	MaxAmount      int64     `json:"max_amount,omitempty"`
	MaxQuantity    int       `json:"max_quantity,omitempty"` // default 1
	Currency       string    `json:"currency"`
	OrderID        string    `json:"order_id"`
	Reusable       *bool     `json:"reusable,omitempty"` // default true
	Description    string    `json:"description,omitempty"`
	CaptureMethod  string    `json:"capture_method,omitempty"` // "automatic", the default, or "manual"
	Language       string    `json:"language,omitempty"`       // en, ru or es; default: the browser's
	SuccessURL     string    `json:"success_url,omitempty"`
	FailURL        string    `json:"fail_url,omitempty"`
	ReturnURL      string    `json:"return_url,omitempty"`
	SessionMinutes int       `json:"session_minutes,omitempty"` // default 60
	ExpiresAt      time.Time `json:"expires_at,omitzero"`       // default: never
}

// Button is a button as it stood when it was answered.
type Button struct {
	ID             string    `json:"id"`
	Object         string    `json:"object"`
	Version        int       `json:"version"`
	Status         string    `json:"status"` // active, expired or disabled
	Live           bool      `json:"livemode"`
	Name           string    `json:"name"`
	Amount         int64     `json:"amount"` // 0: the buyer chooses
	MinAmount      int64     `json:"min_amount"`
	MaxAmount      int64     `json:"max_amount"`
	MaxQuantity    int       `json:"max_quantity"`
	Currency       string    `json:"currency"`
	OrderID        string    `json:"order_id"`
	Reusable       bool      `json:"reusable"`
	Description    string    `json:"description"`
	CaptureMethod  string    `json:"capture_method"`
	Language       string    `json:"language"`
	SuccessURL     string    `json:"success_url"`
	FailURL        string    `json:"fail_url"`
	ReturnURL      string    `json:"return_url"`
	SessionMinutes int       `json:"session_minutes"`
	ExpiresAt      time.Time `json:"expires_at"`
	DisabledAt     time.Time `json:"disabled_at"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
	URL            string    `json:"url"`     // a link to the same
	Snippet        string    `json:"snippet"` // HTML to copy into a page of the shop

	Meta Meta `json:"-"` // zero in lists
}

func (c *Client) button(ctx context.Context, ask call) (*Button, error) {
	return one(ctx, c, ask, func(x *Button) *Meta { return &x.Meta })
}

// CreateButton makes a button. Errors are *Problem or *Lost.
func (c *Client) CreateButton(ctx context.Context, r ButtonRequest) (*Button, error) {
	ask, err := post("/v1/buttons", r.IdempotencyKey, r)
	if err != nil {
		return nil, err
	}
	return c.button(ctx, ask)
}

// GetButton reads a button.
func (c *Client) GetButton(ctx context.Context, id string) (*Button, error) {
	return c.button(ctx, call{method: http.MethodGet, path: "/v1/buttons" + segment(id)})
}

// DisableButton ends a button for good. It may be repeated.
func (c *Client) DisableButton(ctx context.Context, id string) (*Button, error) {
	return c.button(ctx, call{method: http.MethodPost, path: "/v1/buttons" + segment(id) + "/disable", body: []byte("{}")})
}

// ListButtons reads a page of buttons, newest first; next is the cursor of the page
// after it, empty: it was the last one.
func (c *Client) ListButtons(ctx context.Context, limit int, cursor string) (list []Button, next string, err error) {
	return pageOf[Button](ctx, c, "/v1/buttons", span{limit, cursor})
}

// FormSigner signs the payment forms of a shop's own pages, with a key of the API that
// signs. Its methods are goroutine-safe.
type FormSigner struct {
	Page   string // address of the payment page: https://pay.example.com
	KeyID  string // key_...
	Secret string // ss_test_... or ss_live_...
}

// Sign is the signature of a form's fields: HMAC-SHA-256 in hexadecimal over a title and,
// in the order of their names, the length in bytes and the value of each.
func (s *FormSigner) Sign(fields map[string]string) string {
	var text strings.Builder
	text.WriteString("tranzit-form-v1\n")
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&text, "%s=%d:%s\n", name, len(fields[name]), fields[name])
	}
	mac := hmac.New(sha256.New, []byte(s.Secret))
	mac.Write([]byte(text.String()))
	return hex.EncodeToString(mac.Sum(nil))
}

// Form is the HTML of a signed form with one button, for a page of the shop.
func (s *FormSigner) Form(fields map[string]string, label string) string {
	var out strings.Builder
	hidden := func(name, value string) {
		fmt.Fprintf(&out, "  <input type=\"hidden\" name=\"%s\" value=\"%s\">\n", html.EscapeString(name), html.EscapeString(value))
	}
	fmt.Fprintf(&out, "<form method=\"post\" action=\"%s/buy/%s\" accept-charset=\"utf-8\">\n", html.EscapeString(strings.TrimRight(s.Page, "/")), html.EscapeString(s.KeyID))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		hidden(name, fields[name])
	}
	hidden("signature", s.Sign(fields))
	fmt.Fprintf(&out, "  <button type=\"submit\">%s</button>\n</form>\n", html.EscapeString(label))
	return out.String()
}
