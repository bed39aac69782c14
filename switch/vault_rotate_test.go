package payswitch

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// restart is a power cut, and a start with the key file as it is then.
func (r *rig) restart() {
	r.t.Helper()
	r.crash()
	var err error
	if r.keys, err = LoadKeyRing(r.keys.path); err != nil {
		r.t.Fatal(err)
	}
	r.start()
	r.ready()
}

// keyFile is the key file's text.
func (r *rig) keyFile() string {
	r.t.Helper()
	text, err := os.ReadFile(r.keys.path)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

func (r *rig) putKeyFile(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.keys.path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// sealedUnder counts the saved cards by the data key they are sealed with.
func (r *rig) sealedUnder() map[byte]int {
	r.t.Helper()
	count := map[byte]int{}
	err := r.store.Scan(storage.Range{Space: spaceCard, Prefix: []byte{cardToken}}, func(key, value []byte) bool {
		token, err := decodeToken(ID(key[1:]), value)
		if err != nil {
			r.t.Fatal(err)
		}
		count[token.sealed[0]]++
		return true
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return count
}

// vaultLife is a shop whose sealed cards must stay usable whatever happens to
// the keys.
type vaultLife struct {
	*rig
	a      Account
	n      int
	paid   []Payment
	tokens []Token

	copies  []string // of the key file, from after the last retirement
	retired int
}

func newVaultLife(r *rig) *vaultLife { return &vaultLife{rig: r, a: r.account("one")} }

func (l *vaultLife) pay() {
	l.t.Helper()
	l.n++
	p := l.wants(l.a, l.request(fmt.Sprint("pay-", l.n), cardOf(banksim.Approve), 100), "alfa", "")
	if p.Status != StatusCaptured {
		l.t.Fatalf("payment %d is %s", l.n, p.Status)
	}
	l.paid = append(l.paid, p)
}

func (l *vaultLife) save(n int) {
	l.t.Helper()
	for range n {
		l.n++
		l.tokens = append(l.tokens, l.saved(l.a, fmt.Sprint("customer-", l.n), cardOf(banksim.Approve)))
	}
}

// use pays by a saved card and refunds a payment: both open what was sealed.
func (l *vaultLife) use(token, payment int) {
	l.t.Helper()
	l.n++
	q := l.request(fmt.Sprint("click-", l.n), cardOf(banksim.Approve), 100)
	q.PAN, q.Expiry, q.Token = iso.PAN{}, iso.Expiry{}, l.tokens[token].ID
	l.wants(l.a, q, "alfa", "")
	p, err := l.core.keysOf(l.paid[payment].ID)
	if err != nil || p != cardOf(banksim.Approve) {
		l.t.Errorf("payment %d cannot be opened: %v", payment, err)
	}
}

// keysOf is the card number of a payment in clear.
func (s *Switch) keysOf(id ID) (string, error) {
	h, err := s.history(id)
	if err != nil {
		return "", err
	}
	pan, err := s.keys.open(h.in.sealedPAN, id)
	return string(pan.Append(nil)), err
}

func (l *vaultLife) useAll() {
	l.t.Helper()
	for i := range l.tokens {
		l.use(i, min(i, len(l.paid)-1))
	}
}

// TestVaultRotation tells a rotation from its begin to its end: payments go on,
// everything that was sealed before opens, saved cards are sealed anew, and the
// old key ends only on proof that the new one is kept elsewhere.
func TestVaultRotation(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		l := newVaultLife(r)
		l.pay()
		l.save(150)
		if err := r.core.AddVaultKey(rigAct); err != nil {
			t.Fatal(err)
		}
		old := r.keyFile()
		l.pay()
		l.use(0, 0)
		r.pass(sweepPause / 2)
		if got := r.sealedUnder(); got[1] == 0 || got[2] == 0 {
			t.Errorf("half way saved cards are sealed under %v", got)
		}
		if err := r.core.RetireVaultKey(1, "", rigAct); codeOf(err) != CodeInvalidState {
			t.Errorf("retired while cards are sealed anew: %v", err)
		}
		r.pass(time.Second)
		if got := r.sealedUnder(); got[2] != 150 || len(got) != 1 {
			t.Errorf("saved cards are sealed under %v", got)
		}
		st := r.core.Vault()
		if len(st.File) != 2 || !st.File[1].Present || st.File[0].Opens != 2 || st.File[1].Opens != 2 || !st.Data[1].Present || st.Sweep != (SweepView{2, true, 150, 150, 0}) {
			t.Errorf("the vault is %+v", st)
		}
		for _, check := range []string{"", st.File[0].Check} {
			if err := r.core.RetireVaultKey(1, check, rigAct); codeOf(err) != CodeInvalidState {
				t.Errorf("retired with check value %q: %v", check, err)
			}
		}
		if err := r.core.RetireVaultKey(2, st.File[1].Check, rigAct); codeOf(err) != CodeInvalidState {
			t.Errorf("the present key is retired: %v", err)
		}
		if err := r.core.RetireVaultKey(1, st.File[1].Check, rigAct); err != nil {
			t.Fatal(err)
		}
		if text := r.keyFile(); strings.Contains(text, "seal 1 ") || !strings.Contains(text, "seal 2 ") || !strings.Contains(text, "digest ") {
			t.Errorf("the key file is\n%s", text)
		}
		l.useAll()
		refund := &OperationRequest{Payment: l.paid[0].ID, Kind: KindRefund, IdempotencyKey: "refund", Amount: 40}
		if answer, err := r.core.Operate(l.a, refund); err != nil || answer.Payment.AmountRefunded != 40 {
			t.Errorf("a payment of before the rotation is refunded: %+v, %v", answer.Payment, err)
		}
		r.restart()
		l.a = r.account("one")
		l.useAll()
		r.putKeyFile(old) // the retired line is back, before the other
		r.restart()
		if st := r.core.Vault(); !st.File[0].Retired || st.File[0].Opens != 0 {
			t.Errorf("a retired key is in use again: %+v", st.File)
		}
		if err := r.core.RotateVault(rigAct); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Second)
		if got := r.sealedUnder(); got[3] != 150 {
			t.Errorf("saved cards are sealed under %v", got)
		}
	})
}

// TestVaultOfBefore: a journal whose cards the file's key itself sealed goes on,
// and that key can be replaced, too.
func TestVaultOfBefore(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		l := newVaultLife(r)
		r.core.keys = r.keys // as it was before there were data keys
		l.pay()
		l.save(3)
		var c storage.Command
		c.Delete(spaceVault, vaultName(vaultData, 1))
		c.Delete(spaceVault, []byte{vaultSweep})
		if _, err := r.store.Do(&c); err != nil {
			t.Fatal(err)
		}
		r.restart()
		l.a = r.account("one")
		r.pass(time.Second)
		if got := r.sealedUnder(); got[2] != 3 {
			t.Errorf("saved cards are sealed under %v", got)
		}
		if err := r.core.AddVaultKey(rigAct); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Second)
		st := r.core.Vault()
		if len(st.Data) != 3 || !st.Data[0].Direct || !slices.Equal(st.Data[0].Under, []int{1, 2}) {
			t.Errorf("the vault is %+v", st)
		}
		if err := r.core.RetireVaultKey(1, st.File[1].Check, rigAct); err != nil {
			t.Fatal(err)
		}
		r.restart()
		l.a = r.account("one")
		l.useAll()
	})
}

// TestVaultWrongFile: a key file that cannot open everything stops the start and
// says what is missing; the right one starts it.
func TestVaultWrongFile(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		l := newVaultLife(r)
		l.pay()
		right := r.keyFile()
		other := newRig(t).keyFile()
		digest := right[strings.Index(right, "digest"):]
		for text, says := range map[string]string{
			other: "seal 1 is not the key of this id",
			strings.Replace(right, "seal 1", "seal 7", 1): "data key 1 is sealed under the keys [1]",
			strings.Replace(other, "seal 1", "seal 9", 1): "sealed under the keys [1]",
		} {
			r.stop()
			r.putKeyFile(text)
			keys, err := LoadKeyRing(r.keys.path)
			if err != nil {
				t.Fatal(err)
			}
			r.putKeyFile(right)
			good := r.keys
			r.keys = keys
			store, err := storage.Open(storage.Options{Disk: r.disk})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := New(r.options(store)); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("started with the wrong keys: %v, want %q", err, says)
			}
			if err := store.Close(); err != nil {
				t.Error(err)
			}
			r.keys = good
			r.start()
			r.ready()
		}
		l.a = r.account("one")
		l.save(1)
		l.use(0, 0)
		r.putKeyFile(strings.Replace(right, digest, "digest "+strings.Repeat("00", 32)+"\n", 1))
		if err := r.core.AddVaultKey(rigAct); codeOf(err) != CodeInvalidState {
			t.Errorf("another digest key is taken: %v", err)
		}
		r.putKeyFile(right)
		l.use(0, 0)
	})
}

// keysAct does one thing to the keys.
func (l *vaultLife) keysAct(what string, rnd *rand.Rand) {
	l.t.Helper()
	switch what {
	case "add":
		l.must(l.core.AddVaultKey(rigAct))
	case "hand": // the file has the key, the journal not
		id, err := l.core.nextFileKey(must1(l.core.readKeyFile()))
		l.must(err)
		l.must(addFileKey(l.keys.path, id))
	case "rotate":
		if err := l.core.RotateVault(rigAct); codeOf(err) != CodeInvalidState {
			l.must(err)
		}
	case "lost":
		l.putKeyFile(l.copies[rnd.IntN(len(l.copies))])
		l.cut()
	case "retire", "half retired":
		st, text := l.core.Vault(), l.keyFile()
		if len(st.File) == 1 {
			return
		}
		err := l.core.RetireVaultKey(byte(st.File[0].ID), st.File[len(st.File)-1].Check, rigAct)
		if codeOf(err) == CodeInvalidState {
			return
		}
		l.must(err)
		l.retired++
		l.copies = []string{l.keyFile()}
		if what == "half retired" { // the line was not removed yet
			l.putKeyFile(text)
			l.cut()
		}
	}
	l.copies = append(l.copies, l.keyFile())
}

func (l *vaultLife) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *vaultLife) cut() {
	l.t.Helper()
	l.restart()
	l.a = l.account("one")
}

// TestVaultLives plays rotations at random: keys added by command and by hand,
// power cuts at any step of any of it, key files lost and replaced by any copy
// from after the last retirement. Whatever was sealed stays usable.
func TestVaultLives(t *testing.T) {
	retired, made := 0, 0
	for seed := range uint64(6) {
		inRig(t, func(t *testing.T, r *rig) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			l := newVaultLife(r)
			l.pay()
			l.save(1)
			l.copies = []string{r.keyFile()}
			for range 40 {
				switch what := []string{"pay", "save", "use", "time", "cut", "add", "hand", "rotate", "lost", "retire", "half retired"}[rnd.IntN(11)]; what {
				case "pay":
					l.pay()
				case "save":
					l.save(40)
				case "use":
					l.use(rnd.IntN(len(l.tokens)), rnd.IntN(len(l.paid)))
				case "time":
					r.pass(time.Duration(rnd.IntN(200)) * time.Millisecond)
				case "cut":
					l.cut()
				default:
					l.keysAct(what, rnd)
				}
			}
			r.pass(time.Minute)
			st := r.core.Vault()
			if got := r.sealedUnder(); len(got) != 1 || got[byte(st.Sweep.Key)] != len(l.tokens) || !st.Sweep.Done {
				t.Errorf("seed %d: saved cards are sealed under %v: %+v", seed, got, st.Sweep)
			}
			l.useAll()
			retired, made = retired+l.retired, made+len(st.Data)
		})
	}
	if retired == 0 || made < 20 {
		t.Errorf("the lives reached %d retirements and %d data keys", retired, made)
	}
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestVaultUnderLoad: while keys are rotated again and again, no payment, saved
// card or click fails, and none is left under an old key.
func TestVaultUnderLoad(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		var busy sync.WaitGroup
		for worker := range 4 {
			busy.Go(func() {
				for i := range 60 {
					name := fmt.Sprintf("w%d-%d", worker, i)
					q := r.request(name, cardOf(banksim.Approve), 100)
					q.SaveCard, q.Customer = true, name
					answer, err := r.core.Pay(a, q)
					if err != nil || answer.Payment.Token.IsZero() {
						t.Errorf("%s: %v", name, err)
						continue
					}
					click := r.request(name+"c", cardOf(banksim.Approve), 100)
					click.PAN, click.Expiry, click.Token = iso.PAN{}, iso.Expiry{}, answer.Payment.Token
					if _, err := r.core.Pay(a, click); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			})
		}
		for range 5 {
			r.pass(40 * time.Millisecond)
			if err := r.core.AddVaultKey(rigAct); err != nil {
				t.Error(err)
			}
		}
		busy.Wait()
		r.pass(10 * time.Second)
		if got := r.sealedUnder(); got[6] != 240 || len(got) != 1 {
			t.Errorf("saved cards are sealed under %v", got)
		}
		if text := r.keyFile(); bytes.Count([]byte(text), []byte("seal ")) != 6 {
			t.Errorf("the key file is\n%s", text)
		}
	})
}
