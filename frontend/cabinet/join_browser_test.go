package cabinet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/frontend/browser"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
	"github.com/tranzit/tranzit/switch/people"
)

// TestPersonJoins walks the way of a shop in Chromium, in every language, once of
// them without script: a form with mistakes, the letter, the access with a second
// factor, the choice of a bank, a document; and the operators' side of it.
func TestPersonJoins(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, func(o *payswitch.Options) { o.Banks = append(o.Banks, liveBank(t, o.Banks[0])) })
	office := r.office()
	r.operator("ann@house.example")
	ann, err := r.people.Find("ann@house.example")
	r.must(err)
	charter := filepath.Join(t.TempDir(), "charter.pdf")
	r.must(os.WriteFile(charter, []byte("%PDF-1.7 charter"), 0o600))
	b := browser.Start(t)
	for i, lang := range []string{"en", "ru", "es", "es"} {
		scripted := i < 3
		p := b.Visit(t, browser.Visitor{Language: lang, NoScript: !scripted})
		look := func(p *browser.Page, lang, name string) {
			if scripted {
				look(p, lang, name)
			}
		}
		email := fmt.Sprintf("%s%d@roses.example", lang, i)
		r.appliesBy(p, lang, email, look)
		letter := r.lastLetter(joining.LetterConfirm)
		p.Open(letter.Cabinet + confirmPath + letter.Application + "?code=" + letter.Code)
		p.Follow("form button")
		look(p, lang, "opened")
		if key := p.Text("#key"); !strings.HasPrefix(key, "sk_test_") {
			t.Errorf("%s: the key is %.8s", lang, key)
		}
		p.Follow("a.button")
		p.Fill("#password", goodPassword)
		p.Fill("#again", goodPassword)
		p.Fill("#code", codeOf(t, people.Authenticator{Secret: p.Text("#secret")}, time.Now()))
		p.Follow("form button")
		p.Follow("a.button")
		p.Follow(`a[href$="/joining"]`)
		look(p, lang, "joining-banks")
		p.Click(`input[name=bank]`)
		p.Follow(`form:has(input[value=choose_banks]) button`)
		p.Upload(`input[type=file]`, charter)
		p.Follow(`form[action$="/upload"] button`)
		look(p, lang, "joining-given")
		if p.Text(".item") == "" || !strings.Contains(p.Text("main"), "charter.pdf") {
			t.Errorf("%s: the document is not shown", lang)
		}
		for _, said := range p.Complaints() {
			if !strings.Contains(said, "422") { // of the form with mistakes
				t.Errorf("%s: the browser complains: %s", lang, said)
			}
		}
		r.operatorAccepts(b, office, ann, lang)
	}
}

// operatorAccepts looks at the newest application and accepts what was given.
func (r *rig) operatorAccepts(b *browser.Browser, office *joining.Office, ann people.User, lang string) {
	t := r.t
	t.Helper()
	o := b.Visit(t, browser.Visitor{Language: lang})
	word, err := r.people.EntryLink(ann.ID)
	r.must(err)
	o.Open(r.url + "/enter/" + word)
	o.Follow("form button")
	look(o, lang, "queue")
	o.Follow("td a.row")
	look(o, lang, "application")
	o.Fill(`form:has(input[value=set_item]) input[name=reason]`, "good")
	o.Follow(`form:has(input[value=set_item]) button[value=accepted]`)
	o.Await(".note")
	a, _ := office.List("", payswitch.ID{}, 1)
	if v := office.View(a[0], applicant); len(v.Banks) != 1 || v.Banks[0].Stage != joining.TrackContract {
		t.Errorf("%s: the bank is at %+v", lang, v.Banks)
	}
	if all := o.Complaints(); len(all) > 0 {
		t.Errorf("%s: the operator's browser complains: %s", lang, strings.Join(all, "\n"))
	}
}

// appliesBy fills in the form as a person does, with mistakes at first.
func (r *rig) appliesBy(p *browser.Page, lang, email string, look func(*browser.Page, string, string)) {
	t := r.t
	t.Helper()
	p.Open(r.url + "/join")
	look(p, lang, "apply")
	p.Fill("#company", "Roses "+lang)
	p.Fill("#mcc", "54")
	p.Follow("form button")
	look(p, lang, "apply-wrong")
	if p.Value("#company") != "Roses "+lang || browser.Eval[int](p, `document.querySelectorAll("[aria-invalid]").length`) != 9 {
		t.Errorf("%s: the form keeps %q; %s", lang, p.Value("#company"), p.Text(".note.bad"))
	}
	for name, value := range goodApplication(email) {
		switch name {
		case "country", "language", "integration", "company":
		default:
			p.Fill("#"+name, value[0])
		}
	}
	p.Choose("#integration", "server")
	p.Choose("#country", "643")
	p.Follow("form button")
	look(p, lang, "confirm")
}
