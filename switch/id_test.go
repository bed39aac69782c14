package payswitch

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestIDText(t *testing.T) {
	id := ID{0x01, 0x93, 0x5a, 0x2b, 0x4c, 0x6d, 0x7e, 0x8f, 0x90, 0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07}
	const want = "pay_01jdd2pk3dft7s18djrfaebxg7"
	if got := id.Text("pay"); got != want {
		t.Errorf("text %s, want %s", got, want)
	}
}

func TestIDRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		got, err := ParseID("pay", id.Text("pay"))
		if err != nil || got != id {
			t.Fatalf("parsed %v, %v; want %v", got, err, id)
		}
	})
}

func TestParseIDRefuses(t *testing.T) {
	good := ID{1, 2, 3}.Text("pay")
	for name, text := range map[string]string{
		"empty":             "",
		"other prefix":      "ref" + good[3:],
		"upper case":        "pay_" + "0" + "A" + good[6:],
		"letter u":          good[:10] + "u" + good[11:],
		"too short":         good[:len(good)-1],
		"too long":          good + "0",
		"more than 128 bit": "pay_8" + good[5:],
	} {
		if _, err := ParseID("pay", text); err == nil {
			t.Errorf("%s: %q was accepted", name, text)
		}
	}
}

func TestIDsGrowWhenTheClockStepsBack(t *testing.T) {
	s := newIDSource()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var last ID
	for i := range 10_000 {
		if i == 5_000 {
			now = now.Add(-time.Hour)
		}
		id := s.next(now)
		if bytes.Compare(id[:], last[:]) <= 0 {
			t.Fatalf("id %d does not grow", i)
		}
		last = id
	}
	later := now.Add(2 * time.Hour)
	if id := s.next(later); !id.Time().Equal(later) {
		t.Errorf("time %s of an id made at %s", id.Time(), later)
	}
}
