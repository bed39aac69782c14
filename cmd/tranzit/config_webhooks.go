package main

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/tranzit/tranzit/frontend"
	"github.com/tranzit/tranzit/frontend/webhooks"
	payswitch "github.com/tranzit/tranzit/switch"
)

// WebhooksConfig says how merchants' endpoints are told of events.
type WebhooksConfig struct {
	AllowHTTP     bool            `yaml:"allow_http"`
	AllowNetworks []string        `yaml:"allow_networks"`
	Connect       time.Duration   `yaml:"connect"`
	Timeout       time.Duration   `yaml:"timeout"`
	Concurrency   int             `yaml:"concurrency"`
	PerEndpoint   int             `yaml:"per_endpoint"`
	Retries       []time.Duration `yaml:"retries"`
	DisableAfter  time.Duration   `yaml:"disable_after"`
}

// maxRetries and maxRetryPause bound the schedule of an event.
const (
	maxRetries    = 100
	maxRetryPause = 7 * 24 * time.Hour
)

// callerOptions reads how addresses of merchants are called.
func (c *Config) callerOptions() (o webhooks.CallerOptions, err error) {
	w := &c.Webhooks
	o = webhooks.CallerOptions{Connect: w.Connect, Whole: w.Timeout, Idle: w.PerEndpoint}
	for i, text := range w.AllowNetworks {
		p, err := netip.ParsePrefix(text)
		if err != nil || p != p.Masked() {
			return o, c.fault(fmt.Sprintf("webhooks.allow_networks[%d]", i), "%q is not a network like 10.0.0.0/8", text)
		}
		o.Allow = append(o.Allow, p)
	}
	for _, d := range []struct {
		path  string
		value time.Duration
	}{{"webhooks.connect", w.Connect}, {"webhooks.timeout", w.Timeout}} {
		if d.value < 0 || d.value > time.Minute {
			return o, c.fault(d.path, "%s is not within 0..1m", d.value)
		}
	}
	return o, nil
}

// validateWebhooks checks what is said of webhooks. Zero stands for the default.
func (c *Config) validateWebhooks() error {
	w := &c.Webhooks
	if _, err := c.callerOptions(); err != nil {
		return err
	}
	switch {
	case w.Concurrency < 0 || w.Concurrency > 100_000:
		return c.fault("webhooks.concurrency", "%d is not within 0..100000", w.Concurrency)
	case w.PerEndpoint < 0 || w.PerEndpoint > 1000:
		return c.fault("webhooks.per_endpoint", "%d is not within 0..1000", w.PerEndpoint)
	case w.DisableAfter < 0:
		return c.fault("webhooks.disable_after", "%s must not be negative", w.DisableAfter)
	case len(w.Retries) > maxRetries:
		return c.fault("webhooks.retries", "there are more than %d", maxRetries)
	}
	for i, pause := range w.Retries {
		if pause < time.Millisecond || pause > maxRetryPause {
			return c.fault(fmt.Sprintf("webhooks.retries[%d]", i), "%s is not within 1ms..%s", pause, maxRetryPause)
		}
	}
	return nil
}

// shopCheck reads how a merchant's server is asked before each payment.
func (c *Config) shopCheck(i int) (*payswitch.ShopCheck, error) {
	k := c.Merchants[i].Check
	if k == nil {
		return nil, nil
	}
	at := func(key string) string { return fmt.Sprintf("merchants[%d].check.%s", i, key) }
	out := &payswitch.ShopCheck{URL: k.URL, Deadline: k.Deadline, GoOn: k.OnNoAnswer == "go_on"}
	if err := frontend.CheckURL(k.URL, c.Webhooks.AllowHTTP); err != nil {
		return nil, c.fault(at("url"), "%v", err)
	}
	var err error
	if out.Secret, err = secret(k.Secret); err != nil {
		return nil, c.fault(at("secret"), "%v", err)
	}
	if !webhooks.IsSecret(out.Secret) {
		return nil, c.fault(at("secret"), "must be whsec_ and at least 24 bytes in base64, as `openssl rand -base64 32` makes them")
	}
	switch {
	case k.Deadline != 0 && (k.Deadline < payswitch.MinShopDeadline || k.Deadline > payswitch.MaxShopDeadline):
		return nil, c.fault(at("deadline"), "%s is not within %s..%s", k.Deadline, payswitch.MinShopDeadline, payswitch.MaxShopDeadline)
	case k.OnNoAnswer != "" && k.OnNoAnswer != "refuse" && k.OnNoAnswer != "go_on":
		return nil, c.fault(at("on_no_answer"), "%q is not one of refuse, go_on", k.OnNoAnswer)
	}
	return out, nil
}
