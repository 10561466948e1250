package sweep_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

// countingObjects counts how often each key is asked for and deleted.
type countingObjects struct {
	sweep.Objects
	mu             sync.Mutex
	heads, deletes map[string]int
	inFlight, most atomic.Int64
}

func newCounting(o sweep.Objects) *countingObjects {
	return &countingObjects{Objects: o, heads: map[string]int{}, deletes: map[string]int{}}
}

func (o *countingObjects) Head(ctx context.Context, key string) (media.Object, bool, error) {
	if n := o.inFlight.Add(1); n > o.most.Load() {
		o.most.Store(n)
	}
	defer o.inFlight.Add(-1)
	o.mu.Lock()
	o.heads[key]++
	o.mu.Unlock()
	return o.Objects.Head(ctx, key)
}

func (o *countingObjects) Delete(ctx context.Context, ms []*media.Media) ([]error, error) {
	o.mu.Lock()
	for _, m := range ms {
		o.deletes[m.Key]++
	}
	o.mu.Unlock()
	return o.Objects.Delete(ctx, ms)
}

// TestTwoSweepers share 2,000 media: together they do each once.
func TestTwoSweepers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 500
	never, lost, unclaimed, cancelled := w.create(t, n), w.create(t, n), w.create(t, n), w.create(t, n)
	w.put(t, append(append(append([]*media.Media(nil), lost...), unclaimed...), cancelled...)...)
	w.land(t, "01", unclaimed...)
	w.Advance(windows.Claim)
	w.discard(t, cancelled...)

	objects := newCounting(w.objects)
	results, errs := make([]sweep.Result, 2), make([]error, 2)
	var wg sync.WaitGroup
	for i := range results {
		s := w.sweeper(t, func(p *parts) { p.BatchSize, p.HeadConcurrency, p.objects = 50, 4, objects })
		wg.Go(func() { results[i], errs[i] = s.RunOnce(t.Context()) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	// One may have ended while the other still made work for it.
	last, err := w.sweeper(t, func(p *parts) { p.objects = objects }).RunOnce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var sum sweep.Result
	for _, r := range append(results, last) {
		sum.Landed += r.Landed
		sum.NeverUploaded += r.NeverUploaded
		sum.Unclaimed += r.Unclaimed
		sum.Deleted += r.Deleted
		sum.Changed += r.Changed
	}
	if sum != (sweep.Result{Landed: n, NeverUploaded: n, Unclaimed: n, Deleted: 3 * n}) {
		t.Errorf("together they did %+v", sum)
	}
	if results[0].Zero() || results[1].Zero() {
		t.Errorf("they did not share: %+v", results)
	}
	if len(objects.heads) != 2*n || len(objects.deletes) != 3*n {
		t.Errorf("asked for %d and deleted %d objects", len(objects.heads), len(objects.deletes))
	}
	for _, counts := range []map[string]int{objects.heads, objects.deletes} {
		for key, times := range counts {
			if times != 1 {
				t.Errorf("%s was done %d times", key, times)
			}
		}
	}
	if most := objects.most.Load(); most > 2*4 {
		t.Errorf("%d HEADs at a time by two sweepers with 4 each", most)
	}
	if there := w.there(t); len(there) != n {
		t.Errorf("the bucket has %d objects", len(there))
	}
	for _, m := range lost {
		if m := w.get(t, m); m.State != media.StateUploaded {
			t.Errorf("one that landed is %s", m.State)
		}
	}
	for _, m := range never {
		if m := w.get(t, m); m.State != media.StateDeleted {
			t.Errorf("one that was never uploaded is %s", m.State)
		}
	}
}

// TestBatchesSideBySide: while S3 deletes for one batch another is worked on, and an error of both is told once. What neither
// could record is done again when the leases end (R6, R10).
func TestBatchesSideBySide(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const size = 5
	ms := w.create(t, 3*size)
	w.put(t, ms...)
	w.land(t, "01", ms...)
	w.Advance(windows.Claim)

	calls, met := atomic.Int64{}, make(chan struct{})
	objects := eventfulObjects{Objects: w.objects, afterDelete: func(ctx context.Context) {
		switch calls.Add(1) {
		case 1: // it is not known yet that there is more than one batch
			return
		case 3:
			close(met)
		}
		select {
		case <-met:
		case <-time.After(10 * time.Second):
			t.Error("there was no other batch")
		}
	}}
	fails := func() error {
		if calls.Load() > 1 {
			return errCrash
		}
		return nil
	}
	r, err := w.sweeper(t, func(p *parts) {
		p.BatchSize, p.objects, p.store = size, objects, faultyStore{Store: w.store, finish: fails}
	}).RunOnce(t.Context())
	if r != (sweep.Result{Unclaimed: 3 * size, Deleted: size, DeletedBytes: size * int64(len(content)), Incomplete: true}) {
		t.Errorf("the pass did %+v", r)
	}
	if err == nil || strings.Count(err.Error(), errCrash.Error()) != 1 {
		t.Errorf("the error is %v", err)
	}
	w.Advance(sweep.DefaultConfig().Lease)
	w.pass(t, sweep.Result{Deleted: 2 * size})
	if there := w.there(t); len(there) != 0 {
		t.Errorf("the bucket has %v", there)
	}
}

// TestConfirmRacesSweep: confirmations and sweeps at the same moment, on media whose windows have just ended. Whoever
// was told that its confirmation succeeded has the object, for good (R1); all others have nothing (R2).
func TestConfirmRacesSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 200
	unclaimed, lost, late := w.create(t, n), w.create(t, n), w.create(t, n)
	w.put(t, unclaimed...)
	w.put(t, lost...)
	w.land(t, "01", unclaimed...)
	w.Advance(windows.Claim)

	var (
		confirmed sync.Map // the media whose confirmation succeeded
		clients   sync.WaitGroup
		sweepers  sync.WaitGroup
		done      = make(chan struct{})
		sweptSome atomic.Int64
	)
	for range 2 {
		s := w.sweeper(t, func(p *parts) { p.BatchSize, p.HeadConcurrency = 7, 4 })
		sweepers.Go(func() {
			for {
				r, err := s.RunOnce(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				sweptSome.Add(int64(r.Deleted))
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	confirm := func(m *media.Media) error {
		_, err := w.store.Confirm(t.Context(), alice, []media.Claim{{MediaID: m.ID, Claim: "post/1"}})
		var refused *media.BatchError
		switch {
		case err == nil:
			confirmed.Store(m.ID, m)
		case !errors.As(err, &refused):
			return err
		}
		return nil
	}
	// As the API does it: one HEAD, and what it finds has landed.
	headAndConfirm := func(m *media.Media) error {
		o, found, err := w.objects.Head(t.Context(), m.Key)
		if err != nil || !found {
			return err
		}
		if _, err := w.store.Land(t.Context(), media.SourceConfirm, []media.Landing{m.Observe(o)}); err != nil {
			return err
		}
		return confirm(m)
	}
	clients.Go(func() {
		for i := len(unclaimed) - 1; i >= 0; i-- { // towards the sweepers
			if err := confirm(unclaimed[i]); err != nil {
				t.Error(err)
			}
		}
	})
	clients.Go(func() {
		for i := len(lost) - 1; i >= 0; i-- {
			if err := headAndConfirm(lost[i]); err != nil {
				t.Error(err)
			}
		}
	})
	clients.Go(func() {
		for i := len(late) - 1; i >= 0; i-- { // whose upload ends only now
			m := late[i]
			if err := errors.Join(w.tryPut(t.Context(), m, content), headAndConfirm(m)); err != nil {
				t.Error(err)
			}
		}
	})
	clients.Wait()
	close(done)
	sweepers.Wait()

	// Traffic has stopped: let every window and lease end.
	for range 3 {
		w.Advance(windows.Claim)
		r, err := w.sweeper(t).RunOnce(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sweptSome.Add(int64(r.Deleted))
	}
	there := w.there(t)
	count := 0
	confirmed.Range(func(_, m any) bool {
		count++
		if m := w.get(t, m.(*media.Media)); m.State != media.StateConfirmed || !there[m.Key] {
			t.Errorf("one that was confirmed is %s, its object there: %t", m.State, there[m.Key])
		}
		return true
	})
	if len(there) != count {
		t.Errorf("the bucket has %d objects for %d confirmations", len(there), count)
	}
	if count == 0 || sweptSome.Load() == 0 {
		t.Errorf("no race: %d were confirmed and %d deleted", count, sweptSome.Load())
	}
	t.Logf("%d were confirmed and %d deleted", count, sweptSome.Load())
}

// standsStill is a process that is suspended when it has leased what it is to delete.
type standsStill struct {
	sweep.Store
	meanwhile func()
}

func (s standsStill) LeaseDeleting(ctx context.Context, limit int, lease time.Duration) ([]*media.Media, error) {
	ms, err := s.Store.LeaseDeleting(ctx, limit, lease)
	s.meanwhile()
	return ms, err
}

// TestSuspendedBeforeADeletion: whoever wakes up after its lease has ended deletes nothing: others have done it, and what is
// there now may be CONFIRMED (R1).
func TestSuspendedBeforeADeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.create(t, 1)[0]
	w.put(t, m)
	w.discard(t, m)
	_, err := w.sweeper(t, func(p *parts) {
		p.store = standsStill{p.store, sync.OnceFunc(func() {
			w.Advance(2 * time.Hour)
			w.pass(t, sweep.Result{Deleted: 1})
			w.put(t, m) // brought back
		})}
	}).RunOnce(t.Context())
	if !errors.Is(err, context.DeadlineExceeded) || !w.there(t)[m.Key] {
		t.Errorf("what was brought back is there: %t; the pass ended with %v", w.there(t)[m.Key], err)
	}
}
