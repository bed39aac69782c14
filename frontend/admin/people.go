package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// PeopleAct is the body of the calls about people and tickets: who does it and why,
// and what is asked.
type PeopleAct struct {
	Operator string `json:"operator"`
	Reason   string `json:"reason"`
	Email    string `json:"email,omitempty"`
	Role     string `json:"role,omitempty"` // set a role; none takes it away
	Mode     string `json:"mode,omitempty"` // test, live or both
	Text     string `json:"text,omitempty"` // answer a ticket
	Close    bool   `json:"close,omitempty"`
	Currency string `json:"currency,omitempty"` // of a refund limit
	Amount   int64  `json:"amount,omitempty"`   // minor units; negative: no limit
}

// UserView is a user as operators see it.
type UserView struct {
	ID        string         `json:"id"`
	Email     string         `json:"email"`
	Name      string         `json:"name"`
	Status    string         `json:"status"` // invited, active or disabled
	Grants    []people.Grant `json:"grants"`
	Passkeys  int            `json:"passkeys"`
	CreatedAt time.Time      `json:"created_at"`
	SeenAt    *time.Time     `json:"seen_at"`        // last sign-in
	Link      string         `json:"link,omitempty"` // sets password and authenticator, once
}

// TicketView is a ticket as operators see it.
type TicketView struct {
	ID      string `json:"id"`
	Payment string `json:"payment,omitempty"`
	people.Ticket
}

// ActView is what somebody did, as operators see it.
type ActView struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Payment string    `json:"payment,omitempty"`
	people.Act
}

func (s *Server) routePeople(mux *http.ServeMux) {
	mux.HandleFunc("GET /admin/v1/merchants/{id}/users", s.users)
	mux.HandleFunc("POST /admin/v1/merchants/{id}/users", s.peopleAct(s.inviteUser))
	mux.HandleFunc("POST /admin/v1/merchants/{id}/users/reset", s.userAct("user_reset", func(u people.User) (people.User, string, error) {
		word, err := s.o.People.Reset(u.ID, nil)
		return u, word, err
	}))
	mux.HandleFunc("POST /admin/v1/merchants/{id}/users/disable", s.userAct("user_disabled", func(u people.User) (people.User, string, error) {
		u, err := s.o.People.SetDisabled(u.ID, true)
		return u, "", err
	}))
	mux.HandleFunc("POST /admin/v1/merchants/{id}/users/enable", s.userAct("user_enabled", func(u people.User) (people.User, string, error) {
		u, err := s.o.People.SetDisabled(u.ID, false)
		return u, "", err
	}))
	mux.HandleFunc("POST /admin/v1/merchants/{id}/refund_limits", s.peopleAct(s.setRefundLimit))
	mux.HandleFunc("GET /admin/v1/merchants/{id}/acts", s.acts)
	mux.HandleFunc("GET /admin/v1/tickets", s.tickets)
	mux.HandleFunc("GET /admin/v1/tickets/{id}", func(w http.ResponseWriter, r *http.Request) {
		t, err := s.ticket(r)
		if err != nil {
			fail(w, err)
			return
		}
		reply(w, http.StatusOK, viewTicket(t))
	})
	mux.HandleFunc("POST /admin/v1/tickets/{id}", s.peopleAct(s.answerTicket))
}

func (s *Server) view(u people.User, word string) UserView {
	v := UserView{ID: u.ID.Text(people.UserPrefix), Email: u.Email, Name: u.Name, Status: u.Status(), Grants: u.Grants, Passkeys: len(u.Passkeys), CreatedAt: u.CreatedAt}
	if !u.SeenAt.IsZero() {
		v.SeenAt = &u.SeenAt
	}
	if word != "" {
		v.Link = s.o.CabinetURL + "/join/" + word
	}
	return v
}

func (s *Server) users(w http.ResponseWriter, r *http.Request) {
	all, err := s.o.People.UsersOf(r.PathValue("id"))
	if err != nil {
		fail(w, err)
		return
	}
	views := []UserView{}
	for _, u := range all {
		views = append(views, s.view(u, ""))
	}
	reply(w, http.StatusOK, map[string]any{"data": views})
}

// modes are the accounts that a body names.
func (a *PeopleAct) modes() ([]bool, error) {
	switch a.Mode {
	case "test":
		return []bool{false}, nil
	case "live":
		return []bool{true}, nil
	case "both":
		return []bool{false, true}, nil
	}
	return nil, &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: "/mode", Detail: "Say for which mode: test, live or both."}
}

// inviteUser gives somebody a role; the role none takes every right of the modes away.
func (s *Server) inviteUser(r *http.Request, a *PeopleAct) (any, error) {
	modes, err := a.modes()
	if err != nil {
		return nil, err
	}
	merchant, role := r.PathValue("id"), people.Role(a.Role)
	var u people.User
	word := ""
	if a.Role == "none" {
		if u, err = s.o.People.Find(a.Email); err != nil {
			return nil, err
		}
		for _, live := range modes {
			if u, err = s.o.People.Regrant(u.ID, people.Grant{Merchant: merchant, Live: live}); err != nil {
				return nil, err
			}
		}
	} else {
		in := people.Invitation{Email: a.Email, By: a.Operator}
		for _, live := range modes {
			in.Grants = append(in.Grants, people.Grant{Merchant: merchant, Live: live, Role: role})
		}
		if u, word, err = s.o.People.Invite(in); err != nil {
			return nil, err
		}
	}
	return s.view(u, word), s.note(a, merchant, "user_changed", people.Act{Object: u.Email, Detail: a.Mode + " " + a.Role})
}

// note writes down what an operator did for a merchant's people, in both modes.
func (s *Server) note(a *PeopleAct, merchant, what string, act people.Act) error {
	act.Merchant, act.Who, act.Operator, act.What = merchant, a.Operator, true, what
	act.Detail += ": " + a.Reason
	for _, live := range []bool{false, true} {
		act.Live = live
		if err := s.o.People.Record(&act); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) userAct(what string, do func(people.User) (people.User, string, error)) http.HandlerFunc {
	return s.peopleAct(func(r *http.Request, a *PeopleAct) (any, error) {
		u, err := s.o.People.Find(a.Email)
		if err != nil {
			return nil, err
		}
		merchant := r.PathValue("id")
		if u.RoleAt(merchant, false) == "" && u.RoleAt(merchant, true) == "" {
			return nil, &payswitch.Refusal{Code: payswitch.CodeNotFound, Detail: "This merchant has no such user."}
		}
		u, word, err := do(u)
		if err != nil {
			return nil, err
		}
		return s.view(u, word), s.note(a, merchant, what, people.Act{Object: u.Email})
	})
}

func (s *Server) acts(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	page, err := s.o.People.Acts(people.ActQuery{Merchant: r.PathValue("id"), Live: q.Get("mode") == "live", Text: q.Get("q"), Limit: 100})
	if err != nil {
		fail(w, err)
		return
	}
	views := []ActView{}
	for _, a := range page.Acts {
		v := ActView{ID: a.ID.Text(people.ActPrefix), At: a.At(), Act: a}
		if !a.Payment.IsZero() {
			v.Payment = a.Payment.Text(payswitch.PaymentPrefix)
		}
		views = append(views, v)
	}
	reply(w, http.StatusOK, map[string]any{"data": views})
}

func viewTicket(t people.Ticket) TicketView {
	v := TicketView{ID: t.ID.Text(people.TicketPrefix), Ticket: t}
	if !t.Payment.IsZero() {
		v.Payment = t.Payment.Text(payswitch.PaymentPrefix)
	}
	return v
}

// tickets are those that wait for an operator, the newest first.
func (s *Server) tickets(w http.ResponseWriter, _ *http.Request) {
	page, err := s.o.People.Tickets(people.TicketQuery{Limit: 100})
	if err != nil {
		fail(w, err)
		return
	}
	views := []TicketView{}
	for _, t := range page.Tickets {
		views = append(views, viewTicket(t))
	}
	reply(w, http.StatusOK, map[string]any{"data": views})
}

func (s *Server) ticket(r *http.Request) (people.Ticket, error) {
	id, err := payswitch.ParseID(people.TicketPrefix, r.PathValue("id"))
	if err != nil {
		return people.Ticket{}, &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Detail: "That is not the id of a ticket."}
	}
	return s.o.People.Ticket(id)
}

func (s *Server) answerTicket(r *http.Request, a *PeopleAct) (any, error) {
	t, err := s.ticket(r)
	if err != nil {
		return nil, err
	}
	if t, err = s.o.People.AnswerTicket(t.ID, people.Reply{By: a.Operator, Operator: true, Text: a.Text, Close: a.Close}); err != nil {
		return nil, err
	}
	act := people.Act{Merchant: t.Merchant, Live: t.Live, Who: a.Operator, Operator: true, What: "ticket_answered", Object: t.ID.Text(people.TicketPrefix), Payment: t.Payment}
	return viewTicket(t), s.o.People.Record(&act)
}

// peopleAct reads the body. Every act of an operator carries a name; all but answers
// carry a reason.
func (s *Server) peopleAct(do func(*http.Request, *PeopleAct) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var a PeopleAct
		dec := json.NewDecoder(io.LimitReader(r.Body, maxAct))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&a); err != nil {
			reply(w, http.StatusBadRequest, map[string]string{"error": "the body must be JSON with operator, reason and what is asked"})
			return
		}
		by := payswitch.Act{Operator: a.Operator, Reason: a.Reason}
		if a.Text != "" || a.Close {
			by.Reason = "an answer"
		}
		if err := by.Validate(); err != nil {
			fail(w, err)
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

// RefundLimits are how much of one payment one person may give back in the cabinet,
// by mode and currency, in minor units.
type RefundLimits map[string]map[string]int64

// setRefundLimit sets what one person may refund, in the modes that are named.
func (s *Server) setRefundLimit(r *http.Request, a *PeopleAct) (any, error) {
	modes, err := a.modes()
	if err != nil {
		return nil, err
	}
	if _, err := iso.ParseCurrency(a.Currency); err != nil {
		return nil, &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: "/currency", Detail: "Must be an alphabetic code of ISO 4217, like EUR."}
	}
	out, merchant := RefundLimits{}, r.PathValue("id")
	for _, live := range modes {
		word := "test"
		if live {
			word = "live"
		}
		if out[word], err = s.o.People.SetRefundLimit(merchant, live, a.Currency, a.Amount); err != nil {
			return nil, err
		}
	}
	return out, s.note(a, merchant, "refund_limit", people.Act{Detail: fmt.Sprintf("%s %s %d", a.Mode, a.Currency, a.Amount)})
}
