package payswitch

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var rigAct = Act{Operator: "tester", Reason: "test"}

// TestKeysSurvive: a key, its end and its last use are what they were after a
// power cut, and nothing of a secret is in the journal.
func TestKeysSurvive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		defer r.close()
		a := r.account("one")
		kept, err := r.core.IssueKey(a, Access{Name: "kept", Scopes: ScopeRefundsWrite, ExpiresAt: time.Now().Add(48 * time.Hour)}, rigAct)
		if err != nil {
			t.Fatal(err)
		}
		signs, err := r.core.IssueKey(a, Access{Name: "signs", Signed: true}, rigAct)
		if err != nil {
			t.Fatal(err)
		}
		rolled, err := r.core.RollKey(a, kept.ID, time.Hour, rigAct)
		if err != nil {
			t.Fatal(err)
		}
		gone, err := r.core.IssueKey(a, Access{Name: "gone"}, rigAct)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.core.RevokeKey(a, gone.ID, rigAct); err != nil {
			t.Fatal(err)
		}
		if _, ok := r.core.Authenticate([]byte(rolled.Secret)); !ok {
			t.Error("the new key is not known")
		}
		synctest.Wait() // the use is written
		r.crash()
		r.start()
		opens := func(k IssuedKey, want bool) {
			t.Helper()
			account, ok := r.core.Authenticate([]byte(k.Secret))
			if ok != want || ok && (account.Merchant.ID != "mer_one" || account.Key.ID != k.ID) {
				t.Errorf("%s opens %v: want %v", k.Name, ok, want)
			}
		}
		opens(kept, true)
		opens(rolled, true)
		opens(gone, false)
		opens(signs, false)
		mac := hmac.New(sha256.New, []byte(signs.Secret))
		mac.Write([]byte("message"))
		if account, ok := r.core.VerifySignature(signs.ID, []byte("message"), mac.Sum(nil)); !ok || account.Key.ID != signs.ID {
			t.Error("the signature of a key from before the crash does not verify")
		}
		if _, ok := r.core.VerifySignature(signs.ID, []byte("massage"), mac.Sum(nil)); ok {
			t.Error("the signature of another message verifies")
		}
		if k, err := r.core.APIKey(a, rolled.ID); err != nil || k.LastUsed().IsZero() || k.Scopes != ScopeRefundsWrite {
			t.Errorf("the new key is %+v, %v", k, err)
		}
		<-time.After(time.Hour)
		opens(kept, false)
		opens(rolled, true)
		<-time.After(48 * time.Hour)
		opens(rolled, false)
	})
}

// TestRevokedIsRevoked: no request that begins after RevokeKey returned is let
// in, however many come meanwhile and whatever else changes.
func TestRevokedIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		defer r.close()
		a := r.account("one")
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for range 10 {
					k, err := r.core.IssueKey(a, Access{Name: fmt.Sprint("key ", i)}, rigAct)
					if err != nil {
						t.Error(err)
						return
					}
					if _, ok := r.core.Authenticate([]byte(k.Secret)); !ok {
						t.Error("a key that was made is not known")
					}
					if err := r.core.SetMerchants(r.options(r.store).Merchants); err != nil {
						t.Error(err)
					}
					if _, err := r.core.RevokeKey(a, k.ID, rigAct); err != nil {
						t.Error(err)
					}
					if _, ok := r.core.Authenticate([]byte(k.Secret)); ok {
						t.Error("a revoked key is let in")
					}
				}
			}()
		}
		wg.Wait()
		if _, ok := r.core.Authenticate([]byte("sk_test_one")); !ok {
			t.Error("the configuration's key is lost")
		}
	})
}

// TestAuthenticateAllocatesNothing, whatever the key is.
func TestAuthenticateAllocatesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		defer r.close()
		k, err := r.core.IssueKey(r.account("one"), Access{Name: "lean", ExpiresAt: time.Now().Add(time.Hour)}, rigAct)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range [][]byte{[]byte(k.Secret), []byte("sk_test_one"), []byte("sk_test_nobody")} {
			r.core.Authenticate(secret)
			if n := testing.AllocsPerRun(100, func() { r.core.Authenticate(secret) }); n != 0 {
				t.Errorf("%.12s: %v allocations", secret, n)
			}
		}
	})
}
