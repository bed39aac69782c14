package joining

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// step is an act on its way to the journal.
type step struct {
	act  Act
	code string // of the letter that asks the contact's address to answer
}

// record does one act. REQUIRES: f.mu. Errors are refusals.
func (f *Office) record(a *Application, act Act) (*Application, error) {
	next, err := a.with(act)
	if err != nil {
		return a, err
	}
	return f.keep(next, step{act: act})
}

// keep makes the last act of an application durable, in one step with all that
// follows from it: the merchant and the letters. REQUIRES: f.mu.
func (f *Office) keep(a *Application, s step) (*Application, error) {
	body, err := json.Marshal(s.act)
	if err != nil {
		return nil, internal
	}
	letters, err := f.letters(a, s)
	if err != nil {
		f.log.Error("a letter could not be made", "application", a.Name(), "act", s.act.Type, "error", err)
		return nil, internal
	}
	add := func(c *storage.Command) {
		c.Claim(spaceJoining, actKey(a.ID, a.Version), body)
		for _, letter := range letters {
			f.o.Switch.Letters().Add(c, letter)
		}
	}
	if m, changed := f.merchant(a, &s.act); changed {
		err = f.o.Switch.KeepMerchant(m, f.because(a, &s.act), add)
	} else {
		var c storage.Command
		var result storage.Result
		add(&c)
		if result, err = f.o.Store.Do(&c); err == nil && result.Kind != storage.Applied {
			err = payswitch.ErrOvertaken
		}
	}
	if err != nil {
		f.log.Error("an act could not be written", "application", a.Name(), "act", s.act.Type, "error", err)
		var refusal *payswitch.Refusal
		if errors.As(err, &refusal) {
			return nil, refusal
		}
		return nil, internal
	}
	f.by[a.ID] = a
	f.o.Switch.Letters().Wake()
	f.log.Info("an application went on", "application", a.Name(), "act", s.act.Type, "stage", a.Stage(), "bank", s.act.Bank, "by", s.act.By.Kind, "operator", s.act.By.Name)
	return a, nil
}

// because is the act as the switch's journal of merchants wants it.
func (f *Office) because(a *Application, act *Act) payswitch.Act {
	who := act.By.Kind
	if act.By.Name != "" {
		who = act.By.Name
	}
	return payswitch.Act{Operator: who, Reason: fmt.Sprintf("%s of application %s", act.Type, a.Name())}
}

// merchant is the merchant as the last act of an application makes it; false: the
// act changes nothing about it.
func (f *Office) merchant(a *Application, act *Act) (payswitch.Merchant, bool) {
	if a.Merchant == "" {
		return payswitch.Merchant{}, false
	}
	m, known := f.o.Switch.KeptMerchant(a.Merchant)
	switch act.Type {
	case ActConfirm:
		return f.tester(a), true
	case ActExtend:
		m.TestUntil = act.Until
	case ActApproveLive:
		t := a.track(act.Bank)
		m.Banks = append(slices.DeleteFunc(m.Banks, func(b payswitch.MerchantBank) bool { return b.Bank == act.Bank }),
			payswitch.MerchantBank{Bank: act.Bank, MerchantID: t.MerchantID, Terminals: t.Terminals})
		m.TestOnly, m.TestUntil, m.RatePerSecond, m.Burst = false, time.Time{}, 0, 0
	case ActReject, ActWithdraw, ActExpire:
		m.TestUntil = act.At
	default:
		return m, false
	}
	return m, known
}

// tester is the merchant of a test mode: ids of its own at each simulated bank.
func (f *Office) tester(a *Application) payswitch.Merchant {
	zone, err := time.LoadLocation(a.Form.TimeZone)
	if err != nil {
		zone = time.UTC // the form was validated; the machine's data base changed since
	}
	banks := f.o.TestBanks
	if len(banks) == 0 {
		banks = f.o.Switch.BankIDs(false)
	}
	m := payswitch.Merchant{ID: a.Merchant, Name: a.Form.StatementName, City: a.Form.City, Country: a.Form.Country, MCC: a.Form.MCC, TimeZone: zone,
		RatePerSecond: f.o.TestRate, Burst: f.o.TestBurst, Events: true, Language: a.Form.Language, TestUntil: a.TestUntil, TestOnly: true}
	for _, id := range banks {
		m.Banks = append(m.Banks, payswitch.MerchantBank{Bank: id, MerchantID: fmt.Sprintf("TST%012d", a.Number%1e12), Terminals: []string{fmt.Sprintf("T%07d", a.Number%1e7)}})
	}
	return m
}
