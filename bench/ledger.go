package bench

// outcome is what the merchant knows about one payment.
type outcome uint8

const (
	unsent   outcome = iota
	lost             // sent, and no answer came
	refused          // an error: the API promises that nothing was recorded
	pending          // recorded, outcome not proven yet
	moneyNo          // final, no money moved
	moneyYes         // approved
	doubtful         // approved; whether an operation gave the money back is not known
	returned         // approved, and an operation gave the money back
)

// ledger is the merchant's own book of one worker: one byte per payment, indexed
// by its number within the worker.
type ledger struct {
	outcomes       []outcome
	contradictions uint64 // the same payment was answered both approved and not
}

func (l *ledger) open() uint64 {
	l.outcomes = append(l.outcomes, unsent)
	return uint64(len(l.outcomes) - 1)
}

// note records an answer to payment i, or the lack of one. What is proven is never
// forgotten: a later loss or refusal of a duplicate changes nothing.
func (l *ledger) note(i uint64, o outcome) {
	old := l.outcomes[i]
	if old >= doubtful && o == moneyNo || old == moneyYes && o == moneyNo || old == moneyNo && o == moneyYes {
		l.contradictions++
	}
	if old == lost && o == refused {
		return // the first attempt may have been recorded
	}
	if o > old {
		l.outcomes[i] = o
	}
}

// operated records what became of payment i's money by a cancel or a refund.
func (l *ledger) operated(i uint64, o outcome) { l.outcomes[i] = o }

// returnedBy is what the answer to a cancel or a refund says about the money. An
// error of the request promises that nothing was recorded.
func returnedBy(a *answer) outcome {
	switch o := outcomeOf(a); {
	case o == refused:
		return moneyYes
	case o == lost:
		return doubtful
	}
	switch string(a.status) {
	case "succeeded":
		return returned
	case "declined", "failed", "reversed":
		return moneyYes
	}
	return doubtful
}

func outcomeOf(a *answer) outcome {
	if a.code >= 300 {
		if a.code >= 500 && a.code != 503 {
			return lost // an internal error promises nothing
		}
		return refused
	}
	switch string(a.status) {
	case "captured", "authorized":
		return moneyYes
	case "declined", "failed", "reversed", "canceled", "expired":
		return moneyNo
	}
	return pending
}

// MerchantView is what the merchants know at the end of a run. Amounts are minor units.
type MerchantView struct {
	Approved       uint64 `json:"approved"`
	ApprovedAmount int64  `json:"approved_amount"`
	NotApproved    uint64 `json:"not_approved"` // or given back
	Refused        uint64 `json:"refused"`
	Open           uint64 `json:"open"` // unknown, without an answer, or an operation of it is
	OpenAmount     int64  `json:"open_amount"`
	// Contradictions are payments answered both approved and not approved. Must be 0.
	Contradictions uint64 `json:"contradictions"`
}

// add sums a worker's ledger up; numberOf turns its index into a payment's number.
func (v *MerchantView) add(l *ledger, numberOf func(i uint64) uint64) {
	v.Contradictions += l.contradictions
	for i, o := range l.outcomes {
		amount := amountOf(numberOf(uint64(i)))
		switch o {
		case moneyYes:
			v.Approved++
			v.ApprovedAmount += amount
		case moneyNo, returned:
			v.NotApproved++
		case refused:
			v.Refused++
		case lost, pending, doubtful:
			v.Open++
			v.OpenAmount += amount
		}
	}
}
