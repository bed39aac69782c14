// Package assist lets a shop that was made for the Assist payment system move to
// the switch without rewriting: the same addresses, form parameters, order
// states, answer codes and answer formats, over the same calls of the switch as
// the API of its own. It decides nothing about a payment.
//
// What is known of Assist comes from public documents and public plug-ins;
// docs/assist.md names them and marks what is uncertain.
package assist

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// MinSecret is the least length of a password and of a secret word: the check
// value goes through the payer's browser, so that a short word can be guessed
// from it.
const MinSecret = 12

// Shop says who a Merchant_ID is and how it proves it.
type Shop struct {
	MerchantID string       // digits, as the shop sends it
	Merchant   string       // id of the switch's merchant
	Live       bool         // which of its two accounts
	Login      string       // as the shop sends it
	Password   string       // empty: Password must be one of the merchant's API keys
	SecretWord string       // of check values; empty: none are asked for and none are given
	Delimiter  string       // between the parameters that a request's check value covers; default none
	Currency   iso.Currency // of requests that name none

	// IgnoreReceipts takes requests with items of fiscal receipts, which the switch
	// does not make; else they are refused.
	IgnoreReceipts bool
	// Addresses are those the password may be used from; default any.
	Addresses []netip.Prefix

	password [sha256.Size]byte
	key      *payswitch.APIKey // what the password may do
}

// Options configure an Adapter.
type Options struct {
	Switch *payswitch.Switch
	Shops  []Shop
	Now    func() time.Time // the wall clock; default time.Now
}

// Validate checks the shops. Errors name the one at fault and quote no secret.
func (o *Options) Validate() error {
	if o.Switch == nil {
		return errors.New("assist: Switch is required")
	}
	seen := map[string]bool{}
	for i := range o.Shops {
		s := &o.Shops[i]
		if err := s.Validate(); err != nil {
			return fmt.Errorf("assist: shop %q: %w", s.MerchantID, err)
		}
		if seen[s.MerchantID] {
			return fmt.Errorf("assist: shop %q is there twice", s.MerchantID)
		}
		seen[s.MerchantID] = true
		if _, err := o.Switch.AccountOf(s.Merchant, s.Live); err != nil {
			return fmt.Errorf("assist: shop %q: %w", s.MerchantID, err)
		}
	}
	return nil
}

// Validate checks what can be checked of a shop alone. Errors quote no secret.
func (s *Shop) Validate() error {
	switch {
	case len(s.MerchantID) < 1 || len(s.MerchantID) > 20 || !digitsOnly([]byte(s.MerchantID)):
		return errors.New("the merchant id must be 1 to 20 digits")
	case s.Login == "" || len(s.Login) > 64:
		return errors.New("a login of at most 64 characters is needed")
	case s.Password != "" && len(s.Password) < MinSecret:
		return fmt.Errorf("the password must have at least %d characters", MinSecret)
	case s.SecretWord != "" && len(s.SecretWord) < MinSecret:
		return fmt.Errorf("the secret word must have at least %d characters", MinSecret)
	case s.Delimiter != "" && s.Delimiter != ";":
		return errors.New("the delimiter of check values is ; or none")
	case s.Currency.IsZero():
		return errors.New("a currency is needed")
	}
	return nil
}

// Adapter answers the entry points of Assist. It is immutable but for the orders
// that are at work; its methods are goroutine-safe.
type Adapter struct {
	sw     *payswitch.Switch
	now    func() time.Time
	shops  map[string]*Shop
	queues queues
}

// New makes an Adapter. Errors are those of Options.Validate.
func New(o Options) (*Adapter, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	a := &Adapter{sw: o.Switch, now: o.Now, shops: map[string]*Shop{}}
	if a.now == nil {
		a.now = time.Now
	}
	for i := range o.Shops {
		s := o.Shops[i]
		s.password = sha256.Sum256([]byte(s.Password))
		s.key = &payswitch.APIKey{Live: s.Live, Access: payswitch.Access{Name: "assist", Addresses: s.Addresses}}
		a.shops[s.MerchantID] = &s
	}
	return a, nil
}

// Service is one entry point.
type Service struct {
	Path  string          // with its leading slash
	Get   bool            // a browser may also come with the parameters in the address
	Scope payswitch.Scope // what an API key needs that is used as the password

	is      set
	form    format // of the answer to a form that names none
	browser bool   // it comes from the payer's browser: no password
	do      func(*Ask)
}

// set is a set of services.
type set uint16

const (
	order set = 1 << iota
	request
	silent
	charge
	cancel
	state
	result
	byDate
	recurrent

	paying  = order | request | silent
	acting  = charge | cancel
	looking = state | result
	all     = paying | acting | looking | byDate | recurrent
)

// Services are all entry points there are.
func Services() []*Service {
	read, write := payswitch.ScopePaymentsRead, payswitch.ScopePaymentsWrite
	return []*Service{
		{Path: "/pay/order.cfm", Get: true, is: order, form: formXML, browser: true, do: (*Ask).page},
		{Path: "/pay/payrequest.cfm", is: request, form: formXML, browser: true, do: (*Ask).pageElsewhere},
		{Path: "/pay/silentpay.cfm", Scope: write, is: silent, form: formXML, do: (*Ask).pay},
		{Path: "/charge/charge.cfm", Scope: write, is: charge, form: formCSV, do: (*Ask).charge},
		{Path: "/cancel/cancel.cfm", Scope: write | payswitch.ScopeRefundsWrite, is: cancel, form: formCSV, do: (*Ask).cancel},
		{Path: "/cancel/wscancel.cfm", Scope: write | payswitch.ScopeRefundsWrite, is: cancel, form: formXML, do: (*Ask).cancelNested},
		{Path: "/orderstate/orderstate.cfm", Scope: read, is: state, form: formXML, do: (*Ask).orderState},
		{Path: "/orderresult/orderresult.cfm", Scope: read, is: result, form: formXML, do: (*Ask).orderResult},
		{Path: "/resultbydate/resultbydate.cfm", Scope: read, is: byDate, form: formCSV, do: (*Ask).resultByDate},
		{Path: "/recurrent/rp.cfm", Scope: write, is: recurrent, form: formXML, do: (*Ask).recurrent},
	}
}

// Input is a request as it came. Body and Query are decoded in place and must
// stay until the answer is made; who owns them overwrites them afterwards.
type Input struct {
	ContentType, Body, Query []byte
	RequestID                string // for logs only
}

// Ask is one request on its way. It is not goroutine-safe.
type Ask struct {
	Account payswitch.Account  // of the shop, once Open knows it
	Payment *payswitch.Payment // that was answered, or nil
	Session payswitch.ID       // to whose page the browser is sent; zero: there is an Answer

	adapter *Adapter
	service *Service
	in      Input
	shop    *Shop
	params  params
	wished  format
	english bool
	answer  Answer
}

// Answer is what goes back to the shop.
type Answer struct {
	ContentType string
	Body        []byte
	Code        string        // of a refusal, for the log: its two codes
	RetryAfter  time.Duration // > 0: repeating later can help
}

// Open decodes a request and finds out who sends it. ok is false when it is
// refused already: Answer then says why.
func (a *Adapter) Open(s *Service, in Input) (ask *Ask, ok bool) {
	ask = &Ask{adapter: a, service: s, in: in, wished: s.form}
	for _, step := range []func() *refusal{ask.read, ask.identify, ask.accept} {
		if no := step(); no != nil {
			ask.fail(no)
			return ask, false
		}
	}
	return ask, true
}

// Close overwrites what the request held. The answer stays.
func (k *Ask) Close() { k.params.wipe() }

// Do does what is asked for. REQUIRES: Open said ok.
func (k *Ask) Do() { k.service.do(k) }

// Forbid refuses what the account may not do. detail is one sentence without
// card data.
func (k *Ask) Forbid(detail string) { k.fail(&refusal{first: 19, detail: detail}) }

// TooOften refuses a request above the merchant's rate.
func (k *Ask) TooOften(retry time.Duration) {
	k.fail(&refusal{first: 17, second: 3, retry: retry, detail: "More requests than the merchant's limit allows. Nothing was recorded; repeat later."})
}

// Broken answers a request whose handling went wrong in a way nobody foresaw.
func (k *Ask) Broken() {
	k.fail(&refusal{first: 2, second: 1, retry: time.Second, detail: "Ask for the state of the order before repeating."})
}

// Answer is the answer. REQUIRES: Open refused, or one of the others was called.
func (k *Ask) Answer() Answer { return k.answer }

// identify finds the shop and proves it: by login and password, or, where the
// payer's browser brings the request, by the check value.
func (k *Ask) identify() *refusal {
	id, there := k.params.get("merchant_id")
	if !there {
		return missing("merchant_id")
	}
	if k.shop = k.adapter.shops[string(id)]; k.shop == nil {
		return &refusal{first: 10, second: 100, detail: "There is no such Merchant_ID."}
	}
	account, err := k.adapter.sw.AccountOf(k.shop.Merchant, k.shop.Live)
	if err != nil {
		return &refusal{first: 10, second: 100, detail: "There is no such Merchant_ID."}
	}
	login, hasLogin := k.params.get("login")
	password, hasPassword := k.params.get("password")
	switch {
	case k.service.browser && !hasLogin && !hasPassword:
		k.Account = account
	case !hasLogin:
		return missing("login")
	case !hasPassword:
		return missing("password")
	default:
		if !k.proven(account, login, password) {
			return &refusal{first: 7, second: 102, detail: "Login or Password is wrong."}
		}
	}
	return k.checked()
}

// proven reports whether login and password are the shop's. The password may be
// an API key of the merchant: it then brings what it may do with it.
func (k *Ask) proven(account payswitch.Account, login, password []byte) bool {
	s := k.shop
	known := subtle.ConstantTimeCompare(login, []byte(s.Login)) == 1
	sum := sha256.Sum256(password)
	if known && s.Password != "" && subtle.ConstantTimeCompare(sum[:], s.password[:]) == 1 {
		account.Key = s.key
		k.Account = account
		return true
	}
	by, ok := k.adapter.sw.Authenticate(password)
	if !known || !ok || by.Merchant.ID != s.Merchant || by.Live != s.Live {
		return false
	}
	k.Account = by
	return true
}
