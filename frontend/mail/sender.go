// Package mail sends the letters that the switch owes people: it writes their text
// in their language and hands them to a mail server or, in a demonstration, puts
// them into a directory. The journal is the queue: a letter is sent at least once,
// in the rare case of a crash between the server's word and the journal's twice, with
// the same Message-ID.
package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	payswitch "github.com/tranzit/tranzit/switch"
)

// Transport takes letters. Its error is a *Refused when repeating cannot help.
type Transport interface {
	Post(context.Context, *Message) error
}

// Options configure a Sender.
type Options struct {
	Letters    *payswitch.Letters
	Logger     *slog.Logger          // default: slog.Default
	Registerer prometheus.Registerer // default: a registry of its own
	Mail       Transport
	SMS        Transport // nil: letters for telephones are given up
	// Tell posts a signed message to a shop's webhook endpoint. nil: such letters are
	// given up.
	Tell func(context.Context, *payswitch.Letter) error

	PerMinute int             // letters at most; default 120
	Retries   []time.Duration // pauses before the second, third ... attempt; default RetrySchedule
	Pause     time.Duration   // of everything after a failure, doubled up to MaxPause; default 5s
	MaxPause  time.Duration   // default 5m
}

// RetrySchedule are the pauses between attempts: ten attempts over about three
// days. Up to a quarter is added to each by chance.
var RetrySchedule = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour, 12 * time.Hour, 12 * time.Hour, 24 * time.Hour, 24 * time.Hour}

// EnsureDefaults fills what was left out.
func (o *Options) EnsureDefaults() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.PerMinute == 0 {
		o.PerMinute = 120
	}
	if o.Retries == nil {
		o.Retries = RetrySchedule
	}
	if o.Pause == 0 {
		o.Pause = 5 * time.Second
	}
	if o.MaxPause == 0 {
		o.MaxPause = 5 * time.Minute
	}
}

// Validate checks bounds. Errors name the option.
func (o *Options) Validate() error {
	switch {
	case o.Letters == nil || o.Mail == nil:
		return errors.New("mail: Letters and Mail are required")
	case o.PerMinute < 1 || o.PerMinute > 100_000:
		return fmt.Errorf("mail: PerMinute is %d: want 1..100000", o.PerMinute)
	case o.Pause < 0 || o.MaxPause < o.Pause:
		return errors.New("mail: Pause must not be negative, and MaxPause not below Pause")
	}
	return nil
}

// Sender sends what is owed, one letter after the other.
type Sender struct {
	o     Options
	wake  chan struct{}
	rate  *rate.Limiter
	sent  *prometheus.CounterVec
	pause map[string]*pause // by channel
}

// pause keeps a server that fails from being tried with every letter.
type pause struct {
	length time.Duration
	until  time.Time
}

// New makes a Sender. Errors name the option at fault.
func New(o Options) (*Sender, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Sender{o: o, wake: make(chan struct{}, 1), rate: rate.NewLimiter(rate.Limit(float64(o.PerMinute)/60), max(1, o.PerMinute/6)), pause: map[string]*pause{}}
	for _, channel := range []string{payswitch.LetterMail, payswitch.LetterSMS, payswitch.LetterWebhook} {
		s.pause[channel] = &pause{}
	}
	s.sent = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tranzit_letters_total",
		Help: "Attempts to send letters, by channel and by what came of them: sent, later, given_up."}, []string{"channel", "result"})
	o.Registerer.MustRegister(s.sent)
	return s, nil
}

const (
	batch   = 100             // letters read at once
	longest = 5 * time.Minute // between two looks at the queue
)

// Run sends until ctx ends. What is then on its way is sent again in the next life
// unless it was written down.
func (s *Sender) Run(ctx context.Context) {
	s.o.Letters.Listen(func() {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	})
	for ctx.Err() == nil {
		timer := time.NewTimer(s.round(ctx))
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// round sends what is due, and says how long there is nothing to do.
func (s *Sender) round(ctx context.Context) time.Duration {
	wait, resting := longest, map[string]bool{}
	for channel, p := range s.pause {
		if rest := time.Until(p.until); rest > 0 {
			resting[channel], wait = true, min(wait, rest)
		}
	}
	list, next, err := s.o.Letters.Due(time.Now(), batch, resting)
	if err != nil {
		s.o.Logger.Error("letters that are owed cannot be read", "error", err)
		return s.o.MaxPause
	}
	for i := range list {
		y := &list[i]
		if p := s.pause[y.Channel]; p != nil && time.Now().Before(p.until) {
			wait = min(wait, time.Until(p.until)) // it began to fail in this round
			continue
		}
		if s.rate.Wait(ctx) != nil {
			return 0
		}
		s.send(ctx, y)
	}
	if !next.IsZero() {
		wait = min(wait, time.Until(next))
	}
	return max(wait, 10*time.Millisecond)
}

// send tries one letter and makes durable what came of it.
func (s *Sender) send(ctx context.Context, y *payswitch.Letter) {
	if held, err := s.o.Letters.Hold(y); err != nil || held {
		if err != nil {
			s.o.Logger.Error("what a letter tells of cannot be read; it waits", "letter", y.ID.Text(payswitch.LetterPrefix), "error", err)
		}
		return
	}
	err := s.post(ctx, y)
	if ctx.Err() != nil && err != nil {
		return
	}
	log := s.o.Logger.With("letter", y.ID.Text(payswitch.LetterPrefix), "template", y.Template, "channel", y.Channel, "attempt", y.Attempts+1)
	p := s.pause[y.Channel]
	var refused *Refused
	result := "later"
	switch {
	case err == nil:
		result = "sent"
		if p != nil {
			*p = pause{}
		}
		err = s.o.Letters.Sent(y)
		log.Info("a letter was sent")
	case errors.As(err, &refused), y.Attempts >= len(s.o.Retries):
		result = "given_up"
		log.Error("a letter was given up", "error", err)
		err = s.o.Letters.Later(y, err.Error(), time.Time{})
	default:
		log.Warn("a letter could not be sent; it is tried again", "error", err)
		if y.Channel != payswitch.LetterWebhook { // each endpoint is another server
			p.length = min(max(2*p.length, s.o.Pause), s.o.MaxPause)
			p.until = time.Now().Add(p.length)
		}
		after := s.o.Retries[y.Attempts]
		err = s.o.Letters.Later(y, err.Error(), time.Now().Add(after+rand.N(after/4+1)))
	}
	s.sent.WithLabelValues(y.Channel, result).Inc()
	if err != nil {
		log.Error("what came of a letter could not be recorded; it may be sent again", "error", err)
	}
}

func (s *Sender) post(ctx context.Context, y *payswitch.Letter) error {
	through := s.o.Mail
	switch y.Channel {
	case payswitch.LetterMail:
	case payswitch.LetterSMS:
		through = s.o.SMS
	case payswitch.LetterWebhook:
		if s.o.Tell == nil {
			return &Refused{errors.New("this process sends no webhooks")}
		}
		return s.o.Tell(ctx, y)
	default:
		return &Refused{fmt.Errorf("there is no channel %q", y.Channel)}
	}
	if through == nil {
		return &Refused{errors.New("this process has no way for it")}
	}
	m, err := Render(y)
	if err != nil {
		return &Refused{err}
	}
	return through.Post(ctx, &m)
}
