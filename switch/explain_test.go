package payswitch

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tranzit/tranzit/acquirers"
)

// TestExplainSaysWhy: each reason to pass over a bank is named, in the order of
// consideration, and the payment that follows goes where the explanation says.
func TestExplainSaysWhy(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(r *rig, p *PayRequest)
		want   string
	}{
		{"the first", func(*rig, *PayRequest) {}, "alfa chosen, vega not_reached"},
		{"another is asked for", func(_ *rig, p *PayRequest) { p.Bank = "vega" }, "alfa not_asked, vega chosen"},
		{"another is pinned", func(r *rig, _ *PayRequest) { r.core.pins.set("mer_two", "vega") }, "alfa not_asked, vega chosen"},
		{"the currency", func(r *rig, _ *PayRequest) { r.core.banks["alfa"].profile = r.holdTo("alfa", "currencies: [RUB]") }, "alfa other_currency, vega chosen"},
		{"the mode", func(r *rig, _ *PayRequest) { r.core.banks["alfa"].live = true }, "alfa other_mode, vega chosen"},
		{"drained", func(r *rig, _ *PayRequest) { r.core.banks["alfa"].drained.Store(true) }, "alfa drained, vega chosen"},
		{"degraded", func(r *rig, _ *PayRequest) { r.core.banks["alfa"].health.verdict.Store(int32(degraded)) }, "alfa degraded, vega chosen"},
		{"silent", func(r *rig, _ *PayRequest) {
			for _, b := range r.core.order {
				b.health.verdict.Store(int32(failing))
				b.health.until = r.core.now().Add(rigResponse)
			}
		}, "alfa silent, vega silent"},
		{"full", func(r *rig, _ *PayRequest) {
			for b := r.core.banks["alfa"]; b.link.Reserve(acquirers.ClassPayment); {
			}
		}, "alfa window_full, vega chosen"},
		{"no line", func(r *rig, _ *PayRequest) {
			for _, b := range r.banks {
				_ = b.Close()
			}
			synctest.Wait()
		}, "alfa no_line, vega no_line"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.startBanks()
				r.start()
				defer r.close()
				r.ready()
				p := r.request("k", "4111111111111111", 100)
				tt.change(r, p)
				refused := r.core.banks["alfa"].metrics.refused
				before := testutil.ToFloat64(refused)
				e, err := r.core.Explain(r.account("two"), p)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, c := range e.Considered {
					got = append(got, fmt.Sprintf("%s %s", c.Bank, c.Verdict))
				}
				if s := strings.Join(got, ", "); s != tt.want {
					t.Errorf("considered %s, want %s", s, tt.want)
				}
				if testutil.ToFloat64(refused) != before {
					t.Error("an explanation is counted as a refused payment")
				}
				answer, err := r.core.Pay(r.account("two"), p)
				if answer.Payment.Bank != e.Bank || (err == nil) != (e.Refusal == nil) || err != nil && err.Error() != e.Refusal.Error() {
					t.Errorf("explained %q, %v; paid at %q, %v", e.Bank, e.Refusal, answer.Payment.Bank, err)
				}
			})
		})
	}
}

// TestExplainShowsFaults: all rules that fail are shown, not the first alone, and
// the message is the one that is sent save for what is given when it is.
func TestExplainShowsFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.startBanks()
		r.start()
		defer r.close()
		r.ready()
		a, p := r.account("two"), r.request("k", "4111111111111111", 100)
		e, err := r.core.Explain(a, p)
		if err != nil || len(e.Faults) > 0 || e.Operation != "purchase" || e.Dialect != "ascii87" {
			t.Fatalf("%+v, %v", e, err)
		}
		answer, err := r.core.Pay(a, p)
		if err != nil {
			t.Fatal(err)
		}
		events, err := r.core.Story(answer.Payment.ID)
		if err != nil {
			t.Fatal(err)
		}
		sent, fresh := map[int]string{}, 0
		for _, f := range events[0].Message.Fields {
			sent[f.Number] = f.Value
		}
		for _, f := range e.Message.Fields {
			if f.Value == FreshValue {
				fresh++
			} else if want, ok := sent[f.Number]; ok && want != f.Value {
				t.Errorf("field %d is explained as %q and sent as %q", f.Number, f.Value, want)
			}
			if strings.Contains(f.Value, "4111111111111111") {
				t.Errorf("field %d shows the card number", f.Number)
			}
		}
		if fresh != 5 { // DE7, 11, 12, 13, 37
			t.Errorf("%d fields are given when sent", fresh)
		}
		p.Bank = "alfa"
		to := r.core.dir.Load().route("mer_two", "alfa")
		to.as.MerchantID = strings.Repeat("M", 20)
		to.as.Terminals = []string{strings.Repeat("T", 20)}
		if e, err = r.core.Explain(a, p); err != nil || len(e.Faults) != 2 || e.Faults[0].Field != 41 || e.Faults[1].Field != 42 {
			t.Errorf("faults %+v, %v", e.Faults, err)
		}
		p.IdempotencyKey = "k2"
		if _, err := r.core.Pay(a, p); err == nil || err.(*Refusal).Code != CodeInvalidRequest {
			t.Errorf("paid with %v", err)
		}
	})
}
