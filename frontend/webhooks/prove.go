package webhooks

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	mathrand "math/rand/v2"

	payswitch "github.com/tranzit/tranzit/switch"
)

// Prove finds out whether an endpoint is reached and verifies signatures: of three
// test messages that differ in nothing else a shop must take the one that is signed
// with its secret, and refuse with 400, 401, 403 or 422 those that are signed with
// secrets it never had. They come in an order of chance. detail says what was seen,
// for the shop to read.
func (d *Deliverer) Prove(info *payswitch.Endpoint) (ok bool, detail string) {
	if d.tests.Add(1) > maxTests {
		d.tests.Add(-1)
		return false, errManyTests.Detail
	}
	defer d.tests.Add(-1)
	right := mathrand.IntN(proofs)
	for i := range proofs {
		secrets := []string{strangeSecret()}
		if i == right {
			secrets = validSecrets(info, time.Now())
		}
		signers, err := signersOf(secrets...)
		if err != nil {
			return false, "The endpoint's secret cannot be used: roll it."
		}
		a, err := d.tell(d.ctx, info, signers, &told{id: d.o.Outbox.FreshID().Text(payswitch.EventPrefix), kind: "webhook.test", object: endpointObject(info)})
		switch {
		case err != nil:
			return false, "The message could not be made."
		case a.Code == 0:
			return false, "The endpoint was not reached: " + a.Error + "."
		case i == right && !a.Done:
			return false, fmt.Sprintf("A message that was signed rightly was answered with %d: want 2xx.", a.Code)
		case i != right && a.Done:
			return false, fmt.Sprintf("A message that was signed wrongly was answered with %d: the endpoint does not verify signatures.", a.Code)
		case i != right && a.Code != 400 && a.Code != 401 && a.Code != 403 && a.Code != 422:
			return false, fmt.Sprintf("A message that was signed wrongly was answered with %d: want 400, 401, 403 or 422.", a.Code)
		}
	}
	return true, "It took the message that was signed rightly and refused the others."
}

const proofs = 3

func strangeSecret() string {
	var key [32]byte
	_, _ = rand.Read(key[:])
	return "whsec_" + base64.StdEncoding.EncodeToString(key[:])
}

// errTold says that a shop did not take a message.
type errTold struct{ attempt payswitch.Attempt }

func (e *errTold) Error() string {
	if e.attempt.Code == 0 {
		return "the endpoint was not reached: " + e.attempt.Error
	}
	return fmt.Sprintf("the endpoint answered %d", e.attempt.Code)
}

// ErrNoEndpoint says that a letter is for an endpoint that is gone or disabled.
var ErrNoEndpoint = errors.New("the endpoint is gone or disabled")

// Tell posts a letter of the channel LetterWebhook to its endpoint once, signed.
func (d *Deliverer) Tell(ctx context.Context, y *payswitch.Letter) error {
	id, err := payswitch.ParseID(payswitch.EndpointPrefix, y.To)
	if err != nil {
		return ErrNoEndpoint
	}
	info := d.o.Outbox.Endpoint(id)
	if info == nil || !info.Enabled {
		return ErrNoEndpoint
	}
	signers, err := signersOf(validSecrets(info, time.Now())...)
	if err != nil {
		return err
	}
	a, err := d.tell(ctx, info, signers, &told{id: y.ID.Text(payswitch.EventPrefix), kind: y.Template, object: json.RawMessage(y.Data)})
	if err == nil && !a.Done {
		err = &errTold{a}
	}
	return err
}
