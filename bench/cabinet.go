package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/frontend/admin"
	"github.com/tranzit/tranzit/frontend/client"
	"github.com/tranzit/tranzit/switch/people"
)

// CabinetOptions say how browsing is measured.
type CabinetOptions struct {
	// Prepare makes the options of the one run, with a switch of its own that has a
	// cabinet, and what cleans up after it. Its Duration is replaced. Required.
	Prepare  func() (o Options, cleanup func(), err error)
	Merchant string        // whose payments are looked at, in test mode. Required.
	Rounds   int           // 1..1000; default 30
	Span     time.Duration // of each half of a round, 100ms..1m; default 2s
	People   int           // who look at once, 1..1000; default 20
	Log      io.Writer     // one line for each round; default io.Discard
}

// EnsureDefaults fills what was left out.
func (o *CabinetOptions) EnsureDefaults() {
	if o.Rounds == 0 {
		o.Rounds = 30
	}
	if o.Span == 0 {
		o.Span = 2 * time.Second
	}
	if o.People == 0 {
		o.People = 20
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
}

// Validate checks bounds. Errors name the option.
func (o *CabinetOptions) Validate() error {
	switch {
	case o.Prepare == nil || o.Merchant == "":
		return errors.New("bench: Prepare and Merchant are required")
	case o.Rounds < 1 || o.Rounds > maxRounds:
		return fmt.Errorf("bench: Rounds is %d: want 1..%d", o.Rounds, maxRounds)
	case o.Span < 100*time.Millisecond || o.Span > time.Minute:
		return fmt.Errorf("bench: Span is %s: want 100ms..1m", o.Span)
	case o.People < 1 || o.People > 1000:
		return fmt.Errorf("bench: People is %d: want 1..1000", o.People)
	}
	return nil
}

// goalBrowsing is what browsing may cost payments.
const goalBrowsing = 0.98 // purchases beside browsing / purchases alone

// CabinetRound is what one round saw: two spans of the same load that follow each
// other, in an order that changes from round to round.
type CabinetRound struct {
	Alone   Purchases `json:"purchases_alone"`
	Browsed Purchases `json:"purchases_beside_browsing"`
	Pages   int64     `json:"pages"` // answered during the second
}

// CabinetResult is what MeasureCabinet found. On a machine that is too slow for them it
// has fewer rounds than were asked for.
type CabinetResult struct {
	Rounds []CabinetRound `json:"rounds"`
	Rate   Ratio          `json:"beside_browsing_ratio"`
	CPU    Ratio          `json:"beside_browsing_cpu_ratio"` // pages counted in
	Met    bool           `json:"met"`
}

// WriteText tells the result to people.
func (r *CabinetResult) WriteText(w io.Writer) error {
	word := "met"
	if !r.Met {
		word = "missed"
	}
	_, err := fmt.Fprintf(w, "purchases beside browsing / alone: %.3f (%.3f to %.3f; goal %.2f: %s); CPU per purchase, pages included: %.3f (%.3f to %.3f); medians of %d rounds\n",
		r.Rate.Median, r.Rate.Low, r.Rate.High, goalBrowsing, word, r.CPU.Median, r.CPU.Low, r.CPU.High, len(r.Rounds))
	return err
}

// MeasureCabinet measures what purchases lose while people look at the cabinet: each
// asks for news of the newest payments every three seconds, as its page does, and
// opens a payment now and then. They look in one half of each round of a single load,
// so that the machine's own changes of pace cancel.
func MeasureCabinet(ctx context.Context, o CabinetOptions) (*CabinetResult, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	run, cleanup, err := o.Prepare()
	if err != nil {
		return nil, err
	}
	run.EnsureDefaults()
	run.Duration = time.Duration(2*o.Rounds)*o.Span*5/4 + 5*time.Second // reading the metrics takes its time
	looking, stop := context.WithCancel(ctx)
	b := &browsing{o: &o, run: &run}
	var all sync.WaitGroup
	leave := func() { stop(); all.Wait() }
	defer leave()
	prepared := func() (Options, func(), error) { return run, cleanup, nil }
	_, err = loaded(ctx, prepared, func(*client.Client) error {
		v, err := o.visitor(ctx, &run)
		if err != nil {
			return fmt.Errorf("the cabinet: %w", err)
		}
		for i := range o.People {
			all.Go(func() { b.fail(v.look(looking, i, b)) })
		}
		all.Go(func() { b.fail(b.turns(looking)) })
		return nil
	}, func(*rig, *client.Client) error { leave(); return nil }) // nobody looks at a cabinet that stops
	leave()
	if failed := b.failed.Load(); failed != nil {
		return nil, fmt.Errorf("the cabinet: %w", *failed)
	}
	if err == nil && len(b.rounds) == 0 {
		err = errors.New("the load ended before the first round")
	}
	if err != nil {
		return nil, err
	}
	out := &CabinetResult{Rounds: b.rounds}
	var rates, uses []float64
	for _, r := range b.rounds {
		rates, uses = append(rates, r.Browsed.Rate/r.Alone.Rate), append(uses, r.Browsed.CPU/r.Alone.CPU)
	}
	out.Rate, out.CPU = RatioOf(rates), RatioOf(uses)
	out.Met = out.Rate.Median >= goalBrowsing
	return out, nil
}

// browsing is people who look at the cabinet, or do not, while a load runs.
type browsing struct {
	o      *CabinetOptions
	run    *Options
	looks  atomic.Bool
	pages  atomic.Int64
	failed atomic.Pointer[error]
	rounds []CabinetRound
}

func (b *browsing) fail(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		b.failed.CompareAndSwap(nil, &err)
	}
}

// turns lets the people look in one half of each round.
func (b *browsing) turns(ctx context.Context) error {
	defer b.looks.Store(false)
	for paid := 0.0; paid == 0; {
		seen, err := b.read(ctx)
		if err == nil {
			paid, err = seen[metricPayments], pauseFor(ctx, 50*time.Millisecond)
		}
		if err != nil {
			return err
		}
	}
	over := time.Now().Add(b.run.Warmup + b.run.Duration - 500*time.Millisecond)
	if err := pauseFor(ctx, b.run.Warmup); err != nil {
		return err
	}
	for i := range b.o.Rounds {
		var r CabinetRound
		for half := range 2 {
			looks := half != i%2
			before := b.pages.Load()
			b.looks.Store(looks)
			p, err := b.span(ctx)
			if err != nil {
				return err
			}
			if time.Now().After(over) {
				return nil // the load may have ended within the span
			}
			if looks {
				r.Browsed, r.Pages = p, b.pages.Load()-before
			} else {
				r.Alone = p
			}
		}
		fmt.Fprintf(b.o.Log, "round %d: purchases/s and CPU alone %.0f %.1f us, beside %d people %.0f %.1f us, %d pages\n",
			i+1, r.Alone.Rate, r.Alone.CPU, b.o.People, r.Browsed.Rate, r.Browsed.CPU, r.Pages)
		b.rounds = append(b.rounds, r)
	}
	return nil
}

// Counters of the switch by which a span of a load is measured.
const (
	metricPayments = "tranzit_payments_total"
	metricCPU      = "process_cpu_seconds_total"
)

func (b *browsing) read(ctx context.Context) (map[string]float64, error) {
	var page bytes.Buffer
	err := fetch(ctx, b.run.Admin+"/metrics", &page)
	return parseMetrics(page.String(), metricPayments, metricCPU), err
}

// span measures the load for a time.
func (b *browsing) span(ctx context.Context) (p Purchases, err error) {
	begun := time.Now()
	before, err := b.read(ctx)
	if err == nil {
		err = pauseFor(ctx, b.o.Span)
	}
	if err != nil {
		return p, err
	}
	took := time.Since(begun)
	after, err := b.read(ctx)
	if err != nil {
		return p, err
	}
	paid := after[metricPayments] - before[metricPayments]
	if paid <= 0 {
		return p, errors.New("nothing was paid meanwhile")
	}
	return Purchases{Rate: paid / took.Seconds(), CPU: (after[metricCPU] - before[metricCPU]) / paid * 1e6}, nil
}

func pauseFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// visitor is somebody who is signed in. Goroutine-safe.
type visitor struct {
	http *http.Client
	base string // of the merchant's pages
}

var joinSecret = regexp.MustCompile(`id="secret">([A-Z2-7]+)<`)

// visitor makes a user over the admin API and follows the link as a browser would.
func (o *CabinetOptions) visitor(ctx context.Context, run *Options) (*visitor, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	v := &visitor{http: &http.Client{Jar: jar, Timeout: 30 * time.Second}, base: run.Cabinet + "/m/" + url.PathEscape(o.Merchant) + "/test"}
	ask, err := json.Marshal(admin.PeopleAct{Operator: "bench", Reason: "measuring", Email: "viewer@bench.example", Role: string(people.RoleOwner), Mode: "test"})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, run.Admin+"/admin/v1/merchants/"+url.PathEscape(o.Merchant)+"/users", bytes.NewReader(ask))
	if err != nil {
		return nil, err
	}
	var u admin.UserView
	text, _, err := v.do(request)
	if err == nil {
		err = json.Unmarshal(text, &u)
	}
	if err != nil {
		return nil, err
	}
	page, _, err := v.get(ctx, u.Link, "")
	if err != nil {
		return nil, err
	}
	secret := joinSecret.FindSubmatch(page)
	if secret == nil {
		return nil, errors.New("the page of the link shows no key of an authenticator")
	}
	code, err := people.Authenticator{Secret: string(secret[1])}.Code(time.Now())
	if err != nil {
		return nil, err
	}
	const password = "a wide and quiet river"
	form := url.Values{"name": {"Viewer"}, "password": {password}, "again": {password}, "code": {code}}
	if request, err = http.NewRequestWithContext(ctx, http.MethodPost, u.Link, strings.NewReader(form.Encode())); err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, _, err = v.do(request)
	return v, err
}

func (v *visitor) get(ctx context.Context, address, tag string) ([]byte, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, "", err
	}
	if tag != "" {
		request.Header.Set("If-None-Match", tag)
	}
	return v.do(request)
}

const maxPage = 4 << 20

func (v *visitor) do(request *http.Request) (body []byte, tag string, err error) {
	answer, err := v.http.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(io.LimitReader(answer.Body, maxPage))
	if err == nil && answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusNotModified {
		err = fmt.Errorf("%s answers %s", request.URL.Path, answer.Status)
	}
	return body, answer.Header.Get("ETag"), err
}

var rowLink = regexp.MustCompile(`class="row" href="([^"]+)"`)

// look watches the newest payments until ctx ends, while people look, and opens one
// of them every fifth time.
func (v *visitor) look(ctx context.Context, number int, b *browsing) error {
	const pause = 3 * time.Second
	host, _, _ := strings.Cut(v.base, "/m/")
	next := pause * time.Duration(number%10) / 10 // people do not look in step
	for tag, turn := "", 0; ; turn++ {
		if err := pauseFor(ctx, next); err != nil {
			return err
		}
		if next = pause; !b.looks.Load() {
			continue
		}
		rows, newer, err := v.get(ctx, v.base+"/payments?part=rows", tag)
		if err != nil {
			return err
		}
		tag = newer
		b.pages.Add(1)
		if link := rowLink.FindSubmatch(rows); link != nil && turn%5 == 4 {
			if _, _, err := v.get(ctx, host+html.UnescapeString(string(link[1])), ""); err != nil {
				return err
			}
			b.pages.Add(1)
		}
	}
}
