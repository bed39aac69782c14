package frontend

import (
	"github.com/tranzit/tranzit/frontend/page"
	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

const replacementsPath = "/v1/card_replacements/"

// targetReplacement reads the replacement of the path, or answers 404.
func (c *call) targetReplacement(text []byte) bool {
	id, err := payswitch.ParseID(payswitch.ReplacementPrefix, string(text))
	if err != nil {
		c.refuse(problem{kind: problemNotFound, detail: "There is no such replacement of a card."})
		return false
	}
	c.id = id
	return true
}

// createReplacement answers POST /v1/tokens/{id}/replacement.
func (c *call) createReplacement() {
	if !c.acceptsBody() || !c.noQuery() {
		return
	}
	key, ok := c.idempotencyKey()
	if !ok {
		return
	}
	body := c.ctx.Request.Body()
	wish := payswitch.Replacement{Token: c.id}
	var d keyReader
	defer d.close()
	seen := false
	d.read(body, func(name string) bool {
		switch name {
		case "currency":
			seen = true
			if wish.Currency = d.line("/currency", 3); wish.Currency != "" {
				if _, err := iso.ParseCurrency(wish.Currency); err != nil {
					d.fault("/currency", "unknown_currency", "Must be a code of ISO 4217, like RUB.")
				}
			}
		case "language":
			if wish.Language = d.line("/language", 2); wish.Language != "" && !page.Speaks(wish.Language) {
				d.fault("/language", "unknown_value", "Must be one of "+page.LanguageList()+".")
			}
		case "return_url":
			if wish.ReturnURL = d.line("/return_url", payswitch.MaxEndpointURL); wish.ReturnURL != "" {
				if err := page.CheckReturn(wish.ReturnURL, c.server.o.PlainWebhooks); err != nil {
					d.fault("/return_url", "invalid_format", "The address "+err.Error()+".")
				}
			}
		case "expires_at":
			if at := d.time("/expires_at"); at != nil {
				wish.ExpiresAt = *at
			}
		default:
			return false
		}
		return true
	})
	if (!seen || wish.Currency == "") && len(d.faults) == 0 {
		d.fault("/currency", "required", "This member is required.")
	}
	if len(d.faults) > 0 {
		c.refuseFaults(d.faults)
		return
	}
	path := c.id.Append([]byte("/v1/tokens/"), tokenPrefix)
	made, replayed, err := c.server.sw.CreateReplacement(c.account, &payswitch.ReplacementRequest{IdempotencyKey: string(key),
		Fingerprint: c.server.sw.Fingerprint("POST", string(path), body), Wish: wish})
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	header := &c.ctx.Response.Header
	if replayed {
		header.SetCanonical(headReplayed, valueTrue)
	}
	c.head = made.ID.Append(append(c.head[:0], replacementsPath...), payswitch.ReplacementPrefix)
	header.SetCanonical(headLocation, c.head)
	c.answerJSON(201, c.replacementView(&made))
}

func (c *call) answerReplacement(r payswitch.Replacement, err error) {
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.answerJSON(200, c.replacementView(&r))
}

// getReplacement answers GET /v1/card_replacements/{id}.
func (c *call) getReplacement() {
	if c.noQuery() {
		c.answerReplacement(c.server.sw.Replacement(c.account, c.id))
	}
}

// cancelReplacement answers POST /v1/card_replacements/{id}/cancel.
func (c *call) cancelReplacement() {
	if !c.acceptsBody() || !c.noQuery() {
		return
	}
	var d keyReader
	defer d.close()
	if !d.read(c.ctx.Request.Body(), func(string) bool { return false }) {
		c.refuseFaults(d.faults)
		return
	}
	c.answerReplacement(c.server.sw.CancelReplacement(c.account, c.id))
}

// cardReplacement is the object of the API.
type cardReplacement struct {
	ID        string  `json:"id"`
	Object    string  `json:"object"`
	Version   uint32  `json:"version"`
	Status    string  `json:"status"`
	Live      bool    `json:"livemode"`
	URL       *string `json:"url"` // null: it takes no card any more
	Token     string  `json:"token"`
	Currency  string  `json:"currency"`
	Language  *string `json:"language"`
	ReturnURL *string `json:"return_url"`
	Attempts  int     `json:"attempts"`
	Proof     *string `json:"proof"` // the verification, or the hold, that was asked for last, or replaced the card
	ExpiresAt *string `json:"expires_at"`
	CreatedAt *string `json:"created_at"`
}

func (c *call) replacementView(r *payswitch.Replacement) cardReplacement {
	view := cardReplacement{ID: r.ID.Text(payswitch.ReplacementPrefix), Object: "card_replacement", Version: r.Version, Status: r.Status, Live: r.Live,
		Token: r.Token.Text(tokenPrefix), Currency: r.Currency, Language: textOrNull(r.Language), ReturnURL: textOrNull(r.ReturnURL), Attempts: r.Attempts,
		ExpiresAt: momentOrNull(r.ExpiresAt), CreatedAt: momentOrNull(r.CreatedAt)}
	if r.Status == payswitch.CheckoutOpen || r.Status == payswitch.CheckoutProcessing {
		view.URL = textOrNull(c.server.page.ReplacementURL(r.ID))
	}
	if r.Payment != nil {
		view.Proof = textOrNull(r.Payment.Name())
	}
	return view
}

// addReplacements adds the routes of replacements of cards.
func (r *routes) addReplacements(with func(route) *route) {
	r.newCard = with(route{name: "/v1/tokens/{id}/replacement", post: (*call).createReplacement, target: (*call).targetToken, keyed: true, writes: payswitch.ScopeTokensWrite})
	r.replacement = with(route{name: "/v1/card_replacements/{id}", get: (*call).getReplacement, target: (*call).targetReplacement, reads: payswitch.ScopeTokensRead})
	r.endReplace = with(route{name: "/v1/card_replacements/{id}/cancel", post: (*call).cancelReplacement, target: (*call).targetReplacement, writes: payswitch.ScopeTokensWrite})
}
