package people

import (
	"fmt"
	"strings"
	"testing"

	payswitch "github.com/tranzit/tranzit/switch"
)

func TestActs(t *testing.T) {
	r := newRig(t)
	payment := r.freshID()
	for i := range 7 {
		a := Act{Merchant: "mer_hats", Live: i == 6, Who: "owner@shop.example", What: "refund", Detail: fmt.Sprint(i, " RUB")}
		if i%2 == 0 {
			a.Payment = payment
		}
		r.must(r.Record(&a))
		if i == 2 {
			r.must(r.Conclude(&a, "Not captured."))
		}
	}
	r.must(r.Record(&Act{Merchant: "mer_socks", Who: "other@shop.example", What: "refund"}))
	details := func(q ActQuery) string {
		t.Helper()
		q.Merchant = "mer_hats"
		var out []string
		for {
			page, err := r.Acts(q)
			r.must(err)
			for _, a := range page.Acts {
				out = append(out, a.Detail[:1])
			}
			if !page.More {
				return strings.Join(out, "")
			}
			q.Cursor = page.Next
		}
	}
	for _, tt := range []struct {
		q    ActQuery
		want string
	}{
		{ActQuery{Limit: 100}, "543210"}, {ActQuery{Limit: 2}, "543210"}, {ActQuery{Limit: 2, Live: true}, "6"}, {ActQuery{Limit: 1, Text: "3 rub"}, "3"},
		{ActQuery{Limit: 3, Text: payment.Text("pay")}, "420"}, {ActQuery{Limit: 3, Text: "not captured"}, "2"}, {ActQuery{Limit: 3, From: r.now().Add(1e12)}, ""},
	} {
		if got := details(tt.q); got != tt.want {
			t.Errorf("%+v finds %s, want %s", tt.q, got, tt.want)
		}
	}
	acts, err := r.ActsOn("mer_hats", payment)
	r.must(err)
	if len(acts) != 4 || acts[1].Outcome != "Not captured." || acts[0].Detail != "0 RUB" {
		t.Errorf("on the payment: %+v", acts)
	}
	if acts, err = r.ActsOn("mer_socks", payment); err != nil || len(acts) != 0 {
		t.Errorf("another merchant sees %+v, %v", acts, err)
	}
}

func TestActsOfOneForm(t *testing.T) {
	r := newRig(t)
	payment := r.freshID()
	for i := range 3 {
		a := Act{Merchant: "mer_hats", Who: "owner@shop.example", What: "terminal", Once: "form 1"}
		r.must(r.Record(&a))
		if a.ID.IsZero() != (i > 0) {
			t.Errorf("record %d has the id %s", i, a.ID.Text(ActPrefix))
		}
		r.must(r.Made(&a, payment))
		if i > 0 {
			r.must(r.Conclude(&a, "A repeat does not change it."))
		}
	}
	page, err := r.Acts(ActQuery{Merchant: "mer_hats", Limit: 10})
	r.must(err)
	acts, err := r.ActsOn("mer_hats", payment)
	r.must(err)
	if len(page.Acts) != 1 || len(acts) != 1 || page.Acts[0].Outcome != "" {
		t.Errorf("acts %+v, on the payment %+v", page.Acts, acts)
	}
}

func TestTickets(t *testing.T) {
	r := newRig(t)
	payment := r.freshID()
	tk, err := r.OpenTicket(Ticket{Merchant: "mer_hats", Payment: payment, Subject: "Where is it?"}, "owner@shop.example", "It has been two days.")
	r.must(err)
	_, err = r.OwnTicket("mer_socks", false, tk.ID)
	refused(t, "another merchant", err, payswitch.CodeNotFound)
	_, err = r.OwnTicket("mer_hats", true, tk.ID)
	refused(t, "the other mode", err, payswitch.CodeNotFound)
	waiting := func(want int) {
		t.Helper()
		page, err := r.Tickets(TicketQuery{Limit: 10})
		r.must(err)
		if len(page.Tickets) != want {
			t.Errorf("%d tickets wait, want %d", len(page.Tickets), want)
		}
	}
	waiting(1)
	tk, err = r.AnswerTicket(tk.ID, Reply{By: "operator", Operator: true, Text: "The bank answered now."})
	r.must(err)
	waiting(0)
	if tk.Status != TicketAnswered || !tk.Messages[1].Operator {
		t.Errorf("the ticket is %+v", tk)
	}
	_, err = r.AnswerTicket(tk.ID, Reply{By: "owner@shop.example", Text: "Thank you."})
	r.must(err)
	waiting(1)
	tk, err = r.AnswerTicket(tk.ID, Reply{By: "owner@shop.example", Close: true})
	r.must(err)
	waiting(0)
	if tk.Status != TicketClosed || len(tk.Messages) != 3 {
		t.Errorf("the ticket is %+v", tk)
	}
	page, err := r.Tickets(TicketQuery{Merchant: "mer_hats", Payment: payment, Limit: 10})
	r.must(err)
	if len(page.Tickets) != 1 {
		t.Errorf("of the payment: %+v", page)
	}
	for _, text := range []string{"", "card 4111 1111 1111 1111 was charged", "4111-1111-1111-1111", "order 17 4111111111111111", strings.Repeat("x", MaxTicketText+1)} {
		_, err := r.AnswerTicket(tk.ID, Reply{By: "owner@shop.example", Text: text})
		refused(t, fmt.Sprintf("%.40q", text), err, payswitch.CodeInvalidRequest)
	}
	if HoldsCardNumber("RRN 632712000123, 411111 and 1111, pay_01h455vb4pex5vsknk084sn02q") {
		t.Error("what may be written is taken for a card number")
	}
}

func TestViews(t *testing.T) {
	r := newRig(t)
	u, _ := r.joined("owner@shop.example")
	r.must(r.SaveView(u.ID, "mer_hats", false, View{Name: "Unknown ones", Query: "status=unknown"}))
	r.must(r.SaveView(u.ID, "mer_hats", false, View{Name: "Unknown ones", Query: "status=unknown&bank=alfa"}))
	views, err := r.Views(u.ID, "mer_hats", false)
	r.must(err)
	if len(views) != 1 || views[0].Query != "status=unknown&bank=alfa" {
		t.Fatalf("views %+v", views)
	}
	if other, _ := r.Views(u.ID, "mer_hats", true); len(other) != 0 {
		t.Errorf("the other mode has %+v", other)
	}
	r.must(r.DropView(u.ID, "mer_hats", false, views[0].ID))
	if views, _ = r.Views(u.ID, "mer_hats", false); len(views) != 0 {
		t.Errorf("after the drop: %+v", views)
	}
}
