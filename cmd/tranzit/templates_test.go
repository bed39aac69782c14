package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPageByHand lints a template without a server, uploads it to a running switch,
// publishes it, kills the switch, and takes it back.
func TestPageByHand(t *testing.T) {
	const example = "../../docs/page-template"
	if out, err := command(t, "", "merchant", "page", "lint", example); err != nil || !strings.Contains(out, "no mistakes") || !strings.Contains(out, "shop.example") {
		t.Errorf("the example: %v\n%s", err, out)
	}
	bad := t.TempDir()
	if err := os.WriteFile(filepath.Join(bad, "page.html"), []byte("<header>\n<p onclick=x></p></header>"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := command(t, "", "merchant", "page", "lint", bad); err == nil || isUsage(err) || !strings.Contains(out, "page.html:2:4: The attribute onclick") {
		t.Errorf("a bad one: %v\n%s", err, out)
	}
	r := newRigWith(t, rigPlan{})
	r.start()
	do := func(ok bool, args ...string) string {
		t.Helper()
		out, err := r.command(append(append([]string{"merchant", "page"}, args...), "--merchant", "mer_rig", "--admin", r.admin)...)
		if (err == nil) != ok {
			t.Errorf("%v: %v %s", args, err, out)
		}
		return out
	}
	do(false, "upload", bad, "--reason", "test")
	if out := do(true, "upload", example, "--note", "autumn", "--reason", "ticket 7"); !strings.Contains(out, "autumn") || !regexp.MustCompile(`(?m)^standard\s+test, live`).MatchString(out) {
		t.Error(out)
	}
	do(false, "publish", "1", "--mode", "live", "--reason", "too early")
	do(true, "publish", "1", "--reason", "ticket 7")
	do(true, "publish", "1", "--mode", "live", "--reason", "ticket 7")
	r.kill()
	r.start()
	if out := do(true, "list"); !regexp.MustCompile(`(?m)^1\s+test, live`).MatchString(out) {
		t.Errorf("after a kill: %s", out)
	}
	saved := filepath.Join(t.TempDir(), "saved")
	shown := do(true, "show", "1", "--out", saved)
	want, err := os.ReadFile(filepath.Join(example, "style.css"))
	if got, e := os.ReadFile(filepath.Join(saved, "style.css")); err != nil || e != nil || string(got) != string(want) {
		t.Errorf("the saved files: %v, %v", err, e)
	}
	preview := regexp.MustCompile(`http://\S+`).FindString(shown)
	if page := newPerson(t).get(preview + "?state=done&lang=ru"); !strings.Contains(page, "Вы оплачиваете заказ A-1001") {
		t.Errorf("the preview at %s: %.500s", preview, page)
	}
	if out := do(true, "rollback", "--mode", "live", "--reason", "ticket 8"); !regexp.MustCompile(`(?m)^standard\s+live`).MatchString(out) {
		t.Error(out)
	}
}
