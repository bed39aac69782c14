package page

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strconv"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

const (
	previewPrefix = "preview."
	// PreviewLife is how long the address of a preview is good.
	PreviewLife = 24 * time.Hour
	previewHead = 8 + 4 // seconds of its end, version
	previewSeal = 16
)

// preview is a look at a version of a template. Nothing is paid in it.
type preview struct {
	version uint32
	path    string
	state   string
}

// previewBar is what the page shows above a preview.
type previewBar struct {
	Version string
	States  []previewState
}

type previewState struct {
	Code, Name string
	Current    bool
}

// previewStates are the states of the page that a preview shows.
var previewStates = []string{"form", "declined", "wait", "action", "done", "expired"}

// PreviewURL is an address under which one version of a merchant's template can be
// seen until PreviewLife is over. Who knows it sees the page with an invented order,
// and nothing of the merchant's.
func (s *Service) PreviewURL(a payswitch.Account, version uint32) string {
	head := binary.BigEndian.AppendUint64(nil, uint64(s.o.Now().Add(PreviewLife).Unix()))
	head = append(binary.BigEndian.AppendUint32(head, version), a.Merchant.ID...)
	return s.base + "/pay/" + previewPrefix + base64.RawURLEncoding.EncodeToString(append(head, s.previewSeal(head)...))
}

func (s *Service) previewSeal(head []byte) []byte {
	seal := s.o.Switch.Fingerprint("PREVIEW", "/pay", head)
	return seal[:previewSeal]
}

// openPreview reads the word of an address.
func (s *Service) openPreview(word string) (merchant string, version uint32, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(word)
	if err != nil || len(raw) <= previewHead+previewSeal {
		return "", 0, false
	}
	head, seal := raw[:len(raw)-previewSeal], raw[len(raw)-previewSeal:]
	if !hmac.Equal(seal, s.previewSeal(head)) || s.o.Now().Unix() >= int64(binary.BigEndian.Uint64(head)) {
		return "", 0, false
	}
	return string(head[previewHead:]), binary.BigEndian.Uint32(head[8:]), true
}

// showPreview answers with the page of an invented session. What is sent to it is
// not looked at.
func (v *visit) showPreview(word string) {
	if wish := v.query.Get("lang"); Speaks(wish) {
		v.language = wish
	}
	merchant, version, ok := v.openPreview(word)
	account, err := v.o.Switch.AccountOf(merchant, false)
	if !ok || err != nil {
		v.absent(errNoPreview)
		return
	}
	state := v.query.Get("state")
	if v.in.Post {
		state = "done"
	} else if !slices.Contains(previewStates, state) {
		state = previewStates[0]
	}
	v.account, v.preview = account, &preview{version: version, path: "/pay/" + previewPrefix + word, state: state}
	v.out.Account = account
	v.session = v.invented(state)
	v.show(form{})
}

var errNoPreview = &payswitch.Refusal{Code: payswitch.CodeNotFound, Detail: "There is no such preview."}

// invented is a session in a state, of nobody.
func (v *visit) invented(state string) payswitch.Checkout {
	now := v.o.Now()
	c := payswitch.Checkout{Amount: 129_900, Currency: "RUB", OrderID: "A-1001", Description: text(v.language, "preview.description"),
		Status: payswitch.CheckoutOpen, ReturnURL: "https://shop.example/"}
	p := &payswitch.Payment{ID: v.o.Switch.NewID(), Status: payswitch.StatusCaptured, AmountAuthorized: c.Amount, CreatedAt: now, ApprovalCode: "A1B2C3"}
	p.Card.Brand, p.Card.Last4 = "mir", "0004"
	switch state {
	case "declined":
		p.Status, p.Decline, c.Payment = payswitch.StatusDeclined, &payswitch.Decline{Code: "insufficient_funds"}, p
	case "wait":
		p.Status, c.Status, c.Payment = payswitch.StatusUnknown, payswitch.CheckoutProcessing, p
	case "action":
		p.Status, c.Status, c.Payment = payswitch.StatusRequiresAction, payswitch.CheckoutProcessing, p
		p.NextAction = &payswitch.NextAction{URL: v.preview.path + "?state=done&lang=" + v.language}
	case "done":
		c.Status, c.Payment = payswitch.CheckoutComplete, p
	case "expired":
		c.Status = payswitch.CheckoutExpired
	}
	return c
}

// previewing says of a page that it is a preview, if it is one.
func (v *visit) previewing(w *view) {
	if v.preview == nil {
		return
	}
	w.More = "state=" + v.preview.state + "&"
	w.Preview = &previewBar{Version: strconv.Itoa(int(v.preview.version))}
	for _, state := range previewStates {
		w.Preview.States = append(w.Preview.States, previewState{state, w.T("preview." + state), state == v.preview.state})
	}
	w.Action, w.Poll = v.here(), ""
}
