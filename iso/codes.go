package iso

// CodeMeaning is what a response code (DE39) means for the payment.
type CodeMeaning struct {
	Approved bool   // the whole amount
	InDoubt  bool   // says nothing certain: the payment must be resolved
	Partial  bool   // less than the amount (DE4 of the answer); Approved is set too
	Decline  string // reason for the merchant, one of DeclineCodes
	Message  string // one sentence for people
	Retry    string // never, later or with_changes
}

// ReversalVerdict is what a response code means for a reversal.
type ReversalVerdict uint8

// The verdicts on a reversal.
const (
	ReversalRetry  ReversalVerdict = iota // send it again, as a repeat
	ReversalDone                          // nothing is charged
	ReversalManual                        // people must act
)

var verdictNames = [...]string{"retry", "done", "manual"}

// String names the verdict.
func (v ReversalVerdict) String() string {
	if int(v) >= len(verdictNames) {
		return "unknown"
	}
	return verdictNames[v]
}

var retryAdvice = []string{"never", "later", "with_changes"}

// Code says what a response code means. A code the dialect does not list is
// declined, never approved.
func (d *Dialect) Code(rc string) CodeMeaning {
	if meaning, ok := d.codes[rc]; ok {
		return meaning
	}
	return d.unknown
}

// ReversalAnswer says what a response code means for a reversal. A code the
// dialect does not list means: send the reversal again.
func (d *Dialect) ReversalAnswer(rc string) ReversalVerdict { return d.verdicts[rc] }

// AdviceAnswer says what a response code means for a capture, a void, or a
// refund that is sent as an advice: done, refused for good (ReversalManual), or
// send it again. A code the dialect does not list means: send it again.
func (d *Dialect) AdviceAnswer(rc string) ReversalVerdict { return d.advices[rc] }
