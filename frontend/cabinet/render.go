package cabinet

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/bojanz/currency"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

//go:embed pages/*.html
var pageFiles embed.FS

//go:embed static/*
var staticFiles embed.FS

// pages are the templates by language and name, each with the layout.
var pages = parsePages()

func parsePages() map[string]map[string]*template.Template {
	names, err := fs.Glob(pageFiles, "pages/*.html")
	if err != nil {
		panic(err)
	}
	all := map[string]map[string]*template.Template{}
	for _, lang := range languages {
		all[lang] = map[string]*template.Template{}
		for _, name := range names {
			page := strings.TrimSuffix(path.Base(name), ".html")
			if page == "layout" {
				continue
			}
			all[lang][page] = template.Must(template.New("layout.html").Funcs(functionsOf(lang)).ParseFS(pageFiles, "pages/layout.html", name))
		}
	}
	return all
}

// functionsOf are what pages call, in a language.
func functionsOf(lang string) template.FuncMap {
	money := currency.NewFormatter(currency.NewLocale(lang))
	money.CurrencyDisplay = currency.DisplayCode
	return template.FuncMap{
		"t":     func(key string, args ...any) string { return words(lang, key, args...) },
		"event": func(word string) string { return event(lang, word) },
		"term":  func(kind string, word any) string { return term(lang, kind, textOf(word)) },
		"money": func(minor int64, code string) string {
			amount, err := currency.NewAmountFromInt64(minor, code)
			if err != nil {
				return code
			}
			return money.Format(amount)
		},
		"plain":  plainAmount,
		"moment": moment,
		"static": staticAddress,
		"text":   func(id payswitch.ID, prefix string) string { return id.Text(prefix) },
		"can":    func(f frame, word string) bool { return f.can[word] },
		"add":    func(a, b int) int { return a + b },
		"share":  share,
		"qr":     qrPath,
		// A view's query was encoded by the cabinet when it was saved.
		"address":    func(query string) template.URL { return template.URL(query) },
		"navigation": func() []section { return sections },
		"decline":    func(code string) string { return declineIn(lang, code) },
		"languages":  func() []string { return languages },
		"has":        func(list []string, word string) bool { return slices.Contains(list, word) },
	}
}

// section is one entry of the navigation.
type section struct {
	Path, Right string
	pages       []string
}

// Of reports whether a page belongs to the section.
func (s section) Of(page string) bool { return slices.Contains(s.pages, page) }

var sections = []section{
	{"payments", "payments", []string{"payments", "payment", "ask"}}, {"charts", "payments", []string{"charts"}},
	{"batches", "batches", []string{"batches", "batch", "bulk"}}, {"approvals", "approvals", []string{"approvals"}}, {"terminal", "terminal", []string{"terminal"}},
	{"links", "terminal", []string{"links", "link"}},
	{"tickets", "tickets", []string{"tickets", "ticket"}}, {"webhooks", "webhooks", []string{"webhooks", "event"}},
	{"buttons", "buttons", []string{"buttons"}},
	{"keys", "keys", []string{"keys"}}, {"page", "page", []string{"page"}}, {"guide", "guide", []string{"guide"}}, {"joining", "joining", []string{"joining"}}, {"users", "users", []string{"users"}}, {"audit", "audit", []string{"audit"}},
}

// declineIn tells a decline: to people who read English what it means, to others
// what the payer is told.
func declineIn(lang, code string) string {
	d := iso.Declines().Find(code)
	switch {
	case d == nil:
		return strings.ReplaceAll(code, "_", " ")
	case lang == "ru":
		return d.Buyer.RU
	case lang == "es":
		return d.Buyer.ES
	}
	return d.Meaning
}

// moment shows a time that comes as text, to the minute and in UTC.
func moment(text *string) string {
	t, err := time.Parse(time.RFC3339Nano, *text)
	if err != nil {
		return *text
	}
	return t.UTC().Format("2006-01-02 15:04") + " UTC"
}

func textOf(word any) string {
	switch w := word.(type) {
	case string:
		return w
	case people.Role:
		return string(w)
	case payswitch.BankVerdict:
		return string(w)
	case interface{ String() string }:
		return w.String()
	}
	return ""
}

// plainAmount is an amount as it is typed: major units with a point.
func plainAmount(minor int64, code string) string {
	amount, err := currency.NewAmountFromInt64(minor, code)
	if err != nil {
		return ""
	}
	return amount.Number()
}

// frame is what every page has.
type frame struct {
	Lang     string
	Path     string
	Query    string
	CSRF     string
	User     *people.User // nil: nobody is signed in
	Role     people.Role  // at the account
	Base     string       // of the account's pages; empty: the page is of no account
	Shop     string       // the merchant's name
	ShopID   string
	Live     bool
	Shops    []shopLink
	Apply    bool   // shops can apply here
	Operator bool   // the user is one of the house
	Done     string // what the act before did: a key of the catalogue
	Page     string
	Data     any

	zone *time.Location
	can  map[string]bool
}

// shopLink leads to another account of the user.
type shopLink struct {
	Name, Base string
	Live, Here bool
}

// At shows a moment on the merchant's clock.
func (f frame) At(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.In(f.zone).Format("2006-01-02 15:04:05")
}

// Machine shows a moment to programs.
func (f frame) Machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

var rightWords = map[string]people.Right{
	"payments": people.RightPayments, "export": people.RightExport, "capture": people.RightCapture, "refund": people.RightRefund,
	"terminal": people.RightTerminal, "batches": people.RightBatches, "tickets": people.RightTickets, "webhooks": people.RightWebhooks,
	"keys": people.RightKeys, "users": people.RightUsers, "audit": people.RightAudit, "page": people.RightPages,
}

func (v *visit) frame(page string, data any) frame {
	f := frame{Apply: v.s.o.Joining != nil, Lang: v.lang, Path: v.r.URL.Path, Query: v.r.URL.RawQuery, Page: page, Data: data, zone: time.UTC, can: map[string]bool{}}
	if v.word != "" {
		f.User, f.CSRF = &v.session.User, v.token()
		f.Operator = v.session.User.IsOperator() && f.Apply
		for _, g := range v.session.User.Grants {
			a, err := v.s.sw.AccountOf(g.Merchant, g.Live)
			if err != nil {
				continue
			}
			f.Shops = append(f.Shops, shopLink{Name: a.Merchant.Name, Base: basePath(g.Merchant, g.Live), Live: g.Live,
				Here: v.account.Merchant != nil && g.Merchant == v.account.Merchant.ID && g.Live == v.account.Live})
		}
	}
	if m := v.account.Merchant; m != nil {
		f.Base, f.Shop, f.ShopID, f.Live, f.zone = v.base(), m.Name, m.ID, v.account.Live, m.TimeZone
		f.Role = v.session.User.RoleAt(m.ID, v.account.Live)
		for word, right := range rightWords {
			f.can[word] = v.rights.Has(right)
		}
		f.can["page"] = f.can["page"] && v.s.o.Pages != nil
		f.can["buttons"] = v.rights.Has(people.RightKeys) && v.s.o.Pages != nil
		f.can["guide"] = v.rights.Has(people.RightKeys) && v.s.o.Guide != nil
		f.can["approvals"] = v.rights.Has(people.RightRefund) && v.limited()
		f.can["joining"] = v.rights.Has(people.RightTickets) && v.application() != nil
	}
	if done := v.r.URL.Query().Get("done"); phrase(v.lang, "done."+done) != "" {
		f.Done = "done." + done
	}
	return f
}

// render answers with a page.
func (v *visit) render(status int, page string, data any) {
	var out bytes.Buffer
	if err := pages[v.lang][page].Execute(&out, v.frame(page, data)); err != nil {
		v.s.log.Error("a page of the cabinet could not be made", "page", page, "error", err)
		http.Error(v.w, "Something went wrong.", http.StatusInternalServerError)
		return
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.Header().Set("Content-Language", v.lang)
	v.w.WriteHeader(status)
	_, _ = v.w.Write(out.Bytes())
}

func (v *visit) show(page string, data any) error {
	v.render(http.StatusOK, page, data)
	return nil
}

// piece answers with one part of a page, or 304 when the browser has it as it is.
func (v *visit) piece(page, part string, data any) error {
	var out bytes.Buffer
	if err := pages[v.lang][page].ExecuteTemplate(&out, part, v.frame(page, data)); err != nil {
		return err
	}
	sum := sha256.Sum256(out.Bytes())
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	v.w.Header().Set("ETag", tag)
	if v.r.Header.Get("If-None-Match") == tag {
		v.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err := v.w.Write(out.Bytes())
	return err
}

// staticSums make an address of an asset change with it.
var staticSums = sumStatic()

func sumStatic() map[string]string {
	sums := map[string]string{}
	entries, err := staticFiles.ReadDir("static")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		body, err := staticFiles.ReadFile("static/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(body)
		sums[e.Name()] = hex.EncodeToString(sum[:6])
	}
	return sums
}

func staticAddress(name string) string { return "/static/" + name + "?v=" + staticSums[name] }

func serveStatic(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	body, err := staticFiles.ReadFile("static/" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if r.URL.Query().Get("v") == staticSums[name] {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
}
