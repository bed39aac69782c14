package assist

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// series are the bounds that the payer agreed to with the first payment: they are
// kept with it as metadata.
type series struct {
	least, most int64 // minor units of the payment's currency
	days        int   // between two payments: told, not enforced
	until       time.Time
}

const (
	seriesKey  = "assist_recurring"
	seriesDate = "02.01.2006"
	maxDays    = 3660
)

// readSeries reads the parameters of a first payment; nil: it begins no series.
func (k *Ask) readSeries(c iso.Currency) (*series, *refusal) {
	wanted, no := k.number("recurringindicator", 0, 1, 0)
	if no != nil || wanted == 0 {
		return nil, no
	}
	s := new(series)
	if s.least, no = k.amount("recurringminamount", c); no != nil {
		return nil, no
	}
	if s.most, no = k.amount("recurringmaxamount", c); no != nil {
		return nil, no
	}
	if s.days, no = k.number("recurringperiod", 1, maxDays, 0); no != nil {
		return nil, no
	}
	date, there := k.params.get("recurringmaxdate")
	until, err := time.Parse(seriesDate, string(date))
	switch s.until = until; {
	case s.days == 0:
		return nil, missing("recurringperiod")
	case !there:
		return nil, missing("recurringmaxdate")
	case err != nil:
		return nil, badForm("recurringmaxdate", "must be a date like 31.12.2030.")
	case s.over(k.adapter.now()):
		return nil, badValue("recurringmaxdate", "is over.")
	case s.most < s.least:
		return nil, badValue("recurringmaxamount", "is less than the least amount.")
	}
	return s, nil
}

// over reports whether the last day of the series, GMT, is over.
func (s *series) over(now time.Time) bool { return !now.Before(s.until.AddDate(0, 0, 1)) }

func (s *series) String() string {
	return fmt.Sprintf("%d %d %d %s", s.least, s.most, s.days, s.until.Format(seriesDate))
}

// seriesOf reads what String wrote; nil: the payment began no series.
func seriesOf(p *payswitch.Payment) *series {
	for _, m := range p.Metadata {
		parts := strings.Split(m.Value, " ")
		if m.Key != seriesKey || len(parts) != 4 {
			continue
		}
		s := new(series)
		var errs [4]error
		s.least, errs[0] = strconv.ParseInt(parts[0], 10, 64)
		s.most, errs[1] = strconv.ParseInt(parts[1], 10, 64)
		s.days, errs[2] = strconv.Atoi(parts[2])
		s.until, errs[3] = time.Parse(seriesDate, parts[3])
		if errs == [4]error{} {
			return s
		}
	}
	return nil
}

// begin makes the payment the first of the series: its card is saved under a name
// of the order's own.
func (s *series) begin(r *payswitch.PayRequest) {
	name := sha256.Sum256([]byte(r.OrderID))
	r.SaveCard, r.Customer = true, "assist-"+hex.EncodeToString(name[:16])
	r.Metadata = []payswitch.Pair{{Key: seriesKey, Value: s.String()}}
}

var recurrentLayout = layout{json: "recurrent", wrapped: true}

// recurrent answers rp.cfm: a payment that the shop starts, by the card and within
// the bounds of the series that Billnumber began. Its order is paid once, as any.
func (k *Ask) recurrent() {
	first, _, no := k.payment()
	if no != nil {
		k.fail(no)
		return
	}
	var o orderForm
	if _, there := k.params.get("currency"); !there {
		k.fail(missing("currency"))
		return
	}
	if o.number, no = k.orderNumber(); no == nil {
		o.currency, no = k.currency("currency")
	}
	if no == nil {
		o.amount, no = k.amount("amount", o.currency)
	}
	if no != nil {
		k.fail(no)
		return
	}
	comment, _ := k.params.get("ordercomment")
	o.comment = prose(comment)
	switch s := seriesOf(&first); {
	case s == nil || first.Token.IsZero():
		no = &refusal{first: 15, second: 320, detail: "This payment began no series: it needs RecurringIndicator, and an approval."}
	case o.currency != first.Currency:
		no = badValue("currency", "must be that of the first payment.")
	case o.amount < s.least || o.amount > s.most:
		no = badValue("amount", "is outside what the payer agreed to.")
	case s.over(k.adapter.now()):
		no = &refusal{first: 16, second: 320, detail: "The series is over."}
	case o.number == first.OrderID:
		no = &refusal{first: 11, second: 107, detail: "The payment needs an OrderNumber of its own."}
	}
	if no != nil {
		k.fail(no)
		return
	}
	k.payOnce(recurrentLayout, &o, payswitch.PayRequest{
		Amount: o.amount, Currency: o.currency, OrderID: o.number, Description: o.comment, CustomerEmail: first.CustomerEmail,
		Initiator: "merchant", Carried: &iso.Carried{Channel: iso.ChannelRecurring}, Token: first.Token,
	})
}
