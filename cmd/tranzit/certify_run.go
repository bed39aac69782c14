package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/iso/security"
)

// certReport is what is handed to the bank. No card data stands in it.
type certReport struct {
	Pack    string       `json:"pack"`
	Dialect string       `json:"dialect"`
	Version int          `json:"version"`
	Host    string       `json:"host"`
	At      time.Time    `json:"at"`
	Passed  int          `json:"passed"`
	Failed  int          `json:"failed"`
	Cases   []certResult `json:"cases"`
}

type certResult struct {
	ID     string     `json:"id"`
	Title  string     `json:"title"`
	Passed bool       `json:"passed"`
	Fault  string     `json:"fault,omitempty"` // the first thing that was not as expected
	Trace  []certLine `json:"trace"`
}

// certLine is one message of a trace, masked, or what was done besides.
type certLine struct {
	Direction string          `json:"direction"` // sent, received, note
	At        time.Time       `json:"at"`
	AfterMS   float64         `json:"after_ms"` // since the case began
	Fields    []iso.FieldView `json:"fields,omitempty"`
	Note      string          `json:"note,omitempty"` // of a note
}

// certHost is the bank's host that is tested, and what is spoken with it.
type certHost struct {
	dialect *iso.Dialect
	keys    iso.ClearKeys
	address string
	// ask has the bank do something that it does not do by itself.
	ask func(ctx context.Context, s *certStep) error
}

// certRun is a pack that runs against a bank's host.
type certRun struct {
	certHost
	d    *iso.Dialect
	pack *certPack
	link *certLink // nil: it is cut
	seq  uint64    // of trace and reference numbers: by the clock, so that one run after another has others

	began time.Time // of the case that runs
	trace []certLine
	sent  map[string]*certSent // by the name of the step
	kept  []certFrame          // answers that no step has asked for yet
}

type certFrame struct {
	m      iso.Message
	header []byte
	mac    error // what is wrong with its code
}

type certSent struct {
	op     iso.Operation
	values iso.Values
	m      *iso.Message
}

// certify runs a pack against a host. The error is that of the connection before
// the first case; what goes wrong later is a fault of its case.
func certify(ctx context.Context, p *certPack, host certHost) (*certReport, error) {
	d := host.dialect
	r := &certRun{certHost: host, d: d, pack: p, seq: uint64(time.Now().UnixMicro() / 100)}
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	defer r.cut()
	report := &certReport{Pack: p.Title, Dialect: d.ID(), Version: d.Version(), Host: host.address, At: time.Now().UTC().Truncate(time.Millisecond)}
	if p.SignOn && d.Supports(iso.OpSignOn) {
		report.add(r.run(ctx, r.signOn()))
	}
	for i := range p.Cases {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		r.revive(ctx)
		report.add(r.run(ctx, &p.Cases[i]))
	}
	return report, nil
}

func (r *certReport) add(c certResult) {
	if c.Passed {
		r.Passed++
	} else {
		r.Failed++
	}
	r.Cases = append(r.Cases, c)
}

// signOn is the case that every link begins with.
func (r *certRun) signOn() *certCase {
	return &certCase{ID: "sign-on", Title: "Sign-on", Steps: []certStep{{Send: messageText{Operation: "sign_on"},
		Expect: certExpect{Fields: map[int]string{39: granted(r.d)}, Within: 10 * time.Second}}}}
}

// revive gives the next case a link when the one before left none.
func (r *certRun) revive(ctx context.Context) {
	if r.link != nil && !r.link.over() {
		return
	}
	if r.connect(ctx) == nil && r.pack.SignOn && r.d.Supports(iso.OpSignOn) {
		r.run(ctx, r.signOn())
	}
}

func (r *certRun) run(ctx context.Context, c *certCase) certResult {
	r.began, r.trace, r.sent, r.kept = time.Now(), nil, map[string]*certSent{}, nil
	out := certResult{ID: c.ID, Title: c.Title}
	for i := range c.Steps {
		if err := r.step(ctx, &c.Steps[i]); err != nil {
			out.Fault = fmt.Sprintf("step %d: %v", i+1, err)
			break
		}
	}
	out.Passed, out.Trace = out.Fault == "", r.trace
	return out
}

func (r *certRun) step(ctx context.Context, s *certStep) error {
	switch {
	case s.Receive != "":
		return r.receive(s)
	case s.Late != "":
		return r.late(s)
	case s.Wait > 0:
		r.say("nothing is sent for " + s.Wait.String())
		if _, err := r.await(s.Wait, func(*certFrame) bool { return false }); !errors.Is(err, errNoMessage) {
			return s.Expect.closed(err)
		}
		return s.Expect.open()
	case s.Link == "cut":
		r.say("the link is cut by us")
		r.cut()
		return nil
	case s.Link == "connect":
		r.say("a link is made")
		return r.connect(ctx)
	case s.Do != "":
		r.say("the bank: " + s.Do)
		return r.ask(ctx, s)
	}
	return r.send(s)
}

// send sends a step's message and holds what comes back against what must.
func (r *certRun) send(s *certStep) error {
	m, err := r.message(s)
	if err != nil {
		return err
	}
	frame, err := r.seal(m, s.MAC)
	if err != nil {
		return err
	}
	r.note("sent", m)
	if err := r.write(frame); err != nil {
		return err
	}
	answer, err := r.await(s.Expect.Within, func(got *certFrame) bool { return r.answers(m, &got.m) })
	switch {
	case s.Expect.None && answer != nil:
		return errors.New("an answer came, and none may come")
	case s.Expect.None && errors.Is(err, errNoMessage):
		return nil
	case err != nil:
		return s.Expect.closed(err)
	case s.Expect.Closed:
		return errors.New("an answer came, and the host must close the connection")
	}
	return s.Expect.check(r.d, m, answer)
}

// late waits for the answer to an earlier step, which may have come meanwhile.
func (r *certRun) late(s *certStep) error {
	m := r.sent[s.Late].m
	for i := range r.kept {
		if r.answers(m, &r.kept[i].m) {
			return s.Expect.check(r.d, m, &r.kept[i])
		}
	}
	answer, err := r.await(s.Expect.Within, func(got *certFrame) bool { return r.answers(m, &got.m) })
	if err != nil {
		return fmt.Errorf("%w: the answer to %s is expected", err, s.Late)
	}
	return s.Expect.check(r.d, m, answer)
}

// granted is the code of the answer that grants a sign-on.
func granted(d *iso.Dialect) string {
	for _, s := range d.NetworkSteps() {
		if s.Effect == iso.EffectSignOn {
			return d.StepGranted(s)
		}
	}
	return "00"
}

// seal is a message's frame, with its code as the step wants it.
func (r *certRun) seal(m *iso.Message, mac string) ([]byte, error) {
	var keys iso.MACKeys = r.keys
	switch mac {
	case "missing":
		return r.d.AppendFrame(nil, m)
	case "wrong":
		keys = wrongKeys{r.keys}
	}
	return r.d.AppendSealed(nil, m, iso.Seal{Flow: iso.ToBank, Keys: keys})
}

// wrongKeys make codes that are wrong.
type wrongKeys struct{ iso.ClearKeys }

// Sum implements iso.MACKeys.
func (k wrongKeys) Sum(slot string, m security.MAC, data []byte) ([]byte, error) {
	sum, err := k.ClearKeys.Sum(slot, m, data)
	if err == nil {
		sum[0] ^= 0xFF
	}
	return sum, err
}

func (r *certRun) note(direction string, m *iso.Message) {
	now := time.Now()
	r.trace = append(r.trace, certLine{Direction: direction, At: now.UTC().Truncate(time.Millisecond),
		AfterMS: float64(now.Sub(r.began).Microseconds()) / 1000, Fields: r.d.Describe(m)})
}

// say puts what is no message into the trace.
func (r *certRun) say(what string) {
	now := time.Now()
	r.trace = append(r.trace, certLine{Direction: "note", At: now.UTC().Truncate(time.Millisecond), AfterMS: float64(now.Sub(r.began).Microseconds()) / 1000, Note: what})
}

func (r *certRun) answers(request, m *iso.Message) bool {
	var asked, got iso.Key
	r.d.RequestKey(request, &asked)
	return m.MTI.IsAnswer() && r.d.AnswerKey(m, &got) && asked == got
}

func (r *certRun) reply(f *certFrame) error {
	var m iso.Message
	if err := r.d.Answer(&f.m, &iso.Values{ResponseCode: r.d.CodeLike(f.m.MTI.Response(), "00"), SentAt: time.Now()}, &m); err != nil {
		return fmt.Errorf("the bank's %s: %w", f.m.MTI, err)
	}
	frame, err := r.d.AppendSealed(nil, &m, iso.Seal{Flow: iso.ToBank, Keys: r.keys, To: f.header})
	if err != nil {
		return err
	}
	r.note("sent", &m)
	return r.write(frame)
}

func (r *certRun) receive(s *certStep) error {
	f, err := r.await(s.Expect.Within, func(f *certFrame) bool { return r.is(&f.m, s.Receive) })
	if err != nil {
		return fmt.Errorf("%w: a message %s of the bank is expected", err, s.Receive)
	}
	if err := s.Expect.checkFields(r.d, f); err != nil {
		return err
	}
	if f.m.MTI.ExpectsAnswer() && s.Answer != "none" {
		return r.reply(f)
	}
	return nil
}

// is reports whether a message of the bank is of a type, or a step of network management.
func (r *certRun) is(m *iso.Message, what string) bool {
	if s := r.d.StepOf(m, false); s != nil && s.Name == what {
		return true
	}
	return m.MTI.String() == what
}

// message builds what a step sends, with numbers and times of now where neither
// the step nor the pack gives any.
func (r *certRun) message(s *certStep) (*iso.Message, error) {
	if o := r.sent[s.Repeat]; o != nil {
		m := new(iso.Message)
		if err := m.SetCompact(o.m.AppendCompact(nil)); err != nil {
			return nil, err
		}
		m.MTI = m.MTI.Repeat()
		return m, nil
	}
	if s.Send.MTI != "" {
		m, err := s.Send.message(r.d)
		if err == nil && s.Name != "" {
			r.sent[s.Name] = &certSent{m: m}
		}
		return m, err
	}
	values := s.Send.Values
	complete(&values, messageValues(r.pack.Values))
	v, err := values.values()
	if err != nil {
		return nil, err
	}
	op, err := parseOperation(s.Send.Operation)
	if err != nil {
		return nil, err
	}
	r.seq++
	now := time.Now().UTC()
	if v.STAN == 0 {
		v.STAN = r.d.STAN(r.seq)
	}
	if o := r.sent[s.Original]; o != nil && v.RRN == "" {
		v.RRN = o.values.RRN
	}
	if v.RRN == "" {
		v.RRN = r.d.RRN(r.seq, now)
	}
	if v.SentAt.IsZero() {
		v.SentAt, v.LocalAt = now, now
	}
	if o := r.sent[s.Original]; o != nil {
		v.Original = iso.Original{Operation: o.op, MTI: o.m.MTI, STAN: o.values.STAN, SentAt: o.values.SentAt, Acquirer: v.Acquirer, Forwarder: v.Forwarder}
	}
	var m iso.Message
	if err := r.d.Build(op, &v, &m); err != nil {
		return nil, err
	}
	if s.Name != "" {
		r.sent[s.Name] = &certSent{op: op, values: v, m: &m}
	}
	return &m, nil
}

// complete fills what is zero in v by the pack's values.
func complete(v *messageValues, from messageValues) {
	to, of := reflect.ValueOf(v).Elem(), reflect.ValueOf(from)
	for i := range to.NumField() {
		if to.Field(i).IsZero() {
			to.Field(i).Set(of.Field(i))
		}
	}
}
