package iso

import (
	"bytes"
	"testing"
	"time"
)

// versionOf is a built-in dialect under another meta.
func versionOf(t *testing.T, base, meta string) *Dialect {
	t.Helper()
	d, err := ParseDialect("version.yaml", []byte("inherits: "+base+"\nmeta: {schema: 1, title: A version, "+meta+"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDue(t *testing.T) {
	d := versionOf(t, "ascii87", "id: alfa, version: 4, effective: 2026-12-01, until: 2027-05-31")
	for _, c := range []struct{ at, want string }{
		{"2026-11-30T23:59:59.999Z", "alfa version 4 is effective from 2026-12-01"},
		{"2026-12-01T00:00:00Z", ""},
		{"2027-05-31T23:59:59.999Z", ""},
		{"2027-06-01T00:00:00Z", "alfa version 4 was effective until 2027-05-31"},
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := d.Due(at); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.at, got, c.want)
		}
	}
	if err := versionOf(t, "ascii87", "id: alfa, version: 4").Due(time.Time{}); err != nil {
		t.Errorf("a version without days: %v", err)
	}
	page, err := Describe("ascii87")
	if err != nil {
		t.Fatal(err)
	}
	page.Effective, page.Until = "2026-12-01", "2027-05-31"
	var text bytes.Buffer
	if err := page.WriteText(&text); err != nil || !bytes.Contains(text.Bytes(), []byte("effective until 2027-05-31\n")) {
		t.Errorf("the page does not say until when: %v", err)
	}
}

// TestKeysOfVersions: the same fields make another key in another version, so
// that an answer of one never ends a request of the other.
func TestKeysOfVersions(t *testing.T) {
	one, same := versionOf(t, "ascii87", "id: alfa, version: 1"), versionOf(t, "ascii87", "id: alfa, version: 1")
	two := versionOf(t, "ascii87", "id: alfa, version: 2")
	req := request(t, one, OpPurchase, purchase())
	var ans Message
	answer(t, one, req, &Values{ResponseCode: "00", SentAt: purchase().SentAt}, &ans)
	var asked, got Key
	one.RequestKey(req, &asked)
	if !same.AnswerKey(&ans, &got) || got != asked {
		t.Error("an answer in the same version has another key")
	}
	if !two.AnswerKey(&ans, &got) || got == asked {
		t.Error("an answer in another version has the same key")
	}
}
