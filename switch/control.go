package payswitch

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// Act is what an operator does: who and why are written with it and never
// empty.
type Act struct {
	Operator string
	Reason   string
}

// Validate refuses an act without a name or a reason, or with too long ones.
func (a Act) Validate() error {
	switch {
	case strings.TrimSpace(a.Operator) == "":
		return &Refusal{Code: CodeInvalidRequest, Pointer: "/operator", Detail: "Every act of an operator carries a name."}
	case strings.TrimSpace(a.Reason) == "":
		return &Refusal{Code: CodeInvalidRequest, Pointer: "/reason", Detail: "Every act of an operator carries a reason."}
	case len(a.Operator) > 64 || len(a.Reason) > 500:
		return &Refusal{Code: CodeInvalidRequest, Detail: "At most 64 characters of name and 500 of reason are taken."}
	}
	return nil
}

// pins are the merchants an operator bound to one bank.
type pins struct {
	mu sync.Mutex
	by atomic.Pointer[map[string]string]
}

func (p *pins) bankOf(merchant string) string {
	if by := p.by.Load(); by != nil {
		return (*by)[merchant]
	}
	return ""
}

func (p *pins) set(merchant, bank string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := map[string]string{}
	if by := p.by.Load(); by != nil {
		maps.Copy(next, *by)
	}
	if bank == "" {
		delete(next, merchant)
	} else {
		next[merchant] = bank
	}
	p.by.Store(&next)
}

// loadControls reads what operators decided in earlier lives.
func (s *Switch) loadControls() error {
	err := s.store.Scan(storage.Range{Space: spaceDrained}, func(key, _ []byte) bool {
		if b := s.banks[string(key)]; b != nil {
			b.drained.Store(true)
		}
		return true
	})
	if err != nil {
		return err
	}
	if err := s.loadCutOvers(); err != nil {
		return err
	}
	return s.store.Scan(storage.Range{Space: spacePin}, func(key, val []byte) bool {
		s.pins.set(string(key), string(val))
		return true
	})
}

// SetDrained stops new payments to a bank, or lets them go there again; its
// reversals and the answers on their way are not touched (features R13). It is
// durable. Errors are refusals.
func (s *Switch) SetDrained(bankID string, drained bool, act Act) error {
	if err := act.Validate(); err != nil {
		return err
	}
	b := s.banks[bankID]
	if b == nil {
		return &Refusal{Code: CodeNotFound, Detail: fmt.Sprintf("There is no bank %q.", bankID)}
	}
	var c storage.Command
	if drained {
		c.Set(spaceDrained, []byte(bankID), []byte(act.Operator+": "+act.Reason))
	} else {
		c.Delete(spaceDrained, []byte(bankID))
	}
	if _, err := s.store.Do(&c); err != nil {
		return errInternal
	}
	b.drained.Store(drained)
	s.log.Warn("operator changed a bank", "bank", bankID, "drained", drained, "operator", act.Operator, "reason", act.Reason)
	return nil
}

// Pin binds a merchant's new payments to one bank, whatever its order and the
// banks' health; an empty bank unbinds. A request that names a bank still goes
// to that one. It is durable. Errors are refusals.
func (s *Switch) Pin(merchant, bankID string, act Act) error {
	if err := act.Validate(); err != nil {
		return err
	}
	dir := s.dir.Load()
	if dir.byID[merchant] == nil {
		return &Refusal{Code: CodeNotFound, Detail: fmt.Sprintf("There is no merchant %q.", merchant)}
	}
	if bankID != "" && dir.route(merchant, bankID) == nil {
		return &Refusal{Code: CodeUnknownBank, Detail: fmt.Sprintf("Merchant %q has no bank %q.", merchant, bankID)}
	}
	var c storage.Command
	if bankID == "" {
		c.Delete(spacePin, []byte(merchant))
	} else {
		c.Set(spacePin, []byte(merchant), []byte(bankID))
	}
	if _, err := s.store.Do(&c); err != nil {
		return errInternal
	}
	s.pins.set(merchant, bankID)
	s.log.Warn("operator pinned a merchant", "merchant", merchant, "bank", bankID, "operator", act.Operator, "reason", act.Reason)
	return nil
}

// RetryReversal puts a payment from the desk back into store-and-forward, due
// at once and with its schedule begun anew. Errors are refusals.
func (s *Switch) RetryReversal(id ID, act Act) error {
	return s.onDesk(id, act, func(h *history, b *bank, now time.Time) error {
		r := record{kind: recordRetried, at: now, reason: act.Reason, operator: act.Operator, nextAt: now}
		if !s.append(h, &r) {
			return errInternal
		}
		b.saf.add(id, now)
		return nil
	})
}

// CloseReversal settles a payment on the desk as its operator proved it: no
// money moved (StatusReversed), or the bank's charge stands (StatusCaptured, or
// StatusAuthorized for a hold, StatusSucceeded for a payout). amount is what
// stands, in minor units, at most what was asked for; 0: what the bank's answer
// approved, if that was a part, else all. Errors are refusals.
func (s *Switch) CloseReversal(id ID, as Status, amount int64, act Act) error {
	return s.onDesk(id, act, func(h *history, b *bank, now time.Time) error {
		stands := StatusCaptured
		switch {
		case h.Purpose == PurposePayout:
			stands = StatusSucceeded
		case h.ManualCapture:
			stands = StatusAuthorized
		}
		if as != StatusReversed && (as != stands || h.Status == StatusReversed) {
			return &Refusal{Code: CodeInvalidRequest, Pointer: "/as",
				Detail: fmt.Sprintf("This payment can be closed as %s, or as %s while it is unknown.", StatusReversed, stands)}
		}
		r := record{kind: recordClosed, at: now, reason: act.Reason, operator: act.Operator, settled: as}
		part, err := s.standing(b, h, as, amount)
		if err != nil {
			return err
		}
		if part < h.Amount {
			r.addRare().authorized = part
		}
		if !s.append(h, &r) {
			return errInternal
		}
		s.metrics.decided(b, as)
		return nil
	})
}

// standing is what stays at the bank of a payment that is closed: the amount
// that its operator proved, or, when none is named, the one the bank approved.
func (s *Switch) standing(b *bank, h *history, as Status, amount int64) (int64, error) {
	whole := as == StatusReversed || as == StatusSucceeded
	switch {
	case amount < 0 || amount > h.Amount || whole && amount != 0:
		return 0, &Refusal{Code: CodeInvalidRequest, Pointer: "/amount",
			Detail: fmt.Sprintf("The amount is what stands at the bank, at most %d; only a payment that is closed as captured or authorized has one.", h.Amount)}
	case amount != 0:
		return amount, nil
	case whole:
		return h.Amount, nil
	}
	part, err := s.approvedPart(b, h)
	if err != nil {
		return 0, errInternal
	}
	return part, nil
}

// approvedPart is what the bank's answer approved of a payment, the latest one
// when there were several: all, unless the answer names a part.
func (s *Switch) approvedPart(b *bank, h *history) (part int64, err error) {
	part = h.Amount
	err = s.store.History(storage.ID(h.ID), func(_ uint32, body []byte) bool {
		r, bad := decodeRecord(body)
		var m iso.Message
		if bad != nil || r.kind != recordUnknown && r.kind != recordLateAnswer || len(r.message) == 0 || m.SetCompact(r.message) != nil {
			return true
		}
		switch meaning := b.known(h.in.spoken()).Code(r.responseCode); {
		case meaning.Partial:
			if named := namedAmount(&m); named > 0 && named < h.Amount {
				part = named
			}
		case meaning.Approved:
			part = h.Amount
		}
		return true
	})
	return part, err
}

func (s *Switch) onDesk(id ID, act Act, do func(*history, *bank, time.Time) error) error {
	if err := act.Validate(); err != nil {
		return err
	}
	mu := s.lock(id)
	mu.Lock()
	defer mu.Unlock()
	h, err := s.history(id)
	if err != nil {
		return errNotFound
	}
	b := s.banks[h.Bank]
	if h.reversal.desk == "" || b == nil {
		return &Refusal{Code: CodeInvalidState, Detail: "This payment is not on the desk."}
	}
	if err := do(h, b, s.now()); err != nil {
		return err
	}
	s.log.Warn("operator settled a payment on the desk", "payment", id.Text(PaymentPrefix), "bank", b.id, "status", h.Status.String(),
		"operator", act.Operator, "reason", act.Reason)
	return nil
}
