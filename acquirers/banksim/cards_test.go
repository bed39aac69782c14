package banksim

import (
	"bytes"
	"cmp"
	"testing"
	"time"

	"github.com/tranzit/tranzit/iso"
)

func TestCardsAreValid(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Cards() {
		if _, err := iso.ParsePAN([]byte(c.Number)); err != nil {
			t.Errorf("%s: %v", c.Behaviour, err)
		}
		if seen[c.Number] || c.Behaviour == "" || c.Does == "" {
			t.Errorf("card %s appears twice or is not described", c.Behaviour)
		}
		seen[c.Number] = true
	}
	for _, number := range []string{"4111111111111111", "5555555555554444", "4000000000000002", "4000000000009995",
		"4000000000000069", "4000000000009987", "4000000000009979", "4000000000000119"} {
		if !seen[number] {
			t.Errorf("a card of the contract is missing: ends in %s", number[12:])
		}
	}
}

// expectation is what a card's purchase must come to.
type expectation struct {
	code     string // of the answer; "" = no answer
	state    State
	booked   int64
	cut      bool
	reversed string // code of the reversal's answer; "" = none to the first
	again    string // code of its repeat's answer; "" = as reversed, or approved
}

var expectations = map[Behaviour]expectation{
	Approve:              {code: "00", state: StateCharged, booked: 10001, reversed: "00"},
	Decline05:            {code: "05", state: StateDeclined, reversed: "00"},
	Decline51:            {code: "51", state: StateDeclined, reversed: "00"},
	Decline54:            {code: "54", state: StateDeclined, reversed: "00"},
	Decline41:            {code: "41", state: StateDeclined, reversed: "00"},
	Decline43:            {code: "43", state: StateDeclined, reversed: "00"},
	Decline96:            {code: "96", state: StateDeclined, reversed: "00"},
	PartialApproval:      {code: "10", state: StateCharged, booked: 5000, reversed: "00"},
	NoAnswer:             {state: StateUnanswered, reversed: "00"},
	ChargedWithoutAnswer: {state: StateCharged, booked: 10001, reversed: "00"},
	LateAnswer:           {code: "00", state: StateCharged, booked: 10001, reversed: "00"},
	DuplicateAnswer:      {code: "00", state: StateCharged, booked: 10001, reversed: "00"},
	WrongAmount:          {code: "00", state: StateCharged, booked: 10001, reversed: "00"},
	GarbledAnswer:        {state: StateCharged, booked: 10001, reversed: "00"},
	CutBefore:            {state: stateNone, cut: true, reversed: "00"},
	CutAfter:             {state: StateCharged, booked: 10001, cut: true, reversed: "00"},
	CutHalf:              {state: StateCharged, booked: 10001, cut: true, reversed: "00"},
	WrongSTAN:            {code: "00", state: StateCharged, booked: 10001, reversed: "00"},
	AnswerInPieces:       {code: "00", state: StateCharged, booked: 10001, reversed: "00"},
	Code68:               {code: "68", state: StateDeclined, reversed: "00"},
	Code68Charged:        {code: "68", state: StateCharged, booked: 10001, reversed: "00"},
	LateDecline:          {code: "51", state: StateDeclined, reversed: "00"},
	LostReversalAnswer:   {state: StateCharged, booked: 10001},
	ReversalRefused:      {state: StateCharged, booked: 10001, reversed: "12"},
	OperationAnswerLost:  {code: "00", state: StateCharged, booked: 10001},
	CaptureRefused:       {code: "00", state: StateCharged, booked: 10001, reversed: "00"},
	VoidRefused:          {code: "00", state: StateCharged, booked: 10001, reversed: "12"},
	RefundDeclined:       {code: "00", state: StateCharged, booked: 10001, reversed: "00"},
	RefundUnanswered:     {code: "00", state: StateCharged, booked: 10001, reversed: "00"},
	RefundLate:           {code: "00", state: StateCharged, booked: 10001, reversed: "00"},
	RefundLateDecline:    {code: "00", state: StateCharged, booked: 10001, reversed: "00"},
	StepUp:               {code: "1A", state: StateDeclined, reversed: "00"},
	NetworkToken:         {code: "82", state: StateDeclined, reversed: "00"},
	InitialIDNeeded:      {code: "00", state: StateCharged, booked: 10001, reversed: "00"},
	PINNeeded:            {code: "55", state: StateDeclined, reversed: "00"},
	IncrementDeclined:    {code: "00", state: StateCharged, booked: 10001, reversed: "00"},
	IncrementUnanswered:  {code: "00", state: StateCharged, booked: 10001, reversed: "00"},
	IncrementLate:        {code: "00", state: StateCharged, booked: 10001, reversed: "00"},
	RepeatRefused:        {code: "00", state: StateCharged, booked: 10001, again: "25"},
	PartialStays:         {code: "10", state: StateCharged, booked: 5000, reversed: "12"},
	WrongCode:            {code: "00", state: StateCharged, booked: 10001, reversed: "00"},
}

// TestCards sends one purchase per card and dialect, then reverses it.
func TestCards(t *testing.T) {
	for _, name := range iso.Builtins() {
		for _, card := range Cards() {
			t.Run(name+"/"+string(card.Behaviour)+card.Number[12:], func(t *testing.T) {
				want, ok := expectations[card.Behaviour]
				if !ok {
					t.Fatal("no expectation")
				}
				b := start(t, Config{Dialect: dialect(t, name), LateBy: 20 * time.Millisecond})
				c := signedOn(t, b)
				request, reversal := c.purchase(card.Number, 10001)
				c.send(request)
				checkAnswer(t, c, request, want, card.Behaviour)
				if want.state == stateNone {
					if n := b.Books().Len(); n != 0 {
						t.Fatalf("%d entries, want none", n)
					}
				} else {
					checkEntry(t, only(t, b, request), want, card)
				}
				if want.cut {
					c = signedOn(t, b)
				}
				checkReversal(t, b, c, reversal, want)
			})
		}
	}
}

func checkAnswer(t *testing.T, c *client, request *iso.Message, want expectation, name Behaviour) {
	t.Helper()
	switch {
	case want.cut:
		left := c.isCut()
		if half := left > 0; half != (name == CutHalf) {
			t.Fatalf("%d bytes came before the cut", left)
		}
		return
	case name == GarbledAnswer:
		body, err := c.next(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.d.Decode(body, new(iso.Message)); err == nil {
			t.Fatal("the garbled answer can be read")
		}
	case want.code != "":
		began := time.Now()
		got := c.receive()
		if !c.says(got, want.code) || got.MTI != request.MTI.Response() {
			t.Fatalf("answer %v code %q, want code %q", got.MTI, code(got), want.code)
		}
		checkEchoes(t, c, request, got, name)
		if slow := time.Since(began) > 15*time.Millisecond; (name == LateAnswer || name == LateDecline) && !slow {
			t.Error("the late answer came at once")
		}
		if name == DuplicateAnswer {
			if again := c.receive(); !bytes.Equal(c.frame(again), c.frame(got)) {
				t.Error("the second answer is another")
			}
		}
	}
	c.silent()
}

func checkEchoes(t *testing.T, c *client, request, got *iso.Message, name Behaviour) {
	t.Helper()
	err := c.d.Verify(request, got)
	switch name {
	case WrongAmount:
		if n, _ := c.d.Amount(got); n != 10101 {
			t.Errorf("amount %d, want 10101", n)
		}
	case PartialApproval:
		if n, _ := c.d.Amount(got); n != 5000 {
			t.Errorf("amount %d, want 5000", n)
		}
		if err != nil {
			t.Error(err)
		}
	case WrongSTAN:
		if bytes.Equal(request.Get(11), got.Get(11)) {
			t.Error("the STAN is right")
		}
	default:
		if err != nil {
			t.Error(err)
		}
	}
	if approval := got.Get(38); c.d.Code(code(got)).Approved != (len(approval) == 6) {
		t.Errorf("approval code of %d characters with code %s", len(approval), code(got))
	}
}

func checkEntry(t *testing.T, e Entry, want expectation, card TestCard) {
	t.Helper()
	if e.State != want.state.String() || e.Booked != want.booked || e.Charged != card.Charge || e.Requests != 1 {
		t.Errorf("entry %+v, want %v and %d booked", e, want.state, want.booked)
	}
	if e.Card == card.Number || len(e.Card) != len(card.Number) || e.Currency != "EUR" || e.Terminal != "TERM0001" {
		t.Errorf("entry %+v", e)
	}
}

func checkReversal(t *testing.T, b *Bank, c *client, reversal *iso.Message, want expectation) {
	t.Helper()
	c.send(reversal)
	if want.reversed == "" {
		c.silent()
	} else if got := c.receive(); !c.says(got, want.reversed) || got.MTI != reversal.MTI.Response() {
		t.Fatalf("reversal answered %v code %q, want %q", got.MTI, code(got), want.reversed)
	}
	again := c.ask(c.repeat(reversal))
	if !c.says(again, cmp.Or(want.again, want.reversed, "00")) {
		t.Errorf("repeated reversal answered %q", code(again))
	}
	e := only(t, b, reversal)
	if e.ReversalsSeen != 2 {
		t.Errorf("%d reversals seen, want 2", e.ReversalsSeen)
	}
	sum := b.Books().Summary().Currencies["EUR"]
	net := int64(0)
	if want.reversed == "12" {
		net = want.booked
	}
	if sum.Net != net || sum.Charged.Sum-sum.Reversed.Sum != net || sum.Charged.Sum != want.booked {
		t.Errorf("totals %+v, want net %d", sum, net)
	}
}

// TestUnknownCardsAreApproved: any number that passes the check.
func TestUnknownCardsAreApproved(t *testing.T) {
	b := start(t, Config{})
	c := signedOn(t, b)
	request, _ := c.purchase("6011000990139424", 100)
	if got := c.ask(request); code(got) != "00" {
		t.Errorf("code %q", code(got))
	}
	request, _ = c.purchase(approveCard, 100)
	request.SetString(2, "4111111111111112")
	if got := c.ask(request); code(got) != "14" {
		t.Errorf("a number that fails its check: code %q", code(got))
	}
}

// TestAmountTriggers: they count for the approving cards, when switched on.
func TestAmountTriggers(t *testing.T) {
	tests := []struct {
		amount int64
		want   expectation
	}{
		{1251, expectation{code: "51", state: StateDeclined}},
		{1254, expectation{code: "54", state: StateDeclined}},
		{1263, expectation{code: "00", state: StateCharged, booked: 1263}},
		{1268, expectation{code: "00", state: StateCharged, booked: 1268}},
		{1269, expectation{state: StateUnanswered}},
		{1270, expectation{state: StateCharged, booked: 1270, cut: true}},
	}
	if len(tests) != len(Amounts()) {
		t.Fatal("an amount is not tested")
	}
	for _, tt := range tests {
		b := start(t, Config{AmountTriggers: true, LateBy: 20 * time.Millisecond})
		c := signedOn(t, b)
		request, _ := c.purchase(approveCard, tt.amount)
		c.send(request)
		name := Behaviour("")
		if tt.amount == 1268 {
			name = LateAnswer
		}
		checkAnswer(t, c, request, tt.want, name)
		checkEntry(t, only(t, b, request), tt.want, TestCard{Number: approveCard, Charge: tt.want.booked != 0})
	}
	on, off := start(t, Config{AmountTriggers: true}), start(t, Config{})
	for n, tt := range []struct {
		b          *Bank
		card, want string
	}{{off, approveCard, "00"}, {on, "6011000990139424", "00"}, {on, "4000000000000002", "05"}} {
		c := signedOn(t, tt.b)
		c.stan = iso.STAN(100 * n)
		request, _ := c.purchase(tt.card, 1251)
		if got := c.ask(request); code(got) != tt.want {
			t.Errorf("a trigger that does not apply: code %q, want %q", code(got), tt.want)
		}
	}
}
