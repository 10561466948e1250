package consumer

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
)

// items returns messages with a landing each.
func items(n int) []*item {
	all := make([]*item, n)
	for i := range all {
		all[i] = &item{landings: make([]media.Landing, 1)}
	}
	return all
}

// made is a batch and what is called when it has been recorded.
type made struct {
	batch []*item
	done  func()
}

// take returns the next batch, which must be there already.
func take(t *testing.T, b *batches) made {
	t.Helper()
	began := time.Now()
	batch, done, ok := b.next(t.Context())
	if !ok || time.Since(began) > 0 {
		t.Fatalf("the next batch took %s: %v", time.Since(began), ok)
	}
	return made{batch, done}
}

// TestLoneBatchWaitsForNothing: while none is recorded, what is there goes at once.
func TestLoneBatchWaitsForNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		handover := make(chan []*item, 10)
		b := newBatches(handover, 30)
		for range 2 {
			handover <- items(3)
			handover <- items(4)
			m := take(t, b)
			if len(m.batch) != 7 {
				t.Errorf("a batch of %d", len(m.batch))
			}
			m.done()
		}
		close(handover)
		if _, _, ok := b.next(t.Context()); ok {
			t.Error("a batch of nothing")
		}
	})
}

// TestSmallBatchesTakeTurns: the second takes what comes until the first is recorded, or it is full itself.
func TestSmallBatchesTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		handover := make(chan []*item, 10)
		b := newBatches(handover, 30)
		handover <- items(1)
		first := take(t, b)
		next := make(chan made)
		go func() {
			batch, done, _ := b.next(t.Context())
			next <- made{batch, done}
		}()
		for range 2 {
			handover <- items(10)
			time.Sleep(maxTurn / 4)
		}
		select {
		case m := <-next:
			t.Fatalf("a batch of %d did not wait for the one before it", len(m.batch))
		default:
		}
		first.done()
		second := <-next
		if len(second.batch) != 20 {
			t.Errorf("a batch of %d", len(second.batch))
		}
		for _, n := range []int{10, 10, 10, 9} {
			handover <- items(n)
		}
		full := take(t, b)
		if len(full.batch) != 30 {
			t.Errorf("a batch of %d is not full", len(full.batch))
		}
		full.done()
		second.done()
		if rest := take(t, b); len(rest.batch) != 9 {
			t.Errorf("a batch of %d of the 9 that were left", len(rest.batch))
		}
	})
}

// TestBatchWaitsForWhatTheQueueHolds: a receive that was full has left others in the queue. A batch takes them too, until
// it is full, a receive was not, or nothing comes.
func TestBatchWaitsForWhatTheQueueHolds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		sizes []int // of the hand-overs, a millisecond apart
		batch int
		after time.Duration
	}{
		{"full", []int{10, 10, 10, 10}, 30, 2 * time.Millisecond},
		{"the queue is empty", []int{10, 10, 3, 10}, 23, 2 * time.Millisecond},
		{"nothing comes", []int{10, 10}, 20, time.Millisecond + linger},
		{"alone", []int{9, 10}, 9, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handover := make(chan []*item, 10)
				b := newBatches(handover, 30)
				began := time.Now()
				var polls sync.WaitGroup
				defer polls.Wait()
				polls.Go(func() {
					for _, n := range c.sizes {
						handover <- items(n)
						time.Sleep(time.Millisecond)
					}
				})
				batch, done, ok := b.next(t.Context())
				if took := time.Since(began); !ok || len(batch) != c.batch || took != c.after {
					t.Errorf("a batch of %d after %s, want %d after %s", len(batch), took, c.batch, c.after)
				}
				done()
			})
		})
	}
}

// TestHungBatchHoldsUpNobody: a batch waits for the one before it no longer than maxTurn, and not at all when the consumer
// stops or nothing more comes.
func TestHungBatchHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		handover := make(chan []*item, 10)
		b := newBatches(handover, 30)
		handover <- items(1)
		take(t, b)
		began := time.Now()
		for _, want := range []time.Duration{maxTurn, 2 * maxTurn} {
			handover <- items(2)
			batch, done, ok := b.next(t.Context())
			if took := time.Since(began); !ok || len(batch) != 2 || took != want {
				t.Fatalf("a batch of %d after %s", len(batch), took)
			}
			done()
		}
		stopped, stop := context.WithCancel(t.Context())
		stop()
		handover <- items(2)
		if batch, _, ok := b.next(stopped); !ok || len(batch) != 2 || time.Since(began) != 2*maxTurn {
			t.Errorf("when it stops: a batch of %d after %s", len(batch), time.Since(began))
		}
		handover <- items(2)
		close(handover)
		if batch, _, ok := b.next(t.Context()); !ok || len(batch) != 2 || time.Since(began) != 2*maxTurn {
			t.Errorf("at the end: a batch of %d after %s", len(batch), time.Since(began))
		}
	})
}

// TestBatchOfManyLandings: one message may have more landings than a batch, and is not cut.
func TestBatchOfManyLandings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		handover := make(chan []*item, 1)
		b := newBatches(handover, 30)
		large := &item{landings: make([]media.Landing, maxLandings+1)}
		handover <- append(append(items(1), large), items(2)...)
		for _, want := range []int{1, 1, 2} {
			m := take(t, b)
			if len(m.batch) != want {
				t.Errorf("a batch of %d, want %d", len(m.batch), want)
			}
			m.done()
		}
	})
}
