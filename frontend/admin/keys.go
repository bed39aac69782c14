package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// KeyAct is the body of the calls about a merchant's API keys: who does it and
// why, and what is asked.
type KeyAct struct {
	Operator string `json:"operator"`
	Reason   string `json:"reason"`
	Mode     string `json:"mode,omitempty"`           // create: test or live
	KeepOld  *int   `json:"keep_old_hours,omitempty"` // roll: how long the old key goes on; default 24
	payswitch.KeyWish
}

func (s *Server) routeKeys(mux *http.ServeMux) {
	mux.HandleFunc("GET /admin/v1/merchants/{id}/keys", s.keys)
	mux.HandleFunc("POST /admin/v1/merchants/{id}/keys", s.keyAct(s.createKey))
	mux.HandleFunc("POST /admin/v1/merchants/{id}/keys/{key}/roll", s.keyAct(func(r *http.Request, a *KeyAct) (payswitch.KeyView, error) {
		grace := payswitch.DefaultKeyGrace
		if a.KeepOld != nil {
			grace = time.Duration(*a.KeepOld) * time.Hour
		}
		account, id, err := s.keyOf(r)
		if err != nil {
			return payswitch.KeyView{}, err
		}
		k, err := s.o.Switch.RollKey(account, id, grace, a.by())
		return k.View(time.Now()), err
	}))
	mux.HandleFunc("POST /admin/v1/merchants/{id}/keys/{key}/revoke", s.keyAct(func(r *http.Request, a *KeyAct) (payswitch.KeyView, error) {
		account, id, err := s.keyOf(r)
		if err != nil {
			return payswitch.KeyView{}, err
		}
		k, err := s.o.Switch.RevokeKey(account, id, a.by())
		return k.View(time.Now()), err
	}))
}

func (a *KeyAct) by() payswitch.Act { return payswitch.Act{Operator: a.Operator, Reason: a.Reason} }

// keys answers with the merchant's keys of both modes, the test ones first.
func (s *Server) keys(w http.ResponseWriter, r *http.Request) {
	views := []payswitch.KeyView{}
	for _, live := range []bool{false, true} {
		account, err := s.o.Switch.AccountOf(r.PathValue("id"), live)
		if err != nil {
			fail(w, err)
			return
		}
		for _, k := range s.o.Switch.APIKeys(account) {
			views = append(views, k.View(time.Now()))
		}
	}
	reply(w, http.StatusOK, map[string]any{"data": views})
}

func (s *Server) createKey(r *http.Request, a *KeyAct) (payswitch.KeyView, error) {
	if a.Mode != "test" && a.Mode != "live" {
		return payswitch.KeyView{}, &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: "/mode", Detail: "Say for which mode: test or live."}
	}
	account, err := s.o.Switch.AccountOf(r.PathValue("id"), a.Mode == "live")
	if err != nil {
		return payswitch.KeyView{}, err
	}
	access, err := a.Access()
	if err != nil {
		return payswitch.KeyView{}, err
	}
	k, err := s.o.Switch.IssueKey(account, access, a.by())
	return k.View(time.Now()), err
}

// keyOf finds the account that the key of the path belongs to.
func (s *Server) keyOf(r *http.Request) (a payswitch.Account, id payswitch.ID, err error) {
	if id, err = payswitch.ParseID(payswitch.APIKeyPrefix, r.PathValue("key")); err != nil {
		return a, id, &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Detail: "That is not the id of an API key."}
	}
	for _, live := range []bool{false, true} {
		if a, err = s.o.Switch.AccountOf(r.PathValue("id"), live); err != nil {
			return a, id, err
		}
		if _, err = s.o.Switch.APIKey(a, id); err == nil {
			return a, id, nil
		}
	}
	return a, id, err
}

func (s *Server) keyAct(do func(*http.Request, *KeyAct) (payswitch.KeyView, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var a KeyAct
		dec := json.NewDecoder(io.LimitReader(r.Body, maxAct))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&a); err != nil {
			reply(w, http.StatusBadRequest, map[string]string{"error": "the body must be JSON with operator, reason and what is asked"})
			return
		}
		view, err := do(r, &a)
		if err != nil {
			fail(w, err)
			return
		}
		reply(w, http.StatusOK, view)
	}
}
