package acquirers

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tranzit/tranzit/iso"
)

var (
	errVerifyPanic  = errors.New("checking the answer panicked")
	errReaderPanic  = errors.New("reading the bank's bytes panicked")
	errLostFraming  = errors.New("lost framing")
	errBankFlooding = errors.New("the bank asks and does not read")
)

const readBuffer = 64 << 10

// read is the line's reader: it takes frames from r until the stream ends. All
// work on the bank's bytes happens below it, so a panic there ends this line
// and nothing else.
func (l *line) read(r io.Reader) (err error) {
	defer close(l.readerGone)
	defer func() {
		if recover() != nil {
			err = errReaderPanic
			l.bank.aside.alarm("panic", fmt.Sprintf("link %d: %s", l.link.number, err))
		}
		cause := readCause(err)
		if broken := l.wire.broken.Load(); broken != nil {
			cause = "write: " + causeOf(*broken)
		}
		l.fail(cause)
	}()
	buf := make([]byte, max(readBuffer, l.version.dialect.MaxFrame()))
	var from, to int
	for {
		if from == to {
			from, to = 0, 0
		} else if from > 0 && to == len(buf) {
			from, to = 0, copy(buf, buf[from:to])
		}
		n, err := r.Read(buf[to:])
		if n > 0 {
			to += n
			l.readAt = time.Now()
			l.lastRead.Store(l.readAt.UnixNano())
			used, err := l.frames(buf[from:to])
			if err != nil {
				return err
			}
			if from += used; from == 0 && to == len(buf) {
				return errLostFraming
			}
		}
		if err != nil {
			return err
		}
	}
}

// readCause words the end of a read loop.
func readCause(err error) string {
	for _, known := range []error{errReaderPanic, errLostFraming, errBankFlooding} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "read: " + causeOf(err)
}

// frames handles every whole frame of buf, in place, and returns how many bytes
// they took. An error ends the line.
func (l *line) frames(buf []byte) (used int, err error) {
	count := uint64(0)
	defer func() { l.bank.metrics.framesIn.Add(count) }()
	for used < len(buf) {
		body, n, err := l.version.dialect.NextFrame(buf[used:])
		if err != nil {
			l.bank.metrics.lostFraming.Add(1)
			l.bank.aside.alarm("lost_framing", fmt.Sprintf("link %d", l.link.number))
			return used, errLostFraming
		}
		if n == 0 {
			return used, nil
		}
		frame := buf[used : used+n]
		used += n
		if body == nil {
			if err := l.poll(frame); err != nil {
				return used, err
			}
			continue
		}
		count++
		if r, refused := l.version.dialect.Rejection(frame); refused {
			l.rejected(body, r)
			continue
		}
		l.header = l.version.dialect.FrameHeader(frame)
		if err := l.receive(frame, body); err != nil {
			return used, err
		}
	}
	return used, nil
}

// poll answers a frame without a message, where the bank waits for that.
func (l *line) poll(frame []byte) error {
	answer := l.version.dialect.Poll(frame)
	if answer == nil || l.enqueue(answer, &queued{}) || l.isGone() {
		return nil
	}
	return errBankFlooding
}

// rejected ends the exchange whose frame the bank's host refused unread; body is
// the refused message. What that proves is the dialect's to say.
func (l *line) rejected(body []byte, r iso.Rejection) {
	b, m := l.bank, l.incoming
	defer m.Wipe()
	err := l.version.dialect.Decode(body, m)
	l.link.in.read(nil, l.readAt, len(body))
	b.metrics.garbled.Add(1)
	b.aside.alarm("rejected", fmt.Sprintf("link %d: the bank's host refused a frame with code %s", l.link.number, r.Code))
	if err != nil {
		return
	}
	if l.version.dialect.RequestKey(m, &l.key); l.key == (iso.Key{}) {
		return
	}
	f, verdict := b.pending.claim(&l.key, l)
	if verdict != claimWon {
		b.metrics.mismatch.Add(1)
		return
	}
	f.answer.Reset()
	f.answeredAt, f.fate, f.cause = l.readAt, Refuted, CauseRejected
	if r.Unprocessed {
		f.fate = NotSent
	}
	f.done <- struct{}{}
}

// receive handles one message. A body that does not decode hurts nobody but the
// exchange it may have been meant for.
func (l *line) receive(frame, body []byte) error {
	b, m := l.bank, l.incoming
	if err := l.version.dialect.Decode(body, m); err != nil {
		l.link.in.read(nil, l.readAt, len(body))
		b.metrics.garbled.Add(1)
		b.aside.alarm("garbled", fmt.Sprintf("link %d: %s", l.link.number, err))
		return nil
	}
	l.link.in.read(m, l.readAt, len(body))
	if l.version.codes != nil {
		if err := l.version.dialect.CheckMAC(frame, m, iso.FromBank, l.version.codes); err != nil {
			return l.forged(m, err)
		}
	}
	if !l.version.dialect.AnswerKey(m, &l.key) {
		return l.serve(m)
	}
	f, verdict := b.pending.claim(&l.key, l)
	if verdict == claimWon {
		l.incoming, f.answer = f.answer, m
		f.answeredAt, f.fate = l.readAt, Answered
		f.done <- struct{}{}
		return nil
	}
	switch verdict {
	case claimWrongLink:
		b.metrics.mismatch.Add(1)
		b.aside.alarm("answer_on_wrong_link", fmt.Sprintf("link %d", l.link.number))
	case claimNotSent:
		b.metrics.mismatch.Add(1)
		b.aside.alarm("answer_before_request", fmt.Sprintf("link %d", l.link.number))
	}
	b.metrics.late.Add(1)
	if m.MTI.Class() != classNetwork {
		l.incoming = b.aside.late(l.version.dialect, m)
	}
	return nil
}

// serve handles a message that is no answer: a request of the bank's own.
func (l *line) serve(m *iso.Message) error {
	b := l.bank
	if !m.MTI.ExpectsAnswer() {
		b.metrics.unknown.Add(1)
		b.aside.alarm("unknown_message", fmt.Sprintf("link %d: type %s", l.link.number, m.MTI))
		return nil
	}
	code, do := l.decide(m)
	return l.respond(m, code, do)
}

// respond answers a request of the bank's own with a code, and does what that means.
func (l *line) respond(m *iso.Message, code string, do effect) error {
	b := l.bank
	l.values = iso.Values{ResponseCode: code, SentAt: l.readAt.UTC(), LocalAt: l.readAt, Acquirer: b.cfg.Institution, Forwarder: b.cfg.Institution}
	err := l.version.dialect.Answer(m, &l.values, &l.reply)
	if err == nil && do.offer != nil {
		l.version.dialect.SetKeyOffer(&l.reply, *do.offer)
	}
	if err == nil {
		l.outgoing, err = l.version.reply(l.outgoing[:0], &l.reply, l.header)
	}
	if err != nil {
		b.metrics.unknown.Add(1)
		b.aside.alarm("unanswerable_request", fmt.Sprintf("link %d: type %s", l.link.number, m.MTI))
		return nil
	}
	if do.before != nil {
		do.before()
	}
	var e queued
	e.label.read(&l.reply)
	if !l.enqueue(l.outgoing, &e) {
		if !l.isGone() {
			return errBankFlooding
		}
		return nil
	}
	if do.after != nil {
		do.after()
	}
	return nil
}
