package frontend

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tranzit/tranzit/frontend/page"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The keys of the merchants that newTestSwitch knows.
const (
	keyTest    = "sk_test_socks_0123456789abcdef"
	keyOther   = "sk_test_hats_0123456789abcdef"
	keyFenced  = "sk_test_fence_0123456789abcdef" // of the first merchant, for an address nobody has
	keyAsked   = "sk_test_asked_0123456789abcdef" // its shop is asked before each payment
	keyLimited = "sk_test_slow_0123456789abcdef"  // three requests, then one in 100 seconds
)

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m,
		// fasthttp keeps the date in a goroutine of the process, and notices only
		// every ten seconds that a worker pool was stopped.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// shop is a running server with everything a merchant's program needs.
type shop struct {
	t      testing.TB
	server *Server
	addr   string
	log    *safeBuffer
	client *http.Client
	served chan error

	mu    sync.Mutex
	lines map[string]bool // of the OpenAPI document, seen
}

// safeBuffer is a log that can be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// openShop serves on a loopback port until the test ends. Everything is logged.
func openShop(t testing.TB, change func(*Options)) *shop {
	t.Helper()
	log, bench := &safeBuffer{}, newRig(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Switch: bench.sw, Joining: bench.office, Now: func() time.Time { return testNow },
		Logger: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	if o.Page == nil && o.Switch != nil {
		o.Page, err = page.New(page.Options{Switch: o.Switch, Now: o.Now, URL: "http://" + ln.Addr().String(), SubmitsPerMinute: 1000})
		if err != nil {
			t.Fatal(err)
		}
	}
	server, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{t: t, server: server, addr: ln.Addr().String(), log: log, served: make(chan error, 1), lines: map[string]bool{}}
	s.client = &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: 20 * time.Second}
	go func() { s.served <- server.Serve(ln) }()
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-s.served; err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

// reply is an answer read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	close  bool // Connection: close
}

func (s *shop) do(method, path, body string, headers ...string) reply {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+keyTest)
	if method == "POST" {
		req.Header.Set("Content-Type", "application/json")
		if at, _, _ := strings.Cut(path, "?"); at == "/v1/batches" {
			req.Header.Set("Content-Type", "application/x-ndjson")
		}
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	r := readReply(s.t, resp)
	s.told(method, path, body, r)
	return r
}

// told holds an exchange to the OpenAPI document, and remembers which of its
// answers was given.
func (s *shop) told(method, path, body string, r reply) {
	s.t.Helper()
	line, err := document().check(method, path, r)
	if err == nil && r.status < 300 {
		err = document().checkRequest(method, path, body)
	}
	if err != nil {
		s.t.Errorf("%s %.80s: %v", method, path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines[line] = true
}

func (s *shop) pay(key, body string) reply {
	s.t.Helper()
	return s.do("POST", "/v1/payments", body, "Idempotency-Key", key)
}

func readReply(t testing.TB, resp *http.Response) reply {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(body), resp.Close}
}

// raw is a connection on which the test writes what it likes.
type raw struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func (s *shop) dial() *raw {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &raw{s.t, nc, bufio.NewReader(nc)}
}

func (r *raw) send(text string) *raw {
	r.t.Helper()
	if _, err := io.WriteString(r, text); err != nil {
		r.t.Fatal(err)
	}
	return r
}

func (r *raw) reply() reply {
	r.t.Helper()
	resp, err := http.ReadResponse(r.in, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return readReply(r.t, resp)
}

// closed fails the test when the server still has something to say.
func (r *raw) closed() {
	r.t.Helper()
	if b, err := r.in.ReadByte(); err != io.EOF {
		r.t.Errorf("the connection goes on with %q, %v", b, err)
	}
}

var requestIDs = regexp.MustCompile(`req_[0-9a-hjkmnp-tv-z]{26}`)

// golden compares got with a file under testdata, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
		for i := range min(len(gotLines), len(wantLines)) {
			if gotLines[i] != wantLines[i] {
				t.Errorf("%s:%d\n got %s\nwant %s", name, i+1, gotLines[i], wantLines[i])
			}
		}
		if len(gotLines) != len(wantLines) {
			t.Errorf("%s: %d lines, want %d", name, len(gotLines), len(wantLines))
		}
	}
}

// story is a reply as the golden files tell it.
func (r reply) story() string {
	var b strings.Builder
	for _, name := range []string{"Content-Type", "Allow", "Retry-After", "Www-Authenticate"} {
		if v := r.header.Get(name); v != "" {
			b.WriteString(name + ": " + v + "\n")
		}
	}
	return b.String() + requestIDs.ReplaceAllString(r.body, "req_*") + "\n\n"
}

func (r reply) wantProblem(t *testing.T, status int, code string) {
	t.Helper()
	if r.status != status || !strings.Contains(r.body, `"code":"`+code+`"`) || r.header.Get("Content-Type") != problemType {
		t.Errorf("answer %d %s %s, want %d %s", r.status, r.header.Get("Content-Type"), r.body, status, code)
	}
	if id := r.header.Get("Request-Id"); !requestIDs.MatchString(id) || !strings.Contains(r.body, id) {
		t.Errorf("Request-Id is %q in %s", id, r.body)
	}
}

// noCardNumbers fails when a text holds a card number of the tests.
func noCardNumbers(t testing.TB, what, text string) {
	t.Helper()
	for _, number := range []string{"4111111111111111", "41111111", "5555555555554444", "4111111111111112", "0111111111111111"} {
		if at := strings.Index(text, number); at >= 0 {
			t.Errorf("%s holds card data: %.200s", what, text[max(0, at-80):])
		}
	}
}
