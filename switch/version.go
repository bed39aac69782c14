package payswitch

import (
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/iso"
)

// Several versions of a bank's dialect may live at once, each on links of its own.
// A message is built in one of them, which is chosen, and held, before it is made
// durable; the links of that version carry it and its answer.

const (
	// versionLook is when a message is looked at again whose version waits for a link.
	versionLook = time.Second
	// versionPatience is how long a message waits for a link in the version of its
	// request before it goes in the current one.
	versionPatience = 2 * time.Minute
)

// dialect is the version that is current.
func (b *bank) dialect() *iso.Dialect { return b.link.Current().Dialect() }

// spoke is the dialect of a revision that some link speaks, or spoke; nil: none did
// since the start.
func (b *bank) spoke(r iso.Revision) *iso.Dialect { return b.link.Known(r) }

// known is spoke, or the current version.
func (b *bank) known(r iso.Revision) *iso.Dialect {
	if d := b.spoke(r); d != nil {
		return d
	}
	return b.dialect()
}

// renumbers reports whether a reversal may have to take a trace number of its own
// in a version that the bank speaks.
func (b *bank) renumbers() bool {
	for _, d := range b.link.Dialects() {
		if d.Behaviour().ReversalNewSTAN {
			return true
		}
	}
	return false
}

// spoken is the version that the payment's request was built in.
func (y *way) spoken() iso.Revision {
	return iso.Revision{Dialect: y.dialect, Version: int(y.dialectVersion)}
}

// original is how a later message names the payment's request, whatever version
// that message is built in (ISO 8583:1987, field 90).
func (in *intent) original(d *iso.Dialect) iso.Original {
	mti := in.requestType
	if mti == 0 {
		mti = d.MTI(in.operation)
	}
	return iso.Original{Operation: in.operation, MTI: mti, STAN: in.stan, SentAt: in.sentAt, Acquirer: in.acquirer}
}

// speaks notes that a message goes in another version than its request.
func (r *record) speaks(d *iso.Dialect, request iso.Revision) {
	if d.Revision() != request {
		r.addRare().spoken = d.Revision()
	}
}

// begins notes that an operation begins in another version than its payment.
func (r *record) begins(d *iso.Dialect, payment iso.Revision) {
	if r.speaks(d, payment); r.rare != nil {
		r.rare.requestType = d.MTI(r.begun.method.isoOperation())
	}
}

// spokenIn is the version of the message that went with a record, or came.
func (h *history) spokenIn(r *record) iso.Revision {
	if r.rare != nil && r.rare.spoken != (iso.Revision{}) {
		return r.rare.spoken
	}
	if o := h.about(r); o != nil {
		return o.spoken
	}
	return h.in.spoken()
}

// holds takes a version that was held for the message to come, and lets go of the
// one before.
func (w *work) holds(v *acquirers.Version) bool {
	w.release()
	w.version = v
	return v != nil
}

// release lets go of the version that is held.
func (w *work) release() {
	if w.version != nil {
		w.version.Release()
		w.version = nil
	}
}

// speakAs holds the version of a message about a request: that of the request, while
// a link speaks it, else the current one. waited is how long it is owed. False: a
// link of that version is awaited, or no link takes traffic.
func (w *work) speakAs(b *bank, request iso.Revision, waited time.Duration) bool {
	v, awaited := b.link.SpeakAs(request)
	if v == nil && (!awaited || waited > versionPatience) {
		v = b.link.SpeakCurrent()
	}
	return w.holds(v)
}

// compose builds a message of w.values in the version that is held.
func (w *work) compose(op iso.Operation) error {
	w.exchange.Request, w.exchange.Version, w.exchange.Timeout = &w.request, w.version, 0
	if w.exchange.Answer == nil {
		w.exchange.Answer = &w.answer
	}
	return w.version.Dialect().Build(op, &w.values, &w.request)
}
