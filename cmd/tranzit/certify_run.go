package main

import (
	"context"
	"errors"
	"fmt"
	"net"
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

// certLine is one message of a trace, masked.
type certLine struct {
	Direction string          `json:"direction"` // sent, received
	At        time.Time       `json:"at"`
	AfterMS   float64         `json:"after_ms"` // since the case began
	Fields    []iso.FieldView `json:"fields"`
}

// certHost is the bank's host that is tested, and what is spoken with it.
type certHost struct {
	dialect *iso.Dialect
	keys    iso.ClearKeys
	address string
}

// certRun is one connection to a bank's host.
type certRun struct {
	d      *iso.Dialect
	keys   iso.ClearKeys
	pack   *certPack
	conn   net.Conn
	seq    uint64
	frames chan certFrame
	ended  chan error // why the stream ended

	began time.Time // of the case that runs
	trace []certLine
	sent  map[string]*certSent // by the name of the step
}

type certFrame struct {
	m      iso.Message
	header []byte
	mac    error // what is wrong with its code
}

type certSent struct {
	op     iso.Operation
	values iso.Values
	mti    iso.MTI
}

// certify runs a pack against a host. The error is that of the connection before
// the first case; what goes wrong later is a fault of its case.
func certify(ctx context.Context, p *certPack, host certHost) (*certReport, error) {
	d := host.dialect
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", host.address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	r := &certRun{d: d, keys: host.keys, pack: p, conn: conn, seq: uint64(time.Now().Unix() % 900_000), frames: make(chan certFrame, 64), ended: make(chan error, 1)}
	done := make(chan struct{})
	go func() { defer close(done); r.read() }()
	defer func() { _ = conn.Close(); <-done }()
	report := &certReport{Pack: p.Title, Dialect: d.ID(), Version: d.Version(), Host: host.address, At: time.Now().UTC().Truncate(time.Millisecond)}
	if p.SignOn && d.Supports(iso.OpSignOn) {
		c := certCase{ID: "sign-on", Title: "Sign-on", Steps: []certStep{{Send: messageText{Operation: "sign_on"},
			Expect: certExpect{Fields: map[int]string{39: granted(d)}, Within: 10 * time.Second}}}}
		report.add(r.run(&c))
	}
	for i := range p.Cases {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		report.add(r.run(&p.Cases[i]))
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

// read gives every message of the stream to the cases, until it ends.
func (r *certRun) read() {
	buf, chunk := []byte(nil), make([]byte, 4096)
	for {
		n, err := r.conn.Read(chunk)
		if err != nil {
			r.ended <- errors.New("the host closed the connection")
			return
		}
		buf = append(buf, chunk[:n]...)
		for {
			body, n, err := r.d.NextFrame(buf)
			if err != nil {
				r.ended <- err
				return
			}
			if n == 0 {
				break
			}
			frame := certFrame{header: append([]byte(nil), r.d.FrameHeader(buf[:n])...)}
			if body != nil {
				if err := r.d.Decode(body, &frame.m); err != nil {
					r.ended <- err
					return
				}
				frame.mac = r.d.CheckMAC(buf[:n], &frame.m, iso.FromBank, r.keys)
				select {
				case r.frames <- frame:
				default:
					r.ended <- errors.New("the host sends more messages than the pack reads")
					return
				}
			}
			buf = buf[n:]
		}
	}
}

func (r *certRun) run(c *certCase) certResult {
	r.began, r.trace, r.sent = time.Now(), nil, map[string]*certSent{}
	out := certResult{ID: c.ID, Title: c.Title}
	for i := range c.Steps {
		if err := r.step(&c.Steps[i]); err != nil {
			out.Fault = fmt.Sprintf("step %d: %v", i+1, err)
			break
		}
	}
	out.Passed, out.Trace = out.Fault == "", r.trace
	return out
}

func (r *certRun) step(s *certStep) error {
	if s.Receive != "" {
		return r.receive(s)
	}
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
		return err
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

func (r *certRun) write(frame []byte) error {
	_ = r.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, err := r.conn.Write(frame)
	return err
}

func (r *certRun) note(direction string, m *iso.Message) {
	now := time.Now()
	r.trace = append(r.trace, certLine{Direction: direction, At: now.UTC().Truncate(time.Millisecond),
		AfterMS: float64(now.Sub(r.began).Microseconds()) / 1000, Fields: r.d.Describe(m)})
}

func (r *certRun) answers(request, m *iso.Message) bool {
	var asked, got iso.Key
	r.d.RequestKey(request, &asked)
	return m.MTI.IsAnswer() && r.d.AnswerKey(m, &got) && asked == got
}

var errNoMessage = errors.New("nothing came in time")

// await reads until a message is the one wanted. What else the bank asks meanwhile
// is answered, late answers of earlier steps are noted.
func (r *certRun) await(within time.Duration, wanted func(*certFrame) bool) (*certFrame, error) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		select {
		case f := <-r.frames:
			r.note("received", &f.m)
			if wanted(&f) {
				return &f, nil
			}
			if f.m.MTI.ExpectsAnswer() {
				if err := r.reply(&f); err != nil {
					return nil, err
				}
			}
		case err := <-r.ended:
			r.ended <- err
			return nil, err
		case <-timer.C:
			return nil, errNoMessage
		}
	}
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
	f, err := r.await(s.Expect.Within, func(f *certFrame) bool { return f.m.MTI.String() == s.Receive })
	if err != nil {
		return fmt.Errorf("%w: a %s of the bank is expected", err, s.Receive)
	}
	if err := s.Expect.checkFields(r.d, f); err != nil {
		return err
	}
	if f.m.MTI.ExpectsAnswer() {
		return r.reply(f)
	}
	return nil
}

// message builds what a step sends, with numbers and times of now where neither
// the step nor the pack gives any.
func (r *certRun) message(s *certStep) (*iso.Message, error) {
	if s.Send.MTI != "" {
		return s.Send.message(r.d)
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
	if v.RRN == "" {
		v.RRN = r.d.RRN(r.seq, now)
	}
	if v.SentAt.IsZero() {
		v.SentAt, v.LocalAt = now, now
	}
	if o := r.sent[s.Original]; o != nil {
		v.Original = iso.Original{Operation: o.op, MTI: o.mti, STAN: o.values.STAN, SentAt: o.values.SentAt, Acquirer: v.Acquirer, Forwarder: v.Forwarder}
	}
	var m iso.Message
	if err := r.d.Build(op, &v, &m); err != nil {
		return nil, err
	}
	if s.Name != "" {
		r.sent[s.Name] = &certSent{op: op, values: v, mti: m.MTI}
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

func (e *certExpect) check(d *iso.Dialect, request *iso.Message, answer *certFrame) error {
	if e.MTI != "" && answer.m.MTI.String() != e.MTI {
		return fmt.Errorf("the answer has type %s, not %s", answer.m.MTI, e.MTI)
	}
	if err := d.Verify(request, &answer.m); err != nil {
		return err
	}
	return e.checkFields(d, answer)
}

func (e *certExpect) checkFields(d *iso.Dialect, f *certFrame) error {
	m := &f.m
	switch {
	case f.mac != nil:
		return fmt.Errorf("the message from the host: %w", f.mac)
	case e.MAC && !d.Sealed(m, iso.FromBank):
		return fmt.Errorf("the dialect has no authentication code in a %s from the host", m.MTI)
	}
	for f := 2; f <= iso.MaxField; f++ {
		want, given := e.Fields[f]
		if given && string(m.Get(f)) != want {
			return fmt.Errorf("field %d (%s) is not the %q that is expected", f, d.FieldName(f), want)
		}
	}
	for _, f := range e.With {
		if !m.Has(f) {
			return fmt.Errorf("field %d (%s) is missing", f, d.FieldName(f))
		}
	}
	return nil
}
