package client

import (
	"context"
	"net/http"
	"time"
)

// KeyRequest says what a new API key may do.
type KeyRequest struct {
	Name         string     `json:"name"`
	Scopes       []string   `json:"scopes"`                 // "*" alone: everything
	ExpiresAt    *time.Time `json:"expires_at,omitempty"`   // nil: never
	Addresses    []string   `json:"addresses,omitempty"`    // IP addresses and ranges; none: any
	Certificates []string   `json:"certificates,omitempty"` // pins: sha256:HEX or subject:NAME; none: no certificate is asked for
	Signed       bool       `json:"signed,omitempty"`       // the secret signs requests and is never sent
}

// APIKey is an API key. Secret is there when it was just made, and never again.
type APIKey struct {
	ID           string     `json:"id"`
	Object       string     `json:"object"`
	Name         string     `json:"name"`
	MerchantID   string     `json:"merchant_id"`
	LiveMode     bool       `json:"livemode"`
	Status       string     `json:"status"` // active, expired or revoked
	Scopes       []string   `json:"scopes"`
	Signed       bool       `json:"signed"`
	Addresses    []string   `json:"addresses"`
	Certificates []string   `json:"certificates"`
	Hint         string     `json:"hint"`
	ExpiresAt    *time.Time `json:"expires_at"`
	LastUsedAt   *time.Time `json:"last_used_at"` // to the minute
	CreatedAt    time.Time  `json:"created_at"`
	CreatedBy    string     `json:"created_by"`
	RevokedAt    *time.Time `json:"revoked_at"`
	RolledTo     string     `json:"rolled_to"` // the key that takes its place
	Secret       string     `json:"secret"`
}

// CreateKey makes a key. It is sent once: when it ends with a *Lost, list the keys
// and revoke the one whose secret you never saw.
func (c *Client) CreateKey(ctx context.Context, r KeyRequest) (*APIKey, error) {
	return c.changeKey(ctx, "/v1/api_keys", r)
}

// RollKey makes a key in place of an old one, which goes on for some hours, 0 to
// 168. Like CreateKey it is sent once.
func (c *Client) RollKey(ctx context.Context, id string, keepOldHours int) (*APIKey, error) {
	return c.changeKey(ctx, "/v1/api_keys"+segment(id)+"/roll", map[string]int{"keep_old_hours": keepOldHours})
}

// RevokeKey ends a key at once.
func (c *Client) RevokeKey(ctx context.Context, id string) (*APIKey, error) {
	return c.changeKey(ctx, "/v1/api_keys"+segment(id)+"/revoke", struct{}{})
}

func (c *Client) changeKey(ctx context.Context, path string, body any) (*APIKey, error) {
	ask, err := post(path, "", body)
	if err != nil {
		return nil, err
	}
	ask.single = true
	k := new(APIKey)
	if _, err := c.do(ctx, ask, k); err != nil {
		return nil, err
	}
	return k, nil
}

// ListKeys reads all keys of the account that the API made, newest first.
func (c *Client) ListKeys(ctx context.Context) ([]APIKey, error) {
	var list struct{ Data []APIKey }
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/api_keys"}, &list)
	return list.Data, err
}

// GetKey reads one key.
func (c *Client) GetKey(ctx context.Context, id string) (*APIKey, error) {
	k := new(APIKey)
	if _, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/api_keys" + segment(id)}, k); err != nil {
		return nil, err
	}
	return k, nil
}
