package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// MoneyCheck compares three independent books at the end of a run: what merchants
// were told, what the bank took, what the journal says. All figures are changes
// since the start of the run, amounts in minor units of one currency.
type MoneyCheck struct {
	OK        bool         `json:"ok"`
	Findings  []string     `json:"findings,omitempty"` // why not, or what could not be compared
	Merchants MerchantView `json:"merchants"`
	Bank      *BankView    `json:"bank,omitempty"`
	Journal   *JournalView `json:"journal,omitempty"`
}

// BankView are the sums of all banks' books.
type BankView struct {
	Charged  int64 `json:"charged"`
	Reversed int64 `json:"reversed"`
	Net      int64 `json:"net"`
}

// JournalView are the sums of the journal's payments by what they mean for money.
type JournalView struct {
	Approved       uint64 `json:"approved"`
	ApprovedAmount int64  `json:"approved_amount"`
	NotApproved    uint64 `json:"not_approved"`
	Open           uint64 `json:"open"` // outcome not proven yet
}

func (v BankView) minus(o BankView) BankView {
	return BankView{v.Charged - o.Charged, v.Reversed - o.Reversed, v.Net - o.Net}
}

func (v JournalView) minus(o JournalView) JournalView {
	return JournalView{v.Approved - o.Approved, v.ApprovedAmount - o.ApprovedAmount, v.NotApproved - o.NotApproved, v.Open}
}

// books are the bank's and the journal's view at one moment; nil: not readable.
type books struct {
	bank    *BankView
	journal *JournalView
	problem error
}

func readBooks(ctx context.Context, o *Options) books {
	var b books
	if len(o.Books) > 0 {
		b.bank = &BankView{}
	}
	for _, base := range o.Books {
		v, err := readBank(ctx, base, o.Currency)
		if err != nil {
			return books{problem: err}
		}
		b.bank.Charged += v.Charged
		b.bank.Reversed += v.Reversed
		b.bank.Net += v.Net
	}
	if o.Admin != "" {
		v, err := readJournal(ctx, o.Admin, o.Currency)
		if err != nil {
			return books{problem: err}
		}
		b.journal = &v
	}
	return b
}

func readBank(ctx context.Context, base, currency string) (BankView, error) {
	var page struct {
		Currencies map[string]struct {
			Charged, Reversed struct{ Sum int64 }
			Net               int64
		}
	}
	if err := fetchJSON(ctx, base+"/books/summary", &page); err != nil {
		return BankView{}, err
	}
	c := page.Currencies[currency]
	return BankView{Charged: c.Charged.Sum, Reversed: c.Reversed.Sum, Net: c.Net}, nil
}

func readJournal(ctx context.Context, admin, currency string) (JournalView, error) {
	var page struct {
		Totals *struct {
			Lines []struct {
				Currency, Status string
				Count            uint64
				Amount           int64
			}
		}
	}
	if err := fetchJSON(ctx, admin+"/admin/v1/journal/stats", &page); err != nil {
		return JournalView{}, err
	}
	if page.Totals == nil {
		return JournalView{}, fmt.Errorf("%s/admin/v1/journal/stats has no totals", admin)
	}
	var v JournalView
	for _, l := range page.Totals.Lines {
		switch {
		case l.Currency != currency:
		case l.Status == "captured" || l.Status == "authorized":
			v.Approved += l.Count
			v.ApprovedAmount += l.Amount
		case l.Status == "declined" || l.Status == "failed" || l.Status == "reversed" || l.Status == "canceled" || l.Status == "expired" ||
			l.Status == "refunded":
			v.NotApproved += l.Count
		default:
			v.Open += l.Count
		}
	}
	return v, nil
}

func fetchJSON(ctx context.Context, url string, into any) error {
	var body bytes.Buffer
	if err := fetch(ctx, url, &body); err != nil {
		return err
	}
	if err := json.Unmarshal(body.Bytes(), into); err != nil {
		return fmt.Errorf("GET %s: %w", url, err)
	}
	return nil
}

// checkMoney compares when no payment is open; operations that are may still move
// money, so that books that do not agree are read again, for at most o.Settle.
func checkMoney(ctx context.Context, o *Options, before books, merchants MerchantView) *MoneyCheck {
	deadline := time.Now().Add(o.Settle)
	pause := 100 * time.Millisecond
	for {
		after := readBooks(ctx, o)
		m := compareBooks(before, after, merchants)
		if m.OK || ctx.Err() != nil || time.Now().Add(pause).After(deadline) {
			return m
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, 2*time.Second)
	}
}

// compareBooks is the check itself. It holds when no payment was answered two ways,
// the journal's approvals are those the merchants know plus at most the ones they
// have no answer for, nothing is open, and the bank holds exactly what the journal
// says.
func compareBooks(before, after books, merchants MerchantView) *MoneyCheck {
	m := &MoneyCheck{Merchants: merchants}
	finding := func(format string, args ...any) { m.Findings = append(m.Findings, fmt.Sprintf(format, args...)) }
	if merchants.Contradictions > 0 {
		finding("%d payments were answered both approved and not approved", merchants.Contradictions)
	}
	for _, b := range []books{before, after} {
		if b.problem != nil {
			finding("books not readable: %v", b.problem)
		}
	}
	if before.bank != nil && after.bank != nil {
		v := after.bank.minus(*before.bank)
		m.Bank = &v
	}
	if before.journal != nil && after.journal != nil {
		v := after.journal.minus(*before.journal)
		m.Journal = &v
	}
	if m.Journal != nil {
		compareJournal(*m.Journal, merchants, finding)
	}
	switch {
	case m.Bank == nil && m.Journal == nil:
		finding("neither the bank's books nor the journal could be read")
	case m.Bank == nil || m.Journal == nil:
	case m.Bank.Net != m.Journal.ApprovedAmount:
		finding("the bank holds %d, the journal says %d approved", m.Bank.Net, m.Journal.ApprovedAmount)
	}
	if m.Bank != nil && m.Journal == nil {
		if n := m.Bank.Net; n < merchants.ApprovedAmount || n > merchants.ApprovedAmount+merchants.OpenAmount {
			finding("the bank holds %d, merchants know of %d approved and %d open", n, merchants.ApprovedAmount, merchants.OpenAmount)
		}
	}
	m.OK = len(m.Findings) == 0
	return m
}

func compareJournal(j JournalView, m MerchantView, finding func(string, ...any)) {
	if j.Open > 0 {
		finding("%d payments are still open in the journal", j.Open)
	}
	if j.ApprovedAmount < m.ApprovedAmount || j.Approved < m.Approved {
		finding("merchants were told of %d approvals (%d), the journal has %d (%d): an acknowledged payment is missing",
			m.Approved, m.ApprovedAmount, j.Approved, j.ApprovedAmount)
	}
	if j.ApprovedAmount > m.ApprovedAmount+m.OpenAmount || j.Approved > m.Approved+m.Open {
		finding("the journal has %d approvals (%d), merchants know of %d (%d) and %d without an answer (%d)",
			j.Approved, j.ApprovedAmount, m.Approved, m.ApprovedAmount, m.Open, m.OpenAmount)
	}
}
