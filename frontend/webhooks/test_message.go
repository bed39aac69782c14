package webhooks

import (
	"encoding/json"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// maxTests is how many test messages may be on their way at once.
const maxTests = 32

var errManyTests = &payswitch.Refusal{Code: payswitch.CodeOverloaded, RetryAfter: time.Second, Detail: "Too many webhook endpoints are being tested now."}

// Test sends one signed message of the type webhook.test to an endpoint, whatever
// its state, and waits for what comes of it, at most as long as a delivery may
// take. It is never repeated and not recorded. Errors are refusals.
func (d *Deliverer) Test(info *payswitch.Endpoint) (payswitch.Attempt, error) {
	if d.tests.Add(1) > maxTests {
		d.tests.Add(-1)
		return payswitch.Attempt{}, errManyTests
	}
	defer d.tests.Add(-1)
	var secrets []string
	begun := time.Now().UTC()
	for _, s := range info.Secrets {
		if s.ExpiresAt.IsZero() || s.ExpiresAt.After(begun) {
			secrets = append(secrets, s.Secret)
		}
	}
	signers, err := signersOf(secrets...)
	if err != nil {
		return payswitch.Attempt{}, err
	}
	id := d.o.Outbox.FreshID().Text(payswitch.EventPrefix)
	body, err := json.Marshal(map[string]any{"id": id, "object": "event", "type": "webhook.test", "livemode": info.Live,
		"created_at": begun.Format("2006-01-02T15:04:05.000Z"), "data": map[string]any{"object": map[string]any{
			"id": info.ID.Text(payswitch.EndpointPrefix), "object": "webhook_endpoint", "url": info.URL}}})
	if err != nil {
		return payswitch.Attempt{}, err
	}
	r := d.o.Caller.post(d.ctx, &message{url: info.URL, id: id, body: body, signers: signers})
	return payswitch.Attempt{Endpoint: info.ID, At: begun, Took: time.Since(begun), Code: r.code, Error: r.word, Done: r.code >= 200 && r.code < 300}, nil
}
