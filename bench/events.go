package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// Control is one change of a simulated bank.
type Control struct {
	Bank int    // index in Options.Books
	JSON string // body of POST /control
}

// Event is something that happens while the load runs.
type Event struct {
	// At counts from the start of the measured time.
	At time.Duration
	// Name says what happens, for people.
	Name string
	// Controls are sent to the banks, in this order.
	Controls []Control
	// Kill ends the switch with SIGKILL and starts it again.
	Kill bool
}

// Happened is an event that took place. Times are seconds.
type Happened struct {
	At    float64 `json:"at_s"` // since the start of the measured time
	Name  string  `json:"name"`
	Kill  bool    `json:"kill,omitempty"`
	Took  float64 `json:"took_s"` // of a kill: until the switch was ready again
	Error string  `json:"error,omitempty"`
}

const (
	maxEvents = 10_000
	maxKills  = 1_000
)

// plannedEvents are the events and the kills in order. A kill has its random moment
// in a share of the measured time of its own, so that the switch comes back between
// two of them.
func (o *Options) plannedEvents() []Event {
	all := slices.Clone(o.Events)
	rng := rand.New(rand.NewPCG(o.Seed, 11))
	for i := range o.Kills {
		share := float64(o.Duration) / float64(o.Kills)
		all = append(all, Event{At: time.Duration(share * (float64(i) + rng.Float64())), Name: fmt.Sprintf("kill %d", i+1), Kill: true})
	}
	slices.SortStableFunc(all, func(a, b Event) int { return int(a.At - b.At) })
	return all
}

// happen carries the events out, until ctx ends, and calls seen after each. begin is
// when the measured time begins.
func (r *rig) happen(ctx context.Context, o *Options, begin time.Time, seen func(Happened)) (all []Happened) {
	for _, e := range o.plannedEvents() {
		select {
		case <-time.After(time.Until(begin.Add(e.At))):
		case <-ctx.Done():
			return all
		}
		from := time.Now()
		h := Happened{At: from.Sub(begin).Seconds(), Name: e.Name, Kill: e.Kill}
		err := control(ctx, o, e.Controls)
		if e.Kill {
			err = errors.Join(err, r.restart(ctx, o))
		}
		h.Took = time.Since(from).Seconds()
		if err != nil {
			h.Error = err.Error()
		}
		all = append(all, h)
		seen(h)
	}
	return all
}

// control changes banks, in order.
func control(ctx context.Context, o *Options, all []Control) error {
	for _, c := range all {
		if err := post(ctx, o.Books[c.Bank]+"/control", c.JSON); err != nil {
			return err
		}
	}
	return nil
}

func post(ctx context.Context, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	res, err := webClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if res.StatusCode >= 300 {
		return fmt.Errorf("POST %s: status %d: %s", url, res.StatusCode, bytes.TrimSpace(said))
	}
	return nil
}
