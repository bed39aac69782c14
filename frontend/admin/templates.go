package admin

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/tranzit/tranzit/frontend/design"
	"github.com/tranzit/tranzit/frontend/page"
	payswitch "github.com/tranzit/tranzit/switch"
)

// PageAct is the body of an operator's act about a merchant's page templates.
type PageAct struct {
	Operator string       `json:"operator"`
	Reason   string       `json:"reason"`
	Mode     string       `json:"mode"`              // test or live
	Version  uint32       `json:"version,omitempty"` // publish; 0: the standard page
	Note     string       `json:"note,omitempty"`    // upload
	Files    design.Files `json:"files,omitempty"`   // upload: in base64
}

// PageView is a merchant's page templates and what is shown.
type PageView struct {
	Versions []PageVersionView   `json:"versions"` // the newest first
	Test     uint32              `json:"test"`     // what test mode shows; 0: the standard page
	Live     uint32              `json:"live"`
	Acts     []payswitch.PageAct `json:"acts"`     // the newest first
	Findings []design.Finding    `json:"findings"` // upload: why it was not kept
	Files    design.Files        `json:"files,omitempty"`
}

// PageVersionView is one version.
type PageVersionView struct {
	payswitch.PageVersion
	PreviewURL string `json:"preview_url,omitempty"`
}

func (s *Server) routeTemplates(mux *http.ServeMux) {
	const path = "/admin/v1/merchants/{id}/page_templates"
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		account, err := s.o.Switch.AccountOf(r.PathValue("id"), false)
		if err != nil {
			fail(w, err)
			return
		}
		view := s.pageView(account)
		if number := r.URL.Query().Get("version"); number != "" {
			if view.Files, err = s.pageFiles(account, number); err != nil {
				fail(w, err)
				return
			}
		}
		reply(w, http.StatusOK, view)
	})
	mux.HandleFunc("POST "+path, s.pageAct(func(a payswitch.Account, act *PageAct) ([]design.Finding, error) {
		if s.o.Pages == nil {
			return nil, &payswitch.Refusal{Code: payswitch.CodeInvalidState, Detail: "This process has no payment page."}
		}
		up, err := s.o.Pages.Upload(a, page.Upload{Files: act.Files, Note: act.Note, Act: act.by()})
		return up.Findings, err
	}))
	mux.HandleFunc("POST "+path+"/publish", s.pageAct(func(a payswitch.Account, act *PageAct) ([]design.Finding, error) {
		_, err := s.o.Switch.PublishPage(a, act.Version, act.by())
		return nil, err
	}))
	mux.HandleFunc("POST "+path+"/rollback", s.pageAct(func(a payswitch.Account, act *PageAct) ([]design.Finding, error) {
		_, err := s.o.Switch.RollbackPage(a, act.by())
		return nil, err
	}))
}

func (a *PageAct) by() payswitch.Act { return payswitch.Act{Operator: a.Operator, Reason: a.Reason} }

// pageFiles are the files of the version of a number.
func (s *Server) pageFiles(a payswitch.Account, number string) (design.Files, error) {
	for _, v := range s.o.Switch.PageTemplates(a).Versions {
		if v.Name() == number {
			body, err := s.o.Switch.PageBody(a, v.Number)
			if err != nil {
				return nil, err
			}
			return design.Decode(body)
		}
	}
	return nil, &payswitch.Refusal{Code: payswitch.CodeNotFound, Detail: "There is no such version of the page template."}
}

func (s *Server) pageView(a payswitch.Account) PageView {
	t := s.o.Switch.PageTemplates(a)
	view := PageView{Versions: []PageVersionView{}, Test: t.Shown(false), Live: t.Shown(true), Acts: t.Acts, Findings: []design.Finding{}}
	for _, v := range t.Versions {
		one := PageVersionView{PageVersion: v}
		if s.o.Pages != nil {
			one.PreviewURL = s.o.Pages.PreviewURL(a, v.Number)
		}
		view.Versions = append(view.Versions, one)
	}
	return view
}

// maxPageAct is the longest body: a template in base64.
const maxPageAct = 2 * design.MaxBundle

func (s *Server) pageAct(do func(payswitch.Account, *PageAct) ([]design.Finding, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var act PageAct
		dec := json.NewDecoder(io.LimitReader(r.Body, maxPageAct))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&act); err != nil || act.Mode != "test" && act.Mode != "live" {
			reply(w, http.StatusBadRequest, map[string]string{"error": "the body must be JSON with operator, reason, mode (test or live) and what is asked, at most 128 KiB"})
			return
		}
		account, err := s.o.Switch.AccountOf(r.PathValue("id"), act.Mode == "live")
		var findings []design.Finding
		if err == nil {
			findings, err = do(account, &act)
		}
		if err != nil {
			fail(w, err)
			return
		}
		view := s.pageView(account)
		view.Findings = append(view.Findings, findings...)
		reply(w, http.StatusOK, view)
	}
}
