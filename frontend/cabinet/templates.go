package cabinet

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/tranzit/tranzit/frontend/design"
	paypage "github.com/tranzit/tranzit/frontend/page"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// templatePath is where a template is brought to.
const templatePath = "/page"

// maxTemplate bounds the form that brings one: all of it stays in memory.
const maxTemplate = 256 << 10

// readTemplate reads the form that brings a template.
func (v *visit) readTemplate() error {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxTemplate)
	if err := v.r.ParseMultipartForm(maxTemplate); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return badForm(err)
	}
	v.said = v.r.PostForm
	return nil
}

// templatePage shows the versions of the shop's own payment page.
type templatePage struct {
	Versions []payswitch.PageVersion
	Acts     []payswitch.PageAct
	Shown    uint32 // in this mode; 0: the standard page
	Test     uint32
	Live     uint32
	CanBack  bool
	Findings []design.Finding // of what was just brought, and not kept
	Problem  string
	Note     string

	preview func(uint32) string
}

// Preview is where a version can be looked at.
func (p templatePage) Preview(number uint32) string { return p.preview(number) }

func (v *visit) listTemplates() error { return v.showTemplates(http.StatusOK, templatePage{}) }

func (v *visit) showTemplates(status int, p templatePage) error {
	if v.s.o.Pages == nil {
		return errNoPage
	}
	t := v.s.sw.PageTemplates(v.account)
	p.Versions, p.Acts, p.Test, p.Live, p.Shown = t.Versions, t.Acts[:min(len(t.Acts), pageSize)], t.Shown(false), t.Shown(true), t.Shown(v.account.Live)
	p.CanBack = len(t.Test) > 0
	if v.account.Live {
		p.CanBack = len(t.Live) > 0
	}
	p.preview = func(number uint32) string { return v.s.o.Pages.PreviewURL(v.account, number) }
	v.render(status, "page", p)
	return nil
}

// uploadTemplate takes files, or one archive. With mistakes the page tells them all.
func (v *visit) uploadTemplate() error {
	if v.s.o.Pages == nil {
		return errNoPage
	}
	files, err := v.templateFiles()
	if err != nil {
		return v.showTemplates(http.StatusUnprocessableEntity, templatePage{Problem: phrase(v.lang, "page.unreadable"), Note: v.form("note")})
	}
	act := people.Act{What: "page_uploaded", Detail: strings.TrimSpace(v.form("note") + " " + files.Digest())}
	if err := v.record(&act); err != nil {
		return err
	}
	up, err := v.s.o.Pages.Upload(v.account, paypage.Upload{Files: files, Note: v.form("note"), Act: v.by()})
	if err == nil && len(up.Findings) > 0 {
		err = &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Detail: "The template has mistakes."}
	}
	if err != nil {
		text, status, ok := v.again(v.refused(&act, err))
		if !ok {
			return err
		}
		if len(up.Findings) > 0 {
			text = phrase(v.lang, "page.mistakes")
		}
		return v.showTemplates(status, templatePage{Findings: up.Findings, Problem: text, Note: v.form("note")})
	}
	return v.done("page", "uploaded")
}

// templateFiles reads what the form brought.
func (v *visit) templateFiles() (design.Files, error) {
	files := design.Files{}
	if v.r.MultipartForm == nil {
		return files, nil
	}
	all := v.r.MultipartForm.File["files"]
	for _, header := range all {
		body, err := readPart(header)
		if err != nil {
			return nil, err
		}
		if len(all) == 1 && strings.HasSuffix(strings.ToLower(header.Filename), ".zip") {
			return design.ReadZip(body)
		}
		if len(files) <= design.MaxFiles && header.Filename != "" {
			files[header.Filename] = body
		}
	}
	return files, nil
}

func readPart(header *multipart.FileHeader) ([]byte, error) {
	f, err := header.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxTemplate))
}

// changeShown writes down what is done to the page that buyers see, and does it.
func (v *visit) changeShown(what, object string, do func() (*payswitch.PageTemplates, error)) error {
	if v.s.o.Pages == nil {
		return errNoPage
	}
	act := people.Act{What: what, Object: object}
	if err := v.record(&act); err != nil {
		return err
	}
	if _, err := do(); err != nil {
		text, status, ok := v.again(v.refused(&act, err))
		if !ok {
			return err
		}
		return v.showTemplates(status, templatePage{Problem: text})
	}
	return v.done("page", what)
}

func (v *visit) publishTemplate() error {
	n, err := strconv.ParseUint(v.form("version"), 10, 32)
	if err != nil {
		return errNoPage
	}
	return v.changeShown("page_published", "version "+strconv.FormatUint(n, 10), func() (*payswitch.PageTemplates, error) {
		return v.s.sw.PublishPage(v.account, uint32(n), v.by())
	})
}

func (v *visit) rollbackTemplate() error {
	return v.changeShown("page_rolled_back", "", func() (*payswitch.PageTemplates, error) { return v.s.sw.RollbackPage(v.account, v.by()) })
}

// downloadTemplate gives the files of a version as an archive.
func (v *visit) downloadTemplate() error {
	n, err := strconv.ParseUint(v.r.PathValue("id"), 10, 32)
	if err != nil {
		return errNoPage
	}
	body, err := v.s.sw.PageBody(v.account, uint32(n))
	if err != nil {
		return err
	}
	files, err := design.Decode(body)
	if err != nil {
		return err
	}
	archive, err := files.WriteZip()
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", `attachment; filename="page-`+strconv.FormatUint(n, 10)+`.zip"`)
	_, err = v.w.Write(archive)
	return err
}
