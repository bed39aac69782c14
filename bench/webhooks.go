package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tranzit/tranzit/frontend/client"
)

// WebhookOptions say how webhooks are measured.
type WebhookOptions struct {
	// Prepare makes the options of one run with a switch of its own, and what cleans up
	// after it. The switch must be allowed to call http addresses on loopback. Required.
	Prepare func() (o Options, cleanup func(), err error)
	Rounds  int       // 1..1000; default 5
	Dead    int       // dead endpoints, 1..16: every second has nobody listening, the others never answer; default 2
	Log     io.Writer // one line for each load; default io.Discard
}

// EnsureDefaults fills what was left out.
func (o *WebhookOptions) EnsureDefaults() {
	if o.Rounds == 0 {
		o.Rounds = 5
	}
	if o.Dead == 0 {
		o.Dead = 2
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
}

// Validate checks bounds. Errors name the option.
func (o *WebhookOptions) Validate() error {
	switch {
	case o.Prepare == nil:
		return errors.New("bench: Prepare is required")
	case o.Rounds < 1 || o.Rounds > 1000:
		return fmt.Errorf("bench: Rounds is %d: want 1..1000", o.Rounds)
	case o.Dead < 1 || o.Dead > 16:
		return fmt.Errorf("bench: Dead is %d: want 1..16", o.Dead)
	}
	return nil
}

// The goals of webhooks.
const (
	goalWebhooks = 10_000 // per second to one receiver that answers at once
	goalUnharmed = 0.9    // purchases beside dead receivers / purchases without any
)

// Purchases is what one load saw.
type Purchases struct {
	Rate float64 `json:"rate"`                // per second
	CPU  float64 `json:"cpu_us_per_purchase"` // of the switch, its webhooks included
}

// WebhookRound is what one round saw: three loads, each on a switch of its own, one
// after the other. The first two change places from round to round.
type WebhookRound struct {
	Alone  Purchases `json:"purchases_alone"`         // without an endpoint
	Dead   Purchases `json:"purchases_beside_dead"`   // with endpoints that are all dead
	Prompt Purchases `json:"purchases_beside_prompt"` // with one whose receiver answers at once, told meanwhile

	Webhooks      float64 `json:"webhooks"`           // per second, of events that are sent again with no other load
	Events        int     `json:"events"`             // so many
	CPUPerWebhook float64 `json:"cpu_us_per_webhook"` // of the switch
}

// WebhookResult is what MeasureWebhooks found.
type WebhookResult struct {
	Rounds []WebhookRound `json:"rounds"`
	// Medians of the rounds. The ratios are to Alone of the same round.
	Unharmed float64 `json:"beside_dead_ratio"`
	DeadCPU  float64 `json:"beside_dead_cpu_ratio"`
	Told     float64 `json:"beside_prompt_ratio"`
	Webhooks float64 `json:"webhooks"`
	CPU      float64 `json:"cpu_us_per_webhook"`
	// Met: both goals.
	Met bool `json:"met"`
}

// MeasureWebhooks measures how fast webhooks are delivered, and what purchases lose
// by receivers that are dead. Everything is measured in rounds of loads that follow
// each other, since machines differ from hour to hour.
func MeasureWebhooks(ctx context.Context, o WebhookOptions) (*WebhookResult, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	out := &WebhookResult{}
	for i := range o.Rounds {
		var r WebhookRound
		steps := []func(context.Context, *WebhookOptions, *WebhookRound) error{alone, besideDead, besidePrompt}
		if i%2 == 1 {
			steps[0], steps[1] = besideDead, alone
		}
		for _, step := range steps {
			if err := step(ctx, &o, &r); err != nil {
				return nil, err
			}
		}
		fmt.Fprintf(o.Log, "round %d: purchases/s and CPU alone %.0f %.0f us, beside dead receivers %.0f %.0f us, beside a prompt one %.0f %.0f us; %.0f webhooks/s at %.0f us\n",
			i+1, r.Alone.Rate, r.Alone.CPU, r.Dead.Rate, r.Dead.CPU, r.Prompt.Rate, r.Prompt.CPU, r.Webhooks, r.CPUPerWebhook)
		out.Rounds = append(out.Rounds, r)
	}
	out.Unharmed = medianOf(out.Rounds, func(r WebhookRound) float64 { return r.Dead.Rate / r.Alone.Rate })
	out.DeadCPU = medianOf(out.Rounds, func(r WebhookRound) float64 { return r.Dead.CPU / r.Alone.CPU })
	out.Told = medianOf(out.Rounds, func(r WebhookRound) float64 { return r.Prompt.Rate / r.Alone.Rate })
	out.Webhooks = medianOf(out.Rounds, func(r WebhookRound) float64 { return r.Webhooks })
	out.CPU = medianOf(out.Rounds, func(r WebhookRound) float64 { return r.CPUPerWebhook })
	out.Met = out.Unharmed >= goalUnharmed && out.Webhooks >= goalWebhooks
	return out, nil
}

func medianOf[R any](rounds []R, of func(R) float64) float64 {
	var values []float64
	for _, r := range rounds {
		values = append(values, of(r))
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// loaded runs one load on a switch of its own; before is done before the load, after
// while the switch is still up.
func loaded(ctx context.Context, prepare func() (Options, func(), error), before func(*client.Client) error, after func(*rig, *client.Client) error) (p Purchases, err error) {
	run, cleanup, err := prepare()
	if err != nil {
		return p, err
	}
	defer cleanup()
	run.EnsureDefaults()
	if err := run.Validate(); err != nil {
		return p, err
	}
	api, err := client.New(run.Target, run.Keys[0])
	if err != nil {
		return p, err
	}
	r, err := startRig(ctx, &run)
	if err != nil {
		return p, err
	}
	err = before(api)
	var result *Result
	if err == nil {
		result, err = r.measure(ctx, &run)
	}
	if err == nil && !result.Valid {
		err = fmt.Errorf("the load does not count: %v", result.Warnings)
	}
	if err == nil {
		err = after(r, api)
	}
	if err = errors.Join(err, r.stop()); err != nil {
		return p, err
	}
	return Purchases{Rate: result.Achieved, CPU: result.Processes[serveName].CPUPerPayment}, nil
}

func nothing(*client.Client) error { return nil }

func noMore(*rig, *client.Client) error { return nil }

func alone(ctx context.Context, o *WebhookOptions, r *WebhookRound) (err error) {
	r.Alone, err = loaded(ctx, o.Prepare, nothing, noMore)
	return err
}

func besideDead(ctx context.Context, o *WebhookOptions, r *WebhookRound) error {
	silent, err := newReceiver(true)
	if err != nil {
		return err
	}
	defer silent.close()
	gone, err := newReceiver(true)
	if err != nil {
		return err
	}
	gone.close() // nobody listens there any more
	r.Dead, err = loaded(ctx, o.Prepare, func(api *client.Client) error {
		for i := range o.Dead {
			url := silent.url()
			if i%2 == 1 {
				url = gone.url()
			}
			if _, err := api.CreateWebhookEndpoint(ctx, client.WebhookEndpointRequest{URL: url}); err != nil {
				return err
			}
		}
		return nil
	}, noMore)
	return err
}

// drainLimit is how long the receiver may take for what it is owed.
const drainLimit = 2 * time.Minute

func besidePrompt(ctx context.Context, o *WebhookOptions, r *WebhookRound) error {
	shop, err := newReceiver(false)
	if err != nil {
		return err
	}
	defer shop.close()
	begun := time.Now().Add(-time.Minute)
	endpoint := ""
	r.Prompt, err = loaded(ctx, o.Prepare, func(api *client.Client) error {
		e, err := api.CreateWebhookEndpoint(ctx, client.WebhookEndpointRequest{URL: shop.url()})
		if err == nil {
			endpoint = e.ID
		}
		return err
	}, func(up *rig, api *client.Client) error {
		if err := shop.idle(ctx, 1); err != nil {
			return err
		}
		return r.again(ctx, up, api, &replayed{shop: shop, endpoint: endpoint, from: begun})
	})
	return err
}

// replayed is a receiver that is told of a period again.
type replayed struct {
	shop     *receiver
	endpoint string
	from     time.Time
}

// again sends all events of the run again and measures their delivery, with nothing
// else to do for the switch.
func (r *WebhookRound) again(ctx context.Context, up *rig, api *client.Client, p *replayed) error {
	before, err := up.subject(serveName).read()
	if err != nil {
		return err
	}
	taken, begun := p.shop.taken.Load(), time.Now()
	for more := true; more; {
		part, err := api.ReplayEvents(ctx, p.endpoint, p.from, time.Time{})
		if err != nil {
			return err
		}
		r.Events += part.Events
		if more = part.HasMore; more {
			p.from = *part.NextFrom
		}
	}
	if err := p.shop.idle(ctx, taken+int64(r.Events)*99/100); err != nil {
		return err
	}
	after, err := up.subject(serveName).read()
	if err != nil {
		return err
	}
	delivered := p.shop.taken.Load() - taken
	if delivered == 0 {
		return errors.New("no webhook was delivered")
	}
	r.Webhooks = float64(delivered) / time.Unix(0, p.shop.last.Load()).Sub(begun).Seconds()
	r.CPUPerWebhook = float64((after.cpu - before.cpu).Microseconds()) / float64(delivered)
	return nil
}

// quiet is how long nothing comes from a queue that is empty.
const quiet = 500 * time.Millisecond

// idle waits until at least so many webhooks were taken, and no more come.
func (r *receiver) idle(ctx context.Context, least int64) error {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	tick := time.NewTicker(quiet)
	defer tick.Stop()
	for before := int64(-1); ; {
		now := r.taken.Load()
		if now == before && now >= least {
			return nil
		}
		before = now
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d webhooks were taken, of at least %d: %w", now, least, ctx.Err())
		}
	}
}

// WriteText prints what was found and whether it is what was aimed at.
func (f *WebhookResult) WriteText(w io.Writer) error {
	word := map[bool]string{true: "met", false: "MISSED"}
	_, err := fmt.Fprintf(w, `webhooks/s to a receiver that answers at once   %8.0f   goal %d   %s
CPU of the switch per webhook                   %8.0f us
purchases beside dead receivers                 %8.2f   goal %.1f of those alone   %s
CPU of the switch per purchase beside them      %8.2f   of that alone
purchases while each is told of at once         %8.2f   of those alone
medians of %d rounds
`, f.Webhooks, goalWebhooks, word[f.Webhooks >= goalWebhooks], f.CPU, f.Unharmed, goalUnharmed, word[f.Unharmed >= goalUnharmed], f.DeadCPU, f.Told, len(f.Rounds))
	return err
}
