package frontend

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/tranzit/tranzit/frontend/design"
	"github.com/tranzit/tranzit/frontend/page"
	payswitch "github.com/tranzit/tranzit/switch"
)

// targetTemplate reads the number of the path, or answers 404. 0 is the standard
// page.
func (c *call) targetTemplate(text []byte) bool {
	n, err := strconv.ParseUint(string(text), 10, 32)
	if err != nil || string(text) != strconv.FormatUint(n, 10) {
		c.refuse(problem{kind: problemNotFound, detail: "There is no such version of the page template."})
		return false
	}
	c.version = uint32(n)
	return true
}

// readTemplate reads an upload, or answers what is wrong with the request.
func (c *call) readTemplate() (up page.Upload, ok bool) {
	if !c.acceptsBody() || !c.noQuery() {
		return up, false
	}
	var d keyReader
	defer d.close()
	good := d.read(c.ctx.Request.Body(), func(name string) bool {
		switch name {
		case "note":
			up.Note = d.line("/note", payswitch.MaxPageNote)
		case "files":
			up.Files = d.files()
		default:
			return false
		}
		return true
	})
	if good && up.Files == nil {
		d.fault("/files", "required", "This member is required.")
	}
	if len(d.faults) > 0 {
		c.refuseFaults(d.faults)
		return up, false
	}
	up.Act = c.by("uploaded")
	return up, true
}

// files reads the files of a template by name: HTML and CSS as text, the others in
// base64.
func (d *keyReader) files() design.Files {
	if !d.object("/files") {
		return nil
	}
	files := design.Files{}
	for name, ok := d.member(); ok; name, ok = d.member() {
		file, pointer := string(name), "/files/"+safeName(name)
		text, ok := d.word(pointer)
		switch body := []byte(string(text)); {
		case !ok:
		case len(files) >= design.MaxFiles:
			d.fault("/files", "too_long", "Must have at most "+strconv.Itoa(design.MaxFiles)+" files.")
		case strings.HasSuffix(file, ".html") || strings.HasSuffix(file, ".css"):
			files[file] = body
		default:
			content, err := base64.StdEncoding.DecodeString(string(body))
			if err != nil {
				d.fault(pointer, "invalid_format", "Must be base64 (RFC 4648, 4).")
			}
			files[file] = content
		}
	}
	return files
}

// createTemplate answers POST /v1/page_templates.
func (c *call) createTemplate() {
	up, ok := c.readTemplate()
	if !ok {
		return
	}
	made, err := c.server.page.Upload(c.account, up)
	switch {
	case err != nil:
		c.refuse(problemOf(err))
		return
	case len(made.Findings) > 0:
		c.refuseTemplate(made.Findings)
		return
	}
	status := 200
	if made.Added {
		status = 201
	}
	c.head = strconv.AppendUint(append(c.head[:0], templatesPath...), uint64(made.Version.Number), 10)
	c.ctx.Response.Header.SetCanonical(headLocation, c.head)
	c.answerJSON(status, c.templateView(&made.Version))
}

const templatesPath = "/v1/page_templates/"

// refuseTemplate tells every mistake of a template with its file and place.
func (c *call) refuseTemplate(findings []design.Finding) {
	faults := make([]fault, 0, len(findings))
	for _, f := range findings {
		where := ""
		if f.Line > 0 {
			where = fmt.Sprintf("Line %d, column %d: ", f.Line, f.Column)
		}
		faults = append(faults, fault{"/files/" + safeName([]byte(f.File)), "template_mistake", where + f.Text})
	}
	c.refuseFaults(faults)
}

// lintTemplate answers POST /v1/page_templates/lint: nothing is kept.
func (c *call) lintTemplate() {
	up, ok := c.readTemplate()
	if !ok {
		return
	}
	d, findings := design.Read(up.Files)
	if findings == nil {
		findings = []design.Finding{}
	}
	view := map[string]any{"object": "page_template_lint", "valid": d != nil, "findings": findings, "served_bytes": nil, "hosts": []string{}}
	if d != nil {
		view["served_bytes"], view["hosts"] = d.Served, append([]string{}, d.Hosts...)
	}
	c.answerJSON(200, view)
}

// listTemplates answers GET /v1/page_templates.
func (c *call) listTemplates() {
	if !c.noQuery() {
		return
	}
	t := c.server.sw.PageTemplates(c.account)
	views := make([]pageTemplate, 0, len(t.Versions))
	for i := range t.Versions {
		views = append(views, c.templateView(&t.Versions[i]))
	}
	c.answerJSON(200, map[string]any{"object": "list", "data": views, "has_more": false, "next_cursor": nil})
}

// getTemplate answers GET /v1/page_templates/{id}, with the files.
func (c *call) getTemplate() {
	if !c.noQuery() {
		return
	}
	v := c.server.sw.PageTemplates(c.account).Find(c.version)
	if v == nil {
		c.refuse(problem{kind: problemNotFound, detail: "There is no such version of the page template."})
		return
	}
	body, err := c.server.sw.PageBody(c.account, c.version)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	files, err := design.Decode(body)
	if err != nil {
		c.refuse(problem{kind: problemInternal, detail: "The files of this version cannot be read."})
		return
	}
	view := c.templateView(v)
	view.Files = map[string]string{}
	for name, content := range files {
		if view.Files[name] = string(content); !strings.HasSuffix(name, ".html") && !strings.HasSuffix(name, ".css") {
			view.Files[name] = base64.StdEncoding.EncodeToString(content)
		}
	}
	c.answerJSON(200, view)
}

// publishTemplate answers POST /v1/page_templates/{id}/publish.
func (c *call) publishTemplate() {
	if c.emptyObject() {
		c.answerShown(c.server.sw.PublishPage(c.account, c.version, c.by("published")))
	}
}

// rollbackTemplate answers POST /v1/page_templates/rollback.
func (c *call) rollbackTemplate() {
	if c.emptyObject() {
		c.answerShown(c.server.sw.RollbackPage(c.account, c.by("rolled back")))
	}
}

func (c *call) answerShown(t *payswitch.PageTemplates, err error) {
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.answerJSON(200, map[string]any{"object": "payment_page", "livemode": c.account.Live, "version": t.Shown(c.account.Live)})
}

// pageTemplate is the object of the API.
type pageTemplate struct {
	Version    uint32            `json:"version"`
	Object     string            `json:"object"`
	Digest     string            `json:"digest"`
	Note       *string           `json:"note"`
	Bytes      int               `json:"bytes"`
	Tested     bool              `json:"tested"`
	ShownIn    []string          `json:"shown_in"`
	PreviewURL string            `json:"preview_url"`
	CreatedAt  *string           `json:"created_at"`
	CreatedBy  string            `json:"created_by"`
	Files      map[string]string `json:"files,omitempty"`
}

func (c *call) templateView(v *payswitch.PageVersion) pageTemplate {
	t := c.server.sw.PageTemplates(c.account)
	view := pageTemplate{Version: v.Number, Object: "page_template", Digest: v.Digest, Note: textOrNull(v.Note), Bytes: v.Bytes, Tested: v.Tested,
		ShownIn: []string{}, PreviewURL: c.server.page.PreviewURL(c.account, v.Number), CreatedAt: momentOrNull(v.CreatedAt), CreatedBy: v.CreatedBy}
	for _, live := range []bool{false, true} {
		if t.Shown(live) == v.Number {
			view.ShownIn = append(view.ShownIn, map[bool]string{false: "test", true: "live"}[live])
		}
	}
	return view
}
