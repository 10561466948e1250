package sweep_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/sweep"
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
		s, err := sweep.Cron(c.expression)
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
	s, err := sweep.Cron("30 2 * * *")
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
		s, err := sweep.Cron(expression)
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
		if s, err := sweep.Cron(expression); err == nil {
			t.Errorf("%q was taken: next is %v", expression, s.Next(time.Now()))
		} else if !strings.Contains(err.Error(), strconv.Quote(expression)) {
			t.Errorf("%q: the error does not name it: %v", expression, err)
		}
	}
}

// idleStore has nothing to do, and notes when it is asked, by the first step of a pass.
type idleStore struct {
	sweep.Store
	passes []time.Time
	takes  time.Duration
	err    error
}

func (s *idleStore) LeasePending(context.Context, int, time.Duration) ([]*media.Media, error) {
	s.passes = append(s.passes, time.Now())
	time.Sleep(s.takes)
	return nil, s.err
}
func (*idleStore) ExpireClaims(context.Context, int) (int, error) { return 0, nil }
func (*idleStore) LeaseDeleted(context.Context, int, time.Duration) ([]*media.Media, error) {
	return nil, nil
}
func (*idleStore) LeaseDeleting(context.Context, int, time.Duration) ([]*media.Media, error) {
	return nil, nil
}

// run lets a sweeper run for some time and returns when its passes began, counted from the beginning.
func run(t *testing.T, store *idleStore, schedule sweep.Schedule, lasts time.Duration) []time.Duration {
	t.Helper()
	c := sweep.DefaultConfig()
	c.Schedule = schedule
	s, err := sweep.New(store, nil, c, time.Now, slog.New(slog.DiscardHandler), sweep.NewMetrics(prometheus.NewRegistry()))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
	passes := make([]time.Duration, len(store.passes))
	for i, p := range store.passes {
		passes[i] = p.Sub(began)
	}
	return passes
}

func TestRunOnAnInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		passes := run(t, &idleStore{takes: time.Second}, sweep.Every(10*time.Second), 45*time.Second)
		if len(passes) != 4 && len(passes) != 5 || passes[0] >= 10*time.Second {
			t.Fatalf("the passes were %v", passes)
		}
		for i := 1; i < len(passes); i++ {
			if passes[i]-passes[i-1] != 10*time.Second {
				t.Errorf("the passes were %v", passes)
			}
		}
	})
}

// TestRunWithSlowPasses: they do not overlap, and do not pile up.
func TestRunWithSlowPasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &idleStore{takes: 15 * time.Second}
		passes := run(t, store, sweep.Every(10*time.Second), 60*time.Second)
		for i := 1; i < len(passes); i++ {
			if passes[i]-passes[i-1] != 15*time.Second {
				t.Errorf("the passes were %v", passes)
			}
		}
	})
}

// TestRunGoesOnAfterAnError, since the next pass may do better.
func TestRunGoesOnAfterAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		if passes := run(t, &idleStore{err: errors.New("no database")}, sweep.Every(time.Second), 10*time.Second); len(passes) < 9 {
			t.Errorf("the passes were %v", passes)
		}
	})
}

func TestRunOnCron(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // which begins at midnight UTC
		s, err := sweep.Cron("*/15 * * * *")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		passes := run(t, &idleStore{takes: 20 * time.Minute}, s, 70*time.Minute)
		if want := []time.Duration{14 * time.Minute, 34 * time.Minute, 54 * time.Minute}; !slices.Equal(passes, want) {
			t.Errorf("the passes were %v, want %v", passes, want)
		}
	})
}

// TestPassLimit ends a pass that would go on.
func TestPassLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.discard(t, w.create(t, 4)...)
	s := w.sweeper(t, func(p *parts) {
		p.BatchSize, p.PassLimit = 1, 300*time.Millisecond
		p.objects = eventfulObjects{Objects: w.objects, afterDelete: func(ctx context.Context) { <-ctx.Done() }}
	})
	r, err := s.RunOnce(t.Context())
	if err != nil || r != (sweep.Result{Deleted: 1, Incomplete: true}) {
		t.Errorf("the pass did %+v, %v", r, err)
	}
	w.pass(t, sweep.Result{Deleted: 3})
}
