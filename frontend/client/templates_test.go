package client_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/frontend/client"
)

// TestPageTemplates uploads the template of the documentation against the real
// server, and every first answer is lost on its way.
func TestPageTemplates(t *testing.T) {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	base := openAPI(t)
	c, err := client.Open(client.Options{Base: base, Key: key, HTTP: &http.Client{Transport: &forgetful{inner: transport}}, Pause: time.Millisecond})
	must(t, err)
	ctx := t.Context()
	files := map[string][]byte{}
	for _, name := range []string{"page.html", "page.ru.html", "style.css", "logo.png", "stripes.png"} {
		files[name], err = os.ReadFile("../../docs/page-template/" + name)
		must(t, err)
	}
	lint, err := c.LintPageTemplate(ctx, files)
	if must(t, err); !lint.Valid || len(lint.Hosts) != 1 || lint.ServedBytes == 0 {
		t.Errorf("lint: %+v", lint)
	}
	made, err := c.UploadPageTemplate(ctx, "autumn", files)
	if must(t, err); made.Version != 1 || made.Note != "autumn" || !strings.Contains(made.PreviewURL, "/pay/preview.") {
		t.Errorf("made: %+v", made)
	}
	must(t, c.PublishPageTemplate(ctx, 1))
	list, err := c.ListPageTemplates(ctx)
	if must(t, err); len(list) != 1 || len(list[0].ShownIn) != 1 || !list[0].Tested {
		t.Errorf("list: %+v", list)
	}
	got, err := c.GetPageTemplate(ctx, 1)
	if must(t, err); len(got.Files) != 5 || !bytes.Equal(got.Files["logo.png"], files["logo.png"]) || !bytes.Equal(got.Files["page.html"], files["page.html"]) {
		t.Errorf("%d files", len(got.Files))
	}
	var lost *client.Lost
	if _, err := c.RollbackPageTemplate(ctx); !errors.As(err, &lost) {
		t.Errorf("a rollback whose answer is lost: %v", err)
	}
	if list, err = c.ListPageTemplates(ctx); err != nil || len(list[0].ShownIn) != 0 {
		t.Errorf("after the rollback: %+v, %v", list, err)
	}
	plain, err := client.Open(client.Options{Base: base, Key: key})
	must(t, err)
	must(t, plain.PublishPageTemplate(ctx, 1))
	if version, err := plain.RollbackPageTemplate(ctx); err != nil || version != 0 {
		t.Errorf("rolled back to %d, %v", version, err)
	}
	var problem *client.Problem
	if _, err = c.UploadPageTemplate(ctx, "", map[string][]byte{"page.html": []byte("<script></script>")}); !errors.As(err, &problem) || !strings.Contains(problem.Fields[0].Detail+problem.Fields[1].Detail, "script") {
		t.Errorf("a bad template: %v", err)
	}
}
