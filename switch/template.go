package payswitch

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// spaceTemplate holds the templates of merchants' payment pages. What is in them
// is known to the floor above.
const spaceTemplate storage.Space = 'P'

// The first byte of a key in spaceTemplate. It is stored: never reuse one.
const (
	templateHead = 'h' // merchant id -> PageTemplates
	templateBody = 'b' // merchant id, 0, number -> the files
)

// Limits of page templates.
const (
	MaxPageVersions = 50        // of one merchant; the oldest that is not shown makes room for a new one
	MaxPageBody     = 128 << 10 // bytes of one version as it is kept
	MaxPageNote     = 200
	maxPageActs     = 100
	maxPageShown    = 20 // how far back rolling back goes
)

// PageVersion is one version of a merchant's page template. Its files never change.
type PageVersion struct {
	Number    uint32    `json:"number"`
	Digest    string    `json:"digest"`
	Bytes     int       `json:"bytes"`
	Note      string    `json:"note,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	Tested    bool      `json:"tested,omitempty"` // it was shown in test mode
}

// Name is the version's number as people write it.
func (v *PageVersion) Name() string { return strconv.Itoa(int(v.Number)) }

// PageAct is what somebody did with a merchant's page templates.
type PageAct struct {
	At      time.Time `json:"at"`
	By      string    `json:"by"`
	What    string    `json:"what"` // PageUploaded, PagePublished or PageRolledBack
	Live    bool      `json:"live,omitempty"`
	Version uint32    `json:"version"` // 0: the standard page
}

// What is done with page templates. The words are stored.
const (
	PageUploaded   = "uploaded"
	PagePublished  = "published"
	PageRolledBack = "rolled_back"
)

// PageTemplates are a merchant's versions and what each mode shows. A value that was
// handed out never changes.
type PageTemplates struct {
	Versions []PageVersion `json:"versions"` // the newest first
	Last     uint32        `json:"last"`     // the highest number that was given
	Test     []uint32      `json:"test"`     // what test mode showed, the present one last; 0: the standard page
	Live     []uint32      `json:"live"`
	Acts     []PageAct     `json:"acts"` // the newest first
}

// Shown is the version that a mode shows; 0: the standard page.
func (t *PageTemplates) Shown(live bool) uint32 {
	shown := t.Test
	if live {
		shown = t.Live
	}
	if len(shown) == 0 {
		return 0
	}
	return shown[len(shown)-1]
}

// Find is the version of a number; nil: there is none.
func (t *PageTemplates) Find(number uint32) *PageVersion {
	for i := range t.Versions {
		if t.Versions[i].Number == number {
			return &t.Versions[i]
		}
	}
	return nil
}

func (t *PageTemplates) clone() *PageTemplates {
	return &PageTemplates{Versions: slices.Clone(t.Versions), Last: t.Last, Test: slices.Clone(t.Test), Live: slices.Clone(t.Live), Acts: slices.Clone(t.Acts)}
}

// pageTemplates are those of all merchants. The map is replaced, never changed,
// under mu.
type pageTemplates struct {
	mu sync.Mutex
	by atomic.Pointer[map[string]*PageTemplates]
}

var noTemplates = new(PageTemplates)

func (p *pageTemplates) of(merchant string) *PageTemplates {
	if t := (*p.by.Load())[merchant]; t != nil {
		return t
	}
	return noTemplates
}

func templateKey(merchant string, number uint32) []byte {
	return binary.BigEndian.AppendUint32(append(append([]byte{templateBody}, merchant...), 0), number)
}

// loadTemplates reads what was uploaded in earlier lives, without the files.
func (s *Switch) loadTemplates() error {
	all := map[string]*PageTemplates{}
	var bad error
	err := s.store.Scan(storage.Range{Space: spaceTemplate, Prefix: []byte{templateHead}}, func(key, body []byte) bool {
		t := new(PageTemplates)
		if bad = json.Unmarshal(body, t); bad != nil {
			bad = fmt.Errorf("page templates of %s: %w", key[1:], errRecord)
		}
		all[string(key[1:])] = t
		return bad == nil
	})
	s.templates.by.Store(&all)
	if err == nil {
		err = bad
	}
	return err
}

// PageTemplates are the versions of the account's merchant and what is shown.
func (s *Switch) PageTemplates(a Account) *PageTemplates { return s.templates.of(a.Merchant.ID) }

// ShownPage is the version that buyers of the account see; 0: the standard page.
func (s *Switch) ShownPage(a Account) uint32 { return s.templates.of(a.Merchant.ID).Shown(a.Live) }

var errNoTemplate = &Refusal{Code: CodeNotFound, Detail: "There is no such version of the page template."}

// PageBody reads the files of a version as they were given. Errors are refusals.
func (s *Switch) PageBody(a Account, number uint32) ([]byte, error) {
	body, ok, err := s.store.Get(spaceTemplate, templateKey(a.Merchant.ID, number), nil)
	switch {
	case err != nil:
		s.log.Error("a page template could not be read", "merchant", a.Merchant.ID, "version", number, "error", err)
		return nil, errInternal
	case !ok:
		return nil, errNoTemplate
	}
	return body, nil
}

// PageUnreadable raises the alarm that a version which should be shown cannot be:
// buyers see the standard page.
func (s *Switch) PageUnreadable(a Account, number uint32, why string) {
	s.metrics.alarms.WithLabelValues("page_template").Inc()
	s.log.Error("a page template cannot be shown: buyers see the standard page", "merchant", a.Merchant.ID, "live", a.Live, "version", number, "error", why)
}

// PageUpload is a version to keep. Its files have been looked through by the floor
// above.
type PageUpload struct {
	Body   []byte
	Digest string // of the files
	Note   string
}

// AddPageTemplate keeps a version and shows it to nobody. Files that are kept
// already give the version that they have, and added is false. Errors are refusals.
func (s *Switch) AddPageTemplate(a Account, up *PageUpload, act Act) (v PageVersion, added bool, err error) {
	up.Note = strings.TrimSpace(up.Note)
	switch err := act.Validate(); {
	case err != nil:
		return v, false, err
	case len(up.Note) > MaxPageNote || strings.ContainsAny(up.Note, "\r\n\x00"):
		return v, false, &Refusal{Code: CodeInvalidRequest, Pointer: "/note", Detail: fmt.Sprintf("Must be one line of at most %d bytes.", MaxPageNote)}
	case len(up.Body) > MaxPageBody:
		return v, false, &Refusal{Code: CodeInvalidRequest, Detail: fmt.Sprintf("A page template has at most %d bytes.", MaxPageBody)}
	}
	s.templates.mu.Lock()
	defer s.templates.mu.Unlock()
	t := s.templates.of(a.Merchant.ID).clone()
	for _, had := range t.Versions {
		if had.Digest == up.Digest {
			return had, false, nil
		}
	}
	t.Last++
	v = PageVersion{Number: t.Last, Digest: up.Digest, Bytes: len(up.Body), Note: up.Note, CreatedAt: s.now(), CreatedBy: act.Operator}
	var c storage.Command
	if len(t.Versions) >= MaxPageVersions {
		t.dropOldest(func(number uint32) { c.Delete(spaceTemplate, templateKey(a.Merchant.ID, number)) })
	}
	t.Versions = slices.Insert(t.Versions, 0, v)
	c.Set(spaceTemplate, templateKey(a.Merchant.ID, v.Number), up.Body)
	err = s.keepTemplates(a, t, &c, PageAct{By: act.Operator, What: PageUploaded, Live: a.Live, Version: v.Number})
	return v, err == nil, err
}

// dropOldest forgets the oldest version that no mode shows.
func (t *PageTemplates) dropOldest(drop func(uint32)) {
	for i := len(t.Versions) - 1; i >= 0; i-- {
		number := t.Versions[i].Number
		if number == t.Shown(false) || number == t.Shown(true) {
			continue
		}
		drop(number)
		t.Versions = slices.Delete(t.Versions, i, i+1)
		is := func(n uint32) bool { return n == number }
		t.Test, t.Live = slices.DeleteFunc(t.Test, is), slices.DeleteFunc(t.Live, is)
		return
	}
}

// PublishPage shows a version, or with 0 the standard page, to the buyers of the
// account's mode. A version is shown in live mode only when it was shown in test
// mode before. Errors are refusals.
func (s *Switch) PublishPage(a Account, number uint32, act Act) (*PageTemplates, error) {
	return s.showPage(a, act, func(t *PageTemplates) (PageAct, error) {
		v := t.Find(number)
		switch {
		case v == nil && number != 0:
			return PageAct{}, errNoTemplate
		case v != nil && a.Live && !v.Tested:
			return PageAct{}, wrongState("Version %d was never shown in test mode: publish it there first.", number)
		case v != nil && !a.Live:
			v.Tested = true
		}
		t.push(a.Live, number)
		return PageAct{What: PagePublished, Version: number}, nil
	})
}

// RollbackPage shows what the account's mode showed before the present version.
// Errors are refusals.
func (s *Switch) RollbackPage(a Account, act Act) (*PageTemplates, error) {
	return s.showPage(a, act, func(t *PageTemplates) (PageAct, error) {
		shown := &t.Test
		if a.Live {
			shown = &t.Live
		}
		if len(*shown) == 0 {
			return PageAct{}, wrongState("Nothing was published that could be taken back.")
		}
		*shown = (*shown)[:len(*shown)-1]
		return PageAct{What: PageRolledBack, Version: t.Shown(a.Live)}, nil
	})
}

func (t *PageTemplates) push(live bool, number uint32) {
	shown := &t.Test
	if live {
		shown = &t.Live
	}
	if len(*shown) > 0 && (*shown)[len(*shown)-1] == number {
		return // it is shown already, and taking it back must not seem to do nothing
	}
	*shown = append(*shown, number)
	if over := len(*shown) - maxPageShown; over > 0 {
		*shown = slices.Delete(*shown, 0, over)
	}
}

// showPage changes what a mode shows.
func (s *Switch) showPage(a Account, act Act, change func(*PageTemplates) (PageAct, error)) (*PageTemplates, error) {
	if err := act.Validate(); err != nil {
		return nil, err
	}
	s.templates.mu.Lock()
	defer s.templates.mu.Unlock()
	t := s.templates.of(a.Merchant.ID).clone()
	did, err := change(t)
	if err != nil {
		return nil, err
	}
	did.By, did.Live = act.Operator, a.Live
	if err := s.keepTemplates(a, t, new(storage.Command), did); err != nil {
		return nil, err
	}
	s.log.Warn("the page of a merchant was changed", "merchant", a.Merchant.ID, "live", a.Live, "what", did.What, "version", did.Version, "by", act.Operator, "reason", act.Reason)
	return t, nil
}

// keepTemplates makes a change durable and then puts it in force. REQUIRES: mu.
func (s *Switch) keepTemplates(a Account, t *PageTemplates, c *storage.Command, did PageAct) error {
	did.At = s.now()
	t.Acts = slices.Insert(t.Acts, 0, did)
	t.Acts = t.Acts[:min(len(t.Acts), maxPageActs)]
	body, err := json.Marshal(t)
	if err != nil {
		return errInternal
	}
	c.Set(spaceTemplate, append([]byte{templateHead}, a.Merchant.ID...), body)
	if _, err := s.store.Do(c); err != nil {
		s.log.Error("journal refused a page template", "merchant", a.Merchant.ID, "error", err)
		return errInternal
	}
	next := maps.Clone(*s.templates.by.Load())
	next[a.Merchant.ID] = t
	s.templates.by.Store(&next)
	return nil
}
