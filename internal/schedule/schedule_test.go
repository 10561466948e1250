package schedule_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/schedule"
)

func at(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestCron(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expression, from, want string }{
		{"*/10 * * * *", "2026-03-01 12:00:00", "2026-03-01 12:10:00"},
		{"*/10 * * * *", "2026-03-01 11:59:59", "2026-03-01 12:00:00"},
		{"30 3 * * *", "2026-03-01 03:30:00", "2026-03-02 03:30:00"},
		{"0 0 * * MON", "2026-03-01 12:00:00", "2026-03-02 00:00:00"},
		{"0 0 29 2 *", "2026-03-01 12:00:00", "2028-02-29 00:00:00"},
		{"0 12 31 * *", "2026-03-31 12:00:00", "2026-05-31 12:00:00"},
		{"5,35 8-10/2 * * 1-5", "2026-03-06 10:35:00", "2026-03-09 08:05:00"},
		{" 0   4 1 1 * ", "2026-03-01 12:00:00", "2027-01-01 04:00:00"},
		{"@hourly", "2026-03-01 12:00:01", "2026-03-01 13:00:00"},
		{"@Weekly", "2026-03-01 00:00:00", "2026-03-08 00:00:00"},
	} {
		s, err := schedule.Cron(c.expression)
		if err != nil {
			t.Errorf("%q: %v", c.expression, err)
			continue
		}
		if got := s.Next(at(c.from)); !got.Equal(at(c.want)) {
			t.Errorf("%q after %s is %v, want %s", c.expression, c.from, got, c.want)
		}
	}
}

// TestCronIsInUTC, so that every replica means the same time and none is skipped or doubled twice a year.
func TestCronIsInUTC(t *testing.T) {
	t.Parallel()
	s, err := schedule.Cron("30 2 * * *")
	if err != nil {
		t.Fatal(err)
	}
	east := time.FixedZone("east", 5*3600+30*60)
	if got := s.Next(at("2026-03-01 01:00:00").In(east)); !got.Equal(at("2026-03-01 02:30:00")) {
		t.Errorf("it is %v", got)
	}
}

// TestCronAgainstCounting compares a fortnight of times with those found by looking at every minute of it.
func TestCronAgainstCounting(t *testing.T) {
	t.Parallel()
	in := func(v int, set ...int) bool { return slices.Contains(set, v) }
	for expression, due := range map[string]func(time.Time) bool{
		"7,50 */6 * * *": func(t time.Time) bool { return in(t.Minute(), 7, 50) && t.Hour()%6 == 0 },
		"0 9-17/4 * * 1-5": func(t time.Time) bool {
			return t.Minute() == 0 && in(t.Hour(), 9, 13, 17) && in(int(t.Weekday()), 1, 2, 3, 4, 5)
		},
		// Both day fields given: either will do, as POSIX has it.
		"0 0 13 * FRI": func(t time.Time) bool {
			return t.Minute() == 0 && t.Hour() == 0 && (t.Day() == 13 || t.Weekday() == time.Friday)
		},
	} {
		s, err := schedule.Cron(expression)
		if err != nil {
			t.Fatal(err)
		}
		from := at("2026-03-01 00:00:30")
		next := s.Next(from)
		for m := from.Truncate(time.Minute).Add(time.Minute); m.Before(from.AddDate(0, 0, 14)); m = m.Add(time.Minute) {
			if is := next.Equal(m); is != due(m) {
				t.Fatalf("%q: %v is due: %t, and the next is %v", expression, m, due(m), next)
			} else if is {
				next = s.Next(m)
			}
		}
	}
}

func TestCronRefuses(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{
		"", "* * * *", "* * * * * *", "0 * * * * 2027", "@never", "@everysecond", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *",
		"x * * * *", "*/0 * * * *", "1-x * * * *", ",* * * * *", "0 0 31 2 *", "0 0 30 FEB *",
	} {
		if s, err := schedule.Cron(expression); err == nil {
			t.Errorf("%q was taken: next is %v", expression, s.Next(time.Now()))
		} else if !strings.Contains(err.Error(), strconv.Quote(expression)) {
			t.Errorf("%q: the error does not name it: %v", expression, err)
		}
	}
}
