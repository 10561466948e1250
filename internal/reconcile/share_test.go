package reconcile_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// TestProcessesShareARun: each shard is gone over once, whoever does it, and all of them see the end.
func TestProcessesShareARun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(60)
	for range 20 {
		w.put(mintedKey(w), []byte("orphan"))
	}
	w.reconcile()
	w.Advance(grace)
	first := w.reconciler()
	run, err := first.Begin(t.Context(), settingsOf(policy(reconcile.PolicyDelete)))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			done, err := w.reconciler().Work(t.Context(), run.ID, nil)
			if err != nil || done.Outcome != reconcile.OutcomeFinished {
				t.Errorf("a process ended with %+v, %v", done, err)
			}
		})
	}
	wg.Wait()
	done, err := w.store.GetRun(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.want(done, reconcile.Counts{reconcile.CountExplained: 60, reconcile.CountStrays: 20, reconcile.CountRemoved: 20})
}

// TestLostLease: who was taken for dead, and goes on, records nothing.
func TestLostLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.put(mintedKey(w), nil)
	run := w.beginFew()
	lease := func() *reconcile.Shard {
		sh, err := w.store.LeaseShard(t.Context(), run.ID, reconcile.ShardListing, time.Minute)
		if err != nil || sh == nil {
			t.Fatalf("leasing a shard: %+v, %v", sh, err)
		}
		return sh
	}
	slow := lease()
	w.Advance(2 * time.Minute)
	quick := lease()
	if slow.Number != quick.Number {
		t.Fatalf("the shard was not given to another")
	}
	batch := reconcile.Batch{Position: "media/1", Counts: reconcile.Counts{reconcile.CountObjects: 7}, Done: true}
	if err := w.store.Checkpoint(t.Context(), slow, batch); !errors.Is(err, reconcile.ErrLeaseLost) {
		t.Errorf("the slow one recorded: %v", err)
	}
	for name, err := range map[string]error{
		"extending": w.store.ExtendLease(t.Context(), slow, time.Minute), "releasing": w.store.ReleaseShard(t.Context(), slow),
		"removing": w.store.EndRemoval(t.Context(), slow, reconcile.Removal{Done: true}),
	} {
		if !errors.Is(err, reconcile.ErrLeaseLost) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.store.Checkpoint(t.Context(), quick, batch); err != nil {
		t.Error(err)
	}
	if err := w.store.Checkpoint(t.Context(), quick, batch); !errors.Is(err, reconcile.ErrLeaseLost) {
		t.Errorf("what is done was recorded twice: %v", err)
	}
}

// extending tells when a lease was extended.
type extending struct {
	reconcile.Store
	extended chan struct{}
}

func (s extending) ExtendLease(ctx context.Context, sh *reconcile.Shard, lease time.Duration) error {
	err := s.Store.ExtendLease(ctx, sh, lease)
	s.extended <- struct{}{}
	return err
}

// TestLeaseIsKept while a shard takes longer than its lease: nobody else gets it meanwhile.
func TestLeaseIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	m := w.create(1)[0]
	w.upload(m)
	w.Advance(time.Hour)
	run, err := w.store.BeginRun(t.Context(), settingsOf(), 0, []reconcile.Range{{Prefix: "media/"}})
	if err != nil {
		t.Fatal(err)
	}
	const lease = 3 * time.Second
	extended := make(chan struct{}, 100)
	meanwhile := sync.OnceFunc(func() {
		for range 3 { // two leases long
			select {
			case <-extended:
			case <-time.After(time.Minute):
				t.Error("the lease is not extended")
				return
			}
			w.Advance(2 * time.Second)
		}
		if sh, err := w.store.LeaseShard(t.Context(), run.ID, reconcile.ShardListing, lease); err != nil || sh != nil {
			t.Errorf("another process got the shard: %+v, %v", sh, err)
			w.Advance(time.Hour) // or the run would wait for it
		}
	})
	r := w.reconciler(objects(eventful{beforeHead: func(string) { meanwhile() }}), func(p *parts) {
		p.Lease = lease
		p.store = extending{p.store, extended}
	})
	done, err := r.Work(t.Context(), run.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.want(done, reconcile.Counts{reconcile.CountLanded: 1})
}

// restless changes the bucket and the table while they are gone over.
type restless struct {
	reconcile.Objects
	page func()
}

func (r restless) List(ctx context.Context, g reconcile.Range) iter.Seq2[[]reconcile.Listed, error] {
	return func(yield func([]reconcile.Listed, error) bool) {
		for page, err := range r.Objects.List(ctx, g) {
			for part := range slices.Chunk(page, 3) {
				r.page()
				if !yield(part, err) {
					return
				}
			}
			if len(page) == 0 && !yield(nil, err) {
				return
			}
		}
	}
}

// TestChangesDuringTheScan: uploads, confirmations, releases and sweeps go on while a run is under way, and it finds
// nothing that is not so.
func TestChangesDuringTheScan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(40)
	lost := w.create(3)
	w.upload(lost...)
	gone := w.confirmed(2)
	for _, m := range gone {
		w.remove(m.Key)
	}
	w.Advance(10 * time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	var traffic sync.WaitGroup
	for range 2 {
		traffic.Go(func() {
			for ctx.Err() == nil {
				time.Sleep(5 * time.Millisecond)
				ms := w.confirmed(2)
				w.discard(media.EventRelease, ms[0])
				w.upload(w.create(1)...) // in flight
				w.sweep()
			}
		})
	}
	for range 3 {
		run := w.reconcile(func(p *parts) {
			p.objects = restless{p.objects, func() { time.Sleep(time.Millisecond) }}
			p.CheckpointEvery = 0
		})
		c := counted(run)
		if c[reconcile.CountStrays] != 0 || c[reconcile.CountForeign] != 0 || c[reconcile.CountMissing] != 2 || c[reconcile.CountRejected] != 0 || c[reconcile.CountUnclear] != 0 {
			t.Errorf("the run counted %v", c)
		}
		if got := w.missing(); len(got) != 2 || !got[gone[0].ID] || !got[gone[1].ID] {
			t.Errorf("missing are %v", got)
		}
	}
	stop()
	traffic.Wait()
	for _, m := range lost {
		if got := w.get(m); got.LandedBy != media.SourceReconcile {
			t.Errorf("media %s was learnt by %q", m.ID, got.LandedBy)
		}
	}
}
