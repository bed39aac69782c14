package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// Webhook is one line of /admin/v1/webhooks: an endpoint and what it is owed.
type Webhook struct {
	ID             string     `json:"id"`
	Merchant       string     `json:"merchant"`
	Live           bool       `json:"livemode"`
	URL            string     `json:"url"`
	Types          []string   `json:"types"`
	State          string     `json:"state"` // working, failing or disabled
	DisabledReason string     `json:"disabled_reason,omitempty"`
	FailingSince   *time.Time `json:"failing_since,omitempty"`
	OldestOwed     *time.Time `json:"oldest_owed,omitempty"` // the time of the oldest event it was not told of yet
}

// Replay is the body of a replay: who asks for it, why, and for which period.
type Replay struct {
	Operator string    `json:"operator"`
	Reason   string    `json:"reason"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"` // zero: until now
}

// Replayed is the answer to a replay.
type Replayed struct {
	Events   int        `json:"events"`
	NextFrom *time.Time `json:"next_from,omitempty"` // the period has more events: go on here
}

func (s *Server) routeWebhooks(mux *http.ServeMux) {
	mux.HandleFunc("GET /admin/v1/webhooks", s.webhooks)
	for word, enabled := range map[string]bool{"enable": true, "disable": false} {
		mux.HandleFunc("POST /admin/v1/webhooks/{id}/"+word, s.act(func(text string, a Act) error {
			id, err := payswitch.ParseID(payswitch.EndpointPrefix, text)
			if err != nil {
				return errEndpointID
			}
			return s.o.Switch.Outbox().EnableEndpoint(id, enabled, a.by())
		}))
	}
	mux.HandleFunc("POST /admin/v1/webhooks/{id}/replay", s.replay)
}

var errEndpointID = &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Detail: "That is not the id of a webhook endpoint."}

func (s *Server) webhooks(w http.ResponseWriter, _ *http.Request) {
	list, err := s.o.Switch.Outbox().Standings()
	if err != nil {
		fail(w, err)
		return
	}
	out := make([]Webhook, 0, len(list))
	for _, l := range list {
		e := l.Endpoint
		line := Webhook{ID: e.ID.Text(payswitch.EndpointPrefix), Merchant: e.Merchant, Live: e.Live, URL: e.URL, Types: e.Types,
			State: "working", DisabledReason: e.Disabled}
		if !e.Failing.IsZero() {
			line.State, line.FailingSince = "failing", &e.Failing
		}
		if !e.Enabled {
			line.State = "disabled"
		}
		if !l.Oldest.IsZero() {
			at := l.Oldest.Time()
			line.OldestOwed = &at
		}
		out = append(out, line)
	}
	reply(w, http.StatusOK, map[string]any{"data": out})
}

func (s *Server) replay(w http.ResponseWriter, r *http.Request) {
	var p Replay
	dec := json.NewDecoder(io.LimitReader(r.Body, maxAct))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil || p.From.IsZero() || !p.To.IsZero() && p.To.Before(p.From) {
		reply(w, http.StatusBadRequest, map[string]string{"error": "the body must be JSON with operator, reason, from and, after it, to"})
		return
	}
	id, err := payswitch.ParseID(payswitch.EndpointPrefix, r.PathValue("id"))
	if err != nil {
		fail(w, errEndpointID)
		return
	}
	done, err := s.o.Switch.Outbox().ReplayFor(id, p.From, p.To, payswitch.Act{Operator: p.Operator, Reason: p.Reason})
	if err != nil {
		fail(w, err)
		return
	}
	answer := Replayed{Events: done.Events}
	if done.More {
		answer.NextFrom = &done.Next
	}
	reply(w, http.StatusOK, answer)
}
