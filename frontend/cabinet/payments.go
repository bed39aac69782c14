package cabinet

import (
	"encoding/csv"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	paypage "github.com/tranzit/tranzit/frontend/page"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// pageSize is how many payments a page of the monitor has.
const pageSize = 25

// filter is what the monitor is asked for, as it was typed.
type filter struct {
	Status, From, To, Order, Bank, Last4, Code, Least, Most, Currency string
	Cursor                                                            string
	Problem                                                           string // the field that cannot be read
}

var filterNames = []string{"status", "from", "to", "order", "bank", "last4", "code", "least", "most", "currency"}

func (f *filter) field(name string) *string {
	switch name {
	case "status":
		return &f.Status
	case "from":
		return &f.From
	case "to":
		return &f.To
	case "order":
		return &f.Order
	case "bank":
		return &f.Bank
	case "last4":
		return &f.Last4
	case "code":
		return &f.Code
	case "least":
		return &f.Least
	case "most":
		return &f.Most
	}
	return &f.Currency
}

func readFilter(q url.Values) (f filter) {
	for _, name := range filterNames {
		value := strings.TrimSpace(q.Get(name))
		if len(value) > 128 {
			value = ""
		}
		*f.field(name) = value
	}
	f.Cursor = q.Get("cursor")
	return f
}

// Query is the filter as it stands in an address, without the cursor.
func (f filter) Query() string {
	q := url.Values{}
	for _, name := range filterNames {
		if value := *f.field(name); value != "" {
			q.Set(name, value)
		}
	}
	return q.Encode()
}

// Address is Query for a link of a page.
func (f filter) Address() template.URL { return template.URL(f.Query()) }

// Set reports whether anything is asked for.
func (f filter) Set() bool { return f.Query() != "" }

// list is what the switch is asked. Problem names the field that cannot be read.
func (f *filter) list(zone *time.Location) (q payswitch.ListQuery) {
	q = payswitch.ListQuery{OrderID: f.Order, Bank: f.Bank, Last4: f.Last4, ResponseCode: f.Code, Limit: pageSize}
	if f.Status != "" {
		status, ok := payswitch.ParseStatus(f.Status)
		if !ok {
			f.Problem = "status"
		}
		q.Status = status
	}
	day := func(name string, later int) (t time.Time) {
		if text := *f.field(name); text != "" {
			t, err := time.ParseInLocation(time.DateOnly, text, zone)
			if err != nil {
				f.Problem = name
			}
			return t.AddDate(0, 0, later)
		}
		return t
	}
	q.CreatedFrom, q.CreatedTo = day("from", 0), day("to", 1)
	amount := func(name string) int64 {
		text := *f.field(name)
		if text == "" {
			return 0
		}
		code := f.Currency
		if code == "" {
			code = "EUR" // two decimals, as most have
		}
		minor, ok := minorUnits(text, code)
		if !ok {
			f.Problem = name
		}
		return minor
	}
	q.AmountFrom, q.AmountTo = amount("least"), amount("most")
	if f.Cursor != "" {
		cursor, err := payswitch.ParseID("cur", f.Cursor)
		if err != nil {
			f.Problem = "cursor"
		}
		q.Cursor = cursor
	}
	return q
}

// minorUnits reads an amount as people type it: major units, with a point or a
// comma. More decimals than the currency has are refused, as is what is not above 0.
func minorUnits(text, code string) (int64, bool) { return paypage.MinorUnits(text, code) }

// paymentsPage is the monitor.
type paymentsPage struct {
	Filter   filter
	Payments []payswitch.Payment
	Next     string // the cursor of the next page; empty: there is none
	Until    time.Time
	Views    []people.View
	Banks    []string
	Statuses []payswitch.Status
	Key      string // of a batch made of the rows
}

func (v *visit) listPayments() error {
	if id := strings.TrimSpace(v.r.URL.Query().Get("id")); id != "" {
		if _, err := payswitch.ParseID(payswitch.PaymentPrefix, id); err == nil {
			v.redirect(v.base() + "/payments/" + id)
			return nil
		}
	}
	page := paymentsPage{Filter: readFilter(v.r.URL.Query()), Statuses: listedStatuses, Key: newKey()}
	query := page.Filter.list(v.account.Merchant.TimeZone)
	if page.Filter.Problem == "" {
		list, err := v.s.sw.List(v.account, query)
		if err != nil {
			return err
		}
		page.Payments = list.Payments
		if list.More {
			page.Next, page.Until = list.Next.Text("cur"), list.Next.Time()
		}
	}
	if v.r.URL.Query().Get("part") == "rows" {
		return v.piece("payments", "rows", page)
	}
	var err error
	page.Views, err = v.s.people.Views(v.session.User.ID, v.account.Merchant.ID, v.account.Live)
	if err != nil {
		return err
	}
	page.Banks = v.banks()
	return v.show("payments", page)
}

var listedStatuses = []payswitch.Status{payswitch.StatusCaptured, payswitch.StatusAuthorized, payswitch.StatusDeclined, payswitch.StatusUnknown,
	payswitch.StatusRequiresAction, payswitch.StatusFailed, payswitch.StatusReversed, payswitch.StatusCanceled, payswitch.StatusExpired, payswitch.StatusPartiallyRefunded, payswitch.StatusRefunded}

// maxExport bounds the payments of one file.
const maxExport = 100_000

var exportColumns = []string{"id", "created_at", "status", "amount", "amount_captured", "amount_refunded", "currency", "order_id", "bank",
	"card_brand", "card_bin", "card_last4", "rrn", "stan", "approval_code", "response_code", "decline_code", "description"}

// exportPayments answers with the payments of a filter as CSV (RFC 4180), page after
// page.
func (v *visit) exportPayments() error {
	f := readFilter(v.r.URL.Query())
	query := f.list(v.account.Merchant.TimeZone)
	if f.Problem != "" {
		return &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Detail: "The filter cannot be read: " + f.Problem + "."}
	}
	if err := v.record(&people.Act{What: "exported", Detail: f.Query()}); err != nil {
		return err
	}
	query.Limit = 100
	v.w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	v.w.Header().Set("Content-Disposition", `attachment; filename="payments.csv"`)
	out := csv.NewWriter(v.w)
	_ = out.Write(exportColumns)
	for rows := 0; rows < maxExport; {
		page, err := v.s.sw.List(v.account, query)
		if err != nil {
			panic(http.ErrAbortHandler) // the answer breaks off, which every client notices
		}
		for i := range page.Payments {
			if err := out.Write(exportRow(&page.Payments[i])); err != nil {
				return nil // the client is gone
			}
		}
		rows += len(page.Payments)
		if out.Flush(); !page.More || out.Error() != nil || v.r.Context().Err() != nil {
			return nil
		}
		query.Cursor = page.Next
	}
	return nil
}

func exportRow(p *payswitch.Payment) []string {
	code := p.Currency.Alpha()
	row := []string{p.ID.Text(payswitch.PaymentPrefix), p.CreatedAt.Format(time.RFC3339), p.Status.String(), plainAmount(p.Amount, code),
		plainAmount(p.AmountCaptured, code), plainAmount(p.AmountRefunded, code), code, p.OrderID, p.Bank, p.Card.Brand, p.Card.BIN, p.Card.Last4,
		p.RRN, strconv.Itoa(int(p.STAN)), p.ApprovalCode, p.ResponseCode, "", p.Description}
	if p.Decline != nil {
		row[16] = p.Decline.Code
	}
	for i := range row {
		row[i] = harmless(row[i])
	}
	return row
}

// harmless keeps a spreadsheet from taking a cell for a formula.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

func (v *visit) saveView() error {
	query, err := url.ParseQuery(v.form("query"))
	if err != nil {
		return badForm(err)
	}
	f := readFilter(query)
	err = v.s.people.SaveView(v.session.User.ID, v.account.Merchant.ID, v.account.Live, people.View{Name: v.form("name"), Query: f.Query()})
	if err != nil {
		return err
	}
	v.redirect(v.base() + "/payments?" + f.Query() + "&done=view")
	return nil
}

func (v *visit) dropView() error {
	id, err := v.target(people.ViewPrefix)
	if err != nil {
		return err
	}
	if err := v.s.people.DropView(v.session.User.ID, v.account.Merchant.ID, v.account.Live, id); err != nil {
		return err
	}
	return v.done("payments", "removed")
}
