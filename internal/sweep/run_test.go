package sweep_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/schedule"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

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
func (*idleStore) ExpireClaims(context.Context, int, time.Duration) ([]*media.Media, error) {
	return nil, nil
}
func (*idleStore) RecordPass(context.Context, sweep.Pass) error { return nil }
func (*idleStore) LeaseDeleted(context.Context, int, time.Duration) ([]*media.Media, error) {
	return nil, nil
}
func (*idleStore) LeaseDeleting(context.Context, int, time.Duration) ([]*media.Media, error) {
	return nil, nil
}

// run lets a sweeper run for some time and returns when its passes began, counted from the beginning.
func run(t *testing.T, store *idleStore, when schedule.Schedule, lasts time.Duration) []time.Duration {
	t.Helper()
	c := sweep.DefaultConfig()
	c.Schedule = when
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
		passes := run(t, &idleStore{takes: time.Second}, schedule.Every(10*time.Second), 45*time.Second)
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
		passes := run(t, store, schedule.Every(10*time.Second), 60*time.Second)
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
		if passes := run(t, &idleStore{err: errors.New("no database")}, schedule.Every(time.Second), 10*time.Second); len(passes) < 9 {
			t.Errorf("the passes were %v", passes)
		}
	})
}

func TestRunOnCron(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // which begins at midnight UTC
		s, err := schedule.Cron("*/15 * * * *")
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
	if err != nil || r != (sweep.Result{Deleted: 1, DeletedBytes: int64(len(content)), Incomplete: true}) {
		t.Errorf("the pass did %+v, %v", r, err)
	}
	w.pass(t, sweep.Result{Deleted: 3})
}
