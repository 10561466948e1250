package overview_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/overview"
	"github.com/coatcheck/coatcheck/internal/reconcile"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

func TestDue(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, test := range []struct {
		age, took time.Duration
		want      bool
	}{
		{time.Second, 0, false}, {2 * time.Second, 0, true}, {49 * time.Second, time.Second, false}, {50 * time.Second, time.Second, true},
		{-time.Second, 0, true}, // a clock that was set back
	} {
		if got := overview.Due(&overview.Counts{CountedAt: now.Add(-test.age), Took: test.took}, now); got != test.want {
			t.Errorf("counted %s ago, which took %s: due %t", test.age, test.took, got)
		}
	}
	if !overview.Due(nil, now) {
		t.Error("what was never counted is not due")
	}
}

// tally is a store that counts when it is let.
type tally struct {
	mu      sync.Mutex
	now     time.Time
	counts  *overview.Counts
	begun   int
	asked   int
	let     chan error
	refuses error
}

func (s *tally) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *tally) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *tally) Counts(context.Context) (*overview.Counts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.counts, s.refuses
}

func (s *tally) Count(ctx context.Context) error {
	s.mu.Lock()
	s.begun++
	s.mu.Unlock()
	select {
	case err := <-s.let:
		s.mu.Lock()
		defer s.mu.Unlock()
		if err == nil {
			s.counts = &overview.Counts{CountedAt: s.now}
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *tally) Passes(context.Context, int) ([]sweep.Pass, error) { return nil, nil }

func (s *tally) SweptAt(context.Context) (time.Time, error) { return time.Time{}, nil }

func (s *tally) Runs(context.Context, int) ([]*reconcile.Run, error) { return nil, nil }

func newMaker(t *testing.T, s *tally) *overview.Maker {
	t.Helper()
	s.now, s.let = time.Now(), make(chan error, 10)
	maker := overview.New(overview.Sources{
		Store:   s,
		Backlog: func() ([]overview.Backlog, error) { return []overview.Backlog{{Media: 3}}, nil },
		Found:   func() (overview.Found, error) { return overview.Found{Strays: 2}, nil },
		Queue:   func(context.Context) (*overview.Queue, error) { return nil, errors.New("SQS is down") },
	}, s.Now, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = maker.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return maker
}

// TestMaker: an overview has the counts that it can get soon, is made once for all who ask at a time, and has no count made
// that is not due.
func TestMaker(t *testing.T) {
	t.Parallel()
	s := new(tally)
	maker := newMaker(t, s)
	get := func() *overview.Overview {
		t.Helper()
		o, err := maker.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(o.Backlog) != 1 || o.Found.Strays != 2 || o.Queue != nil {
			t.Errorf("got %+v", o)
		}
		return o
	}
	if o := get(); o.Counts != nil { // it is still counting
		t.Errorf("got %+v", o)
	}
	s.let <- nil
	s.advance(overview.Every)
	for get().Counts == nil {
		s.advance(overview.Every)
	}
	asked := s.asked
	get()
	get()
	if s.asked != asked {
		t.Error("made again at once")
	}
	first := get().Counts.CountedAt
	s.let <- nil
	s.advance(overview.Every)
	if o := get(); !o.Counts.CountedAt.After(first) { // which it has waited for
		t.Errorf("not counted again: %+v", o.Counts)
	}
	s.refuses = errors.New("Postgres is down")
	s.advance(overview.Every)
	if _, err := maker.Get(t.Context()); !errors.Is(err, s.refuses) {
		t.Errorf("without Postgres: %v", err)
	}
}

// TestNobodyAsks: then nothing is counted.
func TestNobodyAsks(t *testing.T) {
	t.Parallel()
	s := new(tally)
	newMaker(t, s)
	s.advance(time.Hour)
	time.Sleep(10 * time.Millisecond)
	if s.mu.Lock(); s.begun != 0 {
		t.Errorf("counted %d times", s.begun)
	}
	s.mu.Unlock()
}
