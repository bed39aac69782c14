package assist

import "strings"

// parameter is one that Assist documents, or that its shops are seen to send.
// What a service neither takes nor ignores is refused by name.
type parameter struct {
	name    string
	code    int // the second code of a refusal that is about it
	takes   set
	ignores set
	refuses set // unless it is empty or 0: it would ask for what is not done
}

// documented are all parameters, in the order of docs/assist.md.
var documented = []parameter{
	{name: "Merchant_ID", code: 100, takes: all},
	{name: "Login", code: 101, takes: all},
	{name: "Password", code: 102, takes: all},
	{name: "Format", code: 103, takes: all},
	{name: "Language", code: 127, takes: all},
	{name: "Checkvalue", code: 0, takes: paying},
	{name: "Signature", code: 0, refuses: paying},
	{name: "OrderNumber", code: 107, takes: paying | looking | recurrent},
	{name: "OrderAmount", code: 108, takes: paying},
	{name: "OrderCurrency", code: 105, takes: paying},
	{name: "OrderComment", code: 110, takes: paying | recurrent},
	{name: "Delay", code: 109, takes: paying},
	{name: "Email", code: 120, takes: paying},
	{name: "Cardnumber", code: 106, takes: silent},
	{name: "Expiremonth", code: 112, takes: silent},
	{name: "Expireyear", code: 113, takes: silent},
	{name: "Cvc2", code: 115, takes: silent},
	{name: "Cardholder", code: 114, ignores: silent},
	{name: "Cardtype", code: 111, ignores: silent},
	{name: "ClientIP", code: 116, ignores: all},
	{name: "Lastname", code: 117, ignores: paying},
	{name: "Firstname", code: 118, ignores: paying},
	{name: "Middlename", code: 119, ignores: paying},
	{name: "Address", code: 121, ignores: paying},
	{name: "HomePhone", code: 122, ignores: paying},
	{name: "WorkPhone", code: 122, ignores: paying},
	{name: "MobilePhone", code: 122, ignores: paying},
	{name: "Fax", code: 122, ignores: paying},
	{name: "Country", code: 128, ignores: paying},
	{name: "State", code: 124, ignores: paying},
	{name: "City", code: 123, ignores: paying},
	{name: "Zip", code: 125, ignores: paying},
	{name: "CustomerNumber", code: 0, ignores: paying},
	{name: "MobileDevice", code: 0, ignores: paying},
	{name: "URL_RETURN", code: 154, takes: order | request, ignores: silent},
	{name: "URL_RETURN_OK", code: 154, takes: order | request, ignores: silent},
	{name: "URL_RETURN_NO", code: 154, takes: order | request, ignores: silent},
	{name: "CardPayment", code: 0, ignores: paying},
	{name: "YMPayment", code: 0, ignores: paying},
	{name: "WMPayment", code: 0, ignores: paying},
	{name: "QIWIPayment", code: 0, ignores: paying},
	{name: "Disable3DS", code: 0, ignores: paying},
	{name: "Submit", code: 0, ignores: order | request},
	{name: "RecurringIndicator", code: 147, takes: paying},
	{name: "RecurringMinAmount", code: 147, takes: paying},
	{name: "RecurringMaxAmount", code: 147, takes: paying},
	{name: "RecurringPeriod", code: 147, takes: paying},
	{name: "RecurringMaxDate", code: 147, takes: paying},
	{name: "TokenType", code: 0, refuses: paying},
	{name: "PaymentToken", code: 0, refuses: paying},
	{name: "OrderMaxPoints", code: 0, refuses: paying},
	{name: "Prepayment", code: 0, refuses: paying},
	{name: "BlockOrderType", code: 0, refuses: paying},
	{name: "ChequeItems", code: 179, refuses: paying | acting},
	{name: "ChequeItem", code: 179, refuses: paying | acting},
	{name: "GenerateReceipt", code: 179, refuses: paying | acting},
	{name: "Fiscalization", code: 179, refuses: paying | acting},
	{name: "Billnumber", code: 143, takes: acting | recurrent},
	{name: "Amount", code: 108, takes: acting | recurrent},
	{name: "Currency", code: 105, takes: acting | recurrent},
	{name: "AutoDeposit", code: 0, takes: charge},
	{name: "CancelReason", code: 0, takes: cancel},
	{name: "Externalrefundid", code: 0, takes: cancel},
	{name: "StartYear", code: 129, takes: looking | byDate},
	{name: "StartMonth", code: 129, takes: looking | byDate},
	{name: "StartDay", code: 129, takes: looking | byDate},
	{name: "StartHour", code: 129, takes: looking | byDate},
	{name: "StartMin", code: 129, takes: looking | byDate},
	{name: "EndYear", code: 130, takes: looking | byDate},
	{name: "EndMonth", code: 130, takes: looking | byDate},
	{name: "EndDay", code: 130, takes: looking | byDate},
	{name: "EndHour", code: 130, takes: looking | byDate},
	{name: "EndMin", code: 130, takes: looking | byDate},
	{name: "Operationstate", code: 146, takes: byDate},
	{name: "Operationtype", code: 145, takes: byDate},
	{name: "TestMode", code: 212, ignores: byDate},
	{name: "MeanType_ID", code: 111, refuses: byDate},
	{name: "ZipFlag", code: 132, refuses: byDate},
}

const receiptCode = 179

var known = func() map[string]*parameter {
	by := make(map[string]*parameter, len(documented))
	for i := range documented {
		by[strings.ToLower(documented[i].name)] = &documented[i]
	}
	return by
}()

// accept refuses what the service does not take.
func (k *Ask) accept() *refusal {
	is := k.service.is
	for i := range k.params.list {
		got := &k.params.list[i]
		p := known[got.name]
		switch {
		case p == nil || (p.takes|p.ignores|p.refuses)&is == 0:
			return unreadable("There is no parameter " + got.name + " here.")
		case p.refuses&is == 0 || len(got.value) == 0 || string(got.value) == "0":
		case p.code == receiptCode && k.shop.IgnoreReceipts:
		default:
			return &refusal{first: 15, second: p.code, detail: p.name + " asks for what this service does not do."}
		}
	}
	return nil
}
