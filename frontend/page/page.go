// Package page is the payment page that buyers see: it shows a checkout session,
// takes a card in a plain HTML form, and tells what became of the payment. It
// knows no HTTP server: it answers one request at a time with a whole document
// that needs no other. Without JavaScript it does all it does with it.
//
// Card data goes from the bytes of the request to the switch and nowhere else: no
// page, log or address ever shows it again.
package page

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// Options configure a Service.
type Options struct {
	Switch *payswitch.Switch
	Logger *slog.Logger     // default: slog.Default
	Now    func() time.Time // the wall clock, for the expiry of cards; default time.Now

	// URL is where buyers reach the page from outside, without a path:
	// https://pay.example.com. Default http://127.0.0.1:8080.
	URL string

	// SubmitsPerMinute is how many forms one address may send in a minute, of all
	// sessions together; default 20.
	SubmitsPerMinute int

	// PressesPerMinute is how often one address may press buttons in a minute; default
	// 60.
	PressesPerMinute int

	// PlainReturns lets the forms that shops sign lead back to http:// addresses;
	// default https only.
	PlainReturns bool
}

// MaxSubmitsPerMinute bounds Options.SubmitsPerMinute and PressesPerMinute.
const MaxSubmitsPerMinute = 100_000

// EnsureDefaults fills what was left out.
func (o *Options) EnsureDefaults() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.URL == "" {
		o.URL = "http://127.0.0.1:8080"
	}
	if o.SubmitsPerMinute == 0 {
		o.SubmitsPerMinute = 20
	}
	if o.PressesPerMinute == 0 {
		o.PressesPerMinute = 60
	}
}

// Validate checks bounds. Errors name the option.
func (o *Options) Validate() error {
	if o.Switch == nil {
		return errors.New("page: Switch is required")
	}
	if err := CheckURL(o.URL); err != nil {
		return fmt.Errorf("page: URL %w", err)
	}
	if o.SubmitsPerMinute < 1 || o.SubmitsPerMinute > MaxSubmitsPerMinute {
		return fmt.Errorf("page: SubmitsPerMinute is %d: want 1..%d", o.SubmitsPerMinute, MaxSubmitsPerMinute)
	}
	if o.PressesPerMinute < 1 || o.PressesPerMinute > MaxSubmitsPerMinute {
		return fmt.Errorf("page: PressesPerMinute is %d: want 1..%d", o.PressesPerMinute, MaxSubmitsPerMinute)
	}
	return nil
}

// CheckURL says what is wrong with the address of the page itself.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || strings.TrimRight(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("must be an address without a path, like https://pay.example.com")
	}
	return nil
}

// CheckReturn says what is wrong with an address that the page leads back to;
// plain allows http.
func CheckReturn(text string, plain bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "" || u.User != nil:
		return errors.New("must be an address like https://shop.example/thanks")
	case u.Scheme != "https" && !(plain && u.Scheme == "http"):
		return errors.New("must begin with https://")
	}
	return nil
}

// Service answers buyers. All methods are goroutine-safe.
type Service struct {
	o      Options
	base   string // URL without a slash at its end
	secure bool
	guard  guard
	looks  looks

	presses guard
}

// New makes a Service. Errors name the option at fault.
func New(o Options) (*Service, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Service{o: o, base: strings.TrimRight(o.URL, "/"), secure: strings.HasPrefix(o.URL, "https:")}
	s.guard.init(o.SubmitsPerMinute)
	s.presses.init(o.PressesPerMinute)
	return s, nil
}

// URL is the address of a session's page.
func (s *Service) URL(session payswitch.ID) string {
	return s.base + "/pay/" + session.Text(payswitch.CheckoutPrefix)
}

// Request is one request of a buyer's browser. Its slices belong to the server and
// are overwritten by Answer where they hold a card.
type Request struct {
	Post           bool
	Session        []byte // the last piece of the path
	Query          string
	ContentType    string
	Body           []byte
	Cookie         string // the value of CookieName, or empty
	AcceptLanguage string
	Caller         netip.Addr
	RequestID      string
}

// Response is what the browser gets.
type Response struct {
	Status   int
	Type     string // of Body
	Body     []byte
	Headers  [][2]string
	Location string             // of a 303
	Account  payswitch.Account  // of the session; its Merchant is nil when there is none
	Payment  *payswitch.Payment // that this request made; nil: none
}

// CookieName is the cookie that ties a form to the browser it was made for.
const CookieName = "tranzit_pay"

// visit is one request on its way.
type visit struct {
	*Service
	in       *Request
	out      *Response
	account  payswitch.Account
	session  payswitch.Checkout
	query    url.Values
	language string
	browser  string // the cookie's value
	policy   string // the content policy of what is answered
	preview  *preview
}

// Answer answers a request. It never fails: what cannot be shown is a page that
// says so.
func (s *Service) Answer(in *Request) *Response {
	v := &visit{Service: s, in: in, out: &Response{Status: 200, Type: "text/html; charset=utf-8"}, policy: policy}
	defer clear(in.Body)
	var err error
	if v.query, err = url.ParseQuery(in.Query); err != nil {
		v.query = url.Values{}
	}
	v.language = Accepted(in.AcceptLanguage)
	if word, ok := bytes.CutPrefix(in.Session, []byte(previewPrefix)); ok {
		v.showPreview(string(word))
		v.secureHeaders()
		return v.out
	}
	if id, err := payswitch.ParseID(payswitch.ReplacementPrefix, string(in.Session)); err == nil {
		v.replace(id)
		v.secureHeaders()
		return v.out
	}
	id, err := payswitch.ParseID(payswitch.CheckoutPrefix, string(in.Session))
	if err == nil {
		v.account, v.session, err = s.o.Switch.OpenCheckout(id)
	}
	if err == nil && v.session.Language != "" {
		v.language = v.session.Language
	}
	if wish := v.query.Get("lang"); Speaks(wish) {
		v.language = wish
	}
	switch {
	case err != nil:
		v.absent(err)
	case v.query.Get("poll") != "":
		v.poll()
	case in.Post:
		v.out.Account = v.account
		v.pay()
	default:
		v.out.Account = v.account
		v.show(form{})
	}
	v.secureHeaders()
	return v.out
}

// poll is the state of the session in one word, for the script of the page.
func (v *visit) poll() {
	v.out.Type, v.out.Body = "text/plain; charset=utf-8", []byte(v.state())
}

// here is the path of the session's page in the language that was asked for.
func (v *visit) here() string {
	if v.preview != nil {
		return v.preview.path + "?state=" + v.preview.state + "&lang=" + v.language
	}
	path := "/pay/" + v.session.ID.Text(payswitch.CheckoutPrefix)
	if wish := v.query.Get("lang"); Speaks(wish) {
		path += "?lang=" + wish
	}
	return path
}

// redirect sends the browser to the page anew, so that nothing is sent twice by a
// reload.
func (v *visit) redirect() {
	v.out.Status, v.out.Location, v.out.Type, v.out.Body = 303, v.here(), "text/plain; charset=utf-8", nil
}
