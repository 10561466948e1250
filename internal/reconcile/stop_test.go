package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// TestAbandonStopsRemovals: a run that is given up removes no more than what is on its way at that moment. It is how an
// operator stops a mistake.
func TestAbandonStopsRemovals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(2)
	for i := range 256 { // in every shard
		w.put(fmt.Sprintf("media/%02x/00000000-0000-4000-8000-0000000000%02x", i, i), []byte("orphan"))
	}
	w.reconcile()
	w.Advance(grace)
	calls := 0
	r := w.reconciler(policy(reconcile.PolicyDelete), func(p *parts) { p.Concurrency = 1 }, objects(eventful{afterRemove: func() {
		if calls++; calls == 1 {
			other := w.reconciler()
			run, err := w.store.Active(t.Context())
			if err != nil || run == nil {
				t.Errorf("there is no run: %v", err)
				return
			}
			if err := other.Abandon(t.Context(), run); err != nil {
				t.Error(err)
			}
		}
	}}))
	run, err := r.Begin(t.Context(), settingsOf(policy(reconcile.PolicyDelete)))
	if err != nil {
		t.Fatal(err)
	}
	done, err := r.Work(t.Context(), run.ID, nil)
	if err != nil || done.Outcome != reconcile.OutcomeAbandoned {
		t.Errorf("it ended with %+v, %v", done, err)
	}
	if calls != 1 {
		t.Errorf("%d calls removed strays, want the one that was under way", calls)
	}
}

// TestAbandonBeforeTheIntent: a run that is given up while it looks at strays removes none of them.
func TestAbandonBeforeTheIntent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(2)
	key := w.dueStray()
	abandon := sync.OnceFunc(func() {
		run, err := w.store.Active(t.Context())
		if err != nil || run == nil {
			t.Errorf("there is no run: %v", err)
			return
		}
		if err := w.reconciler().Abandon(t.Context(), run); err != nil {
			t.Error(err)
		}
	})
	done := w.reconcile(policy(reconcile.PolicyDelete), objects(eventful{afterHead: func(string) { abandon() }}))
	if done.Outcome != reconcile.OutcomeAbandoned || !w.held()[key] || w.strays()[key].Attempts != 0 {
		t.Errorf("the run %s, and the stray is %+v", done.Outcome, w.strays()[key])
	}
}

// slowRows does not notice at once that nobody wants them any more.
type slowRows struct {
	reconcile.Store
	reading *atomic.Int64
}

func (s slowRows) Rows(ctx context.Context, _ reconcile.Range, _ string, _ int) ([]reconcile.Row, error) {
	s.reading.Add(1)
	defer s.reading.Add(-1)
	<-ctx.Done()
	time.Sleep(50 * time.Millisecond)
	return nil, ctx.Err()
}

// TestNothingGoesOn when Work has returned: what it was given may be closed then.
func TestNothingGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ctx, stop := context.WithCancel(t.Context())
	var reading atomic.Int64
	r := w.reconciler(func(p *parts) {
		p.store = slowRows{p.store, &reading}
		p.objects = edited{p.objects, func(yield func([]reconcile.Listed, error) bool, _ iter.Seq2[[]reconcile.Listed, error]) {
			for reading.Load() == 0 {
				time.Sleep(time.Millisecond)
			}
			stop()
			yield(nil, errors.New("it was stopped"))
		}}
	})
	run, err := r.Begin(ctx, settingsOf())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Work(ctx, run.ID, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if n := reading.Load(); n > 0 {
		t.Errorf("%d shards are still read", n)
	}
}

// TestAbandonOfARunThatWentOn says so, or ends it, whatever its phase has become.
func TestAbandonOfARunThatWentOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	r := w.reconciler()
	run, err := r.Begin(t.Context(), settingsOf(policy(reconcile.PolicyDelete)))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.BeginRemoving(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	if err := r.Abandon(t.Context(), run); err != nil { // run is as it was
		t.Fatal(err)
	}
	if active, err := w.store.Active(t.Context()); err != nil || active != nil {
		t.Errorf("it is still under way: %+v, %v", active, err)
	}
}

// paused stops before it tells S3 to remove anything, as a process does whose machine is suspended.
type paused struct {
	reconcile.Objects
	once      *sync.Once
	meanwhile func()
}

func (p paused) RemoveStrays(ctx context.Context, strays []reconcile.Stray, quarantine string) []error {
	p.once.Do(p.meanwhile)
	return p.Objects.RemoveStrays(context.WithoutCancel(ctx), strays, quarantine) // the request is on its way already
}

// TestSuspendedInTheMiddleOfARemoval: while a removal may still reach S3, its object is not adopted, whatever other runs
// have seen of it since (R1).
func TestSuspendedInTheMiddleOfARemoval(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.stage("uploads/", false)
	key := "uploads/cat.jpg"
	w.put(key, []byte("cat"))
	w.reconcile()
	w.Advance(grace)
	adopt := func() {
		w.stage("uploads/", false, reconcile.Adoption{Key: key, Claim: "post/1"})
		w.reconcile(adopting("uploads/"))
	}
	confirmed := func() bool {
		ms, err := w.store.List(t.Context(), alice, media.Page{Limit: 10, State: media.StateConfirmed})
		if err != nil {
			t.Fatal(err)
		}
		return len(ms) == 1
	}
	r := w.reconciler(policy(reconcile.PolicyDelete), func(p *parts) {
		p.objects = paused{p.objects, new(sync.Once), func() {
			w.Advance(5 * time.Minute)
			run, err := w.store.Active(t.Context())
			if err != nil {
				t.Error(err)
			}
			if err := w.reconciler().Abandon(t.Context(), run); err != nil {
				t.Error(err)
			}
			w.reconcile() // sees the stray again
			adopt()
		}}
	})
	run, err := r.Begin(t.Context(), settingsOf(policy(reconcile.PolicyDelete)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Work(t.Context(), run.ID, nil); err != nil && !errors.Is(err, reconcile.ErrLeaseLost) {
		t.Fatal(err)
	}
	if confirmed() && !w.held()[key] {
		t.Error("the object of a CONFIRMED media was deleted (R1)")
	}
	// It is not kept from being adopted for good.
	w.put(key, []byte("cat"))
	w.Advance(24 * time.Hour)
	adopt()
	if !confirmed() {
		t.Error("what is there cannot be adopted")
	}
}

// standsStill is a process that is suspended after it has recorded its intent.
type standsStill struct {
	reconcile.Store
	forLong func()
}

func (s standsStill) BeginRemoval(ctx context.Context, sh *reconcile.Shard, strays []reconcile.Stray) (map[string]bool, error) {
	may, err := s.Store.BeginRemoval(ctx, sh, strays)
	s.forLong()
	return may, err
}

// TestSuspendedBeforeARemoval: whoever wakes up after its lease has ended does not remove what it once looked at.
func TestSuspendedBeforeARemoval(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	key := w.dueStray()
	removed := 0
	var once sync.Once
	run := w.reconcile(policy(reconcile.PolicyDelete), objects(eventful{afterRemove: func() { removed++ }}), func(p *parts) {
		p.store = standsStill{p.store, func() {
			once.Do(func() {
				w.Advance(2 * time.Hour)
				w.insertRow(key)
			})
		}}
	})
	if !w.held()[key] || removed != 0 || run.Counts[reconcile.CountKeptRow] != 1 {
		t.Errorf("the object of a CONFIRMED media was removed (R1); the run counted %v", counted(run))
	}
}
