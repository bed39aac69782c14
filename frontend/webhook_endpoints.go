package frontend

import (
	"errors"
	"net/url"
	"strings"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

const endpointsPath = "/v1/webhook_endpoints/"

// targetEndpoint reads the webhook endpoint of the path, or answers 404.
func (c *call) targetEndpoint(text []byte) bool {
	return c.identify(text, endpointPrefix, "webhook endpoint")
}

// CheckURL says what is wrong with the address of an endpoint; plain allows http.
// It looks no name up: an address is checked whenever it is called.
func CheckURL(text string, plain bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > payswitch.MaxEndpointURL || u.Opaque != "":
		return errors.New("must be an address like https://shop.example/hooks")
	case u.Scheme != "https" && !(plain && u.Scheme == "http"):
		return errors.New("must begin with https://")
	case u.Hostname() == "" || strings.ContainsAny(u.Host, " \t"):
		return errors.New("must name a host")
	case u.User != nil:
		return errors.New("must hold no user name or password")
	case u.Fragment != "":
		return errors.New("must hold no fragment")
	}
	return nil
}

const maxEndpointNote = 200

// readEndpoint reads what is asked of an endpoint, or answers what is wrong.
func (c *call) readEndpoint(fresh bool) (w payswitch.EndpointWish, ok bool) {
	if !c.acceptsBody() || !c.noQuery() {
		return w, false
	}
	var d keyReader
	defer d.close()
	d.read(c.ctx.Request.Body(), func(name string) bool {
		switch {
		case name == "url":
			if at, ok := d.keep("/url", limits{1, payswitch.MaxEndpointURL, token}); ok {
				text := string(d.text[at.from:at.to])
				if err := CheckURL(text, c.server.o.PlainWebhooks); err != nil {
					d.fault("/url", "invalid_format", "The address "+err.Error()+".")
				}
				w.URL = &text
			}
		case name == "description":
			text := d.line("/description", maxEndpointNote)
			if looksLikeCardNumber([]byte(text)) {
				d.fault("/description", "card_number_not_allowed", "Holds what may be a card number.")
			}
			w.Description = &text
		case name == "types":
			absent := d.peek() == 'n'
			if w.Types = d.lines("/types", len(payswitch.EventTypes())); w.Types == nil && !absent {
				w.Types = []string{}
			}
		case name == "enabled" && !fresh:
			absent := d.peek() == 'n'
			if on := d.boolean("/enabled"); !absent {
				w.Enabled = &on
			}
		default:
			return false
		}
		return true
	})
	if fresh && !d.broken && len(d.faults) == 0 && w.URL == nil {
		d.fault("/url", "required", "This member is required.")
	}
	if len(d.faults) > 0 {
		c.refuseFaults(d.faults)
		return w, false
	}
	return w, true
}

// createEndpoint answers POST /v1/webhook_endpoints.
func (c *call) createEndpoint() {
	w, ok := c.readEndpoint(true)
	if !ok {
		return
	}
	e, err := c.server.sw.Outbox().MakeEndpoint(c.account, &w)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.head = e.ID.Append(append(c.head[:0], endpointsPath...), endpointPrefix)
	c.ctx.Response.Header.SetCanonical(headLocation, c.head)
	c.answerJSON(201, endpointView(e, true))
}

// changeEndpoint answers POST /v1/webhook_endpoints/{id}.
func (c *call) changeEndpoint() {
	if w, ok := c.readEndpoint(false); ok {
		c.answerEndpoint(c.server.sw.Outbox().ChangeEndpoint(c.account, c.id, &w))
	}
}

// getEndpoint answers GET /v1/webhook_endpoints/{id}.
func (c *call) getEndpoint() {
	if c.noQuery() {
		c.answerEndpoint(c.server.sw.Outbox().EndpointOf(c.account, c.id))
	}
}

func (c *call) answerEndpoint(e *payswitch.Endpoint, err error) {
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.answerJSON(200, endpointView(e, false))
}

// listEndpoints answers GET /v1/webhook_endpoints. An account has few: they are
// one page.
func (c *call) listEndpoints() {
	if !c.noQuery() {
		return
	}
	list := c.server.sw.Outbox().EndpointsOf(c.account)
	views := make([]webhookEndpoint, 0, len(list))
	for _, e := range list {
		views = append(views, endpointView(e, false))
	}
	c.answerJSON(200, map[string]any{"object": "list", "data": views, "has_more": false, "next_cursor": nil})
}

// deleteEndpoint answers DELETE /v1/webhook_endpoints/{id}.
func (c *call) deleteEndpoint() {
	if !c.noQuery() {
		return
	}
	if err := c.server.sw.Outbox().DeleteEndpoint(c.account, c.id); err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.answerJSON(200, map[string]any{"id": c.id.Text(endpointPrefix), "object": "webhook_endpoint", "deleted": true})
}

// defaultOverlap is how long the secret before signs along with a new one.
const defaultOverlap = 24 * time.Hour

// rollEndpointSecret answers POST /v1/webhook_endpoints/{id}/roll_secret.
func (c *call) rollEndpointSecret() {
	if !c.acceptsBody() || !c.noQuery() {
		return
	}
	overlap := defaultOverlap
	var d keyReader
	defer d.close()
	good := d.read(c.ctx.Request.Body(), func(name string) bool {
		if name != "keep_old_hours" {
			return false
		}
		if hours, ok := d.integer("/keep_old_hours", 0, int64(payswitch.MaxOverlap.Hours())); ok {
			overlap = time.Duration(hours) * time.Hour
		}
		return true
	})
	if !good {
		c.refuseFaults(d.faults)
		return
	}
	e, err := c.server.sw.Outbox().RotateSecret(c.account, c.id, overlap)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.answerJSON(200, endpointView(e, true))
}

// testEndpoint answers POST /v1/webhook_endpoints/{id}/test.
func (c *call) testEndpoint() {
	var d keyReader
	defer d.close()
	if !c.acceptsBody() || !c.noQuery() {
		return
	}
	if !d.read(c.ctx.Request.Body(), func(string) bool { return false }) {
		c.refuseFaults(d.faults)
		return
	}
	e, err := c.server.sw.Outbox().EndpointOf(c.account, c.id)
	var a payswitch.Attempt
	if err == nil {
		c.waited = true
		a, err = c.server.o.TestEndpoint(e)
	}
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.answerJSON(200, map[string]any{"object": "webhook_test", "webhook_endpoint": e.ID.Text(endpointPrefix), "delivered": a.Done,
		"http_status": valueOrNull(a.Code), "error": valueOrNull(a.Error), "took_ms": a.Took.Milliseconds(), "attempted_at": shownTime(a.At)})
}

// replayEvents answers POST /v1/webhook_endpoints/{id}/replay.
func (c *call) replayEvents() {
	if !c.acceptsBody() || !c.noQuery() {
		return
	}
	var from, to *time.Time
	var d keyReader
	defer d.close()
	d.read(c.ctx.Request.Body(), func(name string) bool {
		switch name {
		case "from":
			from = d.time("/from")
		case "to":
			to = d.time("/to")
		default:
			return false
		}
		return true
	})
	if !d.broken && len(d.faults) == 0 && from == nil {
		d.fault("/from", "required", "This member is required.")
	}
	if to == nil {
		to = new(time.Time)
	}
	if len(d.faults) == 0 && !to.IsZero() && to.Before(*from) {
		d.fault("/to", "out_of_range", "The period ends before it begins.")
	}
	if len(d.faults) > 0 {
		c.refuseFaults(d.faults)
		return
	}
	done, err := c.server.sw.Outbox().Replay(c.account, c.id, *from, *to)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.answerJSON(200, map[string]any{"object": "replay", "webhook_endpoint": c.id.Text(endpointPrefix), "events": done.Events,
		"has_more": done.More, "next_from": shownTime(done.Next)})
}

// webhookEndpoint is an endpoint as the API shows it.
type webhookEndpoint struct {
	ID             string           `json:"id"`
	Object         string           `json:"object"`
	Version        uint32           `json:"version"`
	Live           bool             `json:"livemode"`
	URL            string           `json:"url"`
	Description    string           `json:"description"`
	Types          []string         `json:"types"`
	Enabled        bool             `json:"enabled"`
	DisabledReason any              `json:"disabled_reason"`
	FailingSince   any              `json:"failing_since"`
	OldSecrets     []expiringSecret `json:"old_secrets"`
	CreatedAt      any              `json:"created_at"`
	UpdatedAt      any              `json:"updated_at"`
	Secret         string           `json:"secret,omitempty"`
}

// expiringSecret is a secret that signs along until it expires.
type expiringSecret struct {
	Hint      string `json:"hint"`
	ExpiresAt any    `json:"expires_at"`
}

func endpointView(e *payswitch.Endpoint, withSecret bool) webhookEndpoint {
	v := webhookEndpoint{ID: e.ID.Text(endpointPrefix), Object: "webhook_endpoint", Version: e.Version, Live: e.Live, URL: e.URL,
		Description: e.Description, Types: e.Types, Enabled: e.Enabled, DisabledReason: valueOrNull(e.Disabled), FailingSince: shownTime(e.Failing),
		OldSecrets: []expiringSecret{}, CreatedAt: shownTime(e.CreatedAt), UpdatedAt: shownTime(e.UpdatedAt)}
	for _, s := range e.Secrets {
		if !s.ExpiresAt.IsZero() && s.ExpiresAt.After(time.Now()) {
			v.OldSecrets = append(v.OldSecrets, expiringSecret{"..." + s.Secret[len(s.Secret)-4:], shownTime(s.ExpiresAt)})
		}
	}
	if withSecret {
		v.Secret = e.Secrets[0].Secret
	}
	return v
}

// shownTime is a time as the API writes it; null: there is none.
func shownTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// valueOrNull is v, or null when it is the zero value.
func valueOrNull[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}
