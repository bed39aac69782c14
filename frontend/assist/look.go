package assist

import (
	"slices"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

const (
	lookBack   = 3 * 24 * time.Hour         // of orderstate and orderresult that name no beginning
	resultBack = 3 * time.Hour              // of resultbydate
	maxPeriod  = 24*time.Hour + time.Minute // the minute of the end is within
	maxRows    = 10_000                     // of one answer of resultbydate
	pageRows   = payswitch.MaxResults
)

var (
	stateLayout  = layout{json: "orderstate"}
	resultLayout = layout{json: "orderresult", nested: true}
	byDateLayout = layout{json: "resultbydate", list: true}
)

// orderState answers orderstate.cfm: the order's attempts, the one that decides
// last.
func (k *Ask) orderState() {
	k.look(stateLayout, func(p *payswitch.Payment) (entry, *refusal) {
		fields := []field{
			{name: "ordernumber", value: p.OrderID}, {name: "billnumber", value: billnumber(p.ID)}, {name: "orderamount", value: decimal(p.Amount, p.Currency)},
			{name: "ordercurrency", value: p.Currency.Alpha()}, {name: "orderstate", value: orderState(p)},
		}
		return entry{fields: append(fields, k.check(p, k.adapter.now(), dateAndMinute)...)}, nil
	})
}

// orderResult answers orderresult.cfm: the attempts with all their operations.
func (k *Ask) orderResult() {
	k.look(resultLayout, func(p *payswitch.Payment) (entry, *refusal) {
		now, operations, err := k.adapter.sw.Operations(k.Account, p.ID)
		if err != nil {
			return entry{}, k.refused(err)
		}
		e := entry{fields: k.orderWithCheck(&now), operations: [][]field{k.deedFields(&now, paymentDeed(&now))}}
		for i := range operations {
			e.operations = append(e.operations, k.deedFields(&now, operationDeed(&operations[i], i)))
		}
		return e, nil
	})
}

func (k *Ask) orderWithCheck(p *payswitch.Payment) []field {
	return append(k.orderFields(p), k.check(p, k.adapter.now(), dateAndTime)...)
}

// look answers with the attempts of an order in a period. An order that was paid
// is told by its payment even if a later attempt was made elsewhere.
func (k *Ask) look(l layout, each func(*payswitch.Payment) (entry, *refusal)) {
	number, no := k.orderNumber()
	if no != nil {
		k.fail(no)
		return
	}
	from, to, no := k.period(lookBack)
	if no != nil {
		k.fail(no)
		return
	}
	found, no := k.attempts(payswitch.ListQuery{OrderID: number, CreatedFrom: from, CreatedTo: to})
	switch {
	case no != nil:
		k.fail(no)
		return
	case len(found) == 0:
		k.fail(&refusal{first: 10, second: 201, detail: "There is no such order in this period."})
		return
	}
	decidesLast(found)
	var entries []entry
	for i := range found {
		e, no := each(&found[i])
		if no != nil {
			k.fail(no)
			return
		}
		entries = append(entries, e)
	}
	k.Payment = &found[len(found)-1]
	k.reply(l, entries)
}

// decidesLast puts the attempt that decides the order's state at the end: the
// last one that did not end without money, else the last one.
func decidesLast(attempts []payswitch.Payment) {
	for i := len(attempts) - 1; i >= 0; i-- {
		if !closed(attempts[i].Status) {
			decides := attempts[i]
			copy(attempts[i:], attempts[i+1:])
			attempts[len(attempts)-1] = decides
			return
		}
	}
}

// resultByDate answers resultbydate.cfm: every payment and operation that began
// in the period, the oldest first.
func (k *Ask) resultByDate() {
	from, to, no := k.period(resultBack)
	if no == nil && to.Sub(from) > maxPeriod {
		no = &refusal{first: 5, second: 4, detail: "The period is longer than a day."}
	}
	letter, kind := "", ""
	if no == nil {
		letter, no = k.choice("operationstate", "N", "P", "S", "F", "T")
	}
	if no == nil {
		kind, no = k.choice("operationtype", typePayment, typeCharge, typeCancel)
	}
	if no != nil {
		k.fail(no)
		return
	}
	var entries []entry
	for q := (payswitch.ResultsQuery{From: from, To: to, Limit: pageRows}); ; {
		page, err := k.adapter.sw.Results(k.Account, q)
		if err != nil {
			k.fail(k.refused(err))
			return
		}
		for i := range page.Results {
			r := &page.Results[i]
			d, no := k.deedOf(r)
			switch {
			case no != nil:
				k.fail(no)
				return
			case letter != "" && d.letter != letter || kind != "" && d.kind != kind:
			case len(entries) == maxRows:
				k.fail(&refusal{first: 5, second: 2, detail: "More than 10000 operations: ask for a shorter period."})
				return
			default:
				entries = append(entries, entry{fields: k.act(&r.Payment, d)})
			}
		}
		if !page.More {
			break
		}
		q.Cursor = page.Next
	}
	if len(entries) == 0 {
		k.fail(&refusal{first: 10, second: 201, detail: "There is nothing in this period."})
		return
	}
	k.reply(byDateLayout, entries)
}

// deedOf is a row of results in Assist's terms.
func (k *Ask) deedOf(r *payswitch.Result) (deed, *refusal) {
	if r.Operation == nil {
		return paymentDeed(&r.Payment), nil
	}
	_, operations, err := k.adapter.sw.Operations(k.Account, r.Payment.ID)
	if err != nil {
		return deed{}, k.refused(err)
	}
	at := slices.IndexFunc(operations, func(o payswitch.Operation) bool { return o.ID == r.Operation.ID })
	return operationDeed(r.Operation, at), nil
}

// choice reads one of some words; none when it is not there.
func (k *Ask) choice(name string, words ...string) (string, *refusal) {
	text, there := k.params.get(name)
	if !there {
		return "", nil
	}
	for _, w := range words {
		if string(text) == w {
			return w, nil
		}
	}
	return "", badValue(name, "is not one of its values.")
}

// period reads a beginning and an end, both GMT and to the minute; the minute of
// the end is within. What is left out is taken from the default, as a whole.
func (k *Ask) period(back time.Duration) (from, to time.Time, no *refusal) {
	now := k.adapter.now().UTC()
	if from, no = k.moment("start", now.Add(-back)); no != nil {
		return from, to, no
	}
	if to, no = k.moment("end", now); no != nil {
		return from, to, no
	}
	if _, named := k.params.get("endyear"); named {
		to = to.Add(time.Minute)
	} else {
		to = to.Add(time.Second) // what was made in this very moment
	}
	if to.Before(from) {
		return from, to, badValue("endyear", "and what goes with it is before the beginning.")
	}
	return from, to, nil
}

// moment reads year, month, day, hour and minute. With a year the month and the
// day must be there; the time of the day is its beginning, or for an end its last minute.
func (k *Ask) moment(which string, otherwise time.Time) (time.Time, *refusal) {
	year, no := k.number(which+"year", 2000, 2099, 0)
	month, no2 := k.number(which+"month", 1, 12, 0)
	day, no3 := k.number(which+"day", 1, 31, 0)
	lastHour, lastMinute := 0, 0
	if which == "end" {
		lastHour, lastMinute = 23, 59
	}
	hour, no4 := k.number(which+"hour", 0, 23, lastHour)
	minute, no5 := k.number(which+"min", 0, 59, lastMinute)
	for _, no := range []*refusal{no, no2, no3, no4, no5} {
		if no != nil {
			return otherwise, no
		}
	}
	if year == 0 && month == 0 && day == 0 {
		return otherwise, nil
	}
	at := time.Date(year, time.Month(month), day, hour, minute, 0, 0, time.UTC)
	if year == 0 || month == 0 || day == 0 || at.Day() != day {
		return otherwise, badValue(which+"year", "must be there with its month and its day, and be a date.")
	}
	return at, nil
}
