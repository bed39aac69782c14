package client

import (
	"errors"
	"net/http"
	"testing"
	"time"
)

// TestPublishedSignature holds ReadWebhook to the published vector of Standard
// Webhooks, and to nothing that differs from it.
func TestPublishedSignature(t *testing.T) {
	const secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", `{"test": 2432232314}`
	at := time.Unix(1614265330, 0)
	good := map[string]string{"Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "Webhook-Timestamp": "1614265330",
		"Webhook-Signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}
	for _, tt := range []struct {
		name, header, value string
		now                 time.Time
		secret, body        string
		want                error
	}{
		{name: "genuine", now: at, secret: secret, body: body},
		{name: "an older secret signs along", header: "Webhook-Signature", value: "v1,xx " + good["Webhook-Signature"], now: at, secret: secret, body: body},
		{name: "just in time", now: at.Add(webhookTolerance), secret: secret, body: body},
		{name: "too late", now: at.Add(webhookTolerance + time.Second), secret: secret, body: body, want: ErrNotGenuine},
		{name: "from the future", now: at.Add(-webhookTolerance - time.Second), secret: secret, body: body, want: ErrNotGenuine},
		{name: "another body", now: at, secret: secret, body: body + " ", want: ErrNotGenuine},
		{name: "another id", header: "Webhook-Id", value: "msg_1", now: at, secret: secret, body: body, want: ErrNotGenuine},
		{name: "another time", header: "Webhook-Timestamp", value: "1614265331", now: at, secret: secret, body: body, want: ErrNotGenuine},
		{name: "no time", header: "Webhook-Timestamp", value: "", now: at, secret: secret, body: body, want: ErrNotGenuine},
		{name: "no signature", header: "Webhook-Signature", value: "", now: at, secret: secret, body: body, want: ErrNotGenuine},
		{name: "another secret", now: at, secret: "whsec_AAAA", body: body, want: ErrNotGenuine},
	} {
		head := http.Header{}
		for name, value := range good {
			head.Set(name, value)
		}
		if tt.header != "" {
			head.Set(tt.header, tt.value)
		}
		if _, err := readWebhook(tt.secret, head, []byte(tt.body), tt.now); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	for _, bad := range []string{"", "whsec_", "whsec_?"} {
		if _, err := ReadWebhook(bad, http.Header{}, nil); err == nil || errors.Is(err, ErrNotGenuine) {
			t.Errorf("the secret %q: %v", bad, err)
		}
	}
}
