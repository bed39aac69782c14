package cabinet

import (
	"strings"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// ticketsPage lists tickets, and begins one.
type ticketsPage struct {
	Tickets                         []people.Ticket
	Next                            string
	Subject, Text, Payment, Problem string
}

func (v *visit) listTickets() error {
	return v.showTickets(200, ticketsPage{Payment: v.r.URL.Query().Get("payment")})
}

func (v *visit) showTickets(status int, page ticketsPage) error {
	cursor, err := v.cursor()
	if err != nil {
		return err
	}
	got, err := v.s.people.Tickets(people.TicketQuery{Merchant: v.account.Merchant.ID, Live: v.account.Live, Limit: pageSize, Cursor: cursor})
	if err != nil {
		return err
	}
	page.Tickets = got.Tickets
	if got.More {
		page.Next = got.Next.Text("cur")
	}
	v.render(status, "tickets", page)
	return nil
}

func (v *visit) openTicket() error {
	page := ticketsPage{Subject: v.form("subject"), Text: v.form("text"), Payment: strings.TrimSpace(v.form("payment"))}
	t := people.Ticket{Merchant: v.account.Merchant.ID, Live: v.account.Live, Subject: page.Subject}
	err := error(nil)
	if page.Payment != "" {
		if t.Payment, err = payswitch.ParseID(payswitch.PaymentPrefix, page.Payment); err == nil {
			_, err = v.s.sw.Payment(v.account, payswitch.PurposePayment, t.Payment)
		}
		if err != nil {
			err = &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: "/payment", Detail: "There is no such payment."}
		}
	}
	if err == nil {
		t, err = v.s.people.OpenTicket(t, v.session.User.Email, page.Text)
	}
	if err != nil {
		text, status, ok := v.again(err)
		if !ok {
			return err
		}
		page.Problem = text
		return v.showTickets(status, page)
	}
	name := t.ID.Text(people.TicketPrefix)
	if err := v.record(&people.Act{What: "ticket_opened", Object: name, Payment: t.Payment}); err != nil {
		return err
	}
	return v.done("tickets/"+name, "ticket")
}

// ticketPage is one conversation.
type ticketPage struct {
	Ticket        people.Ticket
	Text, Problem string
}

func (v *visit) showTicket() error {
	t, err := v.ticket()
	if err != nil {
		return err
	}
	return v.show("ticket", ticketPage{Ticket: t})
}

func (v *visit) ticket() (people.Ticket, error) {
	id, err := v.target(people.TicketPrefix)
	if err != nil {
		return people.Ticket{}, err
	}
	return v.s.people.OwnTicket(v.account.Merchant.ID, v.account.Live, id)
}

func (v *visit) answerTicket() error {
	t, err := v.ticket()
	if err != nil {
		return err
	}
	reply := people.Reply{By: v.session.User.Email, Text: v.form("text"), Close: v.form("close") == "1"}
	if _, err := v.s.people.AnswerTicket(t.ID, reply); err != nil {
		text, status, ok := v.again(err)
		if !ok {
			return err
		}
		v.render(status, "ticket", ticketPage{Ticket: t, Text: reply.Text, Problem: text})
		return nil
	}
	what := "ticket_answered"
	if reply.Close {
		what = "ticket_closed"
	}
	name := t.ID.Text(people.TicketPrefix)
	if err := v.record(&people.Act{What: what, Object: name, Payment: t.Payment}); err != nil {
		return err
	}
	return v.done("tickets/"+name, what)
}
