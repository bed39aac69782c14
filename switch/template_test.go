package payswitch

import (
	"fmt"
	"strings"
	"testing"
)

// upload keeps a version of a template whose files are a word.
func (r *rig) upload(a Account, word string) PageVersion {
	r.t.Helper()
	v, _, err := r.core.AddPageTemplate(a, &PageUpload{Body: []byte(word), Digest: word, Note: " " + word}, rigAct)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

// TestPageTemplates: versions are numbered and kept once, shown in test mode before
// live mode, taken back step by step, and all of it survives a power cut.
func TestPageTemplates(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		test := r.account("one")
		live := test
		live.Live = !test.Live
		if test.Live {
			test, live = live, test
		}
		publish := func(a Account, number, want uint32) {
			t.Helper()
			if _, err := r.core.PublishPage(a, number, rigAct); err != nil || r.core.ShownPage(a) != want {
				t.Errorf("published %d: %v, shown is %d", number, err, r.core.ShownPage(a))
			}
		}
		rollback := func(a Account, want uint32) {
			t.Helper()
			if _, err := r.core.RollbackPage(a, rigAct); err != nil || r.core.ShownPage(a) != want {
				t.Errorf("rolled back: %v, shown is %d, want %d", err, r.core.ShownPage(a), want)
			}
		}
		for i, word := range []string{"a", "b", "c"} {
			if v := r.upload(test, word); v.Number != uint32(i+1) || v.Note != word || v.CreatedBy != rigAct.Operator {
				t.Errorf("%+v", v)
			}
		}
		if v := r.upload(live, "b"); v.Number != 2 || r.core.PageTemplates(test).Last != 3 {
			t.Errorf("the same files again: %+v", v)
		}
		_, err := r.core.PublishPage(live, 1, rigAct)
		wantCode(t, "live before test", err, CodeInvalidState)
		_, err = r.core.PublishPage(test, 4, rigAct)
		wantCode(t, "a version that is not", err, CodeNotFound)
		_, err = r.core.RollbackPage(live, rigAct)
		wantCode(t, "nothing to take back", err, CodeInvalidState)
		if _, err = r.core.PublishPage(test, 1, Act{}); err == nil {
			t.Error("nobody published")
		}
		publish(test, 1, 1)
		publish(test, 2, 2)
		publish(test, 2, 2)
		if r.core.ShownPage(live) != 0 {
			t.Error("test mode changed live mode")
		}
		publish(live, 2, 2)
		publish(live, 1, 1)
		publish(live, 0, 0)
		r.crash()
		r.start()
		if test, live := r.core.ShownPage(test), r.core.ShownPage(live); test != 2 || live != 0 {
			t.Errorf("in the next life test shows %d, live %d", test, live)
		}
		rollback(live, 1)
		rollback(live, 2)
		rollback(live, 0)
		rollback(test, 1)
		if body, err := r.core.PageBody(test, 3); err != nil || string(body) != "c" {
			t.Errorf("the files: %q, %v", body, err)
		}
		_, err = r.core.PageBody(r.account("two"), 3)
		wantCode(t, "files of another merchant", err, CodeNotFound)
		if acts := r.core.PageTemplates(test).Acts; len(acts) != 13 || acts[0].What != "rolled_back" || acts[0].Version != 1 || acts[12].What != "uploaded" {
			t.Errorf("%d acts: %+v", len(acts), acts)
		}
	})
}

// TestPageTemplatesAreBounded: the oldest that no mode shows makes room.
func TestPageTemplatesAreBounded(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		r.upload(a, "first")
		r.upload(a, "second")
		if _, err := r.core.PublishPage(Account{Merchant: a.Merchant}, 1, rigAct); err != nil {
			t.Fatal(err)
		}
		for i := range MaxPageVersions - 1 {
			r.upload(a, fmt.Sprint(i))
		}
		kept := r.core.PageTemplates(a)
		if len(kept.Versions) != MaxPageVersions || kept.Find(1) == nil || kept.Find(2) != nil || kept.Last != MaxPageVersions+1 {
			t.Errorf("%d versions, the last %d", len(kept.Versions), kept.Last)
		}
		_, err := r.core.PageBody(a, 2)
		wantCode(t, "the files of what made room", err, CodeNotFound)
		for _, bad := range []PageUpload{{Note: strings.Repeat("x", MaxPageNote+1)}, {Note: "a\nb"}, {Body: make([]byte, MaxPageBody+1)}} {
			_, _, err := r.core.AddPageTemplate(a, &bad, rigAct)
			wantCode(t, "an upload beyond the bounds", err, CodeInvalidRequest)
		}
	})
}
