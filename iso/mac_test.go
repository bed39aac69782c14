package iso

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/iso/security"
)

var vectorKey = []byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10}

// secured is a built-in dialect with a block of codes; change edits its text.
func secured(t testing.TB, base, content string, change ...string) *Dialect {
	t.Helper()
	d, err := ParseDialect("secured.yaml", []byte(securedText(base, content, change...)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func securedText(base, content string, change ...string) string {
	text := fmt.Sprintf(`inherits: %s
meta: {schema: 1, id: secured, title: "%s with codes", version: 1}
encoding:
  fields:
    64: {class: b, len: 8, content: %s}
    128: {class: b, len: 8, content: %s}
security:
  mac:
    algorithm: x9.19
    padding: zeros
    field: last
    bytes: 8
    covers: {length: false, header: false, mti: true}
    send: ["0100", "0200", "0220", "0420", "0800", "0810"]
    receive: ["0110", "0210", "0230", "0430", "0800", "0810"]
    keys: {send: out, receive: in}
    failure: refute
`, base, base, content, content)
	return strings.NewReplacer(change...).Replace(text)
}

// TestMACOfTheExample: the echo whose code is published, made and checked, as hex
// and as bytes.
func TestMACOfTheExample(t *testing.T) {
	keys := ClearKeys{"out": vectorKey, "in": vectorKey}
	want := map[string]string{"hex": "35BD7A1DFA52232C", "binary": "\x35\xBD\x7A\x1D\xFA\x52\x23\x2C"}
	for content, code := range want {
		d := secured(t, "ascii87", content)
		var m, got Message
		v := Values{STAN: 2, SentAt: time.Date(2026, 6, 12, 8, 15, 30, 0, time.UTC)}
		if err := d.Build(OpEcho, &v, &m); err != nil {
			t.Fatal(err)
		}
		frame, err := d.AppendSealed([]byte("before"), &m, Seal{Flow: ToBank, Keys: keys})
		body := "0800822000000000000004000000000000010612081530000002301"
		if want := fmt.Sprintf("before%04d%s%s", len(body)+len(code), body, code); err != nil || string(frame) != want {
			t.Fatalf("%q, %v; want %q", frame, err, want)
		}
		if m.Has(128) {
			t.Error("the message was changed")
		}
		frame = frame[len("before"):]
		for _, flow := range []Flow{ToBank, FromBank} {
			if err := check(d, frame, flow, keys); err != nil {
				t.Errorf("flow %d: %v", flow, err)
			}
		}
		for i := range frame {
			bad := append([]byte(nil), frame...)
			bad[i] ^= 1
			if inner, _, err := d.NextFrame(bad); err != nil || inner == nil || d.Decode(inner, &got) != nil || got.MTI.Normal() != MTINetwork {
				continue
			}
			if err := check(d, bad, FromBank, keys); err == nil && i >= 4 {
				t.Errorf("%s: byte %d was changed and the code verifies: %q", content, i, bad)
			}
		}
	}
}

func check(d *Dialect, frame []byte, f Flow, keys MACKeys) error {
	var m Message
	body, n, err := d.NextFrame(frame)
	if err == nil && n == len(frame) {
		err = d.Decode(body, &m)
	}
	if err != nil {
		return err
	}
	return d.CheckMAC(frame, &m, f, keys)
}

// TestMACRules: what banks vary, each held to a code that is computed here from
// the bytes of the frame.
func TestMACRules(t *testing.T) {
	long := ClearKeys{"out": []byte(strings.Repeat("k", 16)), "in": []byte(strings.Repeat("q", 16))}
	for name, c := range map[string]struct {
		base   string
		change []string
		data   func(frame []byte) []byte
		mac    security.MAC
		kept   int
	}{
		"as it stands": {base: "binary87", data: func(f []byte) []byte { return f[2 : len(f)-8] }, mac: security.MAC{Algorithm: security.X919}, kept: 8},
		"with the length": {base: "binary87", change: []string{"length: false", "length: true"},
			data: func(f []byte) []byte { return f[:len(f)-8] }, mac: security.MAC{Algorithm: security.X919}, kept: 8},
		"without the type": {base: "binary87", change: []string{"mti: true", "mti: false"},
			data: func(f []byte) []byte { return f[4 : len(f)-8] }, mac: security.MAC{Algorithm: security.X919}, kept: 8},
		"length and no type": {base: "binary87", change: []string{"mti: true", "mti: false", "length: false", "length: true"},
			data: func(f []byte) []byte { return append(append([]byte(nil), f[:2]...), f[4:len(f)-8]...) }, mac: security.MAC{Algorithm: security.X919}, kept: 8},
		"four bytes": {base: "binary87", change: []string{"bytes: 8", "bytes: 4"},
			data: func(f []byte) []byte { return f[2 : len(f)-8] }, mac: security.MAC{Algorithm: security.X919}, kept: 4},
		"a bit of padding": {base: "binary87", change: []string{"padding: zeros", "padding: bit"},
			data: func(f []byte) []byte { return f[2 : len(f)-8] }, mac: security.MAC{Algorithm: security.X919, Padding: security.PadBit}, kept: 8},
		"aes": {base: "binary87", change: []string{"    algorithm: x9.19\n    padding: zeros\n", "    algorithm: cmac-aes\n"},
			data: func(f []byte) []byte { return f[2 : len(f)-8] }, mac: security.MAC{Algorithm: security.CMACAES}, kept: 8},
		"hmac": {base: "binary87", change: []string{"    algorithm: x9.19\n    padding: zeros\n", "    algorithm: hmac-sha256\n"},
			data: func(f []byte) []byte { return f[2 : len(f)-8] }, mac: security.MAC{Algorithm: security.HMACSHA256}, kept: 8},
	} {
		t.Run(name, func(t *testing.T) {
			d := secured(t, c.base, "binary", c.change...)
			for _, field := range []int{64, 128} {
				m := Message{MTI: MTIFinancial}
				m.SetString(11, "000001")
				if field == 128 {
					m.SetString(70, "301")
				}
				frame, err := d.AppendSealed(nil, &m, Seal{Flow: ToBank, Keys: long})
				if err != nil {
					t.Fatal(err)
				}
				sum, err := c.mac.Sum(long["out"], c.data(frame))
				if got := frame[len(frame)-8:]; err != nil || string(got[:c.kept]) != string(sum[:c.kept]) {
					t.Errorf("field %d: %x, want %x", field, got, sum)
				}
				if err := check(d, frame, ToBank, long); err != nil {
					t.Error(err)
				}
				if err := check(d, frame, FromBank, long); err != nil {
					t.Errorf("0200 from a bank has no code: %v", err)
				}
				if frame[len(frame)-1] ^= 1; c.kept == 8 && !errors.Is(check(d, frame, ToBank, long), ErrMAC) {
					t.Error("a wrong code passes")
				}
				plain, err := d.AppendFrame(nil, &m)
				if err != nil || !errors.Is(check(d, plain, ToBank, long), ErrMAC) {
					t.Error("a message without a code passes")
				}
			}
		})
	}
	d := secured(t, "binary87", "binary", "field: last", "field: 128")
	m := Message{MTI: MTIFinancial.Repeat()}
	m.SetString(11, "000001")
	frame, err := d.AppendSealed(nil, &m, Seal{Flow: ToBank, Keys: long})
	if err != nil || check(d, frame, ToBank, long) != nil || len(frame) != 2+2+16+3+8 {
		t.Errorf("a repeat with its code in field 128: %s, %v", hex.EncodeToString(frame), err)
	}
}

func TestWrongSecurityBlocks(t *testing.T) {
	for want, change := range map[string][2]string{
		`"x9.91" is not known`:                 {"algorithm: x9.19", "algorithm: x9.91"},
		"security.mac.padding is missing":      {"    padding: zeros\n", ""},
		"pads by its own rule":                 {"algorithm: x9.19", "algorithm: cmac-aes"},
		"a whole number from 4 to 8":           {"bytes: 8", "bytes: 9"},
		"write last or 64 or 128":              {"field: last", "field: 63"},
		`security.mac.covers.mti is missing`:   {", mti: true", ""},
		`in quotes like "0200"`:                {`send: ["0100"`, `send: ["0201"`},
		"security.mac.keys.receive is missing": {", receive: in}", "}"},
		"may hold a-z":                         {"send: out", "send: OUT"},
		"one side that starts it":              {"security:\n", "network:\n  steps: {key: {code: \"161\", effect: none, by: any, key: request}}\nsecurity:\n  key_exchange: {slot: mac, kek: kek, form: key-block, field: 48, steps: [key]}\n"},
		"needs a step":                         {"security:\n", "security:\n  key_exchange: {slot: mac, kek: kek, form: key-block, field: 48, steps: []}\n"},
		"field 96 must be of variable length":  {"security:\n", "security:\n  key_exchange: {slot: mac, kek: kek, form: key-block, field: 96, steps: []}\n"},
		"says nothing of the key":              {"security:\n", "network:\n  steps: {key: {code: \"161\", effect: none, by: bank, key: request}}\nsecurity:\n"},
		"every and after start steps of ours":  {"security:\n", "network:\n  steps: {key: {code: \"161\", effect: none, by: bank, key: request}}\nsecurity:\n  key_exchange: {slot: mac, kek: kek, form: key-block, field: 48, every: 24h, steps: []}\n"},
		"is the bank's to start":               {"security:\n", "network:\n  steps: {key: {code: \"161\", effect: none, by: bank, key: request}}\nsecurity:\n  key_exchange: {slot: mac, kek: kek, form: key-block, field: 48, steps: [key]}\n"},
		"after must be a whole number":         {"security:\n", "network:\n  steps: {key: {code: \"161\", effect: none, by: us, key: answer}}\nsecurity:\n  key_exchange: {slot: mac, kek: kek, form: key-block, field: 48, after: 1, steps: [key]}\n"},
		"key_exchange.check is missing":        {"security:\n", "security:\n  key_exchange: {slot: mac, kek: kek, form: cryptogram, field: 48, steps: []}\n"},
		"write refute or drop":                 {"failure: refute", "failure: approve"},
		"encoding.fields.64 carries":           {"64: {class: b, len: 8", "64: {class: b, len: 4"},
		"the dialect has no field 192":         {"field: last", "field: 192"},
		"behind the code in field 64":          {"field: last", "field: 64"},
		`security.mac has no key "bits"`:       {"bytes: 8", "bytes: 8\n    bits: 64"},
		`security has no key "mak"`:            {"security:\n", "security:\n  mak: 1\n"},
	} {
		text := securedText("ascii87", "hex", change[0], change[1])
		_, err := ParseDialect("x.yaml", []byte(text))
		var at *LoadError
		if !errors.As(err, &at) || !strings.Contains(err.Error(), want) || at.Line < 2 {
			t.Errorf("%v: %v; want %s", change, err, want)
		}
	}
}

// FuzzCheckMAC: no frame brings the check down, and none verifies that was not
// sealed.
func FuzzCheckMAC(f *testing.F) {
	d := secured(f, "ascii87", "hex")
	keys := ClearKeys{"out": vectorKey, "in": vectorKey}
	f.Add([]byte("0071080082200000000000000400000000000001061208153000000230135BD7A1DFA52232C"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		var m, again Message
		body, n, err := d.NextFrame(frame)
		if err != nil || n == 0 || body == nil || d.Decode(body, &m) != nil {
			return
		}
		if d.CheckMAC(frame[:n], &m, ToBank, keys) != nil || !d.mac.covers(m.MTI, ToBank) {
			return
		}
		again.CopyFrom(&m)
		field, err := d.mac.place(&again)
		if err != nil {
			t.Fatal(err)
		}
		again.Delete(field)
		sealed, err := d.AppendSealed(nil, &again, Seal{Flow: ToBank, Keys: keys})
		if err != nil || !strings.EqualFold(string(sealed[4:]), string(frame[4:n])) {
			t.Errorf("%q verifies and seals as %q, %v", frame[:n], sealed, err)
		}
	})
}

// A layout of three bitmaps has its code in the last field of the last that the message uses.
func TestMACBehindThreeBitmaps(t *testing.T) {
	for _, third := range []string{"leading", "field-65"} {
		d := secured(t, "ascii87", "hex", "encoding:\n  fields:\n", "encoding:\n  bitmaps: 3\n  third: "+third+`
  fields:
    192: {class: b, len: 8, content: hex}
    130: {class: ans, len: 4, content: ascii}
`, "security:\n", "messages: {purchase: {fields: {130: {const: LAST}}}}\nsecurity:\n")
		keys := ClearKeys{"mac": vectorKey, "in": vectorKey, "out": vectorKey}
		for op, field := range map[Operation]int{OpPurchase: 192, OpEcho: 128, OpAuthorization: 64} {
			values := purchase()
			if op == OpEcho {
				values = signOn()
			}
			m := request(t, d, op, values)
			frame, err := d.AppendSealed(nil, m, Seal{Flow: ToBank, Keys: keys})
			if err != nil {
				t.Fatal(err)
			}
			var got Message
			body, _, err := d.NextFrame(frame)
			if err == nil {
				err = d.Decode(body, &got)
			}
			if err != nil || !got.Has(field) || d.CheckMAC(frame, &got, ToBank, keys) != nil {
				t.Errorf("%s, %s: the code is not in field %d and right: %v, %v", third, op, field, err, d.CheckMAC(frame, &got, ToBank, keys))
			}
			for at := range frame {
				spoilt := append([]byte(nil), frame...)
				spoilt[at] ^= 1
				body, n, err := d.NextFrame(spoilt)
				if err != nil || n != len(frame) || d.Decode(body, &got) != nil || got.MTI != m.MTI {
					continue
				}
				if d.CheckMAC(spoilt, &got, ToBank, keys) == nil && at >= 4 {
					t.Errorf("%s, %s: byte %d may be changed", third, op, at)
				}
			}
		}
	}
}
