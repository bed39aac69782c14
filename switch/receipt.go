package payswitch

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// The letters that tell a buyer what became of the money.
const (
	TemplatePaid     = "receipt_paid"
	TemplateRefunded = "receipt_refunded"
	TemplateCanceled = "receipt_canceled"
)

// Limits of sending a payment's receipt again.
const (
	MaxReceiptsAgain = 5           // of one payment, beside those of its steps
	ReceiptPause     = time.Minute // between two
)

// ReceiptData is what a receipt is made from.
type ReceiptData struct {
	Shop        string `json:"shop"`
	Order       string `json:"order"`
	Description string `json:"description,omitempty"`
	Amount      int64  `json:"amount"`             // minor units
	Refunded    int64  `json:"refunded,omitempty"` // of a payment that was sent back in part
	Currency    string `json:"currency"`
	Card        string `json:"card"` // brand and last four digits
	Approval    string `json:"approval,omitempty"`
	Date        string `json:"date"` // on the shop's clock
	Payment     string `json:"payment"`
	Test        bool   `json:"test,omitempty"`
}

// receipts says in whose name and language the buyer is told of a step.
type receipts struct {
	merchant *Merchant
	language string
}

// receiptsOf finds whether the buyer of a payment is told of its last record; nil:
// no. Who asked for no receipts, or gave no address, costs a look at it.
func (s *Switch) receiptsOf(h *history) *receipts {
	if h.CustomerEmail == "" || h.news.count == 0 || h.Purpose != PurposePayment {
		return nil
	}
	m := s.dir.Load().byID[h.Merchant]
	if m == nil || !m.Receipts && h.Checkout.IsZero() {
		return nil
	}
	to := &receipts{merchant: m, language: m.Language}
	wanted := m.Receipts
	if !h.Checkout.IsZero() {
		c, err := s.readCheckout(h.Checkout)
		if err != nil || c == nil {
			s.log.Error("the checkout session of a payment could not be read", "payment", h.Name(), "error", err)
			return nil
		}
		if wanted = wanted || c.Receipt; wanted {
			to.language = s.languageOf(m, c)
		}
	}
	if !wanted {
		return nil
	}
	return to
}

// noteLanguage keeps in which language the buyer of a session saw its page, if a
// receipt will need it. Errors are refusals.
func (s *Switch) noteLanguage(a Account, c *Checkout, language string) error {
	if c.Email == "" || c.Language != "" || language == "" || !a.Merchant.Receipts && !c.Receipt || language == s.languageOf(a.Merchant, c) {
		return nil
	}
	var cmd storage.Command
	cmd.Set(spaceCheckout, checkoutKey(checkoutTalk, c.ID), []byte(language))
	if _, err := s.store.Do(&cmd); err != nil {
		return errInternal
	}
	return nil
}

// languageOf is that of letters to the buyer of a session.
func (s *Switch) languageOf(m *Merchant, c *Checkout) string {
	if c.Language != "" {
		return c.Language
	}
	spoken, _, err := s.store.Get(spaceCheckout, checkoutKey(checkoutTalk, c.ID), nil)
	if err != nil {
		s.log.Error("the language of a buyer could not be read", "session", c.ID.Text(CheckoutPrefix), "error", err)
	}
	return cmp.Or(string(spoken), m.Language)
}

// writeReceipts adds the letters that the last record makes the switch owe the
// buyer to the command that makes the record durable. A letter has the id of the
// event that it tells, so that no event is told twice.
func (h *history) writeReceipts(c *storage.Command) {
	if h.receipts == nil {
		return
	}
	for i := range int(h.news.count) {
		event := h.lastEvent(i)
		template, data := h.receipt(event.kind)
		if template == "" {
			continue
		}
		letter, err := h.receipts.letter(h, template, data)
		if err == nil {
			letter.ID, letter.Due = event.id, h.UpdatedAt
			letter.put(c)
		}
	}
}

// receipt is what a buyer is told of an event: of what is proven alone. No template:
// nothing.
func (h *history) receipt(t EventType) (template string, data ReceiptData) {
	if !t.ofOperation() {
		if t != (EventType{PurposePayment.class(), byte(StatusCaptured)}) || len(h.operations) > 0 {
			return "", data // captures tell themselves
		}
		return TemplatePaid, ReceiptData{Amount: h.AmountCaptured, Approval: h.ApprovalCode}
	}
	o := &h.operations[h.news.op-1]
	data = ReceiptData{Amount: o.Amount, Approval: cmp.Or(o.ApprovalCode, h.ApprovalCode)}
	if o.Status != OperationSucceeded {
		return "", data
	}
	switch o.Kind {
	case KindCapture:
		return TemplatePaid, data
	case KindRefund:
		return TemplateRefunded, data
	case KindCancel:
		return TemplateCanceled, data
	}
	return "", data
}

// letter writes a receipt of a payment. data holds what depends on the step.
func (to *receipts) letter(h *history, template string, data ReceiptData) (Letter, error) {
	data.Shop, data.Order, data.Description, data.Currency = to.merchant.Name, h.OrderID, h.Description, h.Currency.Alpha()
	data.Card, data.Payment, data.Test = cardShown(&h.Card), h.Name(), !h.Live
	data.Date = h.UpdatedAt.In(to.merchant.TimeZone).Format("2006-01-02 15:04 MST")
	return NewLetter(Letter{Channel: LetterMail, To: h.CustomerEmail, Language: to.language, Template: template}, data)
}

// cardShown is a card as its owner knows it.
func cardShown(c *Card) string {
	if c.Brand == "" || c.Brand == "unknown" {
		return "•••• " + c.Last4
	}
	return strings.ToUpper(c.Brand[:1]) + c.Brand[1:] + " •••• " + c.Last4
}

// ReceiptAgain is a wish to send a receipt once more, already syntactically valid.
type ReceiptAgain struct {
	IdempotencyKey string
	Fingerprint    Fingerprint
	Email          string // empty: of the payment
	Language       string // empty: as the first one
}

// ReceiptSent is what came of it.
type ReceiptSent struct {
	Payment  Payment
	To       string // masked
	Template string
	Again    int // how often it was sent again, this time included
}

// receiptCount is what the journal keeps of receipts sent again.
type receiptCount struct {
	Times int       `json:"times"`
	Last  time.Time `json:"last"`
	To    string    `json:"to"` // masked
}

func receiptKey(id ID) []byte { return append([]byte{letterReceipts}, id[:]...) }

// SendReceipt makes the switch owe the buyer a receipt of a payment as it stands: of
// what was paid, sent back or canceled, and of nothing that is not proven. A repeat
// under its key sends nothing. Errors are refusals.
func (s *Switch) SendReceipt(a Account, id ID, r *ReceiptAgain) (sent ReceiptSent, replayed bool, err error) {
	if err := s.accepting(); err != nil {
		return sent, false, err
	}
	mu := s.lock(id)
	mu.Lock()
	defer mu.Unlock()
	h, err := s.owned(a, PurposePayment, id)
	if err != nil {
		return sent, false, err
	}
	sent.Payment = h.Payment
	template, data := h.standingReceipt()
	var count receiptCount
	body, found, err := s.store.Get(spaceLetter, receiptKey(id), nil)
	if err == nil && found {
		err = json.Unmarshal(body, &count)
	}
	key := s.idempotencyDigest(a, r.IdempotencyKey)
	held, known, bad := s.store.Get(spaceKey, key[:], nil)
	now := s.now()
	switch to := cmp.Or(r.Email, h.CustomerEmail); {
	case err != nil || bad != nil:
		return sent, false, errInternal
	case known:
		sent.Template, sent.To, sent.Again = template, count.To, count.Times
		err := sentBefore(held, id, r.Fingerprint)
		return sent, err == nil, err
	case template == "":
		return sent, false, wrongState("The payment is %s: there is nothing to give a receipt of.", h.Status)
	case to == "":
		return sent, false, &Refusal{Code: CodeInvalidRequest, Pointer: "/email", Detail: "The payment has no e-mail address of its buyer: say where to send the receipt."}
	case count.Times >= MaxReceiptsAgain:
		return sent, false, wrongState("The receipt of a payment is sent again at most %d times.", MaxReceiptsAgain)
	case now.Sub(count.Last) < ReceiptPause:
		return sent, false, &Refusal{Code: CodeInvalidState, RetryAfter: ReceiptPause - now.Sub(count.Last), Detail: "The receipt was sent a moment ago; wait before you send it again."}
	default:
		h.CustomerEmail = to
	}
	language := a.Merchant.Language
	if !h.Checkout.IsZero() {
		c, err := s.readCheckout(h.Checkout)
		if err != nil || c == nil {
			return sent, false, errInternal
		}
		language = s.languageOf(a.Merchant, c)
	}
	letter, err := (&receipts{a.Merchant, cmp.Or(r.Language, language)}).letter(h, template, data)
	if err != nil {
		return sent, false, errInternal
	}
	sent.Template, sent.To, sent.Again = template, maskAddress(letter.To), count.Times+1
	if body, err = json.Marshal(receiptCount{sent.Again, now, sent.To}); err != nil {
		return sent, false, errInternal
	}
	var c storage.Command
	c.Claim(spaceKey, key[:], sendClaim(id, r.Fingerprint))
	c.Set(spaceLetter, receiptKey(id), body)
	s.letters.Add(&c, letter)
	result, err := s.store.Do(&c)
	if err != nil || result.Kind != storage.Applied {
		s.log.Error("journal refused a receipt", "payment", h.Name(), "error", err)
		return sent, false, errInternal
	}
	s.letters.Wake()
	return sent, false, nil
}

// standingReceipt is what a receipt of the payment says now.
func (h *history) standingReceipt() (template string, data ReceiptData) {
	data.Approval = h.ApprovalCode
	switch h.Status {
	case StatusCaptured, StatusPartiallyRefunded:
		data.Amount, data.Refunded = h.AmountCaptured, h.AmountRefunded
		return TemplatePaid, data
	case StatusRefunded:
		data.Amount = h.AmountRefunded
		return TemplateRefunded, data
	case StatusCanceled:
		data.Amount = h.AmountAuthorized
		return TemplateCanceled, data
	}
	return "", data
}

// HasReceipt reports whether there is anything to give a receipt of.
func (p *Payment) HasReceipt() bool {
	template, _ := (&history{Payment: *p}).standingReceipt()
	return p.Purpose == PurposePayment && template != ""
}
