package sweep_test

import (
	"context"
	"sync"
	"testing"
	"time"

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
		p.BatchSize, p.HeadConcurrency = 2, 1
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
			if !p.Incomplete || p.Error != "" {
				t.Errorf("dry run %t: %+v", dryRun, p)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("dry run %t: it waits for the other", dryRun)
		}
	}
}
