package payswitch

import "time"

// KeyView is an API key as people and programs see it: without its secret, save
// once, when it was made.
type KeyView struct {
	ID           string   `json:"id"`
	Object       string   `json:"object"` // api_key
	Name         string   `json:"name"`
	Merchant     string   `json:"merchant_id"`
	Live         bool     `json:"livemode"`
	Status       string   `json:"status"` // active, expired or revoked
	Scopes       []string `json:"scopes"` // "*" alone: all there are and will be
	Signed       bool     `json:"signed"`
	Addresses    []string `json:"addresses"`
	Certificates []string `json:"certificates"`
	Hint         string   `json:"hint"`
	ExpiresAt    *string  `json:"expires_at"`
	LastUsedAt   *string  `json:"last_used_at"` // to the minute
	CreatedAt    *string  `json:"created_at"`
	CreatedBy    string   `json:"created_by"`
	RevokedAt    *string  `json:"revoked_at"`
	RolledTo     *string  `json:"rolled_to"`
	Secret       string   `json:"secret,omitempty"`
}

// AllScopes is the word for a key without restriction.
const AllScopes = "*"

// View is the key to show.
func (k *APIKey) View(now time.Time) KeyView {
	v := KeyView{ID: k.ID.Text(APIKeyPrefix), Object: "api_key", Name: k.Name, Merchant: k.Merchant, Live: k.Live, Status: k.Status(now),
		Scopes: k.Scopes.Words(), Signed: k.Signed, Addresses: []string{}, Certificates: []string{}, Hint: k.Hint, ExpiresAt: viewTime(k.ExpiresAt),
		LastUsedAt: viewTime(k.LastUsed()), CreatedAt: viewTime(k.CreatedAt), CreatedBy: k.CreatedBy, RevokedAt: viewTime(k.RevokedAt)}
	if k.Scopes == 0 {
		v.Scopes = []string{AllScopes}
	}
	for _, p := range k.Addresses {
		v.Addresses = append(v.Addresses, p.String())
	}
	v.Certificates = append(v.Certificates, k.Certificates...)
	if !k.RolledTo.IsZero() {
		next := k.RolledTo.Text(APIKeyPrefix)
		v.RolledTo = &next
	}
	return v
}

// View is the new key with its secret.
func (k *IssuedKey) View(now time.Time) KeyView {
	v := k.APIKey.View(now)
	v.Secret = k.Secret
	return v
}

func viewTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format("2006-01-02T15:04:05.000Z")
	return &text
}

// KeyWish is what is asked of a new key, in words.
type KeyWish struct {
	Name         string     `json:"name"`
	Scopes       []string   `json:"scopes"` // "*" alone: all
	ExpiresAt    *time.Time `json:"expires_at,omitempty"`
	Addresses    []string   `json:"addresses,omitempty"`
	Certificates []string   `json:"certificates,omitempty"`
	Signed       bool       `json:"signed,omitempty"`
}

// Access reads the words. Errors are refusals that name the member.
func (w *KeyWish) Access() (y Access, err error) {
	fault := func(pointer string, err error) (Access, error) {
		return Access{}, &Refusal{Code: CodeInvalidRequest, Pointer: pointer, Detail: "A value is not valid: " + err.Error() + "."}
	}
	y = Access{Name: w.Name, Signed: w.Signed}
	switch {
	case len(w.Scopes) == 0:
		return Access{}, &Refusal{Code: CodeInvalidRequest, Pointer: "/scopes", Detail: `Say what the key may do: a list of scopes, or "*" alone for everything.`}
	case len(w.Scopes) != 1 || w.Scopes[0] != AllScopes:
		if y.Scopes, err = ParseScopes(w.Scopes); err != nil {
			return fault("/scopes", err)
		}
	}
	if w.ExpiresAt != nil {
		y.ExpiresAt = *w.ExpiresAt
	}
	for _, text := range w.Addresses {
		p, err := ParseAddress(text)
		if err != nil {
			return fault("/addresses", err)
		}
		y.Addresses = append(y.Addresses, p)
	}
	for _, text := range w.Certificates {
		pin, err := ParsePin(text)
		if err != nil {
			return fault("/certificates", err)
		}
		y.Certificates = append(y.Certificates, pin)
	}
	return y, nil
}
