package cabinet

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
	"github.com/tranzit/tranzit/switch/people"
)

// joiningPage shows how far a shop that joins has come.
type joiningPage struct {
	View    joining.View
	Steps   []joining.Stage
	Reached int // in Steps
	Acts    bool
	Offers  []payswitch.BankView // that can still be chosen
	Secret  string               // of the key just made
	Most    int                  // bytes of a document; 0: none are taken
	Enter   bool                 // the contact may open the cabinet of live mode
	Problem string
}

// May reports whether the stages allow an act now.
func (p joiningPage) May(act string) bool {
	return p.Acts && slices.Contains(p.View.Can, joining.ActType(act))
}

// Old reports whether a check counts no more for its age, or soon will not.
func (p joiningPage) Old(at *string) bool {
	if at == nil {
		return true
	}
	t, err := time.Parse(time.RFC3339Nano, *at)
	return err != nil || time.Since(t) > joining.CheckAge-24*time.Hour
}

// joiningSteps are the stages on the straight way.
var joiningSteps = []joining.Stage{joining.StageApplied, joining.StageTesting, joining.StageJoining, joining.StageLive}

var applicant = joining.Actor{Kind: joining.Applicant}

// application is the one the merchant came from; nil: it came by the configuration.
func (v *visit) application() *joining.Application {
	if v.s.o.Joining == nil || v.account.Merchant == nil {
		return nil
	}
	return v.s.o.Joining.OfMerchant(v.account.Merchant.ID)
}

func (v *visit) showJoining() error { return v.joiningAgain(200, joiningPage{}) }

func (v *visit) joiningAgain(status int, page joiningPage) error {
	a, office := v.application(), v.s.o.Joining
	if a == nil {
		return errNoPage
	}
	page.View, page.Steps, page.Acts = office.View(a, applicant), joiningSteps, v.rights.Has(people.RightUsers)
	page.Reached, page.Most = slices.Index(page.Steps, page.View.Stage), office.MaxDocument()
	page.Enter = v.mayEnterLive(a)
	if page.May(string(joining.ActChoose)) {
		for _, o := range office.Offers(a) {
			page.Offers = append(page.Offers, o.View(v.lang))
		}
	}
	v.render(status, "joining", page)
	return nil
}

// mayEnterLive: whom the application names becomes the first owner in live mode, too.
// Others are let in by that owner, or by the operators.
func (v *visit) mayEnterLive(a *joining.Application) bool {
	u := &v.session.User
	return a.Stage() == joining.StageLive && strings.EqualFold(u.Email, a.Form.Email) && v.rights.Has(people.RightUsers) && u.RoleAt(a.Merchant, true) == ""
}

// actJoining does what an owner may do with one form.
func (v *visit) actJoining() error {
	a := v.application()
	if a == nil {
		return errNoPage
	}
	wish := joining.Wish{Type: joining.ActType(v.form("type")), Bank: v.form("bank")}
	switch wish.Type {
	case joining.ActAcceptContract:
		wish.Signer = strings.TrimSpace(v.form("signer"))
	case joining.ActAnswer:
		wish.Item, wish.Text = v.form("item"), strings.TrimSpace(v.form("text"))
	case joining.ActCheck:
		wish.Check = v.form("check")
	case joining.ActChoose:
		wish.Banks = v.said["bank"]
		wish.Bank = ""
	case joining.ActNewKey:
		wish.Live = v.account.Live
	case joining.ActWithdraw, joining.ActDropBank:
		if v.form("sure") != "1" {
			return v.joiningAgain(http.StatusUnprocessableEntity, joiningPage{Problem: words(v.lang, "problem.sure")})
		}
	default:
		return badForm(nil)
	}
	return v.onApplication(a, people.Act{What: "joining_" + string(wish.Type), Detail: strings.TrimSpace(strings.Join(wish.Banks, " ") + wish.Bank + " " + wish.Item + wish.Check)},
		func() (joining.Done, error) { return v.s.o.Joining.Do(a.ID, applicant, "", &wish) })
}

// onApplication writes down what is asked, does it, and shows what came of it.
func (v *visit) onApplication(a *joining.Application, act people.Act, do func() (joining.Done, error)) error {
	act.Object = a.Name()
	if err := v.record(&act); err != nil {
		return err
	}
	done, err := do()
	if err != nil {
		text, status, ok := v.again(err)
		if err := v.refused(&act, err); !ok {
			return err
		}
		return v.joiningAgain(status, joiningPage{Problem: text})
	}
	if done.Secret != "" {
		return v.joiningAgain(http.StatusOK, joiningPage{Secret: done.Secret})
	}
	return v.done("joining", "saved")
}

// enterLive lets the contact of the application into the cabinet of live mode.
func (v *visit) enterLive() error {
	a := v.application()
	if a == nil || !v.mayEnterLive(a) {
		return errNoPage
	}
	if err := v.record(&people.Act{What: "joining_enter_live", Object: a.Name()}); err != nil {
		return err
	}
	if _, err := v.s.people.Regrant(v.session.User.ID, people.Grant{Merchant: a.Merchant, Live: true, Role: people.RoleOwner}); err != nil {
		return err
	}
	v.redirect(basePath(a.Merchant, true) + "/joining")
	return nil
}

// Limits of the form with a document.
const (
	uploadPath  = "/joining/upload"
	uploadLasts = 2 * time.Minute
)

// upload is the form with a document, as it was read.
type upload struct {
	name    string
	content []byte
}

// readUpload reads a form with a file. Only who is signed in may send one: others
// are sent to sign in with nothing read.
func (v *visit) readUpload() error {
	if _, err := v.s.people.Session(v.cookie(cookieSession)); err != nil {
		return nil
	}
	most := int64(0)
	if v.s.o.Joining != nil {
		most = int64(v.s.o.Joining.MaxDocument())
	}
	_ = http.NewResponseController(v.w).SetReadDeadline(time.Now().Add(uploadLasts))
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, most+maxBody)
	switch err := v.r.ParseMultipartForm(most + maxBody); {
	case errors.Is(err, http.ErrNotMultipart):
		v.said = v.r.PostForm
		return nil
	case err != nil:
		return badForm(err)
	}
	defer func() { _ = v.r.MultipartForm.RemoveAll() }()
	v.said = v.r.MultipartForm.Value
	files := v.r.MultipartForm.File["document"]
	if len(files) != 1 {
		return nil
	}
	f, err := files[0].Open()
	if err != nil {
		return badForm(err)
	}
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	v.file = upload{name: filepath.Base(strings.ReplaceAll(files[0].Filename, `\`, "/")), content: content}
	return errors.Join(err, f.Close())
}

// uploadDocument takes a document for an item of a bank's checklist.
func (v *visit) uploadDocument() error {
	a := v.application()
	if a == nil {
		return errNoPage
	}
	target := joining.UploadTarget{Bank: v.form("bank"), Item: v.form("item"), Name: v.file.name}
	return v.onApplication(a, people.Act{What: "joining_upload", Detail: target.Bank + " " + target.Item}, func() (joining.Done, error) {
		_, err := v.s.o.Joining.Upload(a.ID, applicant, target, v.file.content)
		return joining.Done{}, err
	})
}

// showDocument gives a document back to who gave it.
func (v *visit) showDocument() error {
	a := v.application()
	if a == nil {
		return errNoPage
	}
	return v.document(a)
}

// document answers with the document of the path. It is never shown within a page:
// it came from outside.
func (v *visit) document(a *joining.Application) error {
	d, content, err := v.s.o.Joining.Document(a, v.r.PathValue("id"))
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", d.Type)
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": d.Name}))
	_, _ = v.w.Write(content)
	return nil
}
