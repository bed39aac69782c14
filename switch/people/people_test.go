package people

import (
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

const goodPassword = "a quiet green kettle"

var here = Visit{Address: "192.0.2.7", Agent: "test"}

// rig is people over a real journal in memory; its clock is moved by hand.
type rig struct {
	*People
	t     *testing.T
	store *storage.Store
	ahead atomic.Int64
}

func newRig(t *testing.T) *rig {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	r := &rig{t: t}
	var err error
	r.store, err = storage.Open(storage.Options{Disk: storage.NewMemDisk(), Logger: quiet})
	r.must(err)
	t.Cleanup(func() { _ = r.store.Close() })
	path := filepath.Join(t.TempDir(), "keys")
	r.must(payswitch.CreateKeyRing(path))
	keys, err := payswitch.LoadKeyRing(path)
	r.must(err)
	dialect, err := iso.Builtin("ascii87")
	r.must(err)
	shop := payswitch.Merchant{ID: "mer_hats", Name: "HATS", City: "MOSCOW", Country: "643", MCC: "5411",
		Banks: []payswitch.MerchantBank{{Bank: "alfa", MerchantID: "1", Terminals: []string{"T"}}}}
	other := shop
	other.ID = "mer_socks"
	begun := time.Now()
	now := func() time.Time { return begun.Add(time.Duration(r.ahead.Load())) }
	sw, err := payswitch.New(payswitch.Options{Store: r.store, Keys: keys, Logger: quiet, Now: now,
		Banks:     []payswitch.BankConfig{{Dialect: dialect, Acquirer: "123456", Link: acquirers.Config{ID: "alfa", Endpoints: []string{"127.0.0.1:1"}, Logger: quiet}}},
		Merchants: []payswitch.Merchant{shop, other}})
	r.must(err)
	t.Cleanup(sw.Close)
	r.People, err = New(Options{Store: r.store, Switch: sw, Logger: quiet, Now: now})
	r.must(err)
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) pass(d time.Duration) { r.ahead.Add(int64(d)) }

// code is what an authenticator shows now.
func (r *rig) code(a Authenticator) string {
	r.t.Helper()
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(a.Secret)
	r.must(err)
	return totpCode(secret, uint64(r.now().Unix())/30, totpDigits)
}

// joined is a user who followed the link, with the authenticator.
func (r *rig) joined(email string, grants ...Grant) (User, Authenticator) {
	r.t.Helper()
	if len(grants) == 0 {
		grants = []Grant{{"mer_hats", false, RoleOwner}}
	}
	u, word, err := r.Invite(Invitation{Email: email, Grants: grants, By: "operator"})
	r.must(err)
	_, a, err := r.Joining(word)
	r.must(err)
	_, codes, err := r.Join(Join{Word: word, Name: "Somebody", Password: goodPassword, Code: r.code(a), Visit: here})
	r.must(err)
	if len(codes) != RecoveryCodes {
		r.t.Fatalf("%d recovery codes", len(codes))
	}
	r.pass(time.Minute)
	return u, a
}

func refused(t *testing.T, what string, err error, code payswitch.Code) {
	t.Helper()
	var no *payswitch.Refusal
	if !errors.As(err, &no) || no.Code != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// TestTOTPVectors are those of RFC 6238, appendix B, for SHA-1.
func TestTOTPVectors(t *testing.T) {
	for _, v := range []struct {
		at   int64
		code string
	}{{59, "94287082"}, {1111111109, "07081804"}, {1111111111, "14050471"}, {1234567890, "89005924"}, {2000000000, "69279037"}, {20000000000, "65353130"}} {
		if got := totpCode([]byte("12345678901234567890"), uint64(v.at/30), 8); got != v.code {
			t.Errorf("at %d the code is %s, want %s", v.at, got, v.code)
		}
	}
}

func TestSignIn(t *testing.T) {
	r := newRig(t)
	u, a := r.joined("owner@shop.example")
	word, err := r.SignIn(" Owner@Shop.example", goodPassword, here)
	r.must(err)
	_, err = r.Session(word)
	refused(t, "the half session", err, payswitch.CodeForbidden)
	code := r.code(a)
	_, err = r.Second(word, "000000", here)
	refused(t, "a wrong code", err, payswitch.CodeForbidden)
	session, err := r.Second(word, code[:3]+" "+code[3:], here)
	r.must(err)
	s, err := r.Session(session)
	r.must(err)
	if s.User.ID != u.ID || s.User.RoleAt("mer_hats", false) != RoleOwner || s.User.RoleAt("mer_hats", true) != "" {
		t.Errorf("signed in as %+v", s.User)
	}
	_, err = r.Second(word, code, here)
	refused(t, "the half session again", err, payswitch.CodeForbidden)

	word, err = r.SignIn("owner@shop.example", goodPassword, here)
	r.must(err)
	_, err = r.Second(word, code, here)
	refused(t, "a used code", err, payswitch.CodeForbidden)
	r.must(r.SignOut(s))
	_, err = r.Session(session)
	refused(t, "after signing out", err, payswitch.CodeForbidden)
}

func TestRecoveryCodesCountOnce(t *testing.T) {
	r := newRig(t)
	u, _ := r.joined("owner@shop.example")
	codes, err := r.NewRecoveryCodes(u.ID)
	r.must(err)
	for i, want := range []bool{true, false} {
		word, err := r.SignIn("owner@shop.example", goodPassword, here)
		r.must(err)
		if _, err = r.Second(word, strings.ToUpper(codes[3]), here); (err == nil) != want {
			t.Errorf("use %d of a recovery code: %v", i+1, err)
		}
	}
	u, err = r.User(u.ID)
	r.must(err)
	if len(u.Recoveries) != RecoveryCodes-1 {
		t.Errorf("%d codes are left", len(u.Recoveries))
	}
}

func TestSessionsEnd(t *testing.T) {
	r := newRig(t)
	u, a := r.joined("owner@shop.example")
	enter := func() string {
		t.Helper()
		r.pass(time.Minute)
		word, err := r.SignIn(u.Email, goodPassword, here)
		r.must(err)
		session, err := r.Second(word, r.code(a), here)
		r.must(err)
		return session
	}
	gone := func(what, session string) {
		t.Helper()
		_, err := r.Session(session)
		refused(t, what, err, payswitch.CodeForbidden)
	}
	idle := enter()
	r.pass(31 * time.Minute)
	gone("after half an hour of silence", idle)

	busy := enter()
	for range 12 * 3 {
		_, err := r.Session(busy)
		r.must(err)
		r.pass(20*time.Minute - time.Second)
	}
	r.pass(time.Minute)
	gone("after twelve hours", busy)

	one, two := enter(), enter()
	s, err := r.Session(one)
	r.must(err)
	all, err := r.Sessions(s)
	r.must(err)
	if len(all) != 2 || all[0].Here == all[1].Here {
		t.Fatalf("sessions %+v", all)
	}
	for _, other := range all {
		if !other.Here {
			r.must(r.EndSession(s, other.Name()))
		}
	}
	gone("the other, ended", two)
	two = enter()
	r.must(r.SignOutEverywhere(u.ID))
	gone("here", one)
	gone("there", two)

	one = enter()
	_, err = r.SetDisabled(u.ID, true)
	r.must(err)
	gone("of a barred user", one)
	_, err = r.SignIn(u.Email, goodPassword, here)
	refused(t, "a barred user", err, payswitch.CodeForbidden)
}

// TestNoEnumeration: nothing of an answer tells whether there is a user, and the
// same work is done.
func TestNoEnumeration(t *testing.T) {
	r := newRig(t)
	r.joined("owner@shop.example")
	_, _, err := r.Invite(Invitation{Email: "invited@shop.example", Grants: []Grant{{"mer_hats", false, RoleViewer}}})
	r.must(err)
	var answers []string
	for _, email := range []string{"owner@shop.example", "invited@shop.example", "nobody@shop.example", "not an address"} {
		_, err := r.SignIn(email, "wrong password here", here)
		answers = append(answers, fmt.Sprint(err))
	}
	if len(slices.Compact(answers)) != 1 || !strings.Contains(answers[0], "wrong") {
		t.Errorf("the answers differ: %q", answers)
	}
	for range accountTries {
		_, err = r.SignIn("nobody@shop.example", "wrong password here", Visit{Address: "192.0.2.9"})
	}
	refused(t, "an unknown account too often", err, payswitch.CodeOverloaded)
}

func TestGuard(t *testing.T) {
	r := newRig(t)
	_, a := r.joined("owner@shop.example")
	for i := range accountTries {
		_, err := r.SignIn("owner@shop.example", "wrong password here", Visit{Address: fmt.Sprint("192.0.2.", i)})
		refused(t, "a wrong password", err, payswitch.CodeForbidden)
	}
	_, err := r.SignIn("owner@shop.example", goodPassword, here)
	refused(t, "the right password after too many wrong ones", err, payswitch.CodeOverloaded)
	r.pass(accountRefill + time.Second)
	word, err := r.SignIn("owner@shop.example", goodPassword, here)
	r.must(err)
	for range accountTries {
		_, err = r.Second(word, "000000", here)
		refused(t, "a wrong code", err, payswitch.CodeForbidden)
	}
	_, err = r.Second(word, r.code(a), here)
	refused(t, "the right code after too many wrong ones", err, payswitch.CodeOverloaded)

	for i := range addressTries {
		_, _ = r.SignIn(fmt.Sprintf("somebody%d@shop.example", i), "wrong password here", Visit{Address: "203.0.113.5"})
	}
	_, err = r.SignIn("fresh@shop.example", "wrong password here", Visit{Address: "203.0.113.5"})
	refused(t, "an address too often", err, payswitch.CodeOverloaded)
}

// TestRestartForgivesNobody: who tried too often waits in the next life, too, and not
// for longer; the journal does not hold what was typed.
func TestRestartForgivesNobody(t *testing.T) {
	r := newRig(t)
	for range accountTries {
		_, err := r.SignIn("owner@shop.example", "wrong password here", here)
		refused(t, "a wrong password", err, payswitch.CodeForbidden)
	}
	for range accountTries {
		r.must(r.Knock("door", Visit{Address: "203.0.113.9"}))
	}
	again, err := New(r.o)
	r.must(err)
	_, err = again.SignIn("owner@shop.example", "wrong password here", Visit{Address: "203.0.113.8"})
	refused(t, "an account in the next life", err, payswitch.CodeOverloaded)
	refused(t, "a door in the next life", again.Knock("door", Visit{Address: "203.0.113.9"}), payswitch.CodeOverloaded)
	r.must(again.Knock("door", Visit{Address: "203.0.113.10"}))
	r.pass(2 * accountTries * accountRefill)
	later, err := New(r.o)
	r.must(err)
	if n := len(later.guard.buckets); n != 0 {
		t.Errorf("%d buckets are held against somebody after their time", n)
	}
	r.must(r.store.Scan(storage.Range{Space: spacePeople, Prefix: key(peopleGuard)}, func(name, body []byte) bool {
		t.Errorf("%x is still kept: %s", name, body)
		return true
	}))
}

func TestGuardForgetsTheLeast(t *testing.T) {
	now := time.Unix(1e9, 0)
	var g guard
	g.init(func() time.Time { return now }, func([]keptBucket) {})
	for range accountTries {
		g.try("attacked", "192.0.2.1")
	}
	for i := range guardEntries {
		g.try(fmt.Sprint("flood", i), fmt.Sprint("address", i))
	}
	if len(g.buckets) > guardEntries+1 {
		t.Errorf("%d entries", len(g.buckets))
	}
	if wait := g.try("attacked", "192.0.2.2"); wait == 0 {
		t.Error("a flood made the guard forget the account under attack")
	}
}

func TestLinksCountOnce(t *testing.T) {
	r := newRig(t)
	u, word, err := r.Invite(Invitation{Email: "newcomer@shop.example", Grants: []Grant{{"mer_hats", false, RoleViewer}}})
	r.must(err)
	_, a, err := r.Joining(word)
	r.must(err)
	join := Join{Word: word, Name: "New", Password: goodPassword, Code: r.code(a), Visit: here}
	for _, tt := range []struct {
		what string
		how  func(*Join)
	}{
		{"a short password", func(j *Join) { j.Password = "short" }}, {"a plain one", func(j *Join) { j.Password = "123456789012345" }},
		{"one with the name", func(j *Join) { j.Password = "newcomer in the rain" }}, {"a wrong code", func(j *Join) { j.Code = "123" }},
	} {
		bad := join
		tt.how(&bad)
		_, _, err := r.Join(bad)
		refused(t, tt.what, err, payswitch.CodeInvalidRequest)
	}
	session, _, err := r.Join(join)
	r.must(err)
	_, err = r.Session(session)
	r.must(err)
	_, _, err = r.Join(join)
	refused(t, "the link again", err, payswitch.CodeNotFound)

	older, err := r.Reset(u.ID, nil)
	r.must(err)
	again, err := r.Reset(u.ID, nil)
	r.must(err)
	_, b, err := r.Joining(again)
	r.must(err)
	if a.Secret == b.Secret {
		t.Error("a reset keeps the authenticator's secret")
	}
	_, _, err = r.Join(Join{Word: again, Password: goodPassword, Code: r.code(b), Visit: here})
	r.must(err)
	_, _, err = r.Joining(older)
	refused(t, "a link of before the reset", err, payswitch.CodeNotFound)
	again, err = r.Reset(u.ID, nil)
	r.must(err)
	r.pass(joinLasts)
	_, _, err = r.Joining(again)
	refused(t, "an old link", err, payswitch.CodeNotFound)

	once, err := r.EntryLink(u.ID)
	r.must(err)
	_, _, err = r.Joining(once)
	refused(t, "an entry link that would reset", err, payswitch.CodeNotFound)
	_, err = r.Enter(once, here)
	r.must(err)
	_, err = r.Enter(once, here)
	refused(t, "an entry link again", err, payswitch.CodeNotFound)
}

func TestPasskeys(t *testing.T) {
	r := newRig(t)
	u, _ := r.joined("owner@shop.example")
	credential := json.RawMessage(`{"id":"AQID","count":1}`)
	u, err := r.AddPasskey(u.ID, Passkey{Name: "laptop", Credential: credential})
	r.must(err)
	session, err := r.ByPasskey(u.ID, json.RawMessage(`{"id":"AQID","count":2}`), here)
	r.must(err)
	s, err := r.Session(session)
	r.must(err)
	if k := s.User.Passkeys[0]; !strings.Contains(string(k.Credential), `"count":2`) || k.UsedAt.IsZero() {
		t.Errorf("the passkey is %+v", k)
	}
	_, err = r.ByPasskey(u.ID, json.RawMessage(`{"id":"AQIE"}`), here)
	refused(t, "another credential", err, payswitch.CodeForbidden)
	other, _ := r.joined("other@shop.example")
	_, err = r.ByPasskey(other.ID, credential, here)
	refused(t, "somebody else's passkey", err, payswitch.CodeForbidden)
	_, err = r.RemovePasskey(u.ID, s.User.Passkeys[0].AddedAt)
	r.must(err)
	_, err = r.ByPasskey(u.ID, credential, here)
	refused(t, "a removed passkey", err, payswitch.CodeForbidden)
}

func TestGrants(t *testing.T) {
	r := newRig(t)
	owner, _ := r.joined("owner@shop.example")
	_, err := r.Regrant(owner.ID, Grant{Merchant: "mer_hats"})
	refused(t, "the last owner leaves", err, payswitch.CodeInvalidState)
	second, _ := r.joined("second@shop.example")
	_, err = r.Regrant(owner.ID, Grant{Merchant: "mer_hats", Role: RoleViewer})
	r.must(err)
	_, err = r.Regrant(second.ID, Grant{Merchant: "mer_hats"})
	refused(t, "the only owner that is left leaves", err, payswitch.CodeInvalidState)
	_, err = r.Regrant(owner.ID, Grant{Merchant: "mer_hats"})
	r.must(err)
	users, err := r.UsersOf("mer_hats")
	r.must(err)
	if len(users) != 1 || users[0].ID != second.ID {
		t.Errorf("users are %+v", users)
	}
	for _, g := range []Grant{{"mer_none", false, RoleOwner}, {"mer_hats", false, "king"}} {
		if _, _, err := r.Invite(Invitation{Email: "x@shop.example", Grants: []Grant{g}}); err == nil {
			t.Errorf("%+v is taken", g)
		}
	}
}

func TestNothingThatOpensIsKept(t *testing.T) {
	r := newRig(t)
	u, word, err := r.Invite(Invitation{Email: "new@shop.example", Grants: []Grant{{"mer_hats", false, RoleOwner}}})
	r.must(err)
	_, a, err := r.Joining(word)
	r.must(err)
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(a.Secret)
	r.must(err)
	session, codes, err := r.Join(Join{Word: word, Password: goodPassword, Code: r.code(a), Visit: here})
	r.must(err)
	fresh, err := r.Reset(u.ID, nil)
	r.must(err)
	words := append([]string{word, session, fresh, goodPassword, a.Secret, string(secret)}, codes...)
	rows := 0
	r.must(r.store.Scan(storage.Range{Space: spacePeople}, func(name, body []byte) bool {
		rows++
		for i, w := range words {
			for _, form := range []string{w, strings.ReplaceAll(w, "-", "")} {
				if strings.Contains(string(name)+string(body), form) {
					t.Errorf("secret %d stands in the journal under %q", i, name)
				}
			}
		}
		return true
	}))
	if rows < 4 {
		t.Fatalf("%d rows", rows)
	}
}

// TestOwnersStayAtHome: an owner gets no link that opens another merchant's door,
// and gives nobody else's user a right.
func TestOwnersStayAtHome(t *testing.T) {
	r := newRig(t)
	hats, _ := r.joined("hats@shop.example", Grant{"mer_hats", false, RoleOwner})
	socks, _ := r.joined("socks@shop.example", Grant{"mer_socks", false, RoleOwner})
	pending, _, err := r.Invite(Invitation{Email: "pending@shop.example", Grants: []Grant{{"mer_socks", false, RoleViewer}}, By: socks.Email, Owner: &socks})
	r.must(err)
	for _, email := range []string{socks.Email, pending.Email} {
		_, word, err := r.Invite(Invitation{Email: email, Grants: []Grant{{"mer_hats", false, RoleViewer}}, By: hats.Email, Owner: &hats})
		refused(t, "an invitation of "+email, err, payswitch.CodeForbidden)
		if word != "" {
			t.Error("and gives a link")
		}
	}
	for _, id := range []payswitch.ID{socks.ID, pending.ID} {
		_, err := r.Reset(id, &hats)
		refused(t, "a reset", err, payswitch.CodeNotFound)
	}
	_, _, err = r.Invite(Invitation{Email: "new@shop.example", Grants: []Grant{{"mer_hats", true, RoleViewer}}, By: hats.Email, Owner: &hats})
	refused(t, "an invitation into a mode the owner does not own", err, payswitch.CodeForbidden)
	_, word, err := r.Invite(Invitation{Email: pending.Email, Grants: []Grant{{"mer_socks", false, RoleSupport}}, By: socks.Email, Owner: &socks})
	if r.must(err); word == "" {
		t.Error("the owner cannot invite again")
	}
	_, err = r.Reset(pending.ID, &socks)
	r.must(err)
}
