package browser

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Visitor is who looks at a page.
type Visitor struct {
	Width    int    // of the window, in CSS pixels; default 1280
	Height   int    // default 900
	Language string // of Accept-Language; default the browser's
	NoScript bool   // JavaScript is switched off
}

// Request is one that the page made.
type Request struct {
	Method, URL string
	Bytes       int64 // received, headers included, as they came over the wire
	Status      int64
}

// Page is one tab with cookies of its own. It belongs to one goroutine.
type Page struct {
	t   testing.TB
	ctx context.Context

	mu         sync.Mutex // guards what the listener adds
	order      []network.RequestID
	requests   map[network.RequestID]*Request
	complaints []string
}

// Visit opens a tab with no cookies, closed when the test ends.
func (b *Browser) Visit(t testing.TB, v Visitor) *Page {
	t.Helper()
	p := &Page{t: t, requests: map[network.RequestID]*Request{}}
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.listen))
	t.Cleanup(cancel)
	p.ctx = ctx
	if v.Width == 0 {
		v.Width = 1280
	}
	if v.Height == 0 {
		v.Height = 900
	}
	p.do("open a tab", chromedp.EmulateViewport(int64(v.Width), int64(v.Height)))
	if v.Language != "" {
		call(p, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": v.Language}})
	}
	if v.NoScript {
		call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	}
	return p
}

func (p *Page) listen(ev any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		if _, known := p.requests[ev.RequestID]; !known {
			p.order = append(p.order, ev.RequestID)
		}
		p.requests[ev.RequestID] = &Request{Method: ev.Request.Method, URL: ev.Request.URL}
	case *network.EventResponseReceived:
		if r := p.requests[ev.RequestID]; r != nil {
			r.Status = ev.Response.Status
		}
	case *network.EventLoadingFinished:
		if r := p.requests[ev.RequestID]; r != nil {
			r.Bytes = int64(ev.EncodedDataLength)
		}
	case *log.EventEntryAdded:
		if ev.Entry.Level == log.EntryLevelError || ev.Entry.Level == log.EntryLevelWarning {
			p.complaints = append(p.complaints, fmt.Sprintf("%s %s %s", ev.Entry.Source, ev.Entry.Text, ev.Entry.URL))
		}
	case *runtime.EventExceptionThrown:
		p.complaints = append(p.complaints, ev.ExceptionDetails.Text)
	}
}

// do runs steps; what names them in a failure.
func (p *Page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := p.try(steps...); err != nil {
		p.t.Fatalf("%s: %v; the page is %s", what, err, p.where())
	}
}

func (p *Page) try(steps ...chromedp.Action[chromedp.Void]) error {
	if err := chromedp.Do(p.ctx); err != nil { // the tab lives as long as p.ctx
		return err
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, steps...)
}

func run[T any](p *Page, what string, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		p.t.Fatalf("%s: %v; the page is %s", what, err, p.where())
	}
	return value
}

// where is the address and the text of the page, for a failure's message.
func (p *Page) where() string {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	if err != nil {
		return "not readable: " + err.Error()
	}
	return text
}

// Open goes to an address and waits until it is loaded.
func (p *Page) Open(url string) {
	p.t.Helper()
	p.do("open "+url, chromedp.Navigate(url))
}

// URL is the address the tab is at.
func (p *Page) URL() string {
	p.t.Helper()
	return run(p, "ask for the address", chromedp.Location())
}

// Title is the title of the page.
func (p *Page) Title() string {
	p.t.Helper()
	return run(p, "ask for the title", chromedp.Title())
}

// Fill types a text into the field that a CSS selector finds, in place of what it
// held, as a person does who marks it all first.
func (p *Page) Fill(selector, text string) {
	p.t.Helper()
	field := chromedp.CSS(selector)
	p.do("fill "+selector, chromedp.WaitVisible(field), chromedp.Focus(field),
		chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.querySelector(%q).select()", selector)))
	if text == "" {
		text = kb.Delete
	}
	p.do("type into "+selector, chromedp.KeyEvent(text))
}

// Choose sets the value of a list, a box or a date.
func (p *Page) Choose(selector, value string) {
	p.t.Helper()
	p.do("choose in "+selector, chromedp.SetValue(chromedp.CSS(selector), value))
}

// Upload puts a file of this machine into a field of files.
func (p *Page) Upload(selector, path string) {
	p.t.Helper()
	p.do("upload by "+selector, chromedp.SetUploadFiles(chromedp.CSS(selector), []string{path}))
}

// Click clicks what can be seen.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.do("click "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Follow clicks and waits until the next page is loaded.
func (p *Page) Follow(selector string) {
	p.t.Helper()
	run(p, "follow "+selector, chromedp.WaitEvent(page.LoadEventFired, nil, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible)))
}

// Keys presses keys where the focus is, such as a tabulator.
func (p *Page) Keys(keys string) {
	p.t.Helper()
	p.do("press keys", chromedp.KeyEvent(keys))
}

// Await waits until something can be seen, over as many pages as it takes.
func (p *Page) Await(selector string) {
	p.t.Helper()
	p.do("wait for "+selector, chromedp.WaitVisible(chromedp.CSS(selector)))
}

// Text is what can be read in the first match.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	return run(p, "read "+selector, chromedp.Text(chromedp.CSS(selector)))
}

// Value is what a field holds.
func (p *Page) Value(selector string) string {
	p.t.Helper()
	return run(p, "read the field "+selector, chromedp.Value(chromedp.CSS(selector)))
}

// Has reports whether the page has a match now.
func (p *Page) Has(selector string) bool {
	p.t.Helper()
	return Eval[bool](p, fmt.Sprintf("document.querySelector(%q) !== null", selector))
}

// Eval is the value of an expression in the page. It works with JavaScript
// switched off, too.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	return run(p, "evaluate", chromedp.Evaluate[T](expression))
}

// call sends a command of the protocol.
func call[P, R any](p *Page, command cdp.Command[P, R], params P) {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, command, params); err != nil {
		p.t.Fatal(err)
	}
}

// Requests are those of the tab so far, in their order. A redirected one stands
// with its last address.
func (p *Page) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Request
	for _, id := range p.order {
		out = append(out, *p.requests[id])
	}
	return out
}

// Complaints are the warnings and errors of the tab so far: violations of the
// content policy, uncaught exceptions, requests that failed.
func (p *Page) Complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.complaints)
}
