package frontend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/valyala/fasthttp"
)

// TestMalformed sends what is no HTTP, with a card number in every part. The
// server answers in its own words and logs a class and a count.
func TestMalformed(t *testing.T) {
	s := openShop(t, func(o *Options) { o.ReadTimeout = 300 * time.Millisecond })
	const card = "4111111111111111"
	chunked := "POST /v1/payments HTTP/1.1\r\n" + hostLine + authLine + jsonLine + keyLine + "Transfer-Encoding: chunked\r\n\r\n"
	tests := []struct {
		name, text string
		status     int
		code       string
	}{
		{"no HTTP at all", card + "\r\n\r\n", 400, "invalid_request"},
		{"no version", "GET /" + card + "\r\n\r\n", 400, "invalid_request"},
		{"header without a colon", "GET / HTTP/1.1\r\n" + card + "\r\n\r\n", 400, "invalid_request"},
		{"space before the colon", "GET / HTTP/1.1\r\n" + hostLine + "X " + card + " : 1\r\n\r\n", 400, "invalid_request"},
		{"control character in a header", "GET / HTTP/1.1\r\n" + hostLine + "X: " + card + "\x00\r\n\r\n", 400, "invalid_request"},
		{"length that is no number", "POST /v1/payments HTTP/1.1\r\n" + hostLine + "Content-Length: " + card + "x\r\n\r\n", 400, "invalid_request"},
		{"negative length", "POST /v1/payments HTTP/1.1\r\n" + hostLine + "Content-Length: -5\r\n\r\n" + card, 400, "invalid_request"},
		{"two lengths", "POST /v1/payments HTTP/1.1\r\n" + hostLine + "Content-Length: 5\r\nContent-Length: 16\r\n\r\n" + card, 400, "invalid_request"},
		{"length and chunks", "POST /v1/payments HTTP/1.1\r\n" + hostLine + "Content-Length: 16\r\nTransfer-Encoding: chunked\r\n\r\n" + card, 400, "invalid_request"},
		{"chunk without a size", chunked + card + "x\r\n", 400, "invalid_request"},
		{"chunk longer than said", chunked + "4\r\n" + card + "\r\n0\r\n\r\n", 400, "invalid_request"},
		{"unknown transfer coding", "POST /v1/payments HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: " + card + "\r\n\r\n", 400, "invalid_request"},
		{"large head", "GET / HTTP/1.1\r\n" + hostLine + "X: " + strings.Repeat(card, 1000) + "\r\n\r\n", 431, "headers_too_large"},
		{"many headers", "GET / HTTP/1.1\r\n" + hostLine + strings.Repeat("X-"+card+": 1\r\n", 1000) + "\r\n", 431, "headers_too_large"},
		{"long address", "GET /v1/payments?order_id=" + strings.Repeat(card, 200) + " HTTP/1.1\r\n" + hostLine + authLine + "\r\n", 414, "uri_too_long"},
		{"slow head", "GET /" + card + " HTTP/1.1\r\nX: " + card, 408, "request_timeout"},
		{"slow body", "POST /v1/payments HTTP/1.1\r\n" + hostLine + authLine + jsonLine + keyLine + "Content-Length: 200\r\n\r\n" + card, 408, "request_timeout"},
		{"slow chunk", chunked + "10\r\n" + card, 408, "request_timeout"},
		{"silence", "", 408, "request_timeout"},
		{"body too large by its length", "POST /v1/payments HTTP/1.1\r\n" + hostLine + authLine + jsonLine + keyLine + "Content-Length: 99999999\r\n\r\n" + card, 413, "body_too_large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := s.dial().send(tt.text).reply()
			r.wantProblem(t, tt.status, tt.code)
			noCardNumbers(t, "the answer", fmt.Sprint(r.header)+r.body)
		})
	}
	noCardNumbers(t, "the log", s.log.String())
	for _, class := range []noiseClass{noiseConnection, noiseHead, noiseBody, noiseTooLarge, noiseTimeout} {
		if testutil.ToFloat64(s.server.metrics.protocol[class]) == 0 || !strings.Contains(s.log.String(), `"class":"`+noiseNames[class]+`"`) {
			t.Errorf("class %s is not counted or not logged", noiseNames[class])
		}
	}
	if r := s.pay("after", leanBody); r.status != 201 {
		t.Errorf("an honest request is answered %d", r.status)
	}
}

// TestLibraryTextIsNotPrinted feeds the logger what fasthttp would.
func TestLibraryTextIsNotPrinted(t *testing.T) {
	s := openShop(t, nil)
	for _, format := range []string{"error when serving connection %q<->%q: %v", "Permanent error when accepting new connections: %v", "4111111111111111 %s"} {
		s.server.noise.Printf(format, "4111111111111111", errors.New("4111111111111111"))
	}
	noCardNumbers(t, "the log", s.log.String())
	if got := strings.Count(s.log.String(), `"count":1`); got != 3 {
		t.Errorf("%d lines: %s", got, s.log.String())
	}
}

// TestSlowlorisHoldsOnlyItself: a byte now and then does not extend the time.
func TestSlowlorisHoldsOnlyItself(t *testing.T) {
	s := openShop(t, func(o *Options) { o.ReadTimeout = 400 * time.Millisecond })
	var all sync.WaitGroup
	for range 20 {
		c := s.dial()
		all.Go(func() {
			begun := time.Now()
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			text := post(authLine+jsonLine+keyLine, leanBody)
			for i := 0; i < len(text); i++ {
				if _, err := io.WriteString(c, text[i:i+1]); err != nil {
					break
				}
				<-tick.C
			}
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("a slow client was served for %s", took)
			}
		})
	}
	for i := range 20 {
		if r := s.pay(fmt.Sprintf("quick-%d", i), leanBody); r.status != 201 {
			t.Errorf("a quick client is answered %d", r.status)
		}
	}
	all.Wait()
}

func TestOversizeBody(t *testing.T) {
	s := openShop(t, func(o *Options) { o.MaxBody = 1 << 10 })
	big := also(`"description":"` + strings.Repeat("4111111111111111", 5000) + `"`)
	s.dial().send(post(authLine+jsonLine+keyLine, big)).reply().wantProblem(t, 413, "body_too_large")
	s.dial().send("POST /v1/payments HTTP/1.1\r\n"+hostLine+authLine+jsonLine+keyLine+"Transfer-Encoding: chunked\r\n\r\n"+
		fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(big), big)).reply().wantProblem(t, 413, "body_too_large")
	busy := s.dial().send("POST /v1/payments HTTP/1.1\r\n" + hostLine + authLine + "Content-Length: 500000\r\n\r\n" + big)
	if _, err := busy.in.Peek(1); err != nil {
		t.Fatal(err)
	}
	busy.send(big).send(big).send(big).reply().wantProblem(t, 413, "body_too_large")
	exact := also(`"description":""`)
	exact = strings.Replace(exact, `"description":""`, `"description":"`+strings.Repeat("x", 1<<10-len(exact))+`"`, 1)
	if r := s.pay("exact", strings.Replace(exact, strings.Repeat("x", 600), "", 1)); r.status != 201 {
		t.Errorf("a body below the limit is answered %d %s", r.status, r.body)
	}
	noCardNumbers(t, "the log", s.log.String())
}

func TestChunkedBody(t *testing.T) {
	s := openShop(t, nil)
	var text strings.Builder
	text.WriteString("POST /v1/payments HTTP/1.1\r\n" + hostLine + authLine + jsonLine + keyLine + "Transfer-Encoding: chunked\r\n\r\n")
	for rest := leanBody; rest != ""; {
		n := min(7, len(rest))
		fmt.Fprintf(&text, "%x\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	text.WriteString("0\r\n\r\n")
	c := s.dial().send(text.String())
	if r := c.reply(); r.status != 201 {
		t.Errorf("answer %d %s", r.status, r.body)
	}
	if r := c.send(post(authLine+jsonLine+keyLine, leanBody)).reply(); r.status != 201 || r.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the same body in one piece is answered %d %s", r.status, r.body)
	}
}

func TestPipelining(t *testing.T) {
	s := openShop(t, nil)
	var text strings.Builder
	for i := range 20 {
		text.WriteString(post(authLine+jsonLine+fmt.Sprintf("Idempotency-Key: pipe-%d\r\n", i), with("A-1001", fmt.Sprintf("P-%d", i))))
	}
	c := s.dial().send(text.String())
	for i := range 20 {
		r := c.reply()
		if r.status != 201 || member[string](t, r.body, "order_id") != fmt.Sprintf("P-%d", i) {
			t.Fatalf("answer %d is %d %s", i, r.status, r.body)
		}
	}
}

// TestPipelinedAnswerIsNotHeldBack: the second request never comes to its end,
// and the first is answered all the same.
func TestPipelinedAnswerIsNotHeldBack(t *testing.T) {
	s := openShop(t, nil)
	made := s.pay("held", with("4111111111111111", testCardSilent))
	if made.status != 202 {
		t.Fatalf("the silent card is answered %d %s", made.status, made.body)
	}
	waiting := get("/v1/payments/" + member[string](t, made.body, "id") + "?wait=60s")
	c := s.dial().send(get("/v1/payments") + waiting)
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	if r := c.reply(); r.status != 200 || member[string](t, r.body, "object") != "list" {
		t.Errorf("answer %d %s", r.status, r.body)
	}
}

func TestExpectContinue(t *testing.T) {
	s := openShop(t, nil)
	text := post(authLine+jsonLine+keyLine+"Expect: 100-continue\r\n", "")
	text = strings.Replace(text, "Content-Length: 0", fmt.Sprintf("Content-Length: %d", len(leanBody)), 1)
	c := s.dial().send(text)
	if line, err := c.in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := c.in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if r := c.send(leanBody).reply(); r.status != 201 {
		t.Errorf("answer %d %s", r.status, r.body)
	}
}

// TestTooManyConnections: the one too many is told so, and there is room again
// once another leaves.
func TestTooManyConnections(t *testing.T) {
	s := openShop(t, func(o *Options) { o.Concurrency = 2 })
	first, second := s.dial().send(get("/v1/payments")), s.dial().send(get("/v1/payments"))
	if first.reply().status != 200 || second.reply().status != 200 {
		t.Fatal("the first two are not served")
	}
	third := s.dial()
	r := third.reply()
	r.wantProblem(t, 503, "overloaded")
	if r.header.Get("Retry-After") == "" || !r.close {
		t.Errorf("headers %v", r.header)
	}
	third.closed()
	first.Close()
	for deadline := time.Now().Add(60 * time.Second); ; {
		c := s.dial()
		_, err := io.WriteString(c, get("/v1/payments"))
		resp, readErr := http.ReadResponse(c.in, nil)
		if err == nil && readErr == nil && resp.StatusCode == 200 {
			break
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatal("no room after a connection left")
		}
	}
}

// TestReaderThatNeverReads: answers that nobody takes end the connection.
func TestReaderThatNeverReads(t *testing.T) {
	s := openShop(t, func(o *Options) { o.WriteTimeout = 100 * time.Millisecond })
	for i := range 20 {
		s.pay(fmt.Sprintf("fill-%d", i), exampleBody)
	}
	c := s.dial()
	_ = c.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	page := get("/v1/payments?limit=100")
	for {
		if _, err := io.WriteString(c, strings.Repeat(page, 50)); err != nil {
			return // the server hung up
		}
	}
}

func TestShutdown(t *testing.T) {
	s := openShop(t, nil)
	made := s.pay("drain", with("4111111111111111", testCardSilent))
	id := member[string](t, made.body, "id")
	idle := s.dial().send(get("/v1/payments"))
	if r := idle.reply(); r.status != 200 || r.close {
		t.Fatalf("answer %d %v", r.status, r.header)
	}
	waiting := s.dial().send(get("/v1/payments/" + id + "?wait=60s"))
	for s.server.inFlight.Load() == 0 {
		<-time.After(time.Millisecond)
	}
	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.server.Shutdown(ctx) }()
	r := waiting.reply()
	if r.status != 200 || !r.close {
		t.Errorf("the long poll is answered %d, Connection: close %v", r.status, r.close)
	}
	waiting.closed()
	idle.closed()
	if err := <-done; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the shutdown took %s", took)
	}
	if _, err := net.Dial("tcp", s.addr); err == nil {
		t.Error("the server still accepts")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.server.Serve(ln); !errors.Is(err, ErrClosed) {
		t.Errorf("serving again: %v", err)
	}
}

// pieces is a connection that is read in given pieces.
type pieces struct {
	net.Conn
	left []string
	seen [][]byte // the buffer as it was before each piece was put into it
}

func (p *pieces) Read(b []byte) (int, error) {
	p.seen = append(p.seen, bytes.Clone(b))
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	p.left = p.left[1:]
	return n, nil
}

// TestConnectionForgets: whenever the connection waits for more, its buffer
// holds nothing of the requests before.
func TestConnectionForgets(t *testing.T) {
	inner := &pieces{left: []string{"4111", "111111111111", "short", "5555555555554444", "x"}}
	c := &conn{Conn: inner, server: &Server{}}
	buf := bytes.Repeat([]byte("4"), 64)
	at := 0
	for i, whole := range []bool{true, false, true, true, false, true} {
		if whole {
			at = 0
		}
		n, err := c.Read(buf[at:])
		if i < 5 && err != nil {
			t.Fatal(err)
		}
		at += n
	}
	for i, before := range inner.seen {
		if bytes.ContainsAny(before, "0123456789") {
			t.Errorf("before piece %d the buffer held %q", i, before)
		}
	}
}

// TestBodyIsOverwritten: after the handler nothing of the card is left in the
// memory of the request, however it was answered.
func TestBodyIsOverwritten(t *testing.T) {
	server, err := New(Options{Switch: newTestSwitch(t), Now: func() time.Time { return testNow }, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	for _, tt := range []struct {
		name   string
		change func(*fasthttp.Request)
		status int
	}{
		{"paid", func(*fasthttp.Request) {}, 201},
		{"refused", func(r *fasthttp.Request) { r.SetBodyString(with("129900", "0")) }, 400},
		{"not JSON", func(r *fasthttp.Request) { r.SetBodyString("4111111111111111") }, 400},
		{"unknown key", func(r *fasthttp.Request) { r.Header.Set("Authorization", "Bearer sk_test_nobody") }, 401},
		{"unknown address", func(r *fasthttp.Request) { r.SetRequestURI("/v1/paiments") }, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := contextOf(t)
			fillPayment(&ctx.Request)
			ctx.Request.SetBodyString(leanBody)
			tt.change(&ctx.Request)
			server.handle(ctx)
			if got := ctx.Response.StatusCode(); got != tt.status {
				t.Errorf("status %d, want %d: %s", got, tt.status, ctx.Response.Body())
			}
			if left := bytes.Trim(ctx.Request.Body(), "\x00"); len(left) > 0 {
				t.Errorf("%d bytes of the body are left", len(left))
			}
			c := server.calls.Get().(*call)
			if !c.request.PAN.IsZero() || !c.request.CVC.IsZero() || bytes.Contains(c.read.text[:cap(c.read.text)], []byte("A-1001")) {
				t.Error("the call keeps something of the request")
			}
		})
	}
}

// scarceListener has no file descriptors for a while.
type scarceListener struct {
	net.Listener
	errs []error
}

func (l *scarceListener) Accept() (net.Conn, error) {
	if len(l.errs) == 0 {
		return nil, net.ErrClosed
	}
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}

func TestAcceptOutlivesScarcity(t *testing.T) {
	s := openShop(t, nil)
	full := &net.OpError{Op: "accept", Err: syscall.EMFILE}
	g := &gate{Listener: &scarceListener{errs: []error{full, full}}, server: s.server}
	if _, err := g.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v", err)
	}
	if got := testutil.ToFloat64(s.server.metrics.refusedConns); got != 2 {
		t.Errorf("%v counted", got)
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		want   string
		change func(*Options)
	}{
		{"Switch", func(o *Options) { o.Switch = nil }},
		{"Concurrency", func(o *Options) { o.Concurrency = -1 }},
		{"MaxBody", func(o *Options) { o.MaxBody = 100 }},
		{"MaxHead", func(o *Options) { o.MaxHead = 1 << 30 }},
		{"MaxURI", func(o *Options) { o.MaxURI = o.MaxHead + 10<<10 }},
		{"ReadTimeout", func(o *Options) { o.ReadTimeout = time.Hour }},
		{"IdleTimeout", func(o *Options) { o.IdleTimeout = -1 }},
		{"WriteTimeout", func(o *Options) { o.WriteTimeout = time.Microsecond }},
		{"MaxWait", func(o *Options) { o.MaxWait = 61 * time.Second }},
		{"HandlerTimeout", func(o *Options) { o.HandlerTimeout = 60 * time.Second }},
		{"SlowAfter", func(o *Options) { o.SlowAfter = -time.Second }},
	} {
		o := Options{Switch: newTestSwitch(t)}
		tt.change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.want, err)
		}
	}
}
