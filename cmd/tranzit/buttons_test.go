package main

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// TestButtonByHand makes a button with the operators' commands, twice by one key, presses
// it before and after a kill, reads it in the merchant's guide, and disables it.
func TestButtonByHand(t *testing.T) {
	r := newRigWith(t, rigPlan{})
	r.start()
	do := func(ok bool, args ...string) string {
		t.Helper()
		out, err := r.command(append(append([]string{"merchant"}, args...), "--merchant", "mer_rig", "--admin", r.admin)...)
		if (err == nil) != ok {
			t.Errorf("%v: %v %s", args, err, out)
		}
		return out
	}
	create := []string{"button", "create", "--name", "Socks", "--order", "SOCKS", "--amount", "129900", "--key", "one", "--reason", "ticket 7"}
	made := do(true, create...)
	if again := do(true, create...); again != made {
		t.Errorf("the repeat is %s", again)
	}
	link := regexp.MustCompile(`link: (http://\S+/buy/(btn_\w+))`).FindStringSubmatch(made)
	if link == nil || !strings.Contains(made, `<form method="post" action="`+link[1]+`"`) {
		t.Fatalf("made: %s", made)
	}
	do(false, "button", "create", "--name", "Socks", "--order", "SOCKS", "--reason", "no amount")
	press := func() (int, string) {
		t.Helper()
		answer, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).PostForm(link[1], url.Values{"press": {"one"}})
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode, answer.Header.Get("Location")
	}
	status, first := press()
	r.kill()
	r.start()
	link[1] = regexp.MustCompile(`http://\S+`).FindString(do(true, "button", "list"))
	if code, again := press(); status != 303 || code != 303 || again != first {
		t.Errorf("pressed before and after a kill: %d %s, %d %s", status, first, code, again)
	}
	if guide := do(true, "guide", "--language", "ru"); !strings.Contains(guide, "Руководство") || !strings.Contains(guide, link[2]) || !strings.Contains(guide, "mer_rig") {
		t.Errorf("the guide: %s", guide)
	}
	if out := do(true, "button", "disable", link[2], "--reason", "sold out"); !strings.Contains(out, "disabled") {
		t.Error(out)
	}
	if code, _ := press(); code != 409 {
		t.Errorf("a disabled button is answered %d", code)
	}
}
