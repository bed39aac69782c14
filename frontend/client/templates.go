package client

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"time"
)

// PageTemplate is one version of a shop's own design of the payment page.
type PageTemplate struct {
	Version    int               `json:"version"`
	Object     string            `json:"object"`
	Digest     string            `json:"digest"`
	Note       string            `json:"note"`
	Bytes      int               `json:"bytes"`
	Tested     bool              `json:"tested"`   // it was shown in test mode, so that it may be shown in live mode
	ShownIn    []string          `json:"shown_in"` // test, live
	PreviewURL string            `json:"preview_url"`
	CreatedAt  time.Time         `json:"created_at"`
	CreatedBy  string            `json:"created_by"`
	Files      map[string][]byte `json:"-"` // of GetPageTemplate
}

// PageTemplateLint is what is wrong with a template, if anything.
type PageTemplateLint struct {
	Valid       bool                  `json:"valid"`
	Findings    []PageTemplateFinding `json:"findings"`
	ServedBytes int                   `json:"served_bytes"` // that it adds to the page
	Hosts       []string              `json:"hosts"`        // that its links lead to
}

// PageTemplateFinding is one mistake. Line and Column begin at 1; 0: it is about the
// file as a whole.
type PageTemplateFinding struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Text   string `json:"text"`
}

const templatesPath = "/v1/page_templates"

// asText reports whether a file of a template is sent as text.
func asText(name string) bool { return path.Ext(name) == ".html" || path.Ext(name) == ".css" }

func templateBody(note string, files map[string][]byte) any {
	texts := make(map[string]string, len(files))
	for name, body := range files {
		if texts[name] = string(body); !asText(name) {
			texts[name] = base64.StdEncoding.EncodeToString(body)
		}
	}
	return map[string]any{"note": note, "files": texts}
}

// UploadPageTemplate keeps a version; buyers see it when it is published. A template
// with mistakes is a *Problem whose Fields tell them all. The same files again give
// the version that they have, so it may be repeated.
func (c *Client) UploadPageTemplate(ctx context.Context, note string, files map[string][]byte) (*PageTemplate, error) {
	return sendTemplate[PageTemplate](ctx, c, templatesPath, templateBody(note, files))
}

// LintPageTemplate tells every mistake of a template and keeps nothing.
func (c *Client) LintPageTemplate(ctx context.Context, files map[string][]byte) (*PageTemplateLint, error) {
	return sendTemplate[PageTemplateLint](ctx, c, templatesPath+"/lint", templateBody("", files))
}

func sendTemplate[T any](ctx context.Context, c *Client, to string, body any) (*T, error) {
	ask, err := post(to, "", body)
	if err != nil {
		return nil, err
	}
	return read[T](ctx, c, ask)
}

// ListPageTemplates reads all versions, the newest first.
func (c *Client) ListPageTemplates(ctx context.Context) ([]PageTemplate, error) {
	list, err := read[Page[PageTemplate]](ctx, c, call{method: http.MethodGet, path: templatesPath})
	if err != nil {
		return nil, err
	}
	return list.Data, nil
}

// GetPageTemplate reads a version with its files.
func (c *Client) GetPageTemplate(ctx context.Context, version int) (*PageTemplate, error) {
	got, err := read[struct {
		PageTemplate
		Files map[string]string `json:"files"`
	}](ctx, c, call{method: http.MethodGet, path: templatesPath + segment(strconv.Itoa(version))})
	if err != nil {
		return nil, err
	}
	t := got.PageTemplate
	t.Files = map[string][]byte{}
	for name, text := range got.Files {
		if t.Files[name] = []byte(text); asText(name) {
			continue
		}
		if t.Files[name], err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, fmt.Errorf("client: %s: %w", name, err)
		}
	}
	return &t, nil
}

// PublishPageTemplate shows a version, or with 0 the standard page, to the buyers of
// the key's mode. In live mode the version must have been shown in test mode before.
func (c *Client) PublishPageTemplate(ctx context.Context, version int) error {
	_, err := sendTemplate[struct{}](ctx, c, templatesPath+segment(strconv.Itoa(version))+"/publish", struct{}{})
	return err
}

// RollbackPageTemplate shows the buyers of the key's mode what they saw before, and
// tells which version that is; 0: the standard page. It is sent once: when it ends
// with a *Lost, list the versions to see what is shown.
func (c *Client) RollbackPageTemplate(ctx context.Context) (version int, err error) {
	ask, err := post(templatesPath+"/rollback", "", struct{}{})
	if err != nil {
		return 0, err
	}
	ask.single = true
	got, err := read[struct {
		Version int `json:"version"`
	}](ctx, c, ask)
	if err != nil {
		return 0, err
	}
	return got.Version, nil
}
