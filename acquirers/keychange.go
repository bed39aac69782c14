package acquirers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tranzit/tranzit/acquirers/keystore"
	"github.com/tranzit/tranzit/iso"
)

// ErrNoKeyChange says that a dialect has no change of keys that we start.
var ErrNoKeyChange = errors.New("the bank's dialect has no change of keys that the switch starts")

// ChangeKeys runs the steps of a change of keys that are ours, in order, on one
// ready link. Nothing changes unless the bank gives a key that its check value or
// its key block proves; the key before goes on to verify for the dialect's overlap.
// It waits until the change before is a WriteTimeout old. Goroutine-safe; one change runs at a time.
func (b *Bank) ChangeKeys(ctx context.Context) error {
	b.changing.Lock()
	defer b.changing.Unlock()
	steps := b.Current().dialect.KeySteps()
	if len(steps) == 0 {
		return ErrNoKeyChange
	}
	if wait := b.keys.fresh(b.cfg.WriteTimeout); wait > 0 && !rest(ctx, wait) {
		return ctx.Err()
	}
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := errNoLink
		if l := b.speaker(); l != nil {
			_, err = l.step(s, l.version.cfg.EchoTimeout)
		}
		if err != nil {
			b.aside.alarm("key_change", "step "+s.Name+": "+err.Error())
			return fmt.Errorf("acquirers: bank %q: the change of keys ended at step %s; the keys before it stay in use", b.cfg.ID, s.Name)
		}
	}
	return nil
}

var errNoLink = errors.New("no link is ready")

// speaker is a line of the current version that takes traffic; nil: there is none.
func (b *Bank) speaker() *line {
	for _, l := range *b.offered.Load() {
		if l.version == b.current.Load() {
			return l
		}
	}
	return nil
}

// takeKey puts the new key of a message into the key store.
func (l *line) takeKey(m *iso.Message) error {
	b, d := l.bank, l.version.dialect
	offer, err := d.KeyOffer(m)
	if err != nil {
		return err
	}
	slot := b.cfg.Slots[offer.Slot]
	i := keystore.Import{Slot: slot, KEK: b.cfg.Slots[offer.KEK], Block: offer.Block, Sealed: offer.Sealed, Check: offer.Check,
		Until: time.Now().Add(d.KeyHabit().Overlap)}
	all, err := b.cfg.Keys.Slots()
	if err != nil {
		return err
	}
	for _, have := range all {
		if have.Name == slot && offer.Block == "" {
			i.Usage, i.Algorithm = have.Usage, have.Algorithm[0]
		}
	}
	got, err := b.cfg.Keys.Import(i)
	if err != nil {
		return err
	}
	b.metrics.keyChanges.Add(1)
	b.keys.changed()
	b.log.Info("a key of the line was changed", "bank", b.cfg.ID, "slot", got.Name, "check", got.Check, "version", got.Version)
	return nil
}

const (
	keyRetry = time.Minute // the wait after a change of keys that failed
	keyLook  = time.Hour   // how often a bank without a time for changes is looked at: its version may get one
)

// changeKeysInTime starts a change whenever the current version's KeyChangeEvery has passed or KeyChangeAfter
// messages had a code, again after a while when one failed, and when a life begins with a key on offer.
func (b *Bank) changeKeysInTime() {
	every := func() time.Duration { return b.Current().cfg.KeyChangeEvery }
	onOffer := func() bool { return b.keys.onOffer.Load() != nil }
	again, offered := onOffer(), onOffer() // the timer is for a change that did not end; for one of a key on offer
	timer := time.NewTimer(cmp.Or(every(), keyLook))
	defer timer.Stop()
	if again {
		timer.Reset(keyRetry)
	}
	for {
		due := every() > 0 || again
		select {
		case <-b.ctx.Done():
			return
		case <-b.keys.worn:
			due = true
		case <-timer.C:
			due = due && !(offered && !onOffer()) // the bank took it meanwhile
		}
		next := cmp.Or(every(), keyLook)
		again, offered = false, false
		if due {
			if err := b.ChangeKeys(b.ctx); err != nil && !errors.Is(err, ErrNoKeyChange) {
				next, again, offered = min(keyRetry, next), true, onOffer()
				b.log.Warn("keys were not changed", "bank", b.cfg.ID, "cause", err)
			}
		}
		timer.Reset(next)
	}
}
