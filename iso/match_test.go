package iso

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestKeysJoinARequestToItsAnswerOnly(t *testing.T) {
	for _, name := range Builtins() {
		d := builtin(t, name)
		var req, ans, rev Message
		var asked, got Key
		build(t, d, OpPurchase, purchase(), &req)
		d.RequestKey(&req, &asked)
		answerTo := func(change func(*Message)) bool {
			if err := d.Answer(&req, &Values{ResponseCode: "00"}, &ans); err != nil {
				t.Fatal(err)
			}
			change(&ans)
			return d.AnswerKey(&ans, &got) && got == asked
		}
		if !answerTo(func(*Message) {}) || !answerTo(func(m *Message) { m.MTI = m.MTI.Repeat() }) {
			t.Errorf("%s: the answer does not match", name)
		}
		for what, change := range map[string]func(*Message){
			"trace number":       func(m *Message) { m.SetString(11, "000124") },
			"reference number":   func(m *Message) { m.SetString(37, "616308000124") },
			"terminal":           func(m *Message) { m.SetString(41, "TERM0002") },
			"no terminal":        func(m *Message) { m.Delete(41) },
			"type":               func(m *Message) { m.MTI = MTIReversalAdviceReply },
			"a request":          func(m *Message) { m.MTI = MTIFinancial },
			"an undefined class": func(m *Message) { m.MTI = 0x0610 },
		} {
			if answerTo(change) {
				t.Errorf("%s: matched in spite of: %s", name, what)
			}
		}
		ans.Delete(41)
		if d.AnswerKey(&ans, &got) {
			t.Errorf("%s: an answer without a field of the key has a key", name)
		}
		build(t, d, OpReversal, reversal(), &rev)
		d.RequestKey(&rev, &asked)
		d.BuildRepeat(&rev)
		if d.RequestKey(&rev, &got); rev.MTI != d.MTI(OpReversal).Repeat() || got != asked {
			t.Errorf("%s: a repeat waits for another answer", name)
		}
	}
}

func TestVerify(t *testing.T) {
	d := builtin(t, "ascii87")
	for _, c := range []struct {
		name   string
		change func(*Message)
		field  int // -1: verified
	}{
		{"as asked", func(*Message) {}, -1},
		{"without an optional echo", func(m *Message) { m.Delete(32) }, -1},
		{"partial", func(m *Message) { m.SetString(39, "10"); m.SetString(4, "000000010000") }, -1},
		{"another amount", func(m *Message) { m.SetString(4, "000000010000") }, 4},
		{"partial of more", func(m *Message) { m.SetString(39, "10"); m.SetString(4, "000000012501") }, 4},
		{"no amount", func(m *Message) { m.Delete(4) }, 4},
		{"another merchant", func(m *Message) { m.SetString(42, "MERCHANT0000002") }, 42},
		{"another currency", func(m *Message) { m.SetString(49, "643") }, 49},
		{"another acquirer", func(m *Message) { m.SetString(32, "123457") }, 32},
		{"another card", func(m *Message) { m.SetString(2, "5555555555554444") }, 2},
		{"no response code", func(m *Message) { m.Delete(39) }, 39},
		{"the answer to something else", func(m *Message) { m.MTI = MTIReversalAdviceReply }, 0},
	} {
		var req, ans Message
		build(t, d, OpPurchase, purchase(), &req)
		if err := d.Answer(&req, &Values{ResponseCode: "00"}, &ans); err != nil {
			t.Fatal(err)
		}
		c.change(&ans)
		err := d.Verify(&req, &ans)
		var wrong *EchoError
		if c.field < 0 && err != nil || c.field >= 0 && (!errors.As(err, &wrong) || wrong.Field != c.field) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestCodes(t *testing.T) {
	d := builtin(t, "binary87")
	for rc, m := range d.codes {
		if m.Approved != (rc == "00" || rc == "10") {
			t.Errorf("%s: approved %v", rc, m.Approved)
		}
	}
	for _, rc := range []string{"68", "94", "09"} {
		if m := d.Code(rc); !m.InDoubt || m.Approved {
			t.Errorf("%s must be in doubt", rc)
		}
	}
	for rc, want := range map[string]string{"51": "insufficient_funds", "54": "expired_card", "41": "lost_card", "43": "stolen_card", "N7": "incorrect_cvc"} {
		if m := d.Code(rc); m.Decline != want || m.Retry == "" || m.Message == "" {
			t.Errorf("%s: %+v", rc, m)
		}
	}
	for _, rc := range []string{"", "0", "000", "ZZ", "08", "11"} {
		if m := d.Code(rc); m.Approved || m.Partial || m.InDoubt || m.Decline == "" {
			t.Errorf("%q is not declined: %+v", rc, m)
		}
	}
	for rc, want := range map[string]ReversalVerdict{"00": ReversalDone, "25": ReversalDone, "21": ReversalDone, "12": ReversalManual, "30": ReversalManual, "91": ReversalRetry, "ZZ": ReversalRetry, "": ReversalRetry} {
		if got := d.ReversalAnswer(rc); got != want {
			t.Errorf("reversal %q: %s", rc, got)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	d := builtin(t, "ascii87")
	for _, c := range []struct {
		field  int
		change func(*Values)
	}{
		{2, func(v *Values) { v.PAN = PAN{} }},
		{4, func(v *Values) { v.Amount = -1 }},
		{4, func(v *Values) { v.Amount = maxAmount + 1 }},
		{11, func(v *Values) { v.STAN = 0 }},
		{11, func(v *Values) { v.STAN = 1_000_000 }},
		{14, func(v *Values) { v.Expiry = Expiry{} }},
		{18, func(v *Values) { v.MCC = "54a1" }},
		{32, func(v *Values) { v.Acquirer = "123456789012" }},
		{37, func(v *Values) { v.RRN = "1234567890123" }},
		{41, func(v *Values) { v.Terminal = "TERM00012" }},
		{41, func(v *Values) { v.Terminal = "TERM\n001" }},
		{48, func(v *Values) { v.CAVV = strings.Repeat("A", 1000) }},
		{49, func(v *Values) { v.Currency = Currency{} }},
	} {
		v := purchase()
		c.change(v)
		var m Message
		var wrong *FieldError
		if err := d.Build(OpPurchase, v, &m); !errors.As(err, &wrong) || wrong.Field != c.field || m.Has(3) {
			t.Errorf("field %d: %v", c.field, err)
		}
	}
	if err := d.Build(0, purchase(), new(Message)); !errors.Is(err, ErrOperation) {
		t.Error(err)
	}
	if err := d.Answer(&Message{MTI: 0x0600}, &Values{}, new(Message)); !errors.Is(err, ErrOperation) {
		t.Error(err)
	}
}

func TestBuildPadsAndCuts(t *testing.T) {
	d := builtin(t, "ascii87")
	v := purchase()
	v.Terminal, v.Merchant, v.MCC = "T1", "M1", "742"
	v.SentAt = v.SentAt.In(berlin)
	v.NameLocation = "Кафе \"Ромашка\", a name that goes on far longer than forty characters"
	var m Message
	build(t, d, OpPurchase, v, &m)
	if got := fmt.Sprintf("%s|%s|%s|%s|%s", m.Get(7), m.Get(18), m.Get(41), m.Get(42), m.Get(43)); got != "0612082001|0742|T1      |M1             |Kafe \"Romashka\", a name that goes on far" {
		t.Error(got)
	}
}

func TestATagThatIsTooLongIsRefused(t *testing.T) {
	d, err := ParseDialect("tags.yaml", variant(t, "ascii87", "private: {tag: 2, length: 3}", "private: {tag: 2, length: 2}"))
	if err != nil {
		t.Fatal(err)
	}
	v := purchase()
	v.CAVV = strings.Repeat("A", 99)
	var m Message
	if build(t, d, OpPurchase, v, &m); string(m.Get(48)) != "4199"+v.CAVV {
		t.Errorf("field 48 is %s", m.Get(48))
	}
	v.CAVV += "A"
	var wrong *FieldError
	if err := d.Build(OpPurchase, v, &m); !errors.As(err, &wrong) || wrong.Field != 48 {
		t.Errorf("100 characters under two digits of length: %v", err)
	}
}

func TestVerificationDataTravelsMasked(t *testing.T) {
	for _, name := range generic87 {
		d := builtin(t, name)
		v := purchase()
		v.CVC, _ = ParseCVC([]byte("987"))
		v.ECI, v.CAVV, v.DSTransactionID = "05", "AJkBBkhgAAAAAABIhgAAAAA=", "f25084f0-5b16-4c0a-ae5d-b24808a95e4b"
		var m Message
		build(t, d, OpPurchase, v, &m)
		want := "4000205" + "41024" + v.CAVV + "42036" + v.DSTransactionID + "92003987"
		if got := string(m.Get(48)); got != want {
			t.Errorf("%s: field 48 is %s", name, got)
		}
		m.SetString(35, "4111111111111111=30121010000012345")
		m.SetString(45, "B4111111111111111^PETROV/I^3012101000001")
		m.Set(52, []byte("pinblock"))
		m.SetString(57, "odd\x00bytes")
		text := fmt.Sprint(d.Describe(&m))
		for _, secret := range []string{"987", v.CAVV, "411111111111", "PETROV", "1010000", "pinblock", "70696E"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: %q is shown: %s", name, secret, text)
			}
		}
		for _, shown := range []string{"{0 Message type indicator 0200 financial request}", "{2 Primary account number 411111******1111}",
			"{35 Track 2 data 411111******1111=*****************}", "{48 Additional data, private ***}", "{57 Reserved, national odd.bytes}"} {
			if !strings.Contains(text, shown) {
				t.Errorf("%s: %q is not in %s", name, shown, text)
			}
		}
		before := m.AppendCompact(nil)
		if d.Describe(&m); !bytes.Equal(before, m.AppendCompact(nil)) {
			t.Error("Describe changed the message")
		}
		if d.Mask(&m); string(m.Get(2)) != "411111******1111" || string(m.Get(48)) != "***" || string(m.Get(52)) != "***" {
			t.Error("Mask left card data")
		}
	}
}

// A step is found by its code on whichever side may start it, and by nothing else.
func TestStepOf(t *testing.T) {
	d := builtin(t, "ascii87")
	for op := OpSignOn; op <= OpEcho; op++ {
		var m Message
		build(t, d, op, signOn(), &m)
		for _, ours := range []bool{true, false} {
			if got := d.StepOf(&m, ours); got == nil || got.Name != op.String() {
				t.Errorf("%s: %+v", op, got)
			}
		}
		if m.SetString(70, "999"); d.StepOf(&m, true) != nil {
			t.Error("an unknown code is a step")
		}
		if m.SetString(70, "201"); d.StepOf(&m, true) != nil || d.StepOf(&m, false).Effect != EffectCutOver {
			t.Error("a cut-over is the bank's alone")
		}
		if m.MTI = 0x0820; d.StepOf(&m, false) != nil {
			t.Error("another type is a step")
		}
	}
}
