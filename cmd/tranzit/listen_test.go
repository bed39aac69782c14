package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
)

const listeningBank = `  - id: %s
    dialect: %s
    direction: listen
    listen: "%s"
    peers: [127.0.0.1]
    max_peers: 2
    sign_on: %s
    timeouts: {connect: 1s, write: 300ms, response: 2s, reversal: 2s}
    reconnect: {min: 20ms, max: 100ms}
    institution: "123456"
`

// newListeningRig is a rig whose banks dial the switch.
func newListeningRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), banks: map[string]*banksim.Bank{}, api: freeAddress(t), admin: freeAddress(t)}
	var banks strings.Builder
	for _, b := range []struct{ id, dialect, signOn string }{{"alfa", "ascii87", "ours"}, {"vega", "binary87", "theirs"}} {
		d, err := iso.Builtin(b.dialect)
		if err != nil {
			t.Fatal(err)
		}
		address := freeAddress(t)
		sim, err := banksim.New(banksim.Config{Dialect: d, Connect: address, ConnectLinks: 2, SignsOn: b.signOn == "theirs",
			ReconnectMin: 20 * time.Millisecond, ReconnectMax: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if err := sim.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sim.Close() })
		r.banks[b.id] = sim
		fmt.Fprintf(&banks, listeningBank, b.id, eagerDialect(t, b.dialect), address, b.signOn)
	}
	r.config = filepath.Join(r.dir, "tranzit.yaml")
	text := fmt.Sprintf(rigConfig, r.api, r.admin, filepath.Join(r.dir, "data"), banks.String(), rigKey)
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.logPath = filepath.Join(r.dir, "switch.log")
	r.client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(r.kill)
	return r
}

// linksUp counts the ready links of all banks.
func (r *rig) linksUp() (up int) {
	var got struct {
		Data []struct {
			Links struct {
				Links []struct{ State string } `json:"links"`
			} `json:"links"`
		} `json:"data"`
	}
	r.get(r.admin, "/admin/v1/banks", &got)
	for _, b := range got.Data {
		for _, l := range b.Links.Links {
			if l.State == "ready" {
				up++
			}
		}
	}
	return up
}

// The whole switch with banks that dial in: payments while links are dropped,
// a kill -9 and a drain between, and in the end the banks' books hold what the
// journal says.
func TestWholeSwitchListens(t *testing.T) {
	t.Parallel()
	r := newListeningRig(t)
	r.start()
	told := map[string]paymentView{}
	for round := range 4 {
		r.await("four links", func() bool { return r.linksUp() == 4 })
		stop := make(chan struct{})
		wishes := make(chan []*wish)
		go func() { wishes <- r.drive(round, stop) }()
		for range 3 {
			<-time.After(100 * time.Millisecond)
			for _, sim := range r.banks {
				if err := sim.Control(banksim.Control{Mode: banksim.ActDrop}); err != nil {
					t.Error(err)
				}
			}
		}
		if round == 1 {
			r.kill()
		}
		close(stop)
		for _, w := range <-wishes {
			var view paymentView
			if json.Unmarshal(w.body, &view) == nil && view.ID != "" {
				told[view.ID] = view
			}
		}
		if round == 2 {
			r.signal(syscall.SIGTERM)
		}
		if r.process == nil {
			r.start()
		}
	}
	r.await("every reversal", func() bool {
		var owed struct{ Data []json.RawMessage }
		return r.get(r.admin, "/admin/v1/saf", &owed) == http.StatusOK && len(owed.Data) == 0
	})
	r.signal(syscall.SIGTERM)
	type place struct{ bank, rrn string }
	nets, entries := map[place]int64{}, map[place]int{}
	for id, sim := range r.banks {
		for _, e := range sim.Books().Entries() {
			at := place{id, e.RRN}
			if entries[at]++; e.Charged {
				nets[at] += e.Booked - e.Returned
			}
		}
	}
	counts := map[string]int{}
	for id, p := range r.journal() {
		counts[p.Status]++
		net, booked := nets[place{p.Bank, p.RRN}], entries[place{p.Bank, p.RRN}]
		want := int64(0)
		if p.Status == "captured" {
			want = p.Amount
		}
		if net != want || booked > 1 {
			t.Errorf("payment %s is %s with %d, and the bank holds %d in %d entries", id, p.Status, p.Amount, net, booked)
		}
		if was, ok := told[id]; ok && was.Status == "captured" && p.Status != "captured" {
			t.Errorf("payment %s was told captured and is %s", id, p.Status)
		}
	}
	t.Logf("payments by state: %v; the merchants heard of %d", counts, len(told))
	if counts["captured"] < 50 {
		t.Errorf("payments by state: %v: too few to tell", counts)
	}
}

// The command that dials: a bank in a process of its own.
func TestBankConnectCommand(t *testing.T) {
	t.Parallel()
	r := newListeningRig(t)
	address := freeAddress(t)
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	from := strings.Index(string(text), `listen: "127.0.0.1:`) // of alfa
	end := from + strings.Index(string(text[from:]), "\n")
	changed := string(text[:from]) + fmt.Sprintf("listen: %q", address) + string(text[end:])
	if err := os.WriteFile(r.config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	bank := &rig{t: t, logPath: filepath.Join(r.dir, "bank.log")}
	bank.run("bank", "--dialect", "ascii87", "--connect", address, "--links", "2")
	t.Cleanup(bank.kill)
	r.start()
	r.await("four links", func() bool { return r.linksUp() == 4 })
	w := newWish(0, 0, 0)
	w.bank = "alfa"
	if code, body, _ := r.pay(w); code != http.StatusCreated {
		t.Errorf("%d %s", code, body)
	}
	out, err := r.command("bank-link", "frames", "alfa", "--admin", r.admin)
	if err != nil || !strings.Contains(out, "0200") || !strings.Contains(out, "0210") || strings.Contains(out, w.card) {
		t.Errorf("frames: %v\n%s", err, out)
	}
	if out, err := r.command("bank-link", "frames", "beta", "--admin", r.admin); err == nil || !strings.Contains(out, `There is no bank "beta"`) {
		t.Errorf("frames of no bank: %v %s", err, out)
	}
	bank.signal(syscall.SIGTERM)
	r.await("two links", func() bool { return r.linksUp() == 2 })
	said, err := os.ReadFile(bank.logPath)
	if err != nil || !strings.HasPrefix(string(said), "bank ascii87 dials "+address+"\n") {
		t.Errorf("the bank says %q, %v", said, err)
	}
}
