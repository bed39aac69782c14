package frontend

import (
	"testing"

	"github.com/tranzit/tranzit/iso"
)

// TestDeclineIsExplained: an answer carries the catalogue's texts, whatever
// language a header asks for, and a repeat has the same bytes.
func TestDeclineIsExplained(t *testing.T) {
	s := openShop(t, nil)
	stolen := with("4111111111111111", "4000000000009979")
	first := s.do("POST", "/v1/payments", stolen, "Idempotency-Key", "stolen", "Accept-Language", "es")
	again := s.do("POST", "/v1/payments", stolen, "Idempotency-Key", "stolen", "Accept-Language", "ru")
	if first.body != again.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("a repeat has another body:\n%s\n%s", first.body, again.body)
	}
	decline := member[map[string]any](t, first.body, "decline")
	reason := iso.Declines().Find("stolen_card")
	told, _ := decline["buyer_message"].(map[string]any)
	if decline["code"] != "stolen_card" || decline["advice"] != reason.Advice || told["ru"] != reason.Buyer.RU || told["en"] != reason.Buyer.EN ||
		told["es"] != reason.Buyer.ES {
		t.Errorf("decline %v", decline)
	}
	listed := member[[]any](t, s.do("GET", "/v1/declines", "").body, "data")
	if len(listed) != len(iso.Declines().All()) {
		t.Errorf("%d reasons are listed", len(listed))
	}
}
