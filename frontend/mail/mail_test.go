package mail

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
)

var update = flag.Bool("update", false, "write the golden files anew")

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sample() joining.LetterData {
	return joining.LetterData{Application: "app_01kaz7q2v5e8xv9h2m3n4p5q6r", Number: 17, Company: `Roses & <b>"Sons"</b>`, Contact: "Irina Petrova", Merchant: "mer_01kaz7q2v5e8xv9h2m3n4p5q6r",
		API: "https://api.example", Cabinet: "https://cabinet.example", Code: "12345678", Until: "2026-11-28 12:00 MSK", Reason: "The extract is older than 30 days.", Bank: "Alfa", BankID: "alfa", Form: "bilateral", Months: 12,
		Contract: "17/2026", Due: "2026-12-01", Item: "Extract from the register", Plans: []joining.PlanData{
			{Bank: "Alfa", Form: "bilateral", Months: 12, Items: []joining.ItemData{{Text: "Extract from the register", Owner: "merchant", Due: "2026-12-02"}, {Text: "Look at the site", Owner: "us", Due: "2026-12-04"}}},
			{Bank: "Vega", Form: "accession", Items: []joining.ItemData{{Text: "Statement of accession", Owner: "merchant", Due: "2026-12-02"}}}}}
}

func letterTo(t *testing.T, template, language string) payswitch.Letter {
	t.Helper()
	y, err := payswitch.NewLetter(payswitch.Letter{ID: payswitch.ID{1}, Channel: payswitch.LetterMail, To: "pay@shop.example", Language: language, Template: template}, sample())
	must(t, err)
	return y
}

// TestEveryLetter: every letter is written in every language; what they say is in
// the golden file, to be read by a person.
func TestEveryLetter(t *testing.T) {
	var all strings.Builder
	for _, language := range Languages {
		for _, template := range joining.LetterTemplates() {
			y := letterTo(t, template, language)
			m, err := Render(&y)
			must(t, err)
			if m.Subject == "" || strings.ContainsAny(m.Subject, "\r\n") || strings.Contains(m.Text, "<no value>") || strings.Contains(m.HTML, `<b>"Sons`) {
				t.Errorf("%s %s: %q\n%s", language, template, m.Subject, m.Text)
			}
			fmt.Fprintf(&all, "===== %s %s: %s\n%s\n", language, template, m.Subject, m.Text)
			if template == joining.LetterPlan {
				all.WriteString(m.HTML)
			}
		}
	}
	golden := filepath.Join("testdata", "letters.golden")
	if *update {
		must(t, os.WriteFile(golden, []byte(all.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if all.String() != string(want) {
		t.Error("the letters changed; read them and run with -update")
	}
	bad := letterTo(t, "horoscope", "en")
	if _, err := Render(&bad); err == nil {
		t.Error("a letter that does not exist was written")
	}
	strange := letterTo(t, joining.LetterLive, "de")
	if m, err := Render(&strange); err != nil || !strings.HasPrefix(m.Subject, "You are live") {
		t.Errorf("another language: %q, %v", m.Subject, err)
	}
}

// queue is a switch whose letters are sent; nothing else of it runs.
type queue struct {
	t     *testing.T
	disk  *storage.Disk
	keys  *payswitch.KeyRing
	store *storage.Store
	core  *payswitch.Switch
}

func newQueue(t *testing.T) *queue {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vault.key")
	must(t, payswitch.CreateKeyRing(path))
	keys, err := payswitch.LoadKeyRing(path)
	must(t, err)
	q := &queue{t: t, disk: storage.NewMemDisk(), keys: keys}
	q.open()
	return q
}

func (q *queue) open() {
	q.t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	var err error
	q.store, err = storage.Open(storage.Options{Disk: q.disk, Logger: quiet, DiskCheck: time.Hour})
	must(q.t, err)
	d, err := iso.Builtin("ascii87")
	must(q.t, err)
	q.core, err = payswitch.New(payswitch.Options{Store: q.store, Keys: q.keys, Logger: quiet, Banks: []payswitch.BankConfig{{Dialect: d, Acquirer: "123456",
		Link: acquirers.Config{ID: "alfa", Endpoints: []string{"127.0.0.1:1"}, Logger: quiet}}}})
	must(q.t, err)
}

func (q *queue) close() {
	q.core.Close()
	_ = q.store.Close()
}

func (q *queue) add(letters ...payswitch.Letter) {
	q.t.Helper()
	var c storage.Command
	for _, y := range letters {
		q.core.Letters().Add(&c, y)
	}
	_, err := q.store.Do(&c)
	must(q.t, err)
	q.core.Letters().Wake()
}

func (q *queue) owed() int {
	q.t.Helper()
	list, _, err := q.core.Letters().Due(time.Now().Add(1000*time.Hour), 10_000, nil)
	must(q.t, err)
	return len(list)
}

// server is a mail server that does what it is told.
type server struct {
	mu    sync.Mutex
	err   error
	tries int
	took  []string
}

// Post implements Transport.
func (s *server) Post(_ context.Context, m *Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tries++; s.err == nil {
		s.took = append(s.took, m.ID)
	}
	return s.err
}

func (s *server) does(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *server) seen() (tries, took int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries, len(s.took)
}

func (q *queue) run(o Options) (stop func()) {
	q.t.Helper()
	o.Letters, o.Logger = q.core.Letters(), slog.New(slog.DiscardHandler)
	s, err := New(o)
	must(q.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	return func() { cancel(); <-done }
}

// TestNothingLostNoStorm: a thousand letters and a server that is down for an hour,
// with a power cut: it is tried a bounded number of times, and then every letter
// arrives once.
func TestNothingLostNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		var letters []payswitch.Letter
		for range 500 {
			letters = append(letters, letterTo(t, joining.LetterTestOpen, "ru"))
		}
		q.add(letters...)
		post := &server{err: errors.New("down")}
		stop := q.run(Options{Mail: post})
		time.Sleep(30 * time.Minute)
		stop()
		clone := q.disk.CrashClone(storage.Crash{Unsynced: storage.DropUnsynced})
		q.close()
		q.disk = clone
		q.open()
		stop = q.run(Options{Mail: post})
		q.add(letters...)
		time.Sleep(30 * time.Minute)
		if tries, _ := post.seen(); tries > 40 || q.owed() != 1000 {
			t.Errorf("a dead server was tried %d times; %d letters are owed", tries, q.owed())
		}
		post.does(nil)
		time.Sleep(10 * time.Minute)
		if _, took := post.seen(); took > 1300 || took < 500 {
			t.Errorf("%d letters in ten minutes: want about 120 in each", took)
		}
		time.Sleep(24 * time.Hour)
		stop()
		once := map[string]bool{}
		for _, id := range post.took {
			once[id] = true
		}
		if len(post.took) != 1000 || len(once) != 1000 || q.owed() != 0 {
			t.Errorf("%d letters arrived, %d of them different; %d are owed", len(post.took), len(once), q.owed())
		}
		q.close()
	})
}

// TestGivenUp: what a server refuses for good, and what nobody takes for days, is kept
// for the operators, who can put it back.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		defer q.close()
		post := &server{err: &Refused{errors.New("no such mailbox")}}
		defer q.run(Options{Mail: post, Tell: func(context.Context, *payswitch.Letter) error { return errors.New("answered 500") }})()
		hook := letterTo(t, joining.EventLive, "")
		hook.Channel = payswitch.LetterWebhook
		text := letterTo(t, joining.LetterLive, "en")
		text.Channel = payswitch.LetterSMS
		q.add(letterTo(t, joining.LetterLive, "en"), hook, text)
		time.Sleep(time.Minute)
		failed, err := q.core.Letters().Failed(10)
		if err != nil || len(failed) != 2 || q.owed() != 1 {
			t.Fatalf("%+v, %v; %d owed", failed, err, q.owed())
		}
		time.Sleep(7 * 24 * time.Hour)
		if failed, err = q.core.Letters().Failed(10); err != nil || len(failed) != 3 || q.owed() != 0 || failed[1].Attempts != len(RetrySchedule)+1 {
			t.Fatalf("a week later: %+v, %v", failed, err)
		}
		post.does(nil)
		must(t, q.core.Letters().Retry(failed[0].ID, payswitch.Act{Operator: "anna", Reason: "the mailbox exists now"}))
		time.Sleep(time.Minute)
		if _, took := post.seen(); took != 1 {
			t.Errorf("a letter that was put back arrived %d times", took)
		}
		if q.core.Letters().Retry(failed[0].ID, payswitch.Act{Operator: "anna", Reason: "again"}) == nil {
			t.Error("a letter that was sent was put back")
		}
	})
}

// smtpServer answers RCPT with code, and keeps what it was sent.
func smtpServer(t *testing.T, code int) (port int, got chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	got = make(chan string, 1)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go speakSMTP(conn, code, got)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, got
}

func speakSMTP(conn net.Conn, code int, got chan string) {
	defer conn.Close()
	say := func(text string) { _, _ = io.WriteString(conn, text+"\r\n") }
	say("220 mail.example ESMTP")
	var letter strings.Builder
	inData := false
	for in := bufio.NewScanner(conn); in.Scan(); {
		line := in.Text()
		switch verb, _, _ := strings.Cut(strings.ToUpper(line), " "); {
		case inData && line == ".":
			inData = false
			got <- letter.String()
			say("250 2.0.0 taken")
		case inData:
			letter.WriteString(line + "\n")
		case verb == "RCPT":
			say(strconv.Itoa(code) + " the mailbox")
		case verb == "DATA":
			inData = true
			say("354 go on")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 mail.example")
		}
	}
}

// TestSMTP: a letter is what mail programs read; a refusal for good is told from one
// that may pass.
func TestSMTP(t *testing.T) {
	y := letterTo(t, joining.LetterPlan, "ru")
	m, err := Render(&y)
	must(t, err)
	for _, tt := range []struct {
		code    int
		refused bool
	}{{250, false}, {451, false}, {550, true}} {
		port, got := smtpServer(t, tt.code)
		s, err := NewSMTP(SMTPOptions{Host: "127.0.0.1", Port: port, TLS: "none", From: "Tranzit <pay@tranzit.example>"})
		must(t, err)
		err = s.Post(context.Background(), &m)
		var refused *Refused
		if errors.As(err, &refused) != tt.refused || (err == nil) != (tt.code == 250) {
			t.Errorf("%d: %v", tt.code, err)
		}
		if tt.code != 250 {
			continue
		}
		letter, err := netmail.ReadMessage(strings.NewReader(<-got))
		must(t, err)
		if letter.Header.Get("Message-Id") != "<"+m.ID+"@tranzit.example>" || !strings.HasPrefix(letter.Header.Get("Content-Type"), "multipart/alternative") ||
			letter.Header.Get("To") != "<pay@shop.example>" || letter.Header.Get("Auto-Submitted") != "auto-generated" || letter.Header.Get("User-Agent") != "" {
			t.Errorf("the head: %v", letter.Header)
		}
	}
	if _, err := NewSMTP(SMTPOptions{Host: "127.0.0.1", From: "nobody"}); err == nil {
		t.Error("an address that is none was taken")
	}
}

// TestFolderAndTelephones: the ways without a mail server.
func TestFolderAndTelephones(t *testing.T) {
	dir := t.TempDir()
	y := letterTo(t, joining.LetterConfirm, "es")
	m, err := Render(&y)
	must(t, err)
	must(t, (&Folder{Dir: filepath.Join(dir, "mail"), From: "pay@tranzit.example"}).Post(context.Background(), &m))
	must(t, (&Notes{Dir: filepath.Join(dir, "sms")}).Post(context.Background(), &m))
	text, err := os.ReadFile(filepath.Join(dir, "mail", m.ID+".eml"))
	if err != nil || !strings.Contains(string(text), "12345678") {
		t.Errorf("%v\n%s", err, text)
	}
	if text, err = os.ReadFile(filepath.Join(dir, "mail", m.ID+".text")); err != nil || !strings.Contains(string(text), "?code=12345678\n") {
		t.Errorf("%v\n%s", err, text)
	}
	if text, err = os.ReadFile(filepath.Join(dir, "sms", m.ID+".txt")); err != nil || !strings.Contains(string(text), "12345678") {
		t.Errorf("%v\n%s", err, text)
	}
	code, body := 200, map[string]string{}
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&body)
		body["key"], body["auth"] = r.Header.Get("Idempotency-Key"), r.Header.Get("Authorization")
		w.WriteHeader(code)
	}))
	defer gate.Close()
	g := &Gateway{URL: gate.URL, Token: "secret"}
	must(t, g.Post(context.Background(), &m))
	if body["to"] != m.To || body["text"] != m.Subject || body["key"] != m.ID || body["auth"] != "Bearer secret" {
		t.Errorf("the gateway was told %v", body)
	}
	var refused *Refused
	for _, tt := range []struct {
		code    int
		refused bool
	}{{400, true}, {429, false}, {503, false}} {
		code = tt.code
		if err := g.Post(context.Background(), &m); err == nil || errors.As(err, &refused) != tt.refused {
			t.Errorf("%d: %v", tt.code, err)
		}
	}
}
