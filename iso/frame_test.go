package iso

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// frameBytes is a length before n bytes of body.
func frameBytes(length string, n int) []byte {
	return append([]byte(length), bytes.Repeat([]byte{'x'}, n)...)
}

func TestFrameBounds(t *testing.T) {
	for _, c := range []struct {
		kind   string
		stream []byte
		body   int // length of the body, -1 none yet, -2 keep-alive
		err    error
	}{
		{"len-ascii, width: 4, inclusive: false", frameBytes("0100", 100), 100, nil},
		{"len-ascii, width: 4, inclusive: false", frameBytes("0100", 99), -1, nil},
		{"len-ascii, width: 4, inclusive: false", frameBytes("010", 0), -1, nil},
		{"len-ascii, width: 4, inclusive: false", frameBytes("0101", 0), 0, ErrFrameSize},
		{"len-ascii, width: 4, inclusive: false", frameBytes("-001", 0), 0, ErrFrameLength},
		{"len-ascii, width: 4, inclusive: false", frameBytes("0000", 4), -2, nil},
		{"len-ascii, width: 4, inclusive: true", frameBytes("0104", 100), 100, nil},
		{"len-ascii, width: 4, inclusive: true", frameBytes("0105", 101), 0, ErrFrameSize},
		{"len-ascii, width: 4, inclusive: true", frameBytes("0003", 0), 0, ErrFrameLength},
		{"len-ascii, width: 4, inclusive: true", frameBytes("0004", 0), -2, nil},
		{"len-ascii, width: 4, inclusive: true", frameBytes("0000", 0), -2, nil},
		{"len-bin, width: 2, inclusive: false", frameBytes("\x00\x64", 100), 100, nil},
		{"len-bin, width: 4, inclusive: false", frameBytes("\xFF\xFF\xFF\xFF", 100), 0, ErrFrameSize},
		{"len-bcd, width: 2, inclusive: false", frameBytes("\x01\x00", 100), 100, nil},
		{"len-bcd, width: 2, inclusive: false", frameBytes("\x00\x6A", 100), 0, ErrFrameLength},
		{"len-hex, width: 4, inclusive: false", frameBytes("0064", 100), 100, nil},
		{"len-hex, width: 4, inclusive: false", frameBytes("006G", 100), 0, ErrFrameLength},
	} {
		d, err := ParseDialect("frame.yaml", variant(t, "ascii87", "len-ascii, width: 4, inclusive: false, max: 8192", c.kind+", max: 100"))
		if err != nil {
			t.Fatal(err)
		}
		body, n, err := d.NextFrame(c.stream)
		want := 0
		switch {
		case c.body == -2:
			want = d.frame.width
		case c.body > 0:
			want = d.frame.width + c.body
		}
		if !errors.Is(err, c.err) || n != want || len(body) != max(c.body, 0) || (c.body <= 0) != (body == nil) {
			t.Errorf("%s %.6q: %d bytes, body %d, %v", c.kind, c.stream, n, len(body), err)
		}
	}
}

func TestZeroLengthMayBeRefused(t *testing.T) {
	d, err := ParseDialect("frame.yaml", variant(t, "ascii87", "zero: keepalive", "zero: error"))
	if err != nil {
		t.Fatal(err)
	}
	if _, n, err := d.NextFrame([]byte("0000")); !errors.Is(err, ErrFrameEmpty) || n != 0 {
		t.Error(n, err)
	}
}

func TestAppendFrame(t *testing.T) {
	var m Message
	build(t, builtin(t, "ascii87"), OpPurchase, purchase(), &m)
	body, err := builtin(t, "ascii87").AppendBody(nil, &m)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ParseDialect("frame.yaml", variant(t, "ascii87", "max: 8192", fmt.Sprintf("max: %d", len(body))))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("before%04d%s", len(body), body)
	if frame, err := d.AppendFrame([]byte("before"), &m); err != nil || string(frame) != want || len(frame) != 6+d.MaxFrame() {
		t.Fatalf("%d bytes, %v", len(frame), err)
	}
	m.SetString(57, "x")
	if out, err := d.AppendFrame([]byte("before"), &m); !errors.Is(err, ErrFrameSize) || string(out) != "before" {
		t.Errorf("over the limit: %q, %v", out, err)
	}
}
