package admin

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/tranzit/tranzit/frontend/guide"
	"github.com/tranzit/tranzit/frontend/page"
	payswitch "github.com/tranzit/tranzit/switch"
)

// ButtonAct is the body of an operator's act about a merchant's buttons.
type ButtonAct struct {
	Operator string `json:"operator"`
	Reason   string `json:"reason"`
	Key      string `json:"key,omitempty"` // create: the same for a repeat
	payswitch.ButtonWish
}

// errNoPages refuses what needs the payment page.
var errNoPages = &payswitch.Refusal{Code: payswitch.CodeInvalidState, Detail: "This process has no payment page."}

// pagesOf lets a call through when there is a payment page.
func (s *Server) pagesOf(do http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.o.Pages == nil {
			fail(w, errNoPages)
			return
		}
		do(w, r)
	}
}

func (s *Server) routeButtons(mux *http.ServeMux) {
	const path = "/admin/v1/merchants/{id}/buttons"
	mux.HandleFunc("GET "+path, s.pagesOf(s.buttons))
	mux.HandleFunc("POST "+path+"/{mode}", s.pagesOf(s.buttonAct(func(r *http.Request, a payswitch.Account, act *ButtonAct) (payswitch.Button, error) {
		wish, err := act.Button()
		if err == nil {
			err = page.CheckButton(&wish, false)
		}
		if err != nil {
			return payswitch.Button{}, err
		}
		body, err := json.Marshal(act.ButtonWish)
		if err != nil || act.Key == "" || len(act.Key) > 200 {
			return payswitch.Button{}, &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: "/key", Detail: "Give the act a key of 1 to 200 characters, the same for a repeat."}
		}
		made, _, err := s.o.Switch.CreateButton(a, &payswitch.ButtonRequest{IdempotencyKey: "\x00operator" + act.Key,
			Fingerprint: s.o.Switch.Fingerprint("POST", "/admin/buttons", body), Wish: wish})
		return made, err
	})))
	mux.HandleFunc("POST "+path+"/{mode}/{button}/disable", s.pagesOf(s.buttonAct(func(r *http.Request, a payswitch.Account, _ *ButtonAct) (payswitch.Button, error) {
		id, err := payswitch.ParseID(payswitch.ButtonPrefix, r.PathValue("button"))
		if err != nil {
			return payswitch.Button{}, &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Detail: "That is not the id of a button."}
		}
		return s.o.Switch.DisableButton(a, id)
	})))
	mux.HandleFunc("GET /admin/v1/merchants/{id}/guide", s.pagesOf(s.guide))
}

// buttons answers with the merchant's newest buttons of both modes, the test ones first.
func (s *Server) buttons(w http.ResponseWriter, r *http.Request) {
	views := []page.ButtonView{}
	for _, live := range []bool{false, true} {
		a, err := s.o.Switch.AccountOf(r.PathValue("id"), live)
		if err != nil {
			fail(w, err)
			return
		}
		found, err := s.o.Switch.Buttons(a, payswitch.MaxButtons, payswitch.ID{})
		if err != nil {
			fail(w, err)
			return
		}
		for i := range found.Buttons {
			views = append(views, s.o.Pages.Button(&found.Buttons[i], ""))
		}
	}
	reply(w, http.StatusOK, map[string]any{"data": views})
}

func (s *Server) buttonAct(do func(*http.Request, payswitch.Account, *ButtonAct) (payswitch.Button, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var act ButtonAct
		dec := json.NewDecoder(io.LimitReader(r.Body, maxAct))
		dec.DisallowUnknownFields()
		mode := r.PathValue("mode")
		if err := dec.Decode(&act); err != nil || mode != "test" && mode != "live" {
			reply(w, http.StatusBadRequest, map[string]string{"error": "the body must be JSON with operator, reason and what is asked, and the mode test or live"})
			return
		}
		by := payswitch.Act{Operator: act.Operator, Reason: act.Reason}
		a, err := s.o.Switch.AccountOf(r.PathValue("id"), mode == "live")
		if err == nil {
			err = by.Validate()
		}
		if err != nil {
			fail(w, err)
			return
		}
		b, err := do(r, a, &act)
		if err != nil {
			fail(w, err)
			return
		}
		s.o.Logger.Warn("an operator changed a merchant's buttons", "merchant", b.Merchant, "live", b.Live, "button", b.ID.Text(payswitch.ButtonPrefix),
			"by", act.Operator, "reason", act.Reason)
		reply(w, http.StatusOK, s.o.Pages.Button(&b, ""))
	}
}

// guide answers with the merchant's own guide, as Markdown.
func (s *Server) guide(w http.ResponseWriter, r *http.Request) {
	if s.o.Guide == nil {
		fail(w, errNoPages)
		return
	}
	d, err := s.o.Guide.OfMerchant(r.PathValue("id"), r.URL.Query().Get("language"))
	if err != nil {
		fail(w, err)
		return
	}
	text, err := guide.Markdown(&d)
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]string{"markdown": text})
}
