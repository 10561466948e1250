package reconcile_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// lookedAt is a store without a run, which notes when it was asked for one.
type lookedAt struct {
	reconcile.Store
	err   error
	times []time.Time
}

func (s *lookedAt) Active(context.Context) (*reconcile.Run, error) {
	s.times = append(s.times, time.Now())
	return nil, s.err
}

// TestRunLooksAgain: what an operator begins is found soon, and what fails is not tried all the time.
func TestRunLooksAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err            error
		poll, interval time.Duration // poll is the default's when zero
	}{
		"nothing to do":        {nil, 0, 10 * time.Second},
		"it fails":             {errors.New("no"), 0, time.Minute},
		"it fails, in a hurry": {errors.New("no"), 100 * time.Millisecond, 600 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &lookedAt{err: c.err}
				config := reconcile.DefaultConfig()
				config.Schedule = nil
				if c.poll > 0 {
					config.Poll = c.poll
				}
				r, err := reconcile.New(store, nil, media.Keys{}, config, time.Now, slog.New(slog.DiscardHandler), nil)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				began := time.Now()
				if err := r.Run(ctx); err != nil {
					t.Fatal(err)
				}
				if n := len(store.times); n < int(time.Hour/c.interval)-1 || n > int(time.Hour/c.interval) || store.times[0].Sub(began) > 10*time.Second {
					t.Errorf("asked %d times in an hour, first after %v", n, store.times[0].Sub(began))
				}
				for i, at := range store.times[1:] {
					if wait := at.Sub(store.times[i]); wait != c.interval {
						t.Fatalf("asked again after %v, want %v", wait, c.interval)
					}
				}
			})
		})
	}
}

// TestClockThatWasAhead: a run that a process with a wrong clock began in what is the future for all others keeps none from
// being begun, and is not the one before theirs.
func TestClockThatWasAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	first, err := w.reconciler().RunOnce(t.Context())
	if err != nil || first == nil {
		t.Fatal(first, err)
	}
	const year = 365 * 24 * time.Hour
	w.Advance(year)
	if run, err := w.reconciler().RunOnce(t.Context()); err != nil || run == nil {
		t.Fatal(run, err)
	}
	w.Advance(-year) // the clock is set right
	if run, err := w.reconciler().RunOnce(t.Context()); err != nil || run != nil {
		t.Errorf("it is too early for %+v, %v", run, err)
	}
	w.Advance(25 * time.Hour)
	run, err := w.reconciler().RunOnce(t.Context())
	if err != nil || run == nil {
		t.Fatalf("none is begun: %+v, %v", run, err)
	}
	if !run.PriorStartedAt.Equal(first.StartedAt) {
		t.Errorf("the run before began at %v, want %v", run.PriorStartedAt, first.StartedAt)
	}
}
