package admin

import (
	"net/http"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// routeOperators is about the operators who sign in to the cabinet.
func (s *Server) routeOperators(mux *http.ServeMux) {
	mux.HandleFunc("GET /admin/v1/operators", s.operators)
	mux.HandleFunc("POST /admin/v1/operators", s.operatorAct("operator_added", func(a *PeopleAct) (people.User, string, error) {
		return s.o.People.InviteOperator(a.Email, a.Operator)
	}))
	mux.HandleFunc("POST /admin/v1/operators/reset", s.operatorAct("operator_reset", func(a *PeopleAct) (people.User, string, error) {
		u, err := s.o.People.Find(a.Email)
		if err == nil && !u.IsOperator() {
			err = &payswitch.Refusal{Code: payswitch.CodeNotFound, Detail: "There is no such operator."}
		}
		if err != nil {
			return u, "", err
		}
		word, err := s.o.People.Reset(u.ID, nil)
		return u, word, err
	}))
	mux.HandleFunc("POST /admin/v1/operators/remove", s.operatorAct("operator_removed", func(a *PeopleAct) (people.User, string, error) {
		u, err := s.o.People.DropOperator(a.Email)
		return u, "", err
	}))
}

func (s *Server) operators(w http.ResponseWriter, _ *http.Request) {
	all, err := s.o.People.Operators()
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

// operatorAct does what is asked about an operator and writes it down.
func (s *Server) operatorAct(what string, do func(*PeopleAct) (people.User, string, error)) http.HandlerFunc {
	return s.peopleAct(func(_ *http.Request, a *PeopleAct) (any, error) {
		u, word, err := do(a)
		if err != nil {
			return nil, err
		}
		act := people.Act{Who: a.Operator, Operator: true, What: what, Object: u.Email, Detail: a.Reason}
		return s.view(u, word), s.o.People.Record(&act)
	})
}
