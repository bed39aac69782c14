package banksim

import "github.com/tranzit/tranzit/iso"

// Behaviour is the stable name of what a test card does; TestCard.Does says it
// in a sentence.
type Behaviour string

// The behaviours of the test cards.
const (
	Approve              Behaviour = "approve"
	Decline05            Behaviour = "decline_05"
	Decline51            Behaviour = "decline_51"
	Decline54            Behaviour = "decline_54"
	Decline41            Behaviour = "decline_41"
	Decline43            Behaviour = "decline_43"
	Decline96            Behaviour = "decline_96"
	PartialApproval      Behaviour = "partial"
	NoAnswer             Behaviour = "no_answer"
	ChargedWithoutAnswer Behaviour = "charged_no_answer"
	LateAnswer           Behaviour = "late"
	DuplicateAnswer      Behaviour = "duplicate_answer"
	WrongAmount          Behaviour = "wrong_amount"
	GarbledAnswer        Behaviour = "garbled"
	CutBefore            Behaviour = "cut_before"
	CutAfter             Behaviour = "cut_after"
	WrongSTAN            Behaviour = "wrong_stan"
	AnswerInPieces       Behaviour = "pieces"
	Code68               Behaviour = "code_68"
	Code68Charged        Behaviour = "code_68_charged"
	CutHalf              Behaviour = "cut_half"
	LateDecline          Behaviour = "late_decline"
	LostReversalAnswer   Behaviour = "lost_reversal_answer"
	ReversalRefused      Behaviour = "reversal_refused"
	OperationAnswerLost  Behaviour = "operation_answer_lost"
	CaptureRefused       Behaviour = "capture_refused"
	VoidRefused          Behaviour = "void_refused"
	RefundDeclined       Behaviour = "refund_declined"
	RefundUnanswered     Behaviour = "refund_no_answer"
	RefundLate           Behaviour = "refund_late"
	RefundLateDecline    Behaviour = "refund_late_decline"
	StepUp               Behaviour = "step_up"
	NetworkToken         Behaviour = "network_token"
	InitialIDNeeded      Behaviour = "initial_id_needed"
	PINNeeded            Behaviour = "pin_needed"
	IncrementDeclined    Behaviour = "increment_declined"
	IncrementUnanswered  Behaviour = "increment_no_answer"
	IncrementLate        Behaviour = "increment_late"
	RepeatRefused        Behaviour = "repeat_refused"
	PartialStays         Behaviour = "partial_reversal_refused"
	WrongCode            Behaviour = "wrong_mac"
)

// TestCard is one documented card number and what the bank does with it.
type TestCard struct {
	Number    string    `json:"number"`
	Behaviour Behaviour `json:"behaviour"`
	Does      string    `json:"does"`   // one sentence for people
	Charge    bool      `json:"charge"` // money is taken

	plan     Plan
	reversal Plan
	capture  *Plan // nil: as plan
	refund   *Plan // nil: as plan
	raise    *Plan // of an increment; nil: as plan
	half     bool  // approve half of the amount
	amounts  bool  // amount triggers apply
	lostOnce bool  // the first capture, void or refund is booked and not answered
	lostAck  bool  // the first reversal is booked and not acknowledged

	refuseAgain bool // what repeats a capture, void or refund is refused with code 25

	demand func(known bool, s *iso.Seen) string // the declining code for what a charge lacks, or ""; known: of the initial transaction id
}

// approving cards first, declines next, faults of the answer and of the link,
// then faults of the reversal. Every number passes the Luhn check.
var cards = []TestCard{
	{Number: "4111111111111111", Behaviour: Approve, Does: "Visa: approved, code 00.", Charge: true, amounts: true},
	{Number: "5555555555554444", Behaviour: Approve, Does: "Mastercard: approved, code 00.", Charge: true, amounts: true},
	{Number: "2200000000000004", Behaviour: Approve, Does: "Mir: approved, code 00.", Charge: true, amounts: true},
	{Number: "4000000000000002", Behaviour: Decline05, Does: "Declined, code 05: do not honour.", plan: Plan{Code: "05"}},
	{Number: "4000000000009995", Behaviour: Decline51, Does: "Declined, code 51: insufficient funds.", plan: Plan{Code: "51"}},
	{Number: "4000000000000069", Behaviour: Decline54, Does: "Declined, code 54: expired card.", plan: Plan{Code: "54"}},
	{Number: "4000000000009987", Behaviour: Decline41, Does: "Declined, code 41: lost card.", plan: Plan{Code: "41"}},
	{Number: "4000000000009979", Behaviour: Decline43, Does: "Declined, code 43: stolen card.", plan: Plan{Code: "43"}},
	{Number: "4000000000000119", Behaviour: Decline96, Does: "Declined, code 96: system malfunction.", plan: Plan{Code: "96"}},
	{Number: "4000000001010000", Behaviour: PartialApproval, Does: "Approved for half of the amount, code 10.", Charge: true, half: true},
	{Number: "4000000001020009", Behaviour: NoAnswer, Does: "No answer; nothing is charged.", plan: Plan{Fault: FaultNoAnswer, Effect: Nothing}},
	{Number: "4000000001030008", Behaviour: ChargedWithoutAnswer, Does: "Charged, and no answer.", Charge: true, plan: Plan{Fault: FaultNoAnswer}},
	{Number: "4000000001040007", Behaviour: LateAnswer, Does: "Charged; approved after the switch's deadline (LateBy).", Charge: true, plan: Plan{Fault: FaultLate}},
	{Number: "4000000001050006", Behaviour: DuplicateAnswer, Does: "Charged once; the approval comes twice.", Charge: true, plan: Plan{Fault: FaultDuplicate}},
	{Number: "4000000001060005", Behaviour: WrongAmount, Does: "Charged as asked; the approval names 100 minor units more.", Charge: true, plan: Plan{Fault: FaultAmount}},
	{Number: "4000000001070004", Behaviour: GarbledAnswer, Does: "Charged; the answer is a whole frame of unreadable bytes.", Charge: true, plan: Plan{Fault: FaultGarbled}},
	{Number: "4000000001080003", Behaviour: CutBefore, Does: "The link is cut before the bank books the request: it never saw it.", plan: Plan{Fault: FaultCutUnseen}},
	{Number: "4000000001090002", Behaviour: CutAfter, Does: "Charged; the link is cut instead of an answer.", Charge: true, plan: Plan{Fault: FaultCut}},
	{Number: "4000000001100009", Behaviour: WrongSTAN, Does: "Charged; the approval carries another STAN.", Charge: true, plan: Plan{Fault: FaultSTAN}},
	{Number: "4000000001110008", Behaviour: AnswerInPieces, Does: "Approved; the answer's frame comes in five pieces.", Charge: true, plan: Plan{Fault: FaultPieces}},
	{Number: "4000000001120007", Behaviour: Code68, Does: "Code 68, answer too late; nothing is charged.", plan: Plan{Code: "68"}},
	{Number: "4000000001130006", Behaviour: Code68Charged, Does: "Code 68, answer too late; charged all the same.", Charge: true, plan: Plan{Code: "68", Effect: Take}},
	{Number: "4000000001140005", Behaviour: CutHalf, Does: "Charged; the link is cut in the middle of the answer.", Charge: true, plan: Plan{Fault: FaultCutHalf}},
	{Number: "4000000001150004", Behaviour: LateDecline, Does: "Declined with code 51 after the switch's deadline (LateBy).", plan: Plan{Code: "51", Fault: FaultLate}},
	{Number: "4000000001160003", Behaviour: LostReversalAnswer, Does: "Charged, no answer; the first reversal is booked and not acknowledged, its repeat is.", Charge: true, plan: Plan{Fault: FaultNoAnswer}, lostAck: true},
	{Number: "4000000001170002", Behaviour: ReversalRefused, Does: "Charged, no answer; every reversal is refused with code 12: a case for people.", Charge: true, plan: Plan{Fault: FaultNoAnswer}, reversal: Plan{Code: "12"}},
	{Number: "4000000001180001", Behaviour: OperationAnswerLost, Does: "Approved; the first copy of a capture, void or refund is booked and not answered, its repeat is.", Charge: true, lostOnce: true},
	{Number: "4000000001190000", Behaviour: CaptureRefused, Does: "Approved; every capture is refused with code 12.", Charge: true, capture: &Plan{Code: "12"}},
	{Number: "4000000001200007", Behaviour: VoidRefused, Does: "Approved; every void is refused with code 12.", Charge: true, reversal: Plan{Code: "12"}},
	{Number: "4000000001210006", Behaviour: RefundDeclined, Does: "Approved; every refund is declined with code 05.", Charge: true, refund: &Plan{Code: "05"}},
	{Number: "4000000001220005", Behaviour: RefundUnanswered, Does: "Approved; a refund is given and not answered, only its reversal or repeat is.", Charge: true, refund: &Plan{Fault: FaultNoAnswer}},
	{Number: "4000000001230004", Behaviour: RefundLate, Does: "Approved; a refund is given and answered after the deadline of the switch (LateBy).", Charge: true, refund: &Plan{Fault: FaultLate}},
	{Number: "4000000001240003", Behaviour: RefundLateDecline, Does: "Approved; a refund is declined with code 05 after the deadline of the switch (LateBy).", Charge: true, refund: &Plan{Code: "05", Fault: FaultLate}},
	{Number: "4000000001250002", Behaviour: StepUp, Does: "Approved when the cardholder was authenticated (a CAVV came); else declined with code 1A: step up.", demand: demandAuthentication},
	{Number: "4000000001260001", Behaviour: NetworkToken, Does: "A network token: approved with a cryptogram, or by the merchant with the id of an earlier payment; else declined with code 82.", demand: demandCryptogram},
	{Number: "4000000001270000", Behaviour: InitialIDNeeded, Does: "Approved; started by the merchant without the network transaction id of an earlier payment by this card it is declined with code 1A.", Charge: true, demand: demandInitialID},
	{Number: "4000000001280009", Behaviour: PINNeeded, Does: "Approved with the PIN 1234; declined with code 55 without a PIN.", demand: demandPIN},
	{Number: "4000000001310004", Behaviour: IncrementDeclined, Does: "Approved; every increment of a hold is declined with code 51.", Charge: true, raise: &Plan{Code: "51"}},
	{Number: "4000000001320003", Behaviour: IncrementUnanswered, Does: "Approved; an increment raises the hold and is not answered, its reversal is.", Charge: true, raise: &Plan{Fault: FaultNoAnswer}},
	{Number: "4000000001330002", Behaviour: IncrementLate, Does: "Approved; an increment raises the hold and is answered after the deadline of the switch (LateBy).", Charge: true, raise: &Plan{Fault: FaultLate}},
	{Number: "4000000001340001", Behaviour: RepeatRefused, Does: "Approved; the first copy of a capture, void or refund is booked and not answered, its repeat is refused with code 25.", Charge: true, lostOnce: true, refuseAgain: true},
	{Number: "4000000001350000", Behaviour: PartialStays, Does: "Approved for half of the amount, code 10; every reversal is refused with code 12.", Charge: true, half: true, reversal: Plan{Code: "12"}},
	{Number: "4000000001400003", Behaviour: WrongCode, Does: "Charged; in a dialect with authentication codes the approval's is wrong.", Charge: true, plan: Plan{Fault: FaultMAC}},
}

func demandAuthentication(_ bool, s *iso.Seen) string {
	if s.CAVV {
		return ""
	}
	return "1A"
}

func demandCryptogram(known bool, s *iso.Seen) string {
	if s.Cryptogram || s.Credential.ByMerchant() && known {
		return ""
	}
	return "82"
}

func demandInitialID(known bool, s *iso.Seen) string {
	if known || !s.Credential.ByMerchant() {
		return ""
	}
	return "1A"
}

func demandPIN(_ bool, s *iso.Seen) string {
	if s.PIN {
		return ""
	}
	return codeWrongPIN
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
		{"63", "Charged; in a dialect with authentication codes the answer's is wrong."},
		{"68", "Charged; approved after the switch's deadline (LateBy)."},
		{"69", "No answer; nothing is charged."},
		{"70", "Charged; the link is cut instead of an answer."},
	}
}
