package sweep_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

// TestAskIsBoundedBesideAnother: what an operator asks for ends in time, also when S3 does not answer a pass of the schedule.
func TestAskIsBoundedBesideAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(t, 6)
	w.Advance(windows.Upload)
	hangs := make(chan struct{})
	first := sync.OnceFunc(func() { close(hangs) })
	s := w.sweeper(t, func(p *parts) {
		p.BatchSize, p.HeadConcurrency = 4, 1 // it never comes to the last quarter, in which it is the next one's turn
		p.objects = eventfulObjects{Objects: w.objects, afterHead: func(ctx context.Context) { first(); <-ctx.Done() }}
	})
	ctx, cancel := context.WithCancel(t.Context())
	var scheduled sync.WaitGroup
	scheduled.Go(func() { _, _ = s.RunOnce(ctx) })
	defer scheduled.Wait()
	defer cancel()
	<-hangs
	for _, dryRun := range []bool{true, false} {
		asked := make(chan sweep.Pass, 1)
		go func() { asked <- s.Ask(t.Context(), 100*time.Millisecond, dryRun) }()
		select {
		case p := <-asked:
			if !p.Incomplete || p.HeadErrors != 0 || p.Error != "" {
				t.Errorf("dry run %t: %+v", dryRun, p)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("dry run %t: it waits for the other", dryRun)
		}
	}
}

// pendingStore has uploads that never came, in batches.
type pendingStore struct {
	idleStore
	mu   sync.Mutex
	left int
}

func (s *pendingStore) LeasePending(_ context.Context, limit int, _ time.Duration) ([]*media.Media, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ms := make([]*media.Media, min(limit, s.left))
	for i := range ms {
		ms[i] = &media.Media{ID: uuid.New()}
	}
	s.left -= len(ms)
	return ms, nil
}

func (*pendingStore) Land(context.Context, media.Source, []media.Landing) ([]media.Landed, error) {
	return nil, nil
}

func (*pendingStore) ExpireUploads(context.Context, []*media.Media, time.Duration) ([]*media.Media, error) {
	return nil, nil
}

// slowObjects takes a second for each HEAD.
type slowObjects struct{ sweep.Objects }

func (slowObjects) Head(ctx context.Context, _ string) (media.Object, bool, error) {
	select {
	case <-ctx.Done():
		return media.Object{}, false, ctx.Err()
	case <-time.After(time.Second):
		return media.Object{}, false, nil
	}
}

// TestLeaseBeginsWithTheTurn: however many batches wait for S3, none waits while its lease runs out (R10).
func TestLeaseBeginsWithTheTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := sweep.DefaultConfig()
		c.BatchSize, c.Concurrency, c.HeadConcurrency, c.Lease = 4, 16, 1, 10*time.Second
		const n = 100
		s, err := sweep.New(&pendingStore{left: n}, slowObjects{}, c, time.Now, slog.New(slog.DiscardHandler), sweep.NewMetrics(prometheus.NewRegistry()))
		if err != nil {
			t.Fatal(err)
		}
		if r, err := s.RunOnce(t.Context()); err != nil || r != (sweep.Result{Changed: n}) {
			t.Errorf("the pass did %+v, %v", r, err)
		}
	})
}
