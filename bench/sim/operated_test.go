package sim

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	payswitch "github.com/tranzit/tranzit/switch"
)

// operation is a capture, a cancel, a refund or a release as the journal tells
// it, read from the words of its events.
type operation struct {
	of           *payment
	id           string
	kind, method string
	amount       int64
	stan, rrn    string // empty: no message went
	begun        time.Time
	status       string
	first        string // status of the first answer
	desk         bool
	events       []payswitch.TimelineEvent
}

var (
	operationID    = regexp.MustCompile(`\b[a-z]{3}_[0-7][0-9a-z]{25}\b`)
	operationBegun = regexp.MustCompile(`^\w+ of (\d+\.\d\d) EUR(?: by (\w+))?, \w+(?:, STAN (\d+), RRN (\w+)\.|: .*)$`)
	settledWords   = []string{"succeeded", "declined", "failed", "pending", "unknown", "reversed"}
)

// operationEvent takes an event that is about an operation; false: it is not.
func (e *evidence) operationEvent(p *payment, event payswitch.TimelineEvent) bool {
	id := operationID.FindString(event.Detail)
	if id == "" || strings.HasPrefix(id, "pay_") {
		return false
	}
	kind, word, _ := strings.Cut(event.Type, "_")
	o := e.byOperation[id]
	if o == nil {
		o = &operation{of: p, id: id, kind: kind, begun: event.At, status: "in_flight"}
		m := operationBegun.FindStringSubmatch(event.Detail)
		if m == nil || word != "" {
			e.broken(10, "%s: operation %s begins with %s: %s", p.name(), id, event.Type, event.Detail)
			return true
		}
		o.amount, _ = strconv.ParseInt(strings.Replace(m[1], ".", "", 1), 10, 64)
		if o.method, o.stan, o.rrn = m[2], m[3], m[4]; o.method == "" {
			o.method, o.status = "none", "succeeded"
		} else if kind == "release" {
			o.status = "pending"
		}
		p.operations = append(p.operations, o)
		e.byOperation[id] = o
		e.giveRRN(o)
	} else if o.of != p || o.kind != kind || word == "" {
		e.broken(10, "%s: %s is told of %s, a %s of %s", p.name(), event.Type, id, o.kind, o.of.name())
	}
	o.take(word, event)
	return true
}

// giveRRN notes whose the reference number of an operation is: its own, save
// for what undoes the payment's own request.
func (e *evidence) giveRRN(o *operation) {
	if o.rrn == "" {
		return
	}
	at := place(o.of.bank, o.rrn)
	switch other := e.byRRN[at]; {
	case o.undoes() && other != o.of:
		e.broken(11, "%s by %s of %s has reference number %s, not the payment's", o.kind, o.method, o.of.name(), o.rrn)
	case !o.undoes() && other != nil:
		e.broken(14, "RRN %s of bank %d was given to %s and to %s", o.rrn, o.of.bank, other.name(), o.id)
	case !o.undoes():
		e.byRRN[at] = o.of
		e.byOperationRRN[at] = o
	}
}

func (o *operation) take(word string, event payswitch.TimelineEvent) {
	attempts := o.count("sent") + o.count("repeated") + o.count("reversal_sent")
	o.events = append(o.events, event)
	switch {
	case slices.Contains(settledWords, word):
		o.status, o.desk = word, false
	case word == "answered" && o.status == "in_flight":
		o.status = "pending"
	case word == "desk":
		o.desk = true
	case word == "late_answer" && approval(event):
		o.desk = false
	case word == "late_answer" && o.status == "unknown" && attempts == 0:
		o.status = "declined"
	}
	if o.first == "" && o.status != "in_flight" {
		o.first = o.status
	}
}

// count is how many events of the operation have this word.
func (o *operation) count(word string) (n int) {
	for _, e := range o.events {
		if e.Type == o.kind+"_"+word {
			n++
		}
	}
	return n
}

// undoes: it is a message of the payment's own request, with its reference number.
func (o *operation) undoes() bool {
	return o.method == "void" || o.method == "reversal" || o.method == "partial_reversal"
}

// request: it is a request, which is reversed when it is not answered.
func (o *operation) request() bool {
	return o.method == "refund" && o.of.bank == 0 || o.method == "increment"
}

// named is the amount that its message names.
func (o *operation) named() int64 {
	switch {
	case o.undoes():
		return o.of.granted + o.raisedBefore()
	case o.method == "increment" && dialects[o.of.bank].IncrementByTotal():
		return o.heldBefore() + o.amount
	}
	return o.amount
}

// shown is the amount that its merchant reads: of an increment what is held in all.
func (o *operation) shown() int64 {
	if o.kind == "increment" {
		return o.heldBefore() + o.amount
	}
	return o.amount
}

// raisedBefore is what increments before it added to the hold.
func (o *operation) raisedBefore() (sum int64) {
	for _, before := range o.of.operations {
		if before == o {
			break
		}
		if before.kind == "increment" && before.status == "succeeded" {
			sum += before.amount
		}
	}
	return sum
}

// heldBefore is the hold before it: as raised, less what was let go.
func (o *operation) heldBefore() int64 {
	sum := o.of.granted + o.raisedBefore()
	for _, before := range o.of.operations {
		if before == o {
			break
		}
		if before.method == "partial_reversal" && before.status == "succeeded" {
			sum -= before.amount
		}
	}
	return sum
}

func (o *operation) open() bool {
	return o.status == "in_flight" || o.status == "pending" || o.status == "unknown"
}

func (o *operation) story() string {
	var words []string
	for _, e := range o.events {
		words = append(words, e.Type)
	}
	return strings.Join(words, " ")
}

// sums are a payment's amounts as its operations make them.
type sums struct {
	authorized, captured, refunded int64
	returned                       int64 // of the first request, at the bank
	taken, credited                int64 // by messages of their own, at the bank
	raised                         int64 // of the hold, by increments
	void                           bool  // the whole of a hold was undone
}

func (p *payment) sums() (s sums) {
	if s.authorized = p.granted; !p.ManualCapture {
		s.captured = p.granted
	}
	for _, o := range p.operations {
		if o.status != "succeeded" {
			continue
		}
		switch {
		case o.kind == "capture":
			s.captured += o.amount
			if o.method == "completion" {
				s.taken += o.amount
			}
		case o.kind == "refund":
			s.refunded += o.amount
			s.credited += o.amount
		case o.kind == "increment":
			s.authorized += o.amount
			s.raised += o.amount
		case o.method == "void":
			s.void = true
		case p.ManualCapture && o.undoes():
			s.authorized -= o.amount
			s.returned += o.amount
		case o.undoes():
			s.refunded += o.amount
			s.returned += o.amount
		}
	}
	if s.void {
		s.returned = p.granted + s.raised
	}
	return s
}

// disputed: people must act, on the payment or on an operation of it.
func (p *payment) disputed() bool {
	return p.onDesk() || slices.ContainsFunc(p.operations, func(o *operation) bool { return o.desk })
}

// operationAgreement: what the bank holds of an approved payment is what the
// journal says of it and of its operations.
func (e *evidence) operationAgreement(p *payment) {
	if p.disputed() {
		return
	}
	s := p.sums()
	if p.AmountAuthorized != s.authorized || p.AmountCaptured != s.captured || p.AmountRefunded != s.refunded {
		e.broken(5, "%s says %d authorized, %d captured, %d refunded; its operations make %+v: %s", p.name(), p.AmountAuthorized, p.AmountCaptured,
			p.AmountRefunded, s, p.story())
	}
	if s.captured > s.authorized || s.refunded > s.captured || s.void && s.captured > 0 {
		e.broken(5, "%s moved more than it may: %+v", p.name(), s)
	}
	entry := e.entries[place(p.bank, p.RRN)]
	if entry == nil {
		e.broken(4, "%s is %s and the bank never saw it", p.name(), p.Status)
		return
	}
	if entry.Booked != p.granted || entry.Returned != s.returned {
		e.broken(4, "%s is %s, the bank booked %d of %d and returned %d, not %d: %s", p.name(), p.Status, entry.Booked, p.granted, entry.Returned, s.returned, p.story())
	}
	if entry.Captured != s.taken || entry.Refunded != s.credited || entry.Raised != s.raised {
		e.broken(4, "%s is %s, the bank captured %d, refunded %d and raised by %d, the journal %d, %d and %d: %s", p.name(), p.Status, entry.Captured,
			entry.Refunded, entry.Raised, s.taken, s.credited, s.raised, p.story())
	}
	for _, o := range p.operations {
		e.operationBooked(o)
	}
}

// operationBooked: an operation with a message of its own stands in the bank's
// books once when it succeeded, and not at all when it did not.
func (e *evidence) operationBooked(o *operation) {
	if o.rrn == "" || o.undoes() {
		return
	}
	entry, net := e.entries[place(o.of.bank, o.rrn)], int64(0)
	if entry != nil {
		net = entry.Booked - entry.Returned
	}
	switch {
	case o.status == "succeeded" && (entry == nil || net != o.amount || entry.Returned != 0):
		e.broken(4, "%s of %d, %s, succeeded, and the bank holds %d of it: %s", o.kind, o.amount, o.id, net, o.story())
	case o.status != "succeeded" && net != 0:
		e.broken(4, "%s of %d, %s, is %s, and the bank holds %d of it: %s", o.kind, o.amount, o.id, o.status, net, o.story())
	case o.status == "failed" && entry != nil:
		e.broken(4, "%s never left, and the bank has it as %s", o.id, entry.State)
	}
}

// bounds: the bank never had to say that it was asked for more than there is, or
// for what it cannot find.
func (e *evidence) bounds(bank int, entry *banksim.Entry) {
	o := e.byOperationRRN[place(bank, entry.RRN)]
	if o == nil || entry.Requests == 0 {
		return
	}
	switch entry.ResponseCode {
	case "13", "14", "25", "94":
		e.broken(5, "the bank refused %s of %d, %s, with code %s: %s", o.kind, o.amount, o.id, entry.ResponseCode, o.of.story())
	}
	if entry.Original == 0 && entry.Booked > 0 {
		e.broken(5, "%s of %d, %s, refers to nothing the bank knows", o.kind, o.amount, o.id)
	}
	if entry.Amount != o.named() {
		e.broken(9, "%s of %d, %s, came to the bank with %d", o.kind, o.amount, o.id, entry.Amount)
	}
}

// operationsEnd: nothing is open, and no hold outlives its time.
func (e *evidence) operationsEnd(p *payment) {
	for _, o := range p.operations {
		if o.open() && !o.desk {
			e.broken(19, "%s of %s is %s at the end: %s", o.kind, p.name(), o.status, o.story())
		}
	}
	if p.Status != payswitch.StatusAuthorized || p.disputed() || e.live == nil {
		return
	}
	if end := p.outcome().At.Add(holdTime); e.overdue.Load() && e.now().After(end) {
		e.broken(19, "%s is authorized %v after the end of its hold: %s", p.name(), e.now().Sub(end), p.story())
	}
}

// holdsInTime: the switch lets go of a hold no sooner than the bank does.
func (e *evidence) holdsInTime() {
	for _, p := range e.payments {
		for _, o := range p.operations {
			if o.kind == "release" && o.begun.Sub(p.outcome().At) < holdTime {
				e.broken(10, "%s was let go %v after its approval", p.name(), o.begun.Sub(p.outcome().At))
			}
		}
	}
}

// operationAnswers are invariants 2, 3, 6, 7 and 9 for what merchants were told
// of operations.
func (e *evidence) operationAnswers() {
	told := map[string]string{} // operation -> key
	firsts := map[string]*said{}
	e.rowsDone(told)
	for _, s := range e.sayings {
		key := s.act.key(s.order)
		if s.did.ID == "" {
			continue
		}
		o := e.byOperation[s.did.ID]
		if o == nil {
			e.broken(2, "%s was told of %s and the journal does not know it", key, s.did.ID)
			continue
		}
		e.toldRight(s, o)
		if other, ok := told[o.id]; ok && other != key {
			e.broken(9, "%s is the answer to %s and to %s", o.id, other, key)
		}
		told[o.id] = key
		switch first := firsts[key]; {
		case first == nil:
			firsts[key] = s
		case first.did.ID != s.did.ID:
			e.broken(6, "key %s has two operations: %s and %s", key, first.did.ID, s.did.ID)
		case first.text != s.text:
			e.broken(7, "key %s was answered\n%s\nand\n%s", key, first.text, s.text)
		}
	}
	for _, p := range e.payments {
		e.untold(p, told, firsts)
	}
}

// toldRight: an answer is what the journal says, now and for ever.
func (e *evidence) toldRight(s *said, o *operation) {
	key := s.act.key(s.order)
	if o.of.order != s.order || s.did.Payment.ID != o.of.name() || s.did.Kind != o.kind || s.did.Method != o.method || s.did.Amount != o.shown() ||
		s.act.amount > 0 && o.shown() != s.act.sum(s.other) {
		e.broken(9, "%s was answered with another operation: %s", key, s.text)
	}
	if s.did.Status != o.first {
		e.broken(2, "%s was told %s and the journal says otherwise: %s", key, s.did.Status, o.story())
	}
	if m := s.did.Payment; m.Refunded > m.Captured || m.Captured > m.Authorized {
		e.broken(5, "%s was told %d authorized, %d captured, %d refunded", key, m.Authorized, m.Captured, m.Refunded)
	}
	after := map[string][]string{"pending": {"pending", "succeeded", "declined"}, "unknown": {"unknown", "reversed", "declined"}}[s.did.Status]
	if o.status != s.did.Status && !slices.Contains(after, o.status) {
		e.broken(3, "%s was told %s and %s is now %s: %s", key, s.did.Status, o.id, o.status, o.story())
	}
}

// untold: an operation that nobody was told of belongs to a key whose merchant
// got no answer, one to each.
func (e *evidence) untold(p *payment, told map[string]string, firsts map[string]*said) {
	if p.order == nil {
		return
	}
	wondering := 0
	for _, a := range p.order.acts {
		lost := slices.ContainsFunc(e.sayings, func(s *said) bool { return s.order == p.order && s.act == a && s.inst >= 0 && !s.sure() })
		if lost && firsts[a.key(p.order)] == nil {
			wondering++
		}
	}
	for _, o := range p.operations {
		if told[o.id] == "" && o.kind != "release" {
			wondering--
		}
	}
	if wondering < 0 {
		e.broken(6, "%s has more operations than its merchant asked for: %s", p.name(), p.story())
	}
}

// operationFrames is invariant 11 for the messages of an operation.
func (e *evidence) operationFrames() {
	for _, p := range e.payments {
		for _, o := range p.operations {
			e.operationSent(o, e.framesOf(o))
			if o.request() {
				e.refundUndone(o)
			}
			settled := false
			for _, event := range o.events {
				_, word, _ := strings.Cut(event.Type, "_")
				if settled && (word == "sent" || word == "repeated" || word == "reversal_sent") {
					e.broken(11, "%s was sent after it was settled: %s", o.id, o.story())
				}
				settled = word == "succeeded" || word == "declined" || word == "reversed" || settled && word != "late_answer"
			}
		}
	}
}

// framesOf are the messages of an operation, save what undoes a refund.
func (e *evidence) framesOf(o *operation) (out []*frame) {
	if o.rrn == "" {
		return nil
	}
	at := place(o.of.bank, o.rrn)
	if !o.undoes() {
		return e.sent[at]
	}
	for _, f := range e.undone[at] {
		if f.field[11] == o.stan {
			out = append(out, f)
		}
	}
	return out
}

func (e *evidence) operationSent(o *operation, frames []*frame) {
	p := o.of
	request := e.requests[place(p.bank, p.RRN)]
	for n, f := range frames {
		want := map[int]string{4: fmt.Sprintf("%012d", o.named()), 11: o.stan, 2: p.order.card.Number, 42: bankMerchant(p.order.merchant)}
		if request != nil {
			want[41], want[49], want[32] = request.field[41], request.field[49], request.field[32]
			want[90] = request.mti.String() + request.field[11] + request.field[7]
		}
		if o.method == "void" || o.method == "reversal" {
			want[95] = ""
		}
		if first := frames[0]; n > 0 {
			want[7], want[95] = first.field[7], first.field[95]
		}
		for number, text := range want {
			if got := f.field[number]; got != text && !(number == 90 && strings.HasPrefix(got, text)) {
				e.broken(11, "field %d of message %d of %s by %s, %s, is %q, not %q", number, n+1, o.kind, o.method, o.id, got, text)
			}
		}
		if n > 0 && f.mti.Origin() == 0 {
			e.broken(11, "message %d of %s by %s, %s, is not marked as a repeat", n+1, o.kind, o.method, o.id)
		}
	}
	if may := 1 + o.count("sent") + o.count("repeated"); len(frames) > may && !o.request() {
		e.broken(11, "%d messages of %s went to the bank, the journal knows %d", len(frames), o.id, may)
	}
}

// refundUndone: what reverses a refund carries its data, and begins only when
// its outcome is not known.
func (e *evidence) refundUndone(o *operation) {
	frames := e.undone[place(o.of.bank, o.rrn)]
	sent := o.count("reversal_sent")
	if len(frames) > sent {
		e.broken(11, "%d reversals of %s went to the bank, the journal knows %d", len(frames), o.id, sent)
	}
	if len(frames) > 0 && o.count("unknown") == 0 {
		e.broken(11, "%s was never unknown and was reversed: %s", o.id, o.story())
	}
	for n, f := range frames {
		if n > 0 && (f.mti.Origin() == 0 || f.field[11] != frames[0].field[11] || f.field[7] != frames[0].field[7]) {
			e.broken(11, "reversal %d of %s is no repeat of the first", n+1, o.id)
		}
		mti := "0200"
		if o.kind == "increment" {
			mti = "0100"
		}
		if f.field[4] != fmt.Sprintf("%012d", o.named()) || !strings.HasPrefix(f.field[90], mti+o.stan) {
			e.broken(11, "the reversal of %s carries amount %s and original %s", o.id, f.field[4], f.field[90])
		}
	}
}
