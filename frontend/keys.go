package frontend

import (
	"strconv"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// targetKey reads the key's id of the path, or answers 404.
func (c *call) targetKey(text []byte) bool {
	return c.identify(text, payswitch.APIKeyPrefix, "API key")
}

// keyReader decodes what is asked about API keys. Not goroutine-safe.
type keyReader struct{ reader }

// read decodes a body that is one object; each is called for every member. It
// reports false when the request is refused; faults then says why.
func (d *keyReader) read(body []byte, each func(name string) (known bool)) bool {
	d.open(body)
	isObject := d.object("")
	if isObject {
		for name, ok := d.member(); ok; name, ok = d.member() {
			if word := string(name); !each(word) {
				d.unknown("", []byte(word))
			}
		}
	}
	d.finish()
	if !d.broken && !isObject && len(d.faults) == 0 {
		d.fault("", "wrong_type", "Must be an object.")
	}
	return len(d.faults) == 0
}

// line reads a text of one line into a string of its own.
func (d *keyReader) line(pointer string, most int) string {
	at, _ := d.keep(pointer, limits{0, most, printable})
	return string(d.text[at.from:at.to])
}

// lines reads a list of texts.
func (d *keyReader) lines(pointer string, most int) (out []string) {
	if !d.expect('[', pointer, "a list") {
		return nil
	}
	if _, err := d.dec.ReadToken(); err != nil {
		d.syntax(err)
		return nil
	}
	for i := 0; !d.broken && d.peek() != ']'; i++ {
		at := pointer + "/" + strconv.Itoa(i)
		if i == most {
			d.fault(pointer, "too_long", "Must have at most "+strconv.Itoa(most)+" entries.")
		}
		if text := d.line(at, maxKeyText); i < most {
			out = append(out, text)
		}
	}
	if !d.broken {
		if _, err := d.dec.ReadToken(); err != nil {
			d.syntax(err)
		}
	}
	return out
}

const maxKeyText = 512

// time reads a moment.
func (d *keyReader) time(pointer string) *time.Time {
	text, ok := d.word(pointer)
	if !ok {
		return nil
	}
	at, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		d.fault(pointer, "invalid_format", "Must be a time like 2027-01-31T12:00:00Z.")
		return nil
	}
	return &at
}

// by names the key that asks, in the story of the key that is changed.
func (c *call) by(what string) payswitch.Act {
	who := "a key of the configuration"
	if key := c.account.Key; key != nil && !key.ID.IsZero() {
		who = key.ID.Text(payswitch.APIKeyPrefix)
	}
	return payswitch.Act{Operator: who, Reason: what + " over the API, request " + string(c.requestID[:])}
}

// createKey answers POST /v1/api_keys.
func (c *call) createKey() {
	if !c.acceptsBody() || !c.noQuery() {
		return
	}
	var d keyReader
	var wish payswitch.KeyWish
	defer d.close()
	good := d.read(c.ctx.Request.Body(), func(name string) bool {
		switch name {
		case "name":
			wish.Name = d.line("/name", payswitch.MaxKeyName)
		case "scopes":
			wish.Scopes = d.lines("/scopes", len(payswitch.ScopeWords()))
		case "expires_at":
			wish.ExpiresAt = d.time("/expires_at")
		case "addresses":
			wish.Addresses = d.lines("/addresses", payswitch.MaxKeyList)
		case "certificates":
			wish.Certificates = d.lines("/certificates", payswitch.MaxKeyList)
		case "signed":
			wish.Signed = d.boolean("/signed")
		default:
			return false
		}
		return true
	})
	if !good {
		c.refuseFaults(d.faults)
		return
	}
	access, err := wish.Access()
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.answerIssued(c.server.sw.IssueKey(c.account, access, c.by("made")))
}

// rollKey answers POST /v1/api_keys/{id}/roll.
func (c *call) rollKey() {
	if !c.acceptsBody() || !c.noQuery() {
		return
	}
	grace := payswitch.DefaultKeyGrace
	var d keyReader
	defer d.close()
	good := d.read(c.ctx.Request.Body(), func(name string) bool {
		if name != "keep_old_hours" {
			return false
		}
		if hours, ok := d.integer("/keep_old_hours", 0, int64(payswitch.MaxKeyGrace.Hours())); ok {
			grace = time.Duration(hours) * time.Hour
		}
		return true
	})
	if !good {
		c.refuseFaults(d.faults)
		return
	}
	c.answerIssued(c.server.sw.RollKey(c.account, c.id, grace, c.by("rolled")))
}

// revokeKey answers POST /v1/api_keys/{id}/revoke.
func (c *call) revokeKey() {
	if !c.emptyObject() {
		return
	}
	key, err := c.server.sw.RevokeKey(c.account, c.id, c.by("revoked"))
	c.answerKey(&key, err)
}

// emptyObject reports whether the body is {}, or answers what is wrong with it.
func (c *call) emptyObject() bool {
	if !c.acceptsBody() || !c.noQuery() {
		return false
	}
	var d keyReader
	defer d.close()
	if !d.read(c.ctx.Request.Body(), func(string) bool { return false }) {
		c.refuseFaults(d.faults)
		return false
	}
	return true
}

// getKey answers GET /v1/api_keys/{id}.
func (c *call) getKey() {
	if !c.noQuery() {
		return
	}
	key, err := c.server.sw.APIKey(c.account, c.id)
	c.answerKey(&key, err)
}

// listKeys answers GET /v1/api_keys.
func (c *call) listKeys() {
	if !c.noQuery() {
		return
	}
	now, keys := time.Now(), c.server.sw.APIKeys(c.account)
	views := make([]payswitch.KeyView, 0, len(keys))
	for i := range keys {
		views = append(views, keys[i].View(now))
	}
	c.answerJSON(200, map[string]any{"object": "list", "data": views, "has_more": false, "next_cursor": nil})
}

func (c *call) answerIssued(key payswitch.IssuedKey, err error) {
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.head = key.ID.Append(append(c.head[:0], "/v1/api_keys/"...), payswitch.APIKeyPrefix)
	c.ctx.Response.Header.SetCanonical(headLocation, c.head)
	c.answerJSON(201, key.View(time.Now()))
}

func (c *call) answerKey(key *payswitch.APIKey, err error) {
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.answerJSON(200, key.View(time.Now()))
}
