package client

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ErrNotGenuine: a webhook is not signed with this secret, or not within five
// minutes of this machine's clock.
var ErrNotGenuine = errors.New("client: the webhook is not genuine")

// webhookTolerance is how far a webhook's time may be away from this clock.
const webhookTolerance = 5 * time.Minute

// ReadWebhook checks the signature of a webhook, given its head and its raw body,
// and reads the event. An event may come more than once: its ID says which it is.
// An event of the type webhook.test is a test. It may return ErrNotGenuine.
func ReadWebhook(secret string, head http.Header, body []byte) (*Event, error) {
	return readWebhook(secret, head, body, time.Now())
}

func readWebhook(secret string, head http.Header, body []byte, now time.Time) (*Event, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) == 0 {
		return nil, errors.New("client: the secret of a webhook must begin with whsec_")
	}
	stamp, err := strconv.ParseInt(head.Get("Webhook-Timestamp"), 10, 64)
	if err != nil || now.Sub(time.Unix(stamp, 0)).Abs() > webhookTolerance {
		return nil, ErrNotGenuine
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", head.Get("Webhook-Id"), stamp, body)
	want := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for one := range strings.SplitSeq(head.Get("Webhook-Signature"), " ") {
		if hmac.Equal([]byte(one), want) {
			e := new(Event)
			if err := json.Unmarshal(body, e); err != nil {
				return nil, fmt.Errorf("client: the webhook cannot be read: %w", err)
			}
			return e, nil
		}
	}
	return nil, ErrNotGenuine
}
