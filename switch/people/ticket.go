package people

import (
	"bytes"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// TicketPrefix is the TypeID prefix of a ticket.
const TicketPrefix = "tkt"

// The first byte of a key in spaceTicket. It is stored: never reuse one.
const (
	ticketHead    = 't' // ticket id -> Ticket
	ticketOpen    = 'o' // ticket id: those that wait for an operator
	ticketAccount = 'a' // account digest, ticket id
	ticketPayment = 'p' // payment id, ticket id
)

// Limits of tickets.
const (
	MaxTicketText  = 4_000 // characters of one message
	MaxSubject     = 120
	maxMessages    = 100
	maxOpenTickets = 100 // of one account
)

// The states of a ticket.
const (
	TicketOpen     = "open"     // waits for an operator
	TicketAnswered = "answered" // waits for the merchant
	TicketClosed   = "closed"
)

// Ticket is a conversation between people of a merchant and the operators.
type Ticket struct {
	ID        payswitch.ID    `json:"-"`
	Merchant  string          `json:"merchant"`
	Live      bool            `json:"live"`
	Payment   payswitch.ID    `json:"payment,omitzero"` // which it is about; zero: none
	Subject   string          `json:"subject"`
	Status    string          `json:"status"`
	Messages  []TicketMessage `json:"messages"`
	UpdatedAt time.Time       `json:"updated_at"`
}

// TicketMessage is what one person wrote.
type TicketMessage struct {
	At       time.Time `json:"at"`
	By       string    `json:"by"`
	Operator bool      `json:"by_us,omitempty"`
	Text     string    `json:"text"`
}

// OpenTicket begins a conversation. REQUIRES: the payment, if any, is the
// account's. Errors are refusals.
func (p *People) OpenTicket(t Ticket, by, text string) (Ticket, error) {
	subject, err := cleanLine("/subject", t.Subject, MaxSubject)
	if err != nil {
		return t, err
	}
	if subject == "" {
		return t, invalid("/subject", "Say in a line what it is about.")
	}
	if HoldsCardNumber(subject) {
		return t, errCardNumber
	}
	if text, err = cleanText(text); err != nil {
		return t, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	there, err := p.Tickets(TicketQuery{Merchant: t.Merchant, Live: t.Live, Limit: maxOpenTickets})
	if err != nil {
		return t, err
	}
	waiting := 0
	for i := range there.Tickets {
		if there.Tickets[i].Status == TicketOpen {
			waiting++
		}
	}
	if waiting >= maxOpenTickets {
		return t, refusal(payswitch.CodeInvalidState, "", "%d tickets wait for an answer, as many as may be.", waiting)
	}
	now := p.now()
	t.ID, t.Subject, t.Status, t.UpdatedAt = p.freshID(), subject, TicketOpen, now
	t.Messages = []TicketMessage{{At: now, By: by, Text: text}}
	var c storage.Command
	c.Set(spaceTicket, key(ticketAccount, accountDigest(t.Merchant, t.Live), t.ID[:]), nil)
	if !t.Payment.IsZero() {
		c.Set(spaceTicket, key(ticketPayment, t.Payment[:], t.ID[:]), nil)
	}
	if err := t.put(&c); err != nil {
		return t, err
	}
	return t, p.do(&c)
}

func (t *Ticket) put(c *storage.Command) error {
	if t.Status == TicketOpen {
		c.Set(spaceTicket, key(ticketOpen, t.ID[:]), nil)
	} else {
		c.Delete(spaceTicket, key(ticketOpen, t.ID[:]))
	}
	return set(c, spaceTicket, key(ticketHead, t.ID[:]), t)
}

// Reply is one more message, or the end of a ticket.
type Reply struct {
	By       string
	Operator bool
	Text     string // empty: only with Close
	Close    bool
}

// AnswerTicket adds a message: an operator's makes the ticket answered, a merchant's
// opens it again. Errors are refusals.
func (p *People) AnswerTicket(id payswitch.ID, r Reply) (Ticket, error) {
	text := strings.TrimSpace(r.Text)
	if text != "" || !r.Close {
		var err error
		if text, err = cleanText(r.Text); err != nil {
			return Ticket{}, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t, err := p.Ticket(id)
	switch {
	case err != nil:
		return t, err
	case len(t.Messages) >= maxMessages && !r.Close:
		return t, refusal(payswitch.CodeInvalidState, "", "A ticket has at most %d messages: begin another one.", maxMessages)
	}
	t.UpdatedAt = p.now()
	if text != "" {
		t.Messages = append(t.Messages, TicketMessage{At: t.UpdatedAt, By: r.By, Operator: r.Operator, Text: text})
	}
	switch {
	case r.Close:
		t.Status = TicketClosed
	case r.Operator:
		t.Status = TicketAnswered
	default:
		t.Status = TicketOpen
	}
	var c storage.Command
	if err := t.put(&c); err != nil {
		return t, err
	}
	return t, p.do(&c)
}

// Ticket reads one. Errors are refusals.
func (p *People) Ticket(id payswitch.ID) (Ticket, error) {
	t := Ticket{ID: id}
	ok, err := p.read(spaceTicket, key(ticketHead, id[:]), &t)
	if err == nil && !ok {
		err = notFound("ticket")
	}
	return t, err
}

// OwnTicket is Ticket for a merchant: another's does not exist for it.
func (p *People) OwnTicket(merchant string, live bool, id payswitch.ID) (Ticket, error) {
	t, err := p.Ticket(id)
	if err == nil && (t.Merchant != merchant || t.Live != live) {
		return Ticket{}, notFound("ticket")
	}
	return t, err
}

// TicketQuery selects tickets, the newest first: of an account, or, when Merchant
// is empty, all that wait for an operator.
type TicketQuery struct {
	Merchant string
	Live     bool
	Payment  payswitch.ID // of the account's payment alone; zero: any
	Limit    int
	Cursor   payswitch.ID
}

// TicketPage is one page. More says that older ones exist.
type TicketPage struct {
	Tickets []Ticket
	More    bool
	Next    payswitch.ID
}

// Tickets is a page of tickets. Errors are refusals.
func (p *People) Tickets(q TicketQuery) (page TicketPage, err error) {
	prefix := key(ticketAccount, accountDigest(q.Merchant, q.Live))
	switch {
	case q.Merchant == "":
		prefix = key(ticketOpen)
	case !q.Payment.IsZero():
		prefix = key(ticketPayment, q.Payment[:])
	}
	rng := storage.Range{Space: spaceTicket, Prefix: prefix, Reverse: true}
	if !q.Cursor.IsZero() {
		rng.To = append(bytes.Clone(prefix), q.Cursor[:]...)
	}
	var ids []payswitch.ID
	err = p.store.Scan(rng, func(name, _ []byte) bool {
		ids = append(ids, payswitch.ID(name[len(prefix):]))
		return len(ids) <= q.Limit
	})
	if err != nil {
		return page, errInternal
	}
	for _, id := range ids {
		if page.More = len(page.Tickets) == q.Limit; page.More {
			break
		}
		t, err := p.Ticket(id)
		if err != nil {
			return page, err
		}
		page.Next = id
		page.Tickets = append(page.Tickets, t)
	}
	return page, nil
}

var errCardNumber = &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: "/text", Detail: "This holds what may be a card number. Leave it out: the first six and the last four digits are enough."}

func cleanText(text string) (string, error) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	switch n := utf8.RuneCountInString(text); {
	case n == 0 || n > MaxTicketText || !utf8.ValidString(text):
		return "", invalid("/text", "A message has 1 to %d characters.", MaxTicketText)
	case HoldsCardNumber(text):
		return "", errCardNumber
	}
	return text, nil
}

// HoldsCardNumber reports 12 to 19 digits, also with single spaces or hyphens
// between groups of them, that are a card number by Luhn (ISO/IEC 7812-1).
func HoldsCardNumber(text string) bool {
	var run []byte
	var groups []int // where in run groups begin
	before := byte(0)
	for i := range len(text) + 1 {
		c := byte(0)
		if i < len(text) {
			c = text[i]
		}
		switch digit := c >= '0' && c <= '9'; {
		case digit && (before < '0' || before > '9'):
			groups = append(groups, len(run))
			run = append(run, c)
		case digit:
			run = append(run, c)
		case (c == ' ' || c == '-') && before >= '0' && before <= '9':
		default:
			if cardNumberIn(run, groups) {
				return true
			}
			run, groups = run[:0], groups[:0]
		}
		before = c
	}
	return false
}

// cardNumberIn tries every row of whole groups.
func cardNumberIn(run []byte, groups []int) bool {
	for i, from := range groups {
		for j := i; j < len(groups) && groups[j]-from < 19; j++ {
			to := len(run)
			if j+1 < len(groups) {
				to = groups[j+1]
			}
			if n := to - from; n < 12 || n > 19 {
				continue
			}
			if _, err := iso.ParsePAN(run[from:to]); err == nil {
				return true
			}
		}
	}
	return false
}
