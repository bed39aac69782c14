package webhooks

import (
	"context"
	"encoding/json"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

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
	signers, err := signersOf(validSecrets(info, time.Now())...)
	if err != nil {
		return payswitch.Attempt{}, err
	}
	return d.tell(d.ctx, info, signers, &told{id: d.o.Outbox.FreshID().Text(payswitch.EventPrefix), kind: "webhook.test", object: endpointObject(info)})
}

func validSecrets(info *payswitch.Endpoint, now time.Time) (secrets []string) {
	for _, s := range info.Secrets {
		if s.ExpiresAt.IsZero() || s.ExpiresAt.After(now) {
			secrets = append(secrets, s.Secret)
		}
	}
	return secrets
}

func endpointObject(info *payswitch.Endpoint) any {
	return map[string]any{"id": info.ID.Text(payswitch.EndpointPrefix), "object": "webhook_endpoint", "url": info.URL}
}

// told is a message that no event of a payment is behind.
type told struct {
	id, kind string
	object   any
}

// tell posts a message once.
func (d *Deliverer) tell(ctx context.Context, info *payswitch.Endpoint, signers []*standardwebhooks.Webhook, t *told) (payswitch.Attempt, error) {
	begun := time.Now().UTC()
	body, err := json.Marshal(map[string]any{"id": t.id, "object": "event", "type": t.kind, "livemode": info.Live,
		"created_at": begun.Format("2006-01-02T15:04:05.000Z"), "data": map[string]any{"object": t.object}})
	if err != nil {
		return payswitch.Attempt{}, err
	}
	r := d.o.Caller.post(ctx, &message{url: info.URL, id: t.id, body: body, signers: signers})
	return payswitch.Attempt{Endpoint: info.ID, At: begun, Took: time.Since(begun), Code: r.code, Error: r.word, Done: r.code >= 200 && r.code < 300}, nil
}
