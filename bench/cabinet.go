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
	// Prepare makes the options of one run with a switch of its own that has a
	// cabinet, and what cleans up after it. Required.
	Prepare  func() (o Options, cleanup func(), err error)
	Merchant string    // whose payments are looked at, in test mode. Required.
	Rounds   int       // 1..1000; default 5
	People   int       // who look at once, 1..1000; default 20
	Log      io.Writer // one line for each round; default io.Discard
}

// EnsureDefaults fills what was left out.
func (o *CabinetOptions) EnsureDefaults() {
	if o.Rounds == 0 {
		o.Rounds = 5
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
	case o.Rounds < 1 || o.Rounds > 1000:
		return fmt.Errorf("bench: Rounds is %d: want 1..1000", o.Rounds)
	case o.People < 1 || o.People > 1000:
		return fmt.Errorf("bench: People is %d: want 1..1000", o.People)
	}
	return nil
}

// goalBrowsing is what browsing may cost payments.
const goalBrowsing = 0.98 // purchases beside browsing / purchases alone

// CabinetRound is what one round saw: two loads, each on a switch of its own, which
// change places from round to round.
type CabinetRound struct {
	Alone   Purchases `json:"purchases_alone"`
	Browsed Purchases `json:"purchases_beside_browsing"`
	Pages   int       `json:"pages"` // answered during the second
}

// CabinetResult is what MeasureCabinet found. The ratios are medians of the rounds.
type CabinetResult struct {
	Rounds []CabinetRound `json:"rounds"`
	Rate   float64        `json:"beside_browsing_ratio"`
	CPU    float64        `json:"beside_browsing_cpu_ratio"` // pages counted in
	Met    bool           `json:"met"`
}

// WriteText tells the result to people.
func (r *CabinetResult) WriteText(w io.Writer) error {
	word := "met"
	if !r.Met {
		word = "missed"
	}
	_, err := fmt.Fprintf(w, "purchases beside browsing / alone: %.3f (goal %.2f: %s); CPU per purchase, pages included: %.3f; median of %d rounds\n",
		r.Rate, goalBrowsing, word, r.CPU, len(r.Rounds))
	return err
}

// MeasureCabinet measures what purchases lose while people look at the cabinet: each
// asks for news of the newest payments every three seconds, as its page does, and
// opens a payment now and then.
func MeasureCabinet(ctx context.Context, o CabinetOptions) (*CabinetResult, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	out := &CabinetResult{}
	for i := range o.Rounds {
		var r CabinetRound
		steps := []func(context.Context, *CabinetRound) error{o.alone, o.browsed}
		if i%2 == 1 {
			steps[0], steps[1] = steps[1], steps[0]
		}
		for _, step := range steps {
			if err := step(ctx, &r); err != nil {
				return nil, err
			}
		}
		fmt.Fprintf(o.Log, "round %d: purchases/s and CPU alone %.0f %.0f us, beside %d people %.0f %.0f us, %d pages\n",
			i+1, r.Alone.Rate, r.Alone.CPU, o.People, r.Browsed.Rate, r.Browsed.CPU, r.Pages)
		out.Rounds = append(out.Rounds, r)
	}
	out.Rate = medianOf(out.Rounds, func(r CabinetRound) float64 { return r.Browsed.Rate / r.Alone.Rate })
	out.CPU = medianOf(out.Rounds, func(r CabinetRound) float64 { return r.Browsed.CPU / r.Alone.CPU })
	out.Met = out.Rate >= goalBrowsing
	return out, nil
}

func (o *CabinetOptions) alone(ctx context.Context, r *CabinetRound) (err error) {
	r.Alone, err = loaded(ctx, o.Prepare, nothing, noMore)
	return err
}

func (o *CabinetOptions) browsed(ctx context.Context, r *CabinetRound) error {
	var all sync.WaitGroup
	defer all.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var pages atomic.Int64
	var failed atomic.Pointer[error]
	run, cleanup, err := o.Prepare()
	if err != nil {
		return err
	}
	prepared := func() (Options, func(), error) { return run, cleanup, nil }
	r.Browsed, err = loaded(ctx, prepared, func(*client.Client) error {
		v, err := o.visitor(ctx, &run)
		if err != nil {
			return fmt.Errorf("the cabinet: %w", err)
		}
		for i := range o.People {
			all.Go(func() {
				if err := v.look(ctx, i, &pages); err != nil && ctx.Err() == nil {
					failed.Store(&err)
				}
			})
		}
		return nil
	}, func(*rig, *client.Client) error {
		stop()
		all.Wait()
		if err := failed.Load(); err != nil {
			return fmt.Errorf("the cabinet: %w", *err)
		}
		return nil
	})
	r.Pages = int(pages.Load())
	return err
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

// look watches the newest payments until ctx ends, and opens one of them every
// fifth time.
func (v *visitor) look(ctx context.Context, number int, pages *atomic.Int64) error {
	const pause = 3 * time.Second
	timer := time.NewTimer(pause * time.Duration(number%10) / 10) // people do not look in step
	defer timer.Stop()
	host, _, _ := strings.Cut(v.base, "/m/")
	for tag, turn := "", 0; ; turn++ {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		rows, next, err := v.get(ctx, v.base+"/payments?part=rows", tag)
		if err != nil {
			return err
		}
		tag = next
		pages.Add(1)
		if link := rowLink.FindSubmatch(rows); link != nil && turn%5 == 4 {
			if _, _, err := v.get(ctx, host+html.UnescapeString(string(link[1])), ""); err != nil {
				return err
			}
			pages.Add(1)
		}
		timer.Reset(pause)
	}
}
