package page

import (
	"errors"
	"html/template"
	"sync"

	"github.com/tranzit/tranzit/frontend/design"
	payswitch "github.com/tranzit/tranzit/switch"
)

// maxLooks bounds the templates that are kept ready.
const maxLooks = 512

// looks are the templates of shops that were shown lately, ready to be shown again.
type looks struct {
	mu sync.RWMutex
	by map[lookKey]*look
}

type lookKey struct {
	merchant string
	version  uint32
}

// look is a template with the policy of its pages; its design is nil when it cannot
// be shown.
type look struct {
	design *design.Design
	policy string
}

var plainLook = &look{policy: policy}

// lookOf is what the account's pages look like. A template that cannot be read, or
// that the lint of today refuses, never keeps a buyer from paying: then it is the
// standard page, and an alarm.
func (s *Service) lookOf(a payswitch.Account, version uint32) *look {
	if version == 0 {
		return plainLook
	}
	key := lookKey{a.Merchant.ID, version}
	s.looks.mu.RLock()
	found := s.looks.by[key]
	s.looks.mu.RUnlock()
	if found != nil {
		return found
	}
	found, err := s.readLook(a, version)
	if err != nil {
		s.o.Switch.PageUnreadable(a, version, err.Error())
		if found == nil {
			return plainLook // of this moment: it is read again
		}
	}
	s.looks.mu.Lock()
	defer s.looks.mu.Unlock()
	if s.looks.by == nil || len(s.looks.by) >= maxLooks {
		s.looks.by = map[lookKey]*look{}
	}
	s.looks.by[key] = found
	return found
}

// readLook makes a template ready. With an error and a look the template itself is
// at fault, and the look is the standard one.
func (s *Service) readLook(a payswitch.Account, version uint32) (*look, error) {
	body, err := s.o.Switch.PageBody(a, version)
	if err != nil {
		return nil, err
	}
	files, err := design.Decode(body)
	if err != nil {
		return plainLook, errors.New("its files cannot be read")
	}
	d, findings := design.Read(files)
	if len(findings) > 0 {
		return plainLook, errors.New(findings[0].String())
	}
	return &look{design: d, policy: policyOf(d.Style)}, nil
}

// dress puts the shop's template around a page.
func (v *visit) dress(w *view) {
	version := v.o.Switch.ShownPage(v.account)
	if v.preview != nil {
		version = v.preview.version
	}
	l := v.lookOf(v.account, version)
	v.policy = l.policy
	if l.design == nil {
		return
	}
	w.Themed, w.ShopStyle = true, template.CSS(l.design.Style)
	w.Before, w.After = l.design.Around(w.Language, &design.Values{Amount: w.Amount, Order: w.Order, Description: w.Description, Shop: w.Shop})
}

// Upload lints a template and keeps it; buyers see it once it is published. With
// findings nothing is kept. The same files again give the version they have. Errors
// are refusals.
func (s *Service) Upload(a payswitch.Account, u Upload) (Uploaded, error) {
	d, findings := design.Read(u.Files)
	if len(findings) > 0 {
		return Uploaded{Findings: findings}, nil
	}
	v, added, err := s.o.Switch.AddPageTemplate(a, &payswitch.PageUpload{Body: u.Files.Encode(), Digest: d.Digest, Note: u.Note}, u.Act)
	return Uploaded{Design: d, Version: v, Added: added}, err
}

// Upload is a template that somebody brings.
type Upload struct {
	Files design.Files
	Note  string
	Act   payswitch.Act
}

// Uploaded is what came of it: the version, or what is wrong with the files.
type Uploaded struct {
	Design   *design.Design
	Version  payswitch.PageVersion
	Added    bool // false: these files were there before
	Findings []design.Finding
}
