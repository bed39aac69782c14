package acquirers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tranzit/tranzit/acquirers/keystore"
	"github.com/tranzit/tranzit/iso"
)

// keyOverlap is how long the key before a change goes on to verify.
const keyOverlap = time.Hour

// ErrNoKeyChange says that a dialect has no change of keys that we start.
var ErrNoKeyChange = errors.New("the bank's dialect has no change of keys that the switch starts")

// ChangeKeys runs the steps of a change of keys that are ours, in order, on one
// ready link. Nothing changes unless the bank gives a key that its check value or
// its key block proves; the key before goes on to verify for an hour.
// Goroutine-safe; one change runs at a time.
func (b *Bank) ChangeKeys(ctx context.Context) error {
	b.changing.Lock()
	defer b.changing.Unlock()
	ran := false
	for _, s := range b.dialect.KeySteps() {
		if !s.Ours {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if ran = true; !b.keyStep(s) {
			return fmt.Errorf("acquirers: bank %q: the change of keys ended at step %s; the keys before it stay in use", b.cfg.ID, s.Code)
		}
	}
	if !ran {
		return ErrNoKeyChange
	}
	return nil
}

// keyStep makes one exchange of a change of keys; what goes wrong is an alarm.
func (b *Bank) keyStep(s iso.KeyStep) bool {
	failed := func(why string) bool {
		b.aside.alarm("key_change", "step "+s.Code+": "+why)
		return false
	}
	lines := *b.ready.Load()
	if len(lines) == 0 {
		return failed("no link is ready")
	}
	seq, err := b.hooks.NextSeq()
	if err != nil {
		return failed("no trace number")
	}
	now := time.Now()
	v := iso.Values{STAN: b.dialect.STAN(seq), RRN: b.dialect.RRN(seq, now.UTC()), SentAt: now.UTC(), LocalAt: now,
		Acquirer: b.cfg.Institution, Forwarder: b.cfg.Institution}
	x := Exchange{Request: new(iso.Message)}
	if err := b.dialect.BuildKeyStep(s, &v, x.Request); err != nil {
		return failed(err.Error())
	}
	if fate := b.exchange(&x, lines[0], b.cfg.EchoTimeout); fate != Answered {
		return failed(fate.String() + ", " + x.Cause.String())
	}
	if code := string(x.Answer.Get(fieldResponseCode)); !b.dialect.Code(code).Approved {
		return failed("refused with code " + printable(code))
	}
	if s.Key {
		if err := b.takeKey(x.Answer); err != nil {
			return failed(err.Error())
		}
	}
	return true
}

// takeKey puts the new key of a message into the key store.
func (b *Bank) takeKey(m *iso.Message) error {
	offer, err := b.dialect.KeyOffer(m)
	if err != nil {
		return err
	}
	slot := b.cfg.Slots[offer.Slot]
	i := keystore.Import{Slot: slot, KEK: b.cfg.Slots[offer.KEK], Block: offer.Block, Sealed: offer.Sealed, Check: offer.Check,
		Until: time.Now().Add(keyOverlap)}
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
	b.log.Info("a key of the line was changed", "bank", b.cfg.ID, "slot", got.Name, "check", got.Check, "version", got.Version)
	return nil
}

// changeKeysInTime starts a change whenever KeyChangeEvery has passed.
func (b *Bank) changeKeysInTime() {
	tick := time.NewTicker(b.cfg.KeyChangeEvery)
	defer tick.Stop()
	for {
		select {
		case <-b.ctx.Done():
			return
		case <-tick.C:
			if err := b.ChangeKeys(b.ctx); err != nil {
				b.log.Warn("keys were not changed", "bank", b.cfg.ID, "cause", err)
			}
		}
	}
}
