package banksim

import (
	"time"

	"github.com/tranzit/tranzit/iso"
)

// Fault is what goes wrong with one answer. What the books do is a separate
// question: see Effect.
type Fault uint8

// The faults of an answer.
const (
	FaultNone      Fault = iota
	FaultNoAnswer        // no answer at all
	FaultLate            // the answer comes Config.LateBy later
	FaultDuplicate       // the answer comes twice, one straight after the other
	FaultAmount          // the answer's amount is 100 minor units more than the request's
	FaultGarbled         // a whole frame whose MTI and bitmap are 0xFF bytes
	FaultSTAN            // the answer's STAN is another
	FaultPieces          // the answer's frame comes in five pieces, PieceGap apart
	FaultCut             // the link is cut instead of the answer
	FaultCutUnseen       // the link is cut and the bank forgets that it read the request
	FaultCutHalf         // the link is cut after half of the answer's bytes
	FaultMAC             // the answer's authentication code is wrong, in a dialect that has codes
)

// answersAtOnce says whether a readable answer leaves without waiting.
func (f Fault) answersAtOnce() bool {
	switch f {
	case FaultNoAnswer, FaultLate, FaultGarbled, FaultPieces, FaultCut, FaultCutUnseen, FaultCutHalf:
		return false
	}
	return true
}

// Effect is what one message does to the books.
type Effect uint8

// The effects on the books.
const (
	ByCode  Effect = iota // an approving code takes effect, any other does not
	Take                  // it takes effect whatever the code says
	Nothing               // it is written down and moves no money, whatever the code says
)

// Plan is what the bank does with one message.
type Plan struct {
	Code   string        // response code, two or three characters
	Amount int64         // approved amount in minor units; 0 = as requested
	Effect Effect        // on the books
	Fault  Fault         // of the answer
	Delay  time.Duration // before the answer
}

// Ask is one message as a Script sees it.
type Ask struct {
	Message *iso.Message // valid during the call; holds the card number in clear
	Link    int          // number of the link it came on, from 1
	Card    *TestCard    // the test card in it, or nil
}

// approves says whether a code gives money: 00, 10, 08, 11 and the 1993 forms.
func approves(code string) bool {
	switch code {
	case "00", "08", "10", "11", "000", "001", "002", "003", "400":
		return true
	}
	return false
}

// trigger is what the last two digits of an amount start, or false.
func trigger(amount int64, p *Plan) bool {
	switch amount % 100 {
	case 51:
		p.Code = "51"
	case 54:
		p.Code = "54"
	case 63:
		p.Fault = FaultMAC
	case 68:
		p.Fault = FaultLate
	case 69:
		p.Fault, p.Effect = FaultNoAnswer, Nothing
	case 70:
		p.Fault = FaultCut
	default:
		return false
	}
	return true
}
