package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// kills is how often the real process is killed in the middle of traffic.
const kills = 22

const (
	cardApproved = "4111111111111111"
	cardDeclined = "4000000000009995"
	markerCVC    = "739"
	markerCAVV   = "AAABBWcSNIdjeUZThmNHAAAAAAA="

	markerCryptogram = "AgAAAAAABk4DWZ4C28yUQAAAAAA="
	markerTrack      = "30122010000091827364" // behind the card number
	markerEMV        = "9F2608E1D2C3B4A59687789F3704B1C2D3E4"
)

// The last workers of a run pay with the cards that make the bank misbehave;
// the others keep the traffic up.
const (
	workers    = 16
	faultyFrom = 12
)

var faults = []banksim.Behaviour{
	banksim.ChargedWithoutAnswer, banksim.LateAnswer, banksim.NoAnswer, banksim.WrongAmount, banksim.GarbledAnswer,
	banksim.CutBefore, banksim.CutAfter, banksim.CutHalf, banksim.WrongSTAN, banksim.Code68Charged, banksim.PartialApproval,
	banksim.DuplicateAnswer, banksim.AnswerInPieces, banksim.LateDecline, banksim.LostReversalAnswer,
}

func newWish(round, worker, n int) *wish {
	w := &wish{key: fmt.Sprintf("r%d-w%d-%d", round, worker, n), bank: "alfa", card: cardApproved, amount: int64(1000 + n)}
	if worker%2 == 1 {
		w.bank = "vega"
	}
	switch {
	case n%7 == 3:
		w.card = cardDeclined
	case worker >= faultyFrom:
		w.card = faultCard(faults[(round+worker+n)%len(faults)])
	}
	return w
}

// faultCard is the test card that makes the bank do this.
func faultCard(does banksim.Behaviour) string {
	for _, c := range banksim.Cards() {
		if c.Behaviour == does {
			return c.Number
		}
	}
	panic("no such card")
}

// TestKillUnderLoad is the promise itself: whatever instant the process is
// killed at, afterwards every payment is explained and the bank's books agree.
func TestKillUnderLoad(t *testing.T) {
	t.Parallel()
	newRig(t).killUnderLoad(kills)
}

func (r *rig) killUnderLoad(kills int) {
	t := r.t
	var all []*wish
	for round := range kills {
		r.start()
		stop := make(chan struct{})
		done := make(chan []*wish)
		go func() { done <- r.drive(round, stop) }()
		timer := time.NewTimer(time.Duration(150+37*round%400) * time.Millisecond)
		<-timer.C
		r.kill()
		close(stop)
		all = append(all, <-done...)
	}
	r.start()
	r.repeatAll(all)
	r.await("store-and-forward to empty", r.quiet)
	running, err := r.command("journal", "export", "--admin", r.admin)
	if err != nil {
		t.Errorf("journal export of the running switch: %v", err)
	}
	r.signal(os.Interrupt)
	if stopped, err := r.command("journal", "export", "--data", filepath.Join(r.dir, "data")); err != nil || stopped != running {
		t.Errorf("journal export: %v; %d bytes of the running switch, %d of the stopped one", err, len(running), len(stopped))
	}

	if out, err := r.command("journal", "verify", "--data", filepath.Join(r.dir, "data")); err != nil {
		t.Errorf("journal verify: %s", out)
	}
	payments := r.journal()
	t.Logf("%d wishes, %d payments in the journal, %d kills", len(all), len(payments), kills)
	r.compareWithMerchant(all, payments)
	r.compareWithBanks(payments)
	r.scanForCardData()
}

// repeatAll sends every wish again under its key: the answer given before must
// come back byte for byte, and no wish may stay without an answer.
func (r *rig) repeatAll(all []*wish) {
	r.t.Helper()
	replayed := 0
	for _, w := range all {
		if w.code != 0 {
			if w.code != 201 && w.code != 202 {
				r.t.Errorf("%s was answered with HTTP %d: %s", w.key, w.code, w.body)
				continue
			}
			code, body, again := r.pay(w)
			if !again || code != w.code || !bytes.Equal(body, w.body) {
				r.t.Errorf("repeat of %s differs (replayed %v):\n%d %s\n%d %s", w.key, again, w.code, w.body, code, body)
			}
			replayed++
			continue
		}
		r.await("an answer to "+w.key, func() bool {
			w.code, w.body, _ = r.pay(w)
			return w.code == 201 || w.code == 202
		})
	}
	if replayed == 0 {
		r.t.Error("no answered payment was repeated: the test is vacuous")
	}
}

// quiet reports that no reversal is owed.
func (r *rig) quiet() bool {
	var owed struct {
		Data []struct{ Payment string } `json:"data"`
	}
	return r.get(r.admin, "/admin/v1/saf", &owed) == 200 && len(owed.Data) == 0
}

func (r *rig) compareWithMerchant(all []*wish, payments map[string]paymentView) {
	r.t.Helper()
	seen := map[string]string{}
	counts := map[string]int{}
	for _, w := range all {
		if w.code != 201 && w.code != 202 {
			continue
		}
		var told paymentView
		if err := json.Unmarshal(w.body, &told); err != nil {
			r.t.Fatalf("%s: %v", w.body, err)
		}
		now, ok := payments[told.ID]
		if !ok {
			r.t.Errorf("%s was answered and is not in the journal", told.ID)
			continue
		}
		if other, twice := seen[told.ID]; twice {
			r.t.Errorf("%s answers both %s and %s", told.ID, other, w.key)
		}
		seen[told.ID] = w.key
		counts[told.Status+" -> "+now.Status]++
		moved := told.Status != now.Status
		if moved && (told.Status != "unknown" || now.Status != "reversed" && now.Status != "declined") {
			r.t.Errorf("%s: the merchant was told %s, the journal ends %s", told.ID, told.Status, now.Status)
		}
		if now.Status == "unknown" {
			r.t.Errorf("%s is still unknown", told.ID)
		}
	}
	for _, must := range []string{"captured -> captured", "declined -> declined", "unknown -> reversed"} {
		if counts[must] == 0 {
			r.t.Errorf("the run never saw %q: the test is vacuous", must)
		}
	}
	r.t.Logf("told -> journal: %v", counts)
}

// compareWithBanks holds the journal against the banks' own books, payment by
// payment.
func (r *rig) compareWithBanks(payments map[string]paymentView) {
	r.t.Helper()
	type books struct{ charged, reversed int }
	byRRN := map[string]*books{}
	for id, sim := range r.banks {
		for _, e := range sim.Books().Entries() {
			key := id + "/" + e.RRN
			b := byRRN[key]
			if b == nil {
				b = new(books)
				byRRN[key] = b
			}
			if e.Charged {
				b.charged++
			}
			if e.Reversed {
				b.reversed++
			}
		}
	}
	known := map[string]bool{}
	for id, p := range payments {
		key := p.Bank + "/" + p.RRN
		if known[key] {
			r.t.Errorf("%s: the trace numbers %s are used twice", id, key)
		}
		known[key] = true
		b := byRRN[key]
		if b == nil {
			b = new(books)
		}
		net := b.charged - b.reversed
		switch p.Status {
		case "captured":
			if b.charged != 1 || net != 1 {
				r.t.Errorf("%s is captured; the bank charged %d and reversed %d", id, b.charged, b.reversed)
			}
		default:
			if net != 0 || b.charged > 1 {
				r.t.Errorf("%s is %s; the bank charged %d and reversed %d", id, p.Status, b.charged, b.reversed)
			}
		}
	}
	for key, b := range byRRN {
		if b.charged > 0 && !known[key] {
			r.t.Errorf("the bank charged %s, of which the journal knows nothing", key)
		}
	}
}

// scanForCardData looks for the cards and the authentication value of the run
// in every file it left, in the forms in which such data leaks.
func (r *rig) scanForCardData() {
	r.t.Helper()
	needles := map[string][]byte{}
	for _, text := range []string{cardApproved, cardDeclined, faultCard(banksim.NoAnswer), markerCAVV, "92003" + markerCVC, markerCryptogram, markerTrack, markerEMV} {
		for form, bytes := range leakForms(text) {
			needles[text[:4]+"... as "+form] = bytes
		}
	}
	files := 0
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for what, needle := range needles {
			if bytes.Contains(content, needle) {
				r.t.Errorf("%s holds %s", filepath.Base(path), what)
			}
		}
		return nil
	})
	if err != nil || files < 4 {
		r.t.Errorf("scanned %d files: %v", files, err)
	}
}

func leakForms(text string) map[string][]byte {
	forms := map[string][]byte{"text": []byte(text)}
	forms["hex"] = []byte(hex.EncodeToString([]byte(text)))
	forms["HEX"] = []byte(strings.ToUpper(hex.EncodeToString([]byte(text))))
	forms["base64"] = []byte(base64.StdEncoding.EncodeToString([]byte(text))[:len(text)])
	var wide []byte
	for _, u := range utf16.Encode([]rune(text)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	forms["utf-16"] = wide
	backwards := []byte(text)
	slices.Reverse(backwards)
	forms["reversed"] = backwards
	if packed, err := hex.DecodeString(text); err == nil && len(packed) >= 8 {
		forms["bcd"] = packed
	}
	if reversed := string(backwards); reversed == text {
		delete(forms, "reversed")
	}
	return forms
}

// TestScanFindsPlantedData shows that the scan can fail.
func TestScanFindsPlantedData(t *testing.T) {
	for form, needle := range leakForms("4000000000009995") {
		if len(needle) < 8 {
			t.Errorf("%s is too short to be searched for", form)
		}
	}
}
