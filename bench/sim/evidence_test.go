package sim

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// payment is a payment as the journal tells it at the end.
type payment struct {
	payswitch.Payment
	events []payswitch.TimelineEvent
	bank   int
	places []string // where it was asked for: the last bank, and those that never got the request
	order  *order
	other  bool

	operations []*operation // in the order of their beginning
	granted    int64        // by the bank, at first: the whole or a part
}

// outcome is the first record that says how the payment stands; before it there
// may be others that ask another bank.
func (p *payment) outcome() payswitch.TimelineEvent {
	for _, e := range p.events {
		if e.Status != payswitch.StatusInFlight {
			return e
		}
	}
	return payswitch.TimelineEvent{}
}

func (p *payment) name() string { return p.Payment.Name() }

// label is the order that the payment is an attempt at.
func (p *payment) label() string {
	if strings.HasPrefix(p.OrderID, "once-") {
		return p.Description
	}
	return p.OrderID
}

func (p *payment) approved() bool {
	return p.Status == payswitch.StatusSucceeded || slices.Contains(follow[payswitch.StatusAuthorized], p.Status)
}

// onDesk: the switch stopped trying, people must act.
func (p *payment) onDesk() (desk bool) {
	for _, e := range p.events {
		switch e.Type {
		case "desk":
			desk = true
		case "reversed":
			desk = false
		case "late_answer":
			desk = desk && !approval(e)
		}
	}
	return desk
}

// approval: the late answer was one.
func approval(e payswitch.TimelineEvent) bool {
	return strings.Contains(e.Detail, "code 00") || strings.Contains(e.Detail, "code 10")
}

func (p *payment) has(event string) bool {
	return slices.ContainsFunc(p.events, func(e payswitch.TimelineEvent) bool { return e.Type == event })
}

// evidence is everything that the invariants are functions of.
type evidence struct {
	*world
	payments []*payment
	byRRN    map[string]*payment // bank, RRN
	byOrder  map[string]*payment
	books    [][]banksim.Entry
	entries  map[string]*banksim.Entry // bank, RRN
	requests map[string]*frame         // bank, RRN of a request on the wire
	undone   map[string][]*frame       // bank, RRN -> reversals on the wire
	sent     map[string][]*frame       // bank, RRN -> requests and advices on the wire
	asked    map[*order][]*reply

	byOperation    map[string]*operation
	byOperationRRN map[string]*operation // bank, RRN of those that have one of their own
}

func place(bank int, rrn string) string { return fmt.Sprint(bank, " ", rrn) }

// judge gathers the evidence and applies every invariant.
func (w *world) judge() {
	e := &evidence{world: w, byRRN: map[string]*payment{}, byOrder: map[string]*payment{}, entries: map[string]*banksim.Entry{},
		requests: map[string]*frame{}, undone: map[string][]*frame{}, sent: map[string][]*frame{}, asked: map[*order][]*reply{},
		byOperation: map[string]*operation{}, byOperationRRN: map[string]*operation{}}
	if !e.readJournal() {
		return
	}
	for n, h := range w.hosts {
		e.books = append(e.books, h.bank.Books().Entries())
		for i := range e.books[n] {
			e.entries[place(n, e.books[n][i].RRN)] = &e.books[n][i]
		}
	}
	for i := range w.frames {
		f := &w.frames[i]
		switch at := place(f.bank, f.field[37]); f.mti.Class() {
		case 1, 2:
			e.requests[at] = f
			e.sent[at] = append(e.sent[at], f)
		case 4:
			e.undone[at] = append(e.undone[at], f)
		}
	}
	for _, r := range w.replies {
		e.asked[r.order] = append(e.asked[r.order], r)
	}
	for _, c := range checks {
		if c.check != nil {
			c.check(e)
		}
	}
	e.countStates()
}

func (e *evidence) readJournal() bool {
	store, err := storage.Open(storage.Options{Disk: e.disk, ReadOnly: true, Logger: quiet, OnFatal: func(error) {}, MemtableBytes: 64 << 10})
	if err != nil {
		e.broken(16, "the journal does not open at the end: %v", err)
		return false
	}
	defer func() { _ = store.Close() }()
	if err := verify(store); err != nil {
		e.broken(16, "%v", err)
	}
	var p *payment
	err = payswitch.Export(store, func(now payswitch.Payment, event payswitch.TimelineEvent) error {
		if event.Version == 1 {
			p = &payment{bank: slices.Index(bankNames, now.Bank)}
			e.payments = append(e.payments, p)
		}
		if p.Payment = now; now.RRN != "" { // another bank may have been asked before
			p.bank = slices.Index(bankNames, now.Bank)
			at := place(p.bank, now.RRN)
			switch e.byRRN[at] {
			case nil:
				e.byRRN[at], p.places = p, append(p.places, at)
			case p:
			default:
				e.broken(14, "RRN %s of bank %d was given to %s and to %s", now.RRN, p.bank, e.byRRN[at].name(), p.name())
			}
		}
		if p.granted == 0 && p.approved() {
			if p.granted = now.AmountAuthorized; p.Purpose != payswitch.PurposePayment {
				p.granted = now.Amount
			}
		}
		p.events = append(p.events, event)
		e.operationEvent(p, event)
		return nil
	})
	if err != nil {
		e.broken(10, "the journal does not fold: %v", err)
		return false
	}
	for _, p := range e.payments {
		if first := e.byOrder[p.label()]; first != nil {
			e.broken(6, "order %s has two payments: %s and %s", p.label(), first.name(), p.name())
		}
		e.byOrder[p.label()] = p
		for _, o := range e.orders {
			for _, other := range []bool{false, true} {
				if o.id(other) == p.label() {
					p.order, p.other = o, other
				}
			}
		}
	}
	return true
}

// statuses are the final states by order, and how often each kind of record was
// written: what two recoveries must agree on.
func statuses(d *storage.Disk) (out []string, err error) {
	store, err := storage.Open(storage.Options{Disk: d, ReadOnly: true, Logger: quiet, OnFatal: func(error) {}, MemtableBytes: 64 << 10})
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.Close() }()
	if err := verify(store); err != nil {
		return nil, err
	}
	lines := map[payswitch.ID]string{}
	err = payswitch.Export(store, func(p payswitch.Payment, e payswitch.TimelineEvent) error {
		lines[p.ID] += " " + e.Type
		return nil
	})
	for id, line := range lines {
		out = append(out, id.Text("pay")+line)
	}
	sort.Strings(out)
	return out, err
}

func verify(store *storage.Store) error {
	_, err := store.Verify(context.Background(), nil)
	return err
}

// recoverOnly starts the switch on a disk without any network and stops it.
func (w *world) recoverOnly(d *storage.Disk) error {
	store, err := storage.Open(storage.Options{Disk: d, Logger: quiet, OnFatal: func(error) {}, MemtableBytes: 64 << 10})
	if err != nil {
		return err
	}
	i := &instance{w: w, disk: d}
	i.dead.Store(true)
	o := payswitch.Options{Store: store, Keys: keyRing, Logger: quiet, Now: w.now, Merchants: merchants(w.banks)}
	for n := range w.banks {
		o.Banks = append(o.Banks, i.bankConfig(n))
	}
	core, err := payswitch.New(o)
	if err == nil {
		err = core.Start()
		core.Close()
	}
	return errors.Join(err, store.Close())
}

// tryTwice: a recovery that is cut off and run again ends as one that was not
// (invariant 13). It works on copies of what the dead instance left.
func (w *world) tryTwice(i *instance) {
	if i.second == nil {
		return
	}
	r := stream(w.seed, 300+uint64(i.n))
	cut := 1 + r.Uint64N(50)
	var half *storage.Disk
	var ops uint64
	whole := i.second.CrashClone(storage.Crash{})
	i.second.SetFaults(storage.Faults{OnOp: func(uint64, string, string) {
		if ops++; ops == cut {
			half = i.second.CrashClone(storage.Crash{Unsynced: storage.Unsynced(r.IntN(3)), Seed: cut})
		}
	}})
	err := errors.Join(w.recoverOnly(whole), w.recoverOnly(i.second))
	if half == nil {
		return
	}
	if err = errors.Join(err, w.recoverOnly(half)); err != nil {
		w.broken(13, "a recovery cut off at operation %d: %v", cut, err)
		return
	}
	w.hit("recovery_tried_twice")
	want, err := statuses(whole)
	if err != nil {
		w.broken(13, "after a whole recovery: %v", err)
	}
	got, err := statuses(half)
	if err != nil {
		w.broken(13, "after a recovery cut off at operation %d: %v", cut, err)
	}
	if !slices.Equal(want, got) {
		w.broken(13, "recovery cut off at operation %d ends in %v, a whole one in %v", cut, got, want)
	}
}

// spoil damages one file of a copy of the journal: either the start and the
// proof of the chain say so, or the records are all the same (invariant 15). It
// works outside the bubble: an engine that meets rot ends the goroutine that
// read it and leaves its own behind.
func (r *result) spoil() {
	d := r.disk.CrashClone(storage.Crash{Unsynced: storage.KeepUnsynced})
	broken := func(format string, args ...any) { r.bad = append(r.bad, violation{15, fmt.Sprintf(format, args...)}) }
	want, err := statuses(d)
	if err != nil {
		broken("before any damage: %v", err)
		return
	}
	dice := stream(r.plan.seed, 400)
	files := slices.DeleteFunc(d.Files(), func(name string) bool { return len(d.ReadFile(name)) == 0 })
	name := files[dice.IntN(len(files))]
	what := damage(dice, d, name)
	var got []string
	err = errors.New("the reader was ended")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		got, err = statuses(d)
	}()
	<-ended
	r.seen["damage_"+strings.Fields(what)[0]]++
	switch {
	case err != nil:
		r.seen["damage_was_loud"]++
	case !slices.Equal(want, got):
		broken("%s of %s was not noticed and changed the records", what, name)
	default:
		r.seen["damage_outside_live_data"]++
	}
}

func damage(r *rand.Rand, d *storage.Disk, name string) string {
	data := d.ReadFile(name)
	at := r.IntN(len(data))
	switch r.IntN(4) {
	case 0:
		d.WriteFile(name, nil)
		return "loss"
	case 1:
		d.WriteFile(name, data[:at])
		return fmt.Sprintf("truncation at %d", at)
	case 2:
		clear(data[at:min(len(data), at+512)])
		d.WriteFile(name, data)
		return fmt.Sprintf("zeroes at %d", at)
	}
	data[at] ^= 1 << r.IntN(8)
	d.WriteFile(name, data)
	return fmt.Sprintf("flip at %d", at)
}

// needles are the forms in which a secret could stand somewhere.
func needles(secret string) (out [][]byte) {
	raw := []byte(secret)
	reversed := slices.Clone(raw)
	slices.Reverse(reversed)
	wide := []byte(strings.Join(strings.Split(secret, ""), "\x00"))
	out = append(out, raw, reversed, wide, []byte(hex.EncodeToString(raw)))
	for shift := range 3 {
		text := base64.StdEncoding.EncodeToString(append(make([]byte, shift), raw...))
		out = append(out, []byte(text[4:len(text)-4]))
	}
	if packed, err := hex.DecodeString(secret); err == nil {
		out = append(out, packed)
	}
	return out
}

// digest is what two lives of one seed must agree on: what merchants were told
// and what went over the wire, with their times.
func (w *world) digest() uint64 {
	h := fnv.New64a()
	var lines []string
	for _, r := range w.replies {
		lines = append(lines, fmt.Sprint(r.order.key(), r.other, r.at.Sub(w.begin).Round(time.Microsecond), r.lost, r.code, r.payment.Status))
	}
	for _, s := range w.sayings {
		lines = append(lines, fmt.Sprint(s.act.key(s.order), s.other, s.at.Sub(w.begin).Round(time.Microsecond), s.lost, s.code, s.did.Status))
	}
	sort.Strings(lines)
	for _, l := range lines {
		_, _ = h.Write([]byte(l))
	}
	lines = lines[:0]
	for _, f := range w.frames {
		lines = append(lines, fmt.Sprint(f.at.Sub(w.begin).Round(time.Microsecond), f.inst, f.bank, f.mti, f.field[4], f.field[11]))
	}
	sort.Strings(lines)
	for _, l := range lines {
		_, _ = h.Write([]byte(l))
	}
	return h.Sum64()
}

func (e *evidence) scan(needle []byte) (where string) {
	for _, name := range e.disk.Files() {
		if bytes.Contains(e.disk.ReadFile(name), needle) {
			return name
		}
	}
	if bytes.Contains(e.logText.Bytes(), needle) {
		return "the log"
	}
	return ""
}
