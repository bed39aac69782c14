package payswitch

import (
	"fmt"
	"strconv"
	"strings"
	"testing/synctest"
)

// operateLine is a line about what follows a payment; false: it is none.
func (s *script) operateLine(words []string) bool {
	s.t.Helper()
	switch words[0] {
	case "hold":
		s.wish(words)
		s.requests[words[1]].ManualCapture = true
		merchant := "one"
		if len(words) > 4 {
			merchant, s.requests[words[1]].Bank = "two", words[4]
		}
		s.owner[words[1]] = merchant
		s.say("%s", s.pay(merchant, words[1]))
	case "capture":
		s.say("%s", s.operation(KindCapture, words))
	case "cancel":
		s.say("%s", s.operation(KindCancel, words))
	case "refund":
		s.say("%s", s.operation(KindRefund, words))
	case "payout", "verify":
		s.say("%s", s.other(words))
	case "balance":
		all, err := s.core.Balances(s.account("two"))
		if err != nil {
			s.t.Fatal(err)
		}
		for _, b := range all {
			s.say("%s %s: %d", b.Bank, b.Currency, b.Sum)
		}
		checkBalances(s.rig)
	case "increment":
		s.say("%s", s.operation(KindIncrement, words))
	case "begin_capture", "begin_refund":
		kind := map[string]OperationKind{"begin_capture": KindCapture, "begin_refund": KindRefund}[words[0]]
		go func() { _ = s.operation(kind, words) }()
		synctest.Wait()
	case "retry_operation":
		s.operate(s.core.RetryOperation(s.numbered(words), act))
	case "close_operation":
		s.operate(s.core.CloseOperation(s.numbered(words), words[3], act))
	case "payment":
		p, err := s.core.AnyPayment(s.id(words[1]))
		if err != nil {
			s.t.Fatal(err)
		}
		s.say("%s", moneyOf(&p))
	case "refunds":
		_, refunds, err := s.core.Refunds(s.merchantOf(words[1]), s.id(words[1]))
		if err != nil {
			s.t.Fatal(err)
		}
		for i := range refunds {
			s.say("%s of %d %s", refunds[i].Method, refunds[i].Amount, refunds[i].Status)
		}
	case "money":
		for _, b := range rigBanks {
			for currency, t := range s.banks[b.id].Books().Summary().Currencies {
				s.say("%s %s: %d charged, %d reversed, %d captured, %d refunded, %d of it reversed", b.id, currency, t.Charged.Sum,
					t.Reversed.Sum, t.Captured.Sum, t.Refunded.Sum, t.RefundsReversed.Sum)
			}
		}
	default:
		return false
	}
	return true
}

// other is a payout or a verification.
func (s *script) other(words []string) string {
	purpose, bank := PurposePayout, 4
	if words[0] == "verify" {
		words = []string{words[0], words[1], "0", words[2], strings.Join(words[3:], "")}
		purpose = PurposeVerification
	}
	s.wish(words)
	r := s.requests[words[1]]
	if r.Purpose = purpose; len(words) > bank {
		r.Bank = words[bank]
	}
	s.owner[words[1]] = "two"
	return s.pay("two", words[1])
}

// checkBalances recounts every balance from the records.
func checkBalances(r *rig) {
	r.t.Helper()
	want := map[string]int64{}
	for _, m := range []string{"mer_one", "mer_two"} {
		account := digestAccount("test", m)
		if err := r.core.sumFunds(account, want); err != nil {
			r.t.Fatal(err)
		}
	}
	for key, p := range r.core.purses {
		got, err := r.core.balance(p.key)
		if err != nil || got != want[string(p.key)] {
			r.t.Errorf("the balance %v is %d, the records say %d, %v", key, got, want[string(p.key)], err)
		}
	}
}

// numbered is the id of the payment's n-th operation.
func (s *script) numbered(words []string) ID {
	s.t.Helper()
	h, err := s.core.history(s.id(words[1]))
	if err != nil {
		s.t.Fatal(err)
	}
	n, err := strconv.Atoi(words[2])
	if err != nil || n > len(h.operations) {
		s.t.Fatalf("no operation %s: %v", words[2], err)
	}
	return h.operations[n-1].ID
}

func (s *script) merchantOf(name string) Account {
	if merchant, ok := s.owner[name]; ok {
		return s.account(merchant)
	}
	return s.account("one")
}

func moneyOf(p *Payment) string {
	return fmt.Sprintf("%s: %d authorized, %d captured, %d refunded", p.Status, p.AmountAuthorized, p.AmountCaptured, p.AmountRefunded)
}

// operation does KIND NAME KEY [AMOUNT] [final].
func (s *script) operation(kind OperationKind, words []string) string {
	r := &OperationRequest{Payment: s.id(words[1]), Kind: kind, IdempotencyKey: words[2],
		Fingerprint: s.core.Fingerprint("POST", kind.String(), []byte(strings.Join(words[1:], " ")))}
	for _, word := range words[3:] {
		if word == "final" {
			r.Final = true
			continue
		}
		var err error
		if r.Amount, err = strconv.ParseInt(word, 10, 64); err != nil {
			s.t.Fatal(err)
		}
	}
	answer, err := s.core.Operate(s.merchantOf(words[1]), r)
	if err != nil {
		text := fmt.Sprintf("refused: %v", err)
		if again := err.(*Refusal).RetryAfter; again > 0 {
			text += fmt.Sprintf(" (again in %s)", again)
		}
		return text
	}
	o := answer.Operation
	text := fmt.Sprintf("%s by %s of %d: %s", o.Kind, o.Method, o.Amount, o.Status)
	if o.Decline != nil {
		text += " (" + o.Decline.Code + ")"
	}
	if o.Resolution != nil {
		text += fmt.Sprintf(" (%s, next %s in %s)", o.Resolution.Reason, o.Resolution.NextAction, o.Resolution.NextAt.Sub(o.UpdatedAt))
	}
	if answer.Replayed {
		text += ", as before"
	}
	return text + "; " + moneyOf(&answer.Payment)
}
