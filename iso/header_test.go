package iso

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// framed is ascii87 with another frame and header.
func framed(t testing.TB, frame, header string) (*Dialect, error) {
	t.Helper()
	return ParseDialect("framed.yaml", variant(t, "ascii87", "{kind: len-ascii, width: 4, inclusive: false, max: 8192, zero: keepalive}",
		"{"+frame+"}", "header: {kind: none}", "header: "+header))
}

const (
	noHeader = "{kind: none}"
	tpdu     = `{kind: tpdu, id: "60", destination: "0001", source: "0002", receive: same}`
	base1    = `{kind: template, bytes: "16 01 02 {len2} {dst3} {src3} 00 0000 000000 00 000000 00", destination: "000001", source: "000002", receive: any,
    reject: {length: 26, at: 22, mark: "8000", code_at: 24, code_bytes: 2, proves: not_processed}}`
	base24 = `{kind: literal, text: "ISO006000010", answer: "ISO006000015", receive: same}`
)

// Every form of frame, with the bytes around a message of 55 characters.
func TestFramesOnTheWire(t *testing.T) {
	for _, c := range []struct{ frame, header, before, after string }{
		{"kind: len-ascii, width: 4, inclusive: false, max: 200, zero: error", noHeader, "30303535", ""},
		{"kind: len-bin, width: 2, inclusive: false, max: 200, zero: error", noHeader, "0037", ""},
		{"kind: len-bin, width: 2, inclusive: true, max: 200, zero: error", noHeader, "0039", ""},
		{"kind: len-bin, width: 2, endian: little, inclusive: false, max: 200, zero: error", noHeader, "3700", ""},
		{"kind: len-bin, width: 3, inclusive: false, max: 200, zero: echo", noHeader, "000037", ""},
		{"kind: len-bin, width: 4, inclusive: false, max: 200, zero: echo", noHeader, "00000037", ""},
		{"kind: len-bcd, width: 2, inclusive: false, max: 200, zero: echo", noHeader, "0055", ""},
		{"kind: len-hex, width: 4, inclusive: false, max: 200, zero: echo", noHeader, "30303337", ""},
		{"kind: len2+0000, inclusive: false, max: 200, zero: echo", noHeader, "00370000", ""},
		{"kind: 0000+len2, inclusive: false, max: 200, zero: echo", noHeader, "00000037", ""},
		{`kind: len-bin, width: 2, inclusive: false, trailer: {byte: "03", counted: true}, max: 200, zero: echo`, noHeader, "0038", "03"},
		{`kind: len-bin, width: 2, inclusive: false, trailer: {byte: "03", counted: false}, max: 200, zero: echo`, noHeader, "0037", "03"},
		{`kind: etx, trailer: {byte: "03"}, max: 200, zero: keepalive`, noHeader, "", "03"},
		{"kind: len-bin, width: 2, inclusive: false, max: 200, zero: error", tpdu, "003C 6000010002", ""},
		{"kind: len-bin, width: 2, inclusive: body, max: 200, zero: error", tpdu, "0037 6000010002", ""},
		{"kind: len2+0000, inclusive: false, max: 200, zero: echo", base1, "004D0000 160102004D0000010000020000000000000000000000", ""},
		{`kind: len-bin, width: 2, inclusive: false, trailer: {byte: "03", counted: true}, max: 200, zero: echo`, base24, "0044 49534F303036303030303130", "03"},
		{`kind: etx, trailer: {byte: "03"}, max: 200, zero: keepalive`, base24, "49534F303036303030303130", "03"},
	} {
		d, err := framed(t, c.frame, c.header)
		if err != nil {
			t.Errorf("%s: %v", c.frame, err)
			continue
		}
		var m Message
		build(t, d, OpSignOn, signOn(), &m)
		body, err := d.AppendBody(nil, &m)
		if err != nil || len(body) != 55 {
			t.Fatal(len(body), err)
		}
		before, _ := hex.DecodeString(strings.ReplaceAll(c.before, " ", ""))
		after, _ := hex.DecodeString(c.after)
		want := fmt.Sprintf("%s%s%s", before, body, after)
		frame, err := d.AppendFrame(nil, &m)
		if err != nil || string(frame) != want {
			t.Errorf("%s:\n got % x, %v\nwant % x", c.frame, frame, err, want)
			continue
		}
		if len(frame) > d.MaxFrame() {
			t.Errorf("%s: a frame of %d bytes where %d are the most", c.frame, len(frame), d.MaxFrame())
		}
		for n := range frame {
			if got, used, err := d.NextFrame(frame[:n]); got != nil || used != 0 || err != nil {
				t.Errorf("%s: cut to %d bytes it gives %q, %d, %v", c.frame, n, got, used, err)
			}
		}
		got, n, err := d.NextFrame(append(frame, frame...))
		if err != nil || n != len(frame) || !bytes.Equal(got, body) {
			t.Errorf("%s: read %q, %d, %v", c.frame, got, n, err)
		}
		if len(after) > 0 && !strings.HasPrefix(c.frame, "kind: etx") {
			frame[len(frame)-1] = 0x04
			if _, _, err := d.NextFrame(frame); !errors.Is(err, ErrFrameTrailer) {
				t.Errorf("%s: another trailer: %v", c.frame, err)
			}
		}
	}
}

func TestAnswersSwapStations(t *testing.T) {
	for _, c := range []struct{ header, asked, answered string }{
		{tpdu, "6000010002", "6000020001"},
		{tpdu, "6000027777", "6077770002"},
		{base1, "160102004D0000010000027700000000000000000000", "16010200380000020000017700000000000000000000"},
		{base24, hex.EncodeToString([]byte("ISO006000010")), hex.EncodeToString([]byte("ISO006000015"))},
	} {
		d, err := framed(t, "kind: len-bin, width: 2, inclusive: false, max: 2048, zero: error", c.header)
		if err != nil {
			t.Fatal(err)
		}
		asked, _ := hex.DecodeString(c.asked)
		ans := Message{MTI: 0x0810}
		ans.SetString(39, "00")
		frame, err := d.AppendReply([]byte("before"), &ans, asked)
		if err != nil {
			t.Fatal(err)
		}
		header := d.FrameHeader(frame[6:])
		want, _ := hex.DecodeString(c.answered)
		if c.header == base1 {
			want[4] = byte(len(frame) - 8)
		}
		if !bytes.Equal(header, want) {
			t.Errorf("%s was answered by %x", c.asked, header)
		}
		if body, n, err := d.NextFrame(frame[6:]); err != nil || n != len(frame)-6 || !bytes.HasPrefix(body, []byte("0810")) {
			t.Errorf("%q, %d, %v", body, n, err)
		}
		if _, ok := d.Rejection(frame[6:]); ok {
			t.Error("an answer reads as a refusal")
		}
	}
}

func TestWrongFramesAreRefused(t *testing.T) {
	for _, c := range []struct {
		frame, header, stream string
		want                  error
	}{
		{"kind: len-bin, width: 2, inclusive: false, max: 100, zero: error", tpdu, "000A 61000100023031303030", ErrFrameHeader},
		{"kind: len-bin, width: 2, inclusive: false, max: 100, zero: error", tpdu, "0005 6000010002", ErrFrameHeader},
		{"kind: len-bin, width: 2, inclusive: false, max: 100, zero: error", tpdu, "0000", ErrFrameEmpty},
		{"kind: len2+0000, inclusive: false, max: 2048, zero: echo", base1, "00180000 160102FFFF00000100000200000000000000000000003031", ErrFrameHeader},
		{"kind: len2+0000, inclusive: false, max: 2048, zero: echo", base1, "08010000", ErrFrameSize},
		{"kind: 0000+len2, inclusive: false, max: 2048, zero: echo", noHeader, "00010001", ErrFrameSize},
		{`kind: len-bin, width: 2, inclusive: true, trailer: {byte: "03", counted: true}, max: 100, zero: echo`, noHeader, "0002", ErrFrameLength},
		{`kind: etx, trailer: {byte: "03"}, max: 16, zero: keepalive`, noHeader, strings.Repeat("30", 17), ErrFrameSize},
		{`kind: etx, trailer: {byte: "03"}, max: 16, zero: error`, noHeader, "03", ErrFrameEmpty},
		{"kind: len-bin, width: 2, inclusive: false, max: 100, zero: error", base24, "000F 49534F303036303030303230303830", ErrFrameHeader},
	} {
		d, err := framed(t, c.frame, c.header)
		if err != nil {
			t.Fatalf("%s: %v", c.frame, err)
		}
		stream, _ := hex.DecodeString(strings.ReplaceAll(c.stream, " ", ""))
		if body, n, err := d.NextFrame(stream); !errors.Is(err, c.want) || n != 0 || body != nil {
			t.Errorf("%s: %d, %v, want %v", c.stream, n, err, c.want)
		}
	}
	etx, err := framed(t, `kind: etx, trailer: {byte: "31"}, max: 200, zero: keepalive`, noHeader)
	if err != nil {
		t.Fatal(err)
	}
	var m Message
	build(t, etx, OpSignOn, signOn(), &m)
	if out, err := etx.AppendFrame([]byte("kept"), &m); !errors.Is(err, ErrFrameTrailer) || string(out) != "kept" {
		t.Errorf("a message that holds its own end: %q, %v", out, err)
	}
}

func TestPolls(t *testing.T) {
	for _, c := range []struct{ frame, stream, answer string }{
		{"kind: len-bin, width: 2, inclusive: false, max: 100, zero: echo", "0000", "0000"},
		{"kind: len-bin, width: 2, inclusive: true, max: 100, zero: echo", "0002", "0002"},
		{"kind: len-bin, width: 2, inclusive: false, max: 100, zero: keepalive", "0000", ""},
		{"kind: len2+0000, inclusive: false, max: 100, zero: echo", "00000000", "00000000"},
		{"kind: len2+0000, inclusive: false, max: 100, zero: echo", "000201004142", ""},
		{`kind: len-bin, width: 2, inclusive: false, trailer: {byte: "03", counted: true}, max: 100, zero: echo`, "0000", "0000"},
		{`kind: len-bin, width: 2, inclusive: false, trailer: {byte: "03", counted: true}, max: 100, zero: echo`, "000103", "000103"},
		{`kind: etx, trailer: {byte: "03"}, max: 100, zero: echo`, "03", "03"},
	} {
		d, err := framed(t, c.frame, noHeader)
		if err != nil {
			t.Fatalf("%s: %v", c.frame, err)
		}
		stream, _ := hex.DecodeString(c.stream)
		body, n, err := d.NextFrame(append(stream, "0800"...))
		if body != nil || n != len(stream) || err != nil {
			t.Errorf("%s: %q, %d, %v", c.frame, body, n, err)
		}
		if got := hex.EncodeToString(d.Poll(stream)); got != c.answer {
			t.Errorf("%s: answered %s, want %s", c.frame, got, c.answer)
		}
	}
}

func TestRejection(t *testing.T) {
	d, err := framed(t, "kind: len2+0000, inclusive: false, max: 2048, zero: echo", base1)
	if err != nil {
		t.Fatal(err)
	}
	var m, back Message
	build(t, d, OpPurchase, purchase(), &m)
	sent, err := d.AppendFrame(nil, &m)
	if err != nil {
		t.Fatal(err)
	}
	head := append([]byte{26}, make([]byte, 25)...)
	head[22], head[24], head[25] = 0x80, 0x05, 0x12
	content := append(head, sent[4:]...)
	frame := append([]byte{byte(len(content) >> 8), byte(len(content)), 0, 0}, content...)
	body, n, err := d.NextFrame(frame)
	if err != nil || n != len(frame) || d.Decode(body, &back) != nil || !sameMessage(&m, &back) {
		t.Fatalf("%d, %v", n, err)
	}
	if r, ok := d.Rejection(frame); !ok || r != (Rejection{Code: "0512", Unprocessed: true}) {
		t.Errorf("%+v, %v", r, ok)
	}
	for n := range frame {
		d.Rejection(frame[:n])
	}
	if r, ok := d.Rejection(sent); ok {
		t.Errorf("a request reads as a refusal: %+v", r)
	}
}

// FuzzHeaders: hostile bytes in any frame and header give whole frames of bounded size
// or an error, and what is not a message is answered by bytes of its own.
func FuzzHeaders(f *testing.F) {
	var dialects []*Dialect
	for _, frame := range []string{"kind: len2+0000, inclusive: false, max: 200, zero: echo", `kind: etx, trailer: {byte: "03"}, max: 200, zero: echo`,
		`kind: len-bin, width: 2, endian: little, inclusive: true, trailer: {byte: "03", counted: true}, max: 200, zero: echo`} {
		for _, header := range []string{noHeader, tpdu, base1, base24} {
			d, err := framed(f, frame, header)
			if err != nil {
				f.Fatal(err)
			}
			dialects = append(dialects, d)
		}
	}
	f.Add([]byte("\x00\x04\x00\x00abcd\x03\x03"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, d := range dialects {
			for buf := stream; ; {
				body, n, err := d.NextFrame(buf)
				if err != nil || n == 0 {
					if n != 0 || body != nil || err == nil && len(buf) >= d.MaxFrame() {
						t.Fatalf("%d bytes, %v", n, err)
					}
					break
				}
				if n > len(buf) || n > d.MaxFrame() || len(body) >= n {
					t.Fatalf("a frame of %d bytes in %d", n, len(buf))
				}
				if body == nil && len(d.Poll(buf[:n])) > n {
					t.Fatal("a longer answer than the question")
				}
				d.Rejection(buf[:n])
				d.FrameHeader(buf[:n])
				buf = buf[n:]
			}
		}
	})
}

func TestWrongFrameBlocks(t *testing.T) {
	for _, c := range []struct{ frame, header, want string }{
		{"kind: len-asci, width: 4, inclusive: false, max: 100, zero: echo", noHeader, "write len-ascii or len-bin or len-bcd or len-hex or etx or len2+0000 or 0000+len2"},
		{"kind: etx, max: 100, zero: echo", noHeader, "link.frame.trailer is missing"},
		{`kind: etx, trailer: {byte: "3"}, max: 100, zero: echo`, noHeader, "two hex digits"},
		{"kind: etx, width: 2, trailer: {byte: \"03\"}, max: 100, zero: echo", noHeader, `link.frame has no key "width"`},
		{"kind: len-ascii, width: 4, endian: little, inclusive: false, max: 100, zero: echo", noHeader, "endian is for len-bin"},
		{"kind: len-bin, width: 2, inclusive: body, max: 100, zero: echo", noHeader, "but there is none; write inclusive: false"},
		{"kind: len-bin, width: 2, inclusive: true, max: 65534, zero: echo", noHeader, "can say 65533 at most"},
		{"kind: 0000+len2, inclusive: false, max: 65536, zero: echo", noHeader, "can say 65535 at most"},
		{"kind: len-bin, width: 3, inclusive: false, max: 65536, zero: echo", base1, "{len2} can say 65535"},
		{"kind: len-bin, width: 2, inclusive: false, max: 100, zero: echo", `{kind: tpdu, id: "60", destination: "001", source: "0002", receive: same}`, "header.destination must have 4 hex digits"},
		{"kind: len-bin, width: 2, inclusive: false, max: 100, zero: echo", `{kind: template, bytes: "60 {dst2}", destination: "0001", receive: any}`, "only one of {dst} and {src}"},
		{"kind: len-bin, width: 2, inclusive: false, max: 100, zero: echo", `{kind: template, bytes: "60 {dat2}", receive: any}`, "neither hex digits nor a slot"},
		{"kind: len-bin, width: 2, inclusive: false, max: 100, zero: echo", `{kind: template, bytes: "6", receive: any}`, "neither hex digits nor a slot"},
		{"kind: len-bin, width: 2, inclusive: false, max: 100, zero: echo", `{kind: template, bytes: "60 {dst2} {src3}", destination: "0001", source: "000002", receive: any}`, "must have the same width"},
		{"kind: len-bin, width: 2, inclusive: false, max: 100, zero: echo", strings.Replace(base1, "code_bytes: 2", "code_bytes: 4", 1), "must lie inside the first 26 bytes"},
		{"kind: len-bin, width: 2, inclusive: false, max: 100, zero: echo", strings.Replace(base1, "not_processed", "all", 1), "write nothing or not_processed"},
		{"kind: len-bin, width: 2, inclusive: false, max: 100, zero: echo", `{kind: literal, text: "ISO", answer: "ISO1", receive: same}`, "must have the length of header.text"},
	} {
		if _, err := framed(t, c.frame, c.header); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v", c.frame, c.header, err)
		}
	}
}
