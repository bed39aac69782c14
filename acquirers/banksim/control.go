package banksim

import (
	"errors"
	"fmt"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// The bank's standing modes and its single acts, as Control names them.
const (
	ModeNormal  = "normal"  // answer as cards and amounts say
	ModeMute    = "mute"    // read everything, answer nothing, network messages included
	ModeRefuse  = "refuse"  // accept new links and close them at once; present links stay
	ModeStall   = "stall"   // stop reading from every link
	ModeDecline = "decline" // decline every request with Code; reversals are served

	ActDelay   = "delay"    // set Delay and Jitter; the mode stays
	ActSignOn  = "sign_on"  // the bank sends its own sign-on on every link
	ActSignOff = "sign_off" // the bank signs off every link
	ActEcho    = "echo"     // the bank sends its own echo on every link
	ActDrop    = "drop"     // cut every link now
	ActGiveKey = "give_key" // the bank sends a new key on one link
	ActAskKey  = "ask_key"  // the bank asks for a key that the switch makes
	ActCutOver = "cut_over" // the bank tells every link that its business day ends
	ActStep    = "step"     // the bank sends the dialect's network step Step on every link
)

// Control changes what a running bank does. Unknown names are refused.
type Control struct {
	Mode     string `json:"mode"`
	Step     string `json:"step,omitempty"`      // of step: its name in the dialect
	Code     string `json:"code,omitempty"`      // of decline; default 05
	Book     *bool  `json:"book,omitempty"`      // of mute: book what is read; default true
	DelayMS  int64  `json:"delay_ms,omitempty"`  // of delay
	JitterMS int64  `json:"jitter_ms,omitempty"` // of delay
}

// mode is an immutable snapshot; changed is closed when another takes its place.
type mode struct {
	name          string
	code          string
	book          bool
	delay, jitter time.Duration
	changed       chan struct{}
}

// Standing is what the bank does now.
type Standing struct {
	Mode     string `json:"mode"`
	Code     string `json:"code,omitempty"`
	Book     *bool  `json:"book,omitempty"`
	DelayMS  int64  `json:"delay_ms"`
	JitterMS int64  `json:"jitter_ms"`
}

// Control applies one change. A new mode replaces the one before; a delay stays
// until the next one. REQUIRES: Start succeeded.
func (b *Bank) Control(c Control) error {
	switch c.Mode {
	case ActSignOn:
		return b.everyLink(b.stepOf(iso.EffectSignOn))
	case ActSignOff:
		return b.everyLink(b.stepOf(iso.EffectSignOff))
	case ActCutOver:
		return b.everyLink(b.stepOf(iso.EffectCutOver))
	case ActEcho:
		return b.everyLink(b.stepNamed(iso.OpEcho.String()))
	case ActStep:
		return b.everyLink(b.stepNamed(c.Step))
	case ActGiveKey:
		return b.GiveKey()
	case ActAskKey:
		return b.AskKey()
	case ActDrop:
		for _, l := range b.liveLinks() {
			l.close()
		}
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.mode.Load()
	if old == nil {
		return errors.New("banksim: the bank is not started")
	}
	next := *old
	next.changed = make(chan struct{})
	if err := next.apply(c); err != nil {
		return err
	}
	b.mode.Store(&next)
	close(old.changed)
	return nil
}

func (m *mode) apply(c Control) error {
	const hour = int64(time.Hour / time.Millisecond)
	switch c.Mode {
	case ModeNormal, ModeRefuse, ModeStall:
	case ModeMute:
		m.book = c.Book == nil || *c.Book
	case ModeDecline:
		m.code = c.Code
		if m.code == "" {
			m.code = "05"
		}
		if !validCode(m.code) || approves(m.code) {
			return errors.New("code: it must be a declining response code of two or three letters or digits")
		}
	case ActDelay:
		if c.DelayMS < 0 || c.DelayMS > hour || c.JitterMS < 0 || c.JitterMS > hour {
			return fmt.Errorf("delay_ms, jitter_ms: each must be within 0..%d", hour)
		}
		m.delay, m.jitter = time.Duration(c.DelayMS)*time.Millisecond, time.Duration(c.JitterMS)*time.Millisecond
		return nil
	default:
		return errors.New("mode: it must be one of normal, mute, refuse, stall, decline, delay, sign_on, sign_off, cut_over, echo, step, drop, give_key, ask_key")
	}
	m.name = c.Mode
	return nil
}

// Standing reports the mode and delays in force. REQUIRES: Start succeeded.
func (b *Bank) Standing() Standing {
	m := b.mode.Load()
	s := Standing{Mode: m.name, DelayMS: m.delay.Milliseconds(), JitterMS: m.jitter.Milliseconds()}
	switch m.name {
	case ModeMute:
		s.Book = &m.book
	case ModeDecline:
		s.Code = m.code
	}
	return s
}

// Status is what the bank's links and counters say.
type Status struct {
	Dialect      string   `json:"dialect"`
	Standing     Standing `json:"standing"`
	Links        int      `json:"links"`
	SignedOn     int      `json:"signed_on"`
	Pending      int      `json:"pending"`        // answers that wait for their time
	Accepted     uint64   `json:"links_accepted"` // since the start
	Rejected     uint64   `json:"links_rejected"`
	Frames       uint64   `json:"frames"`
	Undecodable  uint64   `json:"undecodable"`   // whole frames that are no message
	OutOfSync    uint64   `json:"out_of_sync"`   // links closed for impossible framing
	Ignored      uint64   `json:"ignored"`       // messages the bank has no use for
	Muted        uint64   `json:"muted"`         // read in mode mute and not answered
	NotSignedOn  uint64   `json:"not_signed_on"` // refused: before sign-on; not in the books
	FormatErrors uint64   `json:"format_errors"` // refused: a mandatory field is missing; not in the books
	Forged       uint64   `json:"forged"`        // refused: the authentication code is wrong or missing; not in the books
	Forgotten    uint64   `json:"forgotten"`     // links cut before the request was booked
	Unbuilt      uint64   `json:"unbuilt"`       // answers the dialect could not express
	LostAnswers  uint64   `json:"lost_answers"`  // fell due when their link was gone
	OwnMessages  uint64   `json:"own_messages"`  // network messages the bank started
	OwnAnswered  uint64   `json:"own_answered"`
}

// Status reads the counters. REQUIRES: Start succeeded.
func (b *Bank) Status() Status {
	st := &b.stats
	s := Status{Dialect: b.cfg.Dialect.ID(), Standing: b.Standing(), Pending: b.clock.pending(),
		Accepted: st.accepted.Load(), Rejected: st.rejected.Load(), Frames: st.frames.Load(),
		Undecodable: st.undecodable.Load(), OutOfSync: st.outOfSync.Load(), Ignored: st.ignored.Load(),
		Muted: st.muted.Load(), NotSignedOn: st.notSignedOn.Load(), FormatErrors: st.formatErrors.Load(), Forged: st.forged.Load(),
		Forgotten: st.forgotten.Load(), Unbuilt: st.unbuilt.Load(), LostAnswers: st.lostAnswers.Load(),
		OwnMessages: st.ownMessages.Load(), OwnAnswered: st.ownAnswered.Load()}
	for _, l := range b.liveLinks() {
		s.Links++
		if l.signedOn.Load() {
			s.SignedOn++
		}
	}
	return s
}
