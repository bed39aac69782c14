package payswitch

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPeriods(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		period Period
		start  string
		want   []string
	}{
		{"the last of each month", Period{"month", 1}, "2027-01-31 09:00", []string{"2027-01-31 09:00", "2027-02-28 09:00", "2027-03-31 09:00", "2027-04-30 09:00"}},
		{"a leap day", Period{"year", 1}, "2028-02-29 09:00", []string{"2028-02-29 09:00", "2029-02-28 09:00", "2030-02-28 09:00", "2031-02-28 09:00", "2032-02-29 09:00"}},
		{"over the end of a year", Period{"month", 5}, "2026-10-30 09:00", []string{"2026-10-30 09:00", "2027-03-30 09:00", "2027-08-30 09:00"}},
		{"clocks go forward", Period{"day", 1}, "2027-03-27 02:30", []string{"2027-03-27 02:30", "2027-03-28 03:30", "2027-03-29 02:30"}},
		{"clocks go back", Period{"day", 1}, "2027-10-30 02:30", []string{"2027-10-30 02:30", "2027-10-31 02:30", "2027-11-01 02:30"}},
		{"weeks", Period{"week", 2}, "2027-03-20 12:00", []string{"2027-03-20 12:00", "2027-04-03 12:00"}},
		{"hours go on", Period{"hour", 24}, "2027-03-27 12:00", []string{"2027-03-27 12:00", "2027-03-28 13:00"}},
	} {
		start, err := time.ParseInLocation("2006-01-02 15:04", tt.start, berlin)
		if err != nil {
			t.Fatal(err)
		}
		for n, want := range tt.want {
			if got := tt.period.at(start, berlin, n).In(berlin).Format("2006-01-02 15:04"); got != want {
				t.Errorf("%s: moment %d is %s, want %s", tt.name, n, got, want)
			}
		}
	}
	first := Period{"day", 1}.at(time.Date(2027, 10, 30, 0, 30, 0, 0, time.UTC), berlin, 1)
	if want := time.Date(2027, 10, 31, 0, 30, 0, 0, time.UTC); !first.Equal(want) {
		t.Errorf("of two moments with one time: %s, want the first, %s", first, want)
	}
}

// TestPeriodsGoForward: whatever the zone and the period, each moment is later
// than the one before, and moment 0 is the start.
func TestPeriodsGoForward(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom([]string{"UTC", "Europe/Moscow", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		p := Period{rapid.SampledFrom([]string{"hour", "day", "week", "month", "year"}).Draw(t, "unit"), rapid.IntRange(1, 5).Draw(t, "every")}
		start := time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "start"), 0).UTC()
		last := p.at(start, zone, 0)
		if !last.Equal(start) {
			t.Fatalf("it begins at %s", last)
		}
		for n := 1; n < 60; n++ {
			at := p.at(start, zone, n)
			if !at.After(last) {
				t.Fatalf("moment %d is %s, after %s", n, at, last)
			}
			last = at
		}
	})
}
