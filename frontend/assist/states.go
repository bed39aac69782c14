package assist

import (
	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// orderState is the order's state in Assist's words. An outcome that is not
// proven is In Process, never Declined.
func orderState(p *payswitch.Payment) string {
	switch p.Status {
	case payswitch.StatusAuthorized:
		if p.AmountCaptured > 0 {
			return "PartialDelayed"
		}
		return "Delayed"
	case payswitch.StatusCaptured:
		if p.AmountCaptured < p.AmountAuthorized {
			return "PartialDelayed"
		}
		return "Approved"
	case payswitch.StatusPartiallyRefunded:
		return "PartialCanceled"
	case payswitch.StatusCanceled, payswitch.StatusRefunded, payswitch.StatusExpired:
		return "Canceled"
	case payswitch.StatusDeclined, payswitch.StatusFailed:
		return "Declined"
	case payswitch.StatusReversed:
		return "Timeout"
	}
	return "In Process"
}

// closed reports whether the attempt ended without money, so that the order may
// be tried again.
func closed(s payswitch.Status) bool {
	return s == payswitch.StatusDeclined || s == payswitch.StatusFailed || s == payswitch.StatusReversed
}

// The answer codes.
const (
	codeDone    = "AS000"
	codeRefused = "AS100"
	codeRepeat  = "AS200"
	codeWait    = "AS300"
)

// declineCodes are the reasons of the catalogue that have a code of their own.
var declineCodes = map[string]string{
	"invalid_card": "AS101", "invalid_account": "AS101",
	"insufficient_funds": "AS102",
	"expired_card":       "AS104",
	"limit_exceeded":     "AS105",
	"incorrect_pin":      "AS106",
	"invalid_amount":     "AS107", "invalid_transaction": "AS107", "configuration_error": "AS107", "duplicate_transaction": "AS107",
	"suspected_fraud": "AS108", "lost_card": "AS108", "stolen_card": "AS108", "pickup_card": "AS108", "restricted_card": "AS108",
	"retry_not_allowed":       "AS109",
	"authentication_required": "AS110",
	"bank_error":              codeRepeat, "bank_unavailable": codeRepeat, "not_sent": codeRepeat,
}

func declineCode(d *payswitch.Decline) string {
	if d != nil && declineCodes[d.Code] != "" {
		return declineCodes[d.Code]
	}
	return codeRefused
}

// paymentCode is the answer code of the payment's own operation, and the letter
// of its state.
func paymentCode(p *payswitch.Payment) (code, letter string) {
	switch p.Status {
	case payswitch.StatusDeclined:
		return declineCode(p.Decline), "F"
	case payswitch.StatusFailed:
		return codeRepeat, "F"
	case payswitch.StatusReversed:
		return codeRepeat, "T"
	case payswitch.StatusInFlight, payswitch.StatusUnknown, payswitch.StatusRequiresAction:
		return codeWait, "P"
	}
	return codeDone, "S"
}

// operationCode is the same for what followed.
func operationCode(o *payswitch.Operation) (code, letter string) {
	switch o.Status {
	case payswitch.OperationSucceeded:
		return codeDone, "S"
	case payswitch.OperationDeclined:
		return declineCode(o.Decline), "F"
	case payswitch.OperationFailed:
		return codeRepeat, "F"
	case payswitch.OperationReversed:
		return codeRepeat, "T"
	}
	return codeWait, "P"
}

// undone reports whether an operation ended without effect, so that it may be
// asked for again.
func undone(s payswitch.OperationStatus) bool {
	return s == payswitch.OperationDeclined || s == payswitch.OperationFailed || s == payswitch.OperationReversed
}

// The operation types.
const (
	typePayment = "100"
	typeCharge  = "200"
	typeCancel  = "300"
)

func operationType(k payswitch.OperationKind) string {
	if k == payswitch.KindCapture {
		return typeCharge
	}
	return typeCancel
}

// wording is a text in the two languages of Assist.
type wording struct{ ru, en string }

func (w wording) in(english bool) string {
	if english {
		return w.en
	}
	return w.ru
}

var messages = map[string]wording{
	codeDone:    {"Операция выполнена", "Done"},
	codeRefused: {"Отказ банка", "Refused by the bank"},
	"AS101":     {"Отказ: неверный номер карты", "Refused: wrong card number"},
	"AS102":     {"Отказ: не хватает средств", "Refused: not enough money"},
	"AS104":     {"Отказ: срок действия карты неверен или истёк", "Refused: the card's expiry date is wrong or over"},
	"AS105":     {"Отказ: превышен лимит карты", "Refused: above the card's limit"},
	"AS106":     {"Отказ: неверный ПИН", "Refused: wrong PIN"},
	"AS107":     {"Отказ: банк не принял данные операции", "Refused: the bank does not take the data"},
	"AS108":     {"Отказ: подозрение на мошенничество", "Refused: suspicion of fraud"},
	"AS109":     {"Отказ: попытки исчерпаны", "Refused: no further attempt is allowed"},
	"AS110":     {"Отказ: нужна проверка 3-D Secure", "Refused: 3-D Secure is required"},
	codeRepeat:  {"Деньги не списаны, повторите операцию", "No money moved: repeat"},
	codeWait:    {"Операция выполняется, ждите", "In progress: wait"},
}

// advice is what the payer and the shop are told of a decline: texts of the
// catalogue of declines.
func (k *Ask) advice(code string, d *payswitch.Decline) (customer, recommendation string) {
	if d != nil {
		if reason := iso.Declines().Find(d.Code); reason != nil {
			return wording{reason.Buyer.RU, reason.Buyer.EN}.in(k.english), reason.Advice
		}
	}
	return messages[code].in(k.english), ""
}

// means are the names of card schemes as Assist prints them.
var means = map[string]string{
	"visa": "VISA", "mastercard": "MasterCard", "mir": "MIR", "amex": "AMEX", "jcb": "JCB", "maestro": "Maestro",
	"unionpay": "UnionPay", "discover": "Discover",
}
