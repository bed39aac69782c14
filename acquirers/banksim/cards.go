package banksim

// TestCard is one documented card number and what the bank does with it.
type TestCard struct {
	Number string `json:"number"`
	Name   string `json:"name"`   // a word or two, stable
	Does   string `json:"does"`   // one sentence for people
	Charge bool   `json:"charge"` // money is taken

	plan     Plan
	reversal Plan
	half     bool // approve half of the amount
	amounts  bool // amount triggers apply
	lostAck  bool // the first reversal is booked and not acknowledged
}

// approving cards first, declines next, faults of the answer and of the link,
// then faults of the reversal. Every number passes the Luhn check.
var cards = []TestCard{
	{Number: "4111111111111111", Name: "approve", Does: "Visa: approved, code 00.", Charge: true, amounts: true},
	{Number: "5555555555554444", Name: "approve", Does: "Mastercard: approved, code 00.", Charge: true, amounts: true},
	{Number: "2200000000000004", Name: "approve", Does: "Mir: approved, code 00.", Charge: true, amounts: true},
	{Number: "4000000000000002", Name: "decline_05", Does: "Declined, code 05: do not honour.", plan: Plan{Code: "05"}},
	{Number: "4000000000009995", Name: "decline_51", Does: "Declined, code 51: insufficient funds.", plan: Plan{Code: "51"}},
	{Number: "4000000000000069", Name: "decline_54", Does: "Declined, code 54: expired card.", plan: Plan{Code: "54"}},
	{Number: "4000000000009987", Name: "decline_41", Does: "Declined, code 41: lost card.", plan: Plan{Code: "41"}},
	{Number: "4000000000009979", Name: "decline_43", Does: "Declined, code 43: stolen card.", plan: Plan{Code: "43"}},
	{Number: "4000000000000119", Name: "decline_96", Does: "Declined, code 96: system malfunction.", plan: Plan{Code: "96"}},
	{Number: "4000000001010000", Name: "partial", Does: "Approved for half of the amount, code 10.", Charge: true, half: true},
	{Number: "4000000001020009", Name: "no_answer", Does: "No answer; nothing is charged.", plan: Plan{Fault: FaultNoAnswer, Effect: Nothing}},
	{Number: "4000000001030008", Name: "charged_no_answer", Does: "Charged, and no answer.", Charge: true, plan: Plan{Fault: FaultNoAnswer}},
	{Number: "4000000001040007", Name: "late", Does: "Charged; approved after the switch's deadline (LateBy).", Charge: true, plan: Plan{Fault: FaultLate}},
	{Number: "4000000001050006", Name: "duplicate_answer", Does: "Charged once; the approval comes twice.", Charge: true, plan: Plan{Fault: FaultDuplicate}},
	{Number: "4000000001060005", Name: "wrong_amount", Does: "Charged as asked; the approval names 1.00 (100 minor units) more.", Charge: true, plan: Plan{Fault: FaultAmount}},
	{Number: "4000000001070004", Name: "garbled", Does: "Charged; the answer is a whole frame of unreadable bytes.", Charge: true, plan: Plan{Fault: FaultGarbled}},
	{Number: "4000000001080003", Name: "cut_before", Does: "The link is cut before the bank books the request: it never saw it.", plan: Plan{Fault: FaultCutUnseen}},
	{Number: "4000000001090002", Name: "cut_after", Does: "Charged; the link is cut instead of an answer.", Charge: true, plan: Plan{Fault: FaultCut}},
	{Number: "4000000001100009", Name: "wrong_stan", Does: "Charged; the approval carries another STAN.", Charge: true, plan: Plan{Fault: FaultSTAN}},
	{Number: "4000000001110008", Name: "pieces", Does: "Approved; the answer's frame comes in five pieces.", Charge: true, plan: Plan{Fault: FaultPieces}},
	{Number: "4000000001120007", Name: "code_68", Does: "Code 68, answer too late; nothing is charged.", plan: Plan{Code: "68"}},
	{Number: "4000000001130006", Name: "code_68_charged", Does: "Code 68, answer too late; charged all the same.", Charge: true, plan: Plan{Code: "68", Effect: Take}},
	{Number: "4000000001140005", Name: "cut_half", Does: "Charged; the link is cut in the middle of the answer.", Charge: true, plan: Plan{Fault: FaultCutHalf}},
	{Number: "4000000001150004", Name: "late_decline", Does: "Declined with code 51 after the switch's deadline (LateBy).", plan: Plan{Code: "51", Fault: FaultLate}},
	{Number: "4000000001160003", Name: "lost_reversal_answer", Does: "Charged, no answer; the first reversal is booked and not acknowledged, its repeat is.", Charge: true, plan: Plan{Fault: FaultNoAnswer}, lostAck: true},
	{Number: "4000000001170002", Name: "reversal_refused", Does: "Charged, no answer; every reversal is refused with code 12: a case for people.", Charge: true, plan: Plan{Fault: FaultNoAnswer}, reversal: Plan{Code: "12"}},
}

var cardByNumber = func() map[string]*TestCard {
	m := make(map[string]*TestCard, len(cards))
	for i := range cards {
		m[cards[i].Number] = &cards[i]
	}
	return m
}()

// Cards lists the test cards, in the order of the documentation. Any other
// number that passes the Luhn check is approved.
func Cards() []TestCard {
	return append([]TestCard(nil), cards...)
}

// Amount is an amount trigger: the last two digits of the minor amount, which
// count for the approving test cards when Config.AmountTriggers is set.
type Amount struct {
	EndsIn string `json:"ends_in"`
	Does   string `json:"does"`
}

// Amounts lists the amount triggers.
func Amounts() []Amount {
	return []Amount{
		{"51", "Declined, code 51."},
		{"54", "Declined, code 54."},
		{"68", "Charged; approved after the switch's deadline (LateBy)."},
		{"69", "No answer; nothing is charged."},
		{"70", "Charged; the link is cut instead of an answer."},
	}
}
