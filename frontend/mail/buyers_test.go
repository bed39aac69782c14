package mail

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
)

func link(t testing.TB, template, language string, data payswitch.LinkData) payswitch.Letter {
	t.Helper()
	y, err := payswitch.NewLetter(payswitch.Letter{ID: payswitch.ID{1}, Channel: payswitch.LetterMail, To: "anna@shop.example", Language: language, Template: template}, data)
	if err != nil {
		t.Fatal(err)
	}
	return y
}

func bill() payswitch.LinkData {
	return payswitch.LinkData{Shop: "HATS & CO", Order: "A-1001", Description: "Two <b>hats</b>\r\nBcc: all@shop.example\n\nhttps://evil.example/x", Amount: 129900, Currency: "RUB",
		URL: "https://pay.shop.example/pay/cs_01kaz7q2v5e8xv9h2m3n4p5q6r", Until: "2026-11-28 12:00 MSK"}
}

// TestLettersToBuyers: what they say is in the golden file, to be read by a person.
func TestLettersToBuyers(t *testing.T) {
	var all strings.Builder
	for _, language := range Languages {
		for _, template := range []string{payswitch.TemplateLink, payswitch.TemplateReminder} {
			y := link(t, template, language, bill())
			m, err := Render(&y)
			must(t, err)
			fmt.Fprintf(&all, "===== %s %s: %s\n%s\n", language, template, m.Subject, m.Text)
			if template == payswitch.TemplateLink {
				all.WriteString(m.HTML)
			}
			if strings.Count(m.HTML, "<a ") != 1 || !strings.Contains(m.HTML, `<a href="`+bill().URL+`">`) {
				t.Errorf("%s %s leads elsewhere: %s", language, template, m.HTML)
			}
			y.Channel = payswitch.LetterSMS
			m, err = Render(&y)
			must(t, err)
			fmt.Fprintf(&all, "----- SMS, %d: %s\n", Segments(m.Short), m.Short)
		}
	}
	holdGolden(t, "buyers.golden", all.String())
}

// TestReceipts: as TestLettersToBuyers. Of the card only the last four digits stand
// there.
func TestReceipts(t *testing.T) {
	var all strings.Builder
	for _, language := range Languages {
		for i, template := range []string{payswitch.TemplatePaid, payswitch.TemplateRefunded, payswitch.TemplateCanceled} {
			y, err := payswitch.NewLetter(payswitch.Letter{ID: payswitch.ID{1}, Channel: payswitch.LetterMail, To: "anna@shop.example", Language: language, Template: template},
				payswitch.ReceiptData{Shop: "HATS", Order: "A-1001", Description: "Two hats", Amount: 129900, Refunded: []int64{100, 0, 0}[i], Currency: "EUR", Card: "Visa •••• 1111",
					Approval: "7KQ2M1", Date: "2026-11-27 12:00 MSK", Payment: "pay_01kaz7q2v5e8xv9h2m3n4p5q6r", Test: i == 2})
			must(t, err)
			m, err := Render(&y)
			must(t, err)
			fmt.Fprintf(&all, "===== %s %s: %s\n%s\n", language, template, m.Subject, m.Text)
		}
	}
	holdGolden(t, "receipts.golden", all.String())
}

func holdGolden(t *testing.T, name, got string) {
	t.Helper()
	golden := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if got != string(want) {
		t.Errorf("%s changed; read it and run with -update", name)
	}
}

// TestShortMessages: at most two messages of a telephone, whatever the shop is called;
// the link is always whole.
func TestShortMessages(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int
	}{{"", 1}, {strings.Repeat("a", 160), 1}, {strings.Repeat("a", 161), 2}, {strings.Repeat("a", 306), 2}, {strings.Repeat("a", 307), 3},
		{strings.Repeat("€", 80), 1}, {strings.Repeat("€", 81), 2}, {strings.Repeat("ж", 70), 1}, {strings.Repeat("ж", 71), 2}, {strings.Repeat("ж", 134), 2},
		{strings.Repeat("ж", 135), 3}, {strings.Repeat("😀", 35), 1}, {strings.Repeat("😀", 36), 2}, {strings.Repeat("a", 69) + "ж", 1}, {strings.Repeat("a", 70) + "ж", 2}} {
		if got := Segments(tt.text); got != tt.want {
			t.Errorf("%.10s... of %d bytes: %d, want %d", tt.text, len(tt.text), got, tt.want)
		}
	}
	for _, language := range Languages {
		for _, shop := range []string{"Hats", strings.Repeat("Шляпы и ", 40)} {
			data := bill()
			data.Shop, data.Order, data.Test = shop, strings.Repeat("№", 128), true
			y := link(t, payswitch.TemplateReminder, language, data)
			y.Channel = payswitch.LetterSMS
			m, err := Render(&y)
			if err != nil || Segments(m.Short) > maxSegments || !strings.Contains(m.Short, data.URL) {
				t.Errorf("%s: %q, %v", language, m.Short, err)
			}
			data.URL += strings.Repeat("x", 400)
			y = link(t, payswitch.TemplateLink, language, data)
			y.Channel = payswitch.LetterSMS
			if m, err := Render(&y); err == nil {
				t.Errorf("a link that does not fit was sent: %q", m.Short)
			}
		}
	}
}

// FuzzLetterOfAShop: whatever a shop calls itself, its order and what it sells, the
// letter has our headers, our recipient and our one link.
func FuzzLetterOfAShop(f *testing.F) {
	f.Add("HATS\r\nBcc: a@b.example", "A\n\nhttps://evil.example", "<script>alert(1)</script>")
	f.Add("=?utf-8?q?x?=", "\u202egnp.exe", "- one\n- two\n-- \n")
	f.Add(`"><img src=x onerror=1>`, "\x00\x1b[2J", "https://pay.shop.example/pay/cs_01kaz7q2v5e8xv9h2m3n4p5q6r")
	f.Fuzz(func(t *testing.T, shop, order, description string) {
		data := bill()
		data.Shop, data.Order, data.Description = shop, order, description
		for _, language := range Languages {
			y := link(t, payswitch.TemplateLink, language, data)
			m, err := Render(&y)
			must(t, err)
			letter, err := letterOf(&m, "Tranzit <pay@tranzit.example>")
			must(t, err)
			var text bytes.Buffer
			_, err = letter.WriteTo(&text)
			must(t, err)
			read, err := netmail.ReadMessage(&text)
			if err != nil {
				t.Fatalf("%v\n%s", err, text.String())
			}
			for name := range read.Header {
				switch name {
				case "From", "To", "Subject", "Date", "Message-Id", "Auto-Submitted", "Mime-Version", "Content-Type":
				default:
					t.Errorf("a header %s", name)
				}
			}
			if read.Header.Get("To") != "<anna@shop.example>" || len(read.Header["Subject"]) != 1 || strings.ContainsAny(m.Subject, "\r\n") {
				t.Errorf("the head: %v", read.Header)
			}
			if strings.Count(m.HTML, "<a ") < 1 || strings.Count(m.HTML, "<a ") != strings.Count(m.HTML, `<a href="`+data.URL+`">`) ||
				strings.Contains(m.HTML, "<script") || strings.Contains(m.HTML, "<img") {
				t.Errorf("the page: %s", m.HTML)
			}
		}
	})
}

// TestWithdrawn: the sender asks whether a link is still open before each letter.
func TestWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		defer q.close()
		y := link(t, payswitch.TemplateLink, "en", bill())
		y.Checkout = payswitch.ID{7}
		q.add(y, letterTo(t, joining.LetterLive, "en"))
		post := &server{}
		defer q.run(Options{Mail: post})()
		time.Sleep(time.Minute)
		if tries, _ := post.seen(); tries != 1 || q.owed() != 0 {
			t.Errorf("%d letters left, %d are owed", tries, q.owed())
		}
	})
}

// TestLinkBySMTP: a letter in Russian goes through a mail server as mail programs read
// it: an encoded subject (RFC 2047), text and HTML of the same, the link whole in each.
func TestLinkBySMTP(t *testing.T) {
	port, got := smtpServer(t, 250)
	s, err := NewSMTP(SMTPOptions{Host: "127.0.0.1", Port: port, TLS: "none", From: "Tranzit <pay@tranzit.example>"})
	must(t, err)
	data := bill()
	data.Shop = "Шляпы"
	y := link(t, payswitch.TemplateLink, "ru", data)
	m, err := Render(&y)
	must(t, err)
	must(t, s.Post(context.Background(), &m))
	letter, err := netmail.ReadMessage(strings.NewReader(<-got))
	must(t, err)
	raw := letter.Header.Get("Subject")
	subject, err := new(mime.WordDecoder).DecodeHeader(raw)
	if err != nil || subject != "Шляпы: счёт на 1 299,00 RUB" || strings.ContainsFunc(raw, func(r rune) bool { return r > '~' }) {
		t.Errorf("the subject is %q, %q, %v", raw, subject, err)
	}
	media, parameters, err := mime.ParseMediaType(letter.Header.Get("Content-Type"))
	if err != nil || media != "multipart/alternative" {
		t.Fatalf("%s, %v", media, err)
	}
	parts := multipart.NewReader(letter.Body, parameters["boundary"])
	for _, want := range []string{"text/plain", "text/html"} {
		part, err := parts.NextPart() // it undoes quoted-printable
		must(t, err)
		text, err := io.ReadAll(part)
		if err != nil || !strings.HasPrefix(part.Header.Get("Content-Type"), want) || !strings.Contains(string(text), data.URL) || !strings.Contains(string(text), "Шляпы выставил") {
			t.Errorf("%s: %s, %v", want, text, err)
		}
	}
}
