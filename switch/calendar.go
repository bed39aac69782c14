package payswitch

import "time"

// Period is the distance of a schedule's payments: Every units. Hours are hours;
// the other units are those of the calendar on the clock of the merchant's zone.
type Period struct {
	Unit  string // "hour", "day", "week", "month" or "year"
	Every int    // 1..366; of hours 1..8784
}

// at is the n-th moment of the period, the start being moment 0. Each is counted
// from the start, so that a month without a 31st moves no later one: it has its
// own last day. The clock of the zone shows the same time at each; a time that is
// left out when clocks go forward comes an hour later, one that comes twice is
// the first.
func (p Period) at(start time.Time, zone *time.Location, n int) time.Time {
	if n == 0 || p.Unit == "hour" {
		return start.Add(time.Duration(n*p.Every) * time.Hour)
	}
	local := start.In(zone)
	year, month, day := local.Date()
	switch n *= p.Every; p.Unit {
	case "day":
		day += n
	case "week":
		day += 7 * n
	case "month":
		year, month, day = inMonth(year, int(month)+n, day)
	case "year":
		year, month, day = inMonth(year+n, int(month), day)
	}
	hour, minute, second := local.Clock()
	return onClock(time.Date(year, month, day, hour, minute, second, local.Nanosecond(), time.UTC), zone)
}

// inMonth is the day of a month that may lie outside 1..12, or the month's last.
func inMonth(year, month, day int) (int, time.Month, int) {
	first := time.Date(year, time.Month(month), 1, 0, 0, 0, 0, time.UTC)
	return first.Year(), first.Month(), min(day, first.AddDate(0, 1, -1).Day())
}

// onClock is when the clock of a zone shows what wall says in UTC.
func onClock(wall time.Time, zone *time.Location) time.Time {
	offset := func(at time.Time) time.Duration {
		_, seconds := at.In(zone).Zone()
		return time.Duration(seconds) * time.Second
	}
	before, after := offset(wall.Add(-36*time.Hour)), offset(wall.Add(36*time.Hour))
	for _, o := range [...]time.Duration{max(before, after), min(before, after)} {
		if at := wall.Add(-o); offset(at) == o {
			return at.UTC()
		}
	}
	return wall.Add(-before).UTC()
}

// WorkingDays is the end of the n-th working day after a moment, on the clock of
// a zone: Saturdays, Sundays and the holidays (dates like 2027-01-01) do not count.
func WorkingDays(from time.Time, n int, zone *time.Location, holidays map[string]bool) time.Time {
	day := from.In(zone)
	for n > 0 {
		day = day.AddDate(0, 0, 1)
		if w := day.Weekday(); w != time.Saturday && w != time.Sunday && !holidays[day.Format(time.DateOnly)] {
			n--
		}
	}
	year, month, date := day.Date()
	return onClock(time.Date(year, month, date+1, 0, 0, 0, 0, time.UTC), zone)
}
