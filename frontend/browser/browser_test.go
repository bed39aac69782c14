package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

const shop = `<!DOCTYPE html><html lang=en><title>Shop</title><meta name=viewport content="width=device-width">
<main><h1>Shop</h1><form action=/paid method=post><label>Name <input name=name></label> <button>Pay</button></form>
<script>document.querySelector("h1").textContent = "Shop with script"</script>`

// serve answers with the shop, and with what it was sent.
func serve(t *testing.T) string {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1"})
		_, err := r.Cookie("seen")
		fmt.Fprint(w, shop, "<p>", r.Header.Get("Accept-Language"), " cookie ", err == nil, "</main>")
	})
	mux.HandleFunc("POST /paid", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<!DOCTYPE html><html lang=en><title>Paid</title><main><h1 id=paid>Paid by %s</h1></main>", r.FormValue("name"))
	})
	mux.HandleFunc("GET /bad", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		fmt.Fprint(w, `<!DOCTYPE html><title>Bad</title><img src=/no.png><table width=2000><td>wide</table><input>`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestVisit(t *testing.T) {
	url := serve(t)
	b := Start(t)
	for _, c := range []struct {
		visitor Visitor
		heading string
	}{{Visitor{Language: "ru"}, "Shop with script"}, {Visitor{NoScript: true, Language: "es"}, "Shop"}} {
		p := b.Visit(t, c.visitor)
		p.Open(url)
		if got := p.Text("h1"); got != c.heading {
			t.Errorf("heading %q, want %q", got, c.heading)
		}
		if got := p.Text("p"); got != c.visitor.Language+" cookie false" {
			t.Errorf("the server saw %q", got)
		}
		p.Fill("input", "Bob")
		p.Fill("input", "")
		if got := p.Value("input"); got != "" {
			t.Errorf("an emptied field holds %q", got)
		}
		p.Fill("input", "Bob")
		p.Fill("input", "Ann")
		p.Follow("button")
		p.Await("#paid")
		if got := p.Text("#paid"); got != "Paid by Ann" || p.Title() != "Paid" || p.URL() != url+"/paid" {
			t.Errorf("after the form: %q, %q at %s", got, p.Title(), p.URL())
		}
		last := p.Requests()[len(p.Requests())-1]
		if last.Method != "POST" && !strings.HasSuffix(last.URL, "favicon.ico") {
			t.Errorf("last request %+v", last)
		}
	}
	p := b.Visit(t, Visitor{})
	p.Open(url)
	p.Shots("browser")
	p.Accessible()
	if data, err := os.ReadFile(Made(t, "screens", "browser-phone.png")); err != nil || len(data) < 1000 {
		t.Errorf("picture: %d bytes, %v", len(data), err)
	}
}

// failures counts what a test would be told.
type failures struct {
	testing.TB
	told []string
}

func (f *failures) Helper() {}
func (f *failures) Errorf(format string, args ...any) {
	f.told = append(f.told, fmt.Sprintf(format, args...))
}

// TestFaultsAreTold keeps the checks from passing whatever they see.
func TestFaultsAreTold(t *testing.T) {
	url := serve(t)
	p := Start(t).Visit(t, Visitor{})
	told := &failures{TB: t}
	p.t = told
	p.Open(url + "/bad")
	p.Accessible()
	if all := strings.Join(told.told, "\n"); !strings.Contains(all, "label") || !strings.Contains(all, "html-has-lang") {
		t.Errorf("axe told %q", told.told)
	}
	told.told = nil
	p.Shots("bad")
	if len(told.told) == 0 {
		t.Error("a page of 2000 pixels fits a phone")
	}
	if all := strings.Join(p.Complaints(), "\n"); !strings.Contains(all, "Content Security Policy") {
		t.Errorf("complaints %q", p.Complaints())
	}
}
