package curves

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tranzit/tranzit/bench"
)

// Kind is what answers the load.
type Kind string

// The subjects.
const (
	Switch Kind = "switch" // the payment switch with simulated banks
	Bare   Kind = "bare"   // the bare path: the floor of what a payment costs
	Plain  Kind = "plain"  // the plain stack: what libraries give without more work
)

// Plan says what to start.
type Plan struct {
	// Kind is the subject. Default Switch.
	Kind Kind
	// Binary is the program of the subject. Default: this program.
	Binary string
	// Parent is the folder in which the subject's own is made, and removed at the
	// end. Default: the system's temporary one.
	Parent string
	// Merchants in the configuration, 1..1,000,000, each with a key. Default 1.
	Merchants int
	// Keys is how many of the merchants the load uses, spread evenly. Default: all,
	// at most 10,000.
	Keys int
	// Links to each bank, 1..64. Default 2.
	Links int
	// Banks, 1..2; the second speaks another dialect. Payments take turns. Default 1.
	Banks int
	// Delay is the think time of the banks.
	Delay time.Duration
	// Wrap stands before the command of the subject: a tracer and its arguments.
	Wrap []string
}

const (
	maxMerchants = 1_000_000
	maxLinks     = 64
	mostKeys     = 10_000
	linkWindow   = 65_536
	inFlightMost = 200_000
	answerExtra  = 40 * time.Second // beyond the bank's think time before a payment is given up
)

// The first is the one that the plain stack's library is fast in: its BCD fields cost
// it twenty times as much, which would flatter us.
var dialects = []string{"ascii87", "binary87"}

// EnsureDefaults fills what is zero.
func (p *Plan) EnsureDefaults() error {
	if p.Kind == "" {
		p.Kind = Switch
	}
	if p.Binary == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		p.Binary = self
	}
	p.Merchants, p.Links, p.Banks = max(p.Merchants, 1), max(p.Links, 0), max(p.Banks, 1)
	if p.Links == 0 {
		p.Links = 2
	}
	if p.Keys == 0 {
		p.Keys = min(p.Merchants, mostKeys)
	}
	return nil
}

// Validate names what makes no sense. REQUIRES: EnsureDefaults.
func (p *Plan) Validate() error {
	switch {
	case p.Kind != Switch && p.Kind != Bare && p.Kind != Plain:
		return fmt.Errorf("kind: %q is not one of switch, bare, plain", p.Kind)
	case p.Merchants > maxMerchants:
		return fmt.Errorf("merchants: must be 1..%d", maxMerchants)
	case p.Keys < 1 || p.Keys > p.Merchants:
		return errors.New("keys: must be 1..merchants")
	case p.Links > maxLinks:
		return fmt.Errorf("links: must be 1..%d", maxLinks)
	case p.Banks > len(dialects):
		return fmt.Errorf("banks: must be 1..%d", len(dialects))
	case p.Delay < 0 || p.Delay > 10*time.Minute:
		return errors.New("delay: must be 0s..10m")
	}
	return nil
}

// Rig is a running subject with its banks. Its methods are for one goroutine.
type Rig struct {
	plan    Plan
	dir     string
	load    bench.Options // where and with what keys
	subject *process
	banks   []*process
	serve   []string // command line of the subject
}

// Start brings the banks and the subject up and waits until the subject takes
// payments. Nothing is left when it returns an error.
func Start(ctx context.Context, p Plan) (*Rig, error) {
	if err := p.EnsureDefaults(); err != nil {
		return nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(p.Parent, "tranzit-curve-")
	if err != nil {
		return nil, err
	}
	r := &Rig{plan: p, dir: dir}
	if err := r.start(ctx); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

func (r *Rig) start(ctx context.Context) error {
	free, err := bench.FreeAddresses(2 + 2*r.plan.Banks)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	at := places{api: free[0], admin: free[1], hosts: free[2 : 2+r.plan.Banks], books: free[2+r.plan.Banks:]}
	r.load.Target, r.load.Admin, r.load.Keys = "http://"+at.api, "http://"+at.api, []string{keyOf(0)}
	data := filepath.Join(r.dir, "data")
	switch r.plan.Kind {
	case Bare:
		r.load.SkipMoney = true
		err = r.startBank(ctx, command{name: "echo", line: []string{self, "bench", "echo", "--listen", at.hosts[0]},
			up: func(ctx context.Context) error { return reach(ctx, at.hosts[0]) }})
		r.serve = []string{r.plan.Binary, "bench", "bare", "--listen", at.api, "--dir", data, "--echo", at.hosts[0]}
	case Plain:
		err = r.startBanks(ctx, self, at)
		r.serve = []string{r.plan.Binary, "bench", "plain", "--listen", at.api, "--dir", data, "--bank", at.hosts[0], "--dialect", dialects[0], "--key", keyOf(0)}
	default:
		err = errors.Join(r.startBanks(ctx, self, at), os.WriteFile(filepath.Join(r.dir, configName), r.configuration(at), 0o600))
		r.serve = r.configure(at)
	}
	if err != nil {
		return err
	}
	return r.startSubject(ctx)
}

// places are the addresses of a rig.
type places struct {
	api, admin   string
	hosts, books []string // of the banks
}

const configName = "tranzit.yaml"

// configure says how the switch is loaded, and what its command line is.
func (r *Rig) configure(at places) []string {
	r.load.Admin, r.load.Keys = "http://"+at.admin, nil
	for i := range r.plan.Keys {
		r.load.Keys = append(r.load.Keys, keyOf(i*r.plan.Merchants/r.plan.Keys))
	}
	for i := range r.plan.Banks {
		if r.plan.Banks > 1 {
			r.load.Banks = append(r.load.Banks, bankID(i))
		}
	}
	return []string{r.plan.Binary, "serve", "--config", filepath.Join(r.dir, configName)}
}

// startBanks starts simulated banks, each with its own dialect and books.
func (r *Rig) startBanks(ctx context.Context, self string, at places) error {
	for i, host := range at.hosts {
		books := "http://" + at.books[i]
		r.load.Books = append(r.load.Books, books)
		err := r.startBank(ctx, command{name: "bank", up: func(ctx context.Context) error { return get(ctx, books+"/healthz") },
			line: []string{self, "bank", "--dialect", dialects[i], "--listen", host, "--books", at.books[i], "--delay", r.plan.Delay.String()}})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Rig) startBank(ctx context.Context, c command) error {
	p, err := startProcess(ctx, c)
	if err == nil {
		r.banks = append(r.banks, p)
	}
	return err
}

func bankID(i int) string { return "bench" + strconv.Itoa(i+1) }

func keyOf(merchant int) string { return fmt.Sprintf("sk_test_bench_0123456789_%07d", merchant) }

// configuration is the switch's.
func (r *Rig) configuration(at places) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "listen: %s\nadmin: %s\ndata: %q\nlog: {level: warn}\n", at.api, at.admin, filepath.Join(r.dir, "data"))
	fmt.Fprintf(&b, "http: {connections: %d}\nlimits: {max_in_flight: %d, merchant_share: 1}\nbanks:\n", inFlightMost, inFlightMost)
	response := r.plan.Delay + answerExtra
	var routes []string
	for i, host := range at.hosts {
		fmt.Fprintf(&b, `  - id: %s
    dialect: %s
    endpoints: ["%s"]
    links_per_endpoint: %d
    window: %d
    timeouts: {connect: 5s, write: 3s, response: %s, reversal: %s}
    institution: "123456"
`, bankID(i), dialects[i], host, r.plan.Links, linkWindow, response, response)
		routes = append(routes, fmt.Sprintf("{bank: %s, merchant_id: MERCHANT%%07[1]d, terminals: [TERM0001, TERM0002, TERM0003, TERM0004]}", bankID(i)))
	}
	merchant := "  - {id: mer_%[1]d, name: SHOP %[1]d, city: BERLIN, country: \"276\", mcc: \"5411\", keys: [{mode: test, key: %[2]s}], banks: [" +
		strings.Join(routes, ", ") + "]}\n"
	b.WriteString("merchants:\n")
	for i := range r.plan.Merchants {
		fmt.Fprintf(&b, merchant, i, keyOf(i))
	}
	return []byte(b.String())
}

// startSubject starts the subject on the folder it had, if any.
func (r *Rig) startSubject(ctx context.Context) (err error) {
	up := func(ctx context.Context) error { return get(ctx, r.load.Admin+"/readyz") }
	if r.plan.Kind == Bare {
		up = func(ctx context.Context) error { return reach(ctx, strings.TrimPrefix(r.load.Target, "http://")) }
	}
	r.subject, err = startProcess(ctx, command{name: string(r.plan.Kind), up: up, line: append(append([]string(nil), r.plan.Wrap...), r.serve...)})
	return err
}

// Run loads the rig. Of o, what says where the load goes is replaced. The error of
// a run that could not be made is returned; a run that does not count is not an error.
func (r *Rig) Run(ctx context.Context, o bench.Options) (*bench.Result, error) {
	o.Target, o.Admin, o.Books, o.Keys, o.Banks, o.SkipMoney = r.load.Target, r.load.Admin, r.load.Books, r.load.Keys, r.load.Banks, r.load.SkipMoney
	o.ServePID, o.BankPID = r.subject.cmd.Process.Pid, r.banks[0].cmd.Process.Pid
	result, err := bench.Run(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", r.plan.Kind, err, r.subject.out.text())
	}
	return result, nil
}

// Down ends the subject, drained or killed; its journal stays and the banks run on.
func (r *Rig) Down(kill bool) error {
	p := r.subject
	r.subject = nil
	if kill {
		p.kill()
		return nil
	}
	return p.stop()
}

// Up starts the subject again on the same journal. REQUIRES: Down.
func (r *Rig) Up(ctx context.Context) error { return r.startSubject(ctx) }

// StartTime is how long the subject took from its last start until it took payments.
func (r *Rig) StartTime() time.Duration { return r.subject.startTime }

// Resident is the memory of the subject now, in bytes.
func (r *Rig) Resident() (int64, error) { return r.subject.resident() }

// SetDelay changes the think time of the banks. REQUIRES: a rig of a Switch.
func (r *Rig) SetDelay(ctx context.Context, d time.Duration) error {
	for _, books := range r.load.Books {
		if err := post(ctx, books+"/control", fmt.Sprintf(`{"mode":"delay","delay_ms":%d}`, d.Milliseconds())); err != nil {
			return err
		}
	}
	return nil
}

// DiskBytes is the size of the subject's files.
func (r *Rig) DiskBytes() (int64, error) {
	sum := int64(0)
	err := filepath.WalkDir(filepath.Join(r.dir, "data"), func(_ string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil // a compaction removed it
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum, err
}

// Stop ends every process, the subject first, and removes the folder. It may be
// called more than once.
func (r *Rig) Stop() error {
	var errs []error
	for _, p := range append([]*process{r.subject}, r.banks...) {
		if p != nil {
			errs = append(errs, p.stop())
		}
	}
	r.subject, r.banks = nil, nil
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}
