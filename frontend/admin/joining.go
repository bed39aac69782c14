package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
)

// JoiningAct is the body of an operator's act about an application: who does it and
// why, and what is done.
type JoiningAct struct {
	Operator string `json:"operator"`
	Reason   string `json:"reason"`
	joining.Wish
	Name    string `json:"name,omitempty"`    // upload: of the file
	Content []byte `json:"content,omitempty"` // upload: the file, in base64
}

// maxJoiningAct is the longest body: a document of 16 MiB in base64.
const maxJoiningAct = 24 << 20

func (s *Server) routeJoining(mux *http.ServeMux) {
	if s.o.Joining == nil {
		return
	}
	mux.HandleFunc("GET /admin/v1/applications", s.applications)
	mux.HandleFunc("GET /admin/v1/applications/{id}", s.application(func(w http.ResponseWriter, r *http.Request, a *joining.Application) {
		reply(w, http.StatusOK, s.o.Joining.View(a, joining.Actor{Kind: joining.Operator}))
	}))
	mux.HandleFunc("POST /admin/v1/applications/{id}/acts", s.application(s.joiningAct))
	mux.HandleFunc("GET /admin/v1/applications/{id}/documents/{sha256}", s.application(s.document))
	mux.HandleFunc("GET /admin/v1/letters/failed", s.failedLetters)
	mux.HandleFunc("POST /admin/v1/letters/{id}/retry", s.act(func(id string, a Act) error {
		letter, err := payswitch.ParseID(payswitch.LetterPrefix, id)
		if err != nil {
			return &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Detail: "That is not the id of a letter."}
		}
		return s.o.Switch.Letters().Retry(letter, a.by())
	}))
}

// maxApplications is the longest page of applications.
const maxApplications = 1000

func (s *Server) applications(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, before := 100, payswitch.ID{}
	var err error
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxApplications {
			reply(w, http.StatusBadRequest, map[string]string{"error": "limit must be 1..1000"})
			return
		}
	}
	if text := q.Get("before"); text != "" {
		if before, err = payswitch.ParseID(joining.ApplicationPrefix, text); err != nil {
			reply(w, http.StatusBadRequest, map[string]string{"error": "before must be the id of an application"})
			return
		}
	}
	list, more := s.o.Joining.List(joining.Stage(q.Get("stage")), before, limit)
	views := []joining.View{}
	for _, a := range list {
		views = append(views, s.o.Joining.View(a, joining.Actor{Kind: joining.Operator}))
	}
	reply(w, http.StatusOK, map[string]any{"data": views, "has_more": more})
}

// application finds the application of the path for do.
func (s *Server) application(do func(http.ResponseWriter, *http.Request, *joining.Application)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := payswitch.ParseID(joining.ApplicationPrefix, r.PathValue("id"))
		if err != nil {
			fail(w, &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Detail: "That is not the id of an application."})
			return
		}
		a, err := s.o.Joining.Application(id)
		if err != nil {
			fail(w, err)
			return
		}
		do(w, r, a)
	}
}

func (s *Server) joiningAct(w http.ResponseWriter, r *http.Request, a *joining.Application) {
	var act JoiningAct
	dec := json.NewDecoder(io.LimitReader(r.Body, maxJoiningAct))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&act); err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"error": "the body must be JSON with operator, reason, type and what the act takes"})
		return
	}
	by := joining.Actor{Kind: joining.Operator, Name: act.Operator}
	done := joining.Done{Application: a}
	var err error
	if act.Type == joining.ActUpload {
		done.Application, err = s.o.Joining.Upload(a.ID, by, joining.UploadTarget{Bank: act.Bank, Item: act.Item, Name: act.Name, Reason: act.Reason}, act.Content)
	} else {
		done, err = s.o.Joining.Do(a.ID, by, act.Reason, &act.Wish)
	}
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusOK, s.o.Joining.View(done.Application, by))
}

func (s *Server) document(w http.ResponseWriter, r *http.Request, a *joining.Application) {
	d, content, err := s.o.Joining.Document(a, r.PathValue("sha256"))
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", d.Type)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Disposition", "attachment")
	_, _ = w.Write(content)
}

// FailedLetter is a letter that was given up.
type FailedLetter struct {
	ID       string `json:"id"`
	Channel  string `json:"channel"`
	To       string `json:"to"`
	Template string `json:"template"`
	Attempts int    `json:"attempts"`
	Error    string `json:"error"`
}

func (s *Server) failedLetters(w http.ResponseWriter, _ *http.Request) {
	list, err := s.o.Switch.Letters().Failed(maxApplications)
	if err != nil {
		fail(w, err)
		return
	}
	out := []FailedLetter{}
	for _, y := range list {
		out = append(out, FailedLetter{ID: y.ID.Text(payswitch.LetterPrefix), Channel: y.Channel, To: y.To, Template: y.Template, Attempts: y.Attempts, Error: y.Error})
	}
	reply(w, http.StatusOK, map[string]any{"data": out})
}
