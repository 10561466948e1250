package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

// reused is an object below an adopted prefix, whose key others use again.
const reused = "uploads/cat.jpg"

// adopt adopts it, and returns the run and its media, or nil when it was not adopted.
func (w *world) adopt() (*reconcile.Run, *media.Media) {
	w.t.Helper()
	w.stage("uploads/", false, reconcile.Adoption{Key: reused, Claim: "post/1"})
	run := w.reconcile(adopting("uploads/"))
	ms, err := w.store.List(w.t.Context(), alice, media.Page{Limit: 10, State: media.StateConfirmed})
	if err != nil || len(ms) > 1 {
		w.t.Fatal(ms, err)
	}
	if len(ms) == 0 {
		return run, nil
	}
	return run, ms[0]
}

// storedAgain is what happens to the key when its object has been deleted: the same is stored, perhaps seen by a run, and
// adopted if it can be.
func (w *world) storedAgain(seen bool) {
	w.t.Helper()
	if w.held()[reused] {
		w.t.Error("the other process did not delete it")
	}
	w.put(reused, []byte("cat"))
	if seen {
		w.reconcile()
	}
	if run, m := w.adopt(); m == nil && w.findings(run)[reused] != reconcile.KindNotAdopted {
		w.t.Errorf("nobody is told that it was not adopted: %v", w.findings(run))
	}
}

// wantKept holds that no CONFIRMED media has lost its object, and that what is there can be adopted in the end.
func (w *world) wantKept() {
	w.t.Helper()
	ms, err := w.store.List(w.t.Context(), alice, media.Page{Limit: 10, State: media.StateConfirmed})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(ms) > 0 && !w.held()[reused] {
		w.t.Error("the object of a CONFIRMED media was deleted (R1)")
	}
	w.put(reused, []byte("cat"))
	w.Advance(2 * time.Hour)
	if _, m := w.adopt(); m == nil {
		w.t.Error("what is there cannot be adopted")
	}
}

// pausedDelete is the same as [paused] for a sweep.
type pausedDelete struct {
	sweep.Objects
	once      *sync.Once
	meanwhile func()
}

func (p pausedDelete) Delete(ctx context.Context, ms []*media.Media) ([]error, error) {
	p.once.Do(p.meanwhile)
	return p.Objects.Delete(context.WithoutCancel(ctx), ms)
}

// sweepWith makes a pass of another sweeper.
func (w *world) sweepWith(objects sweep.Objects) {
	w.t.Helper()
	s, err := sweep.New(w.store, objects, sweep.DefaultConfig(), w.Now, slog.New(slog.DiscardHandler), sweep.NewMetrics(prometheus.NewRegistry()))
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := s.RunOnce(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// TestSuspendedSweep: while the deletion of a released media may still reach S3, what was stored under its key since is not
// adopted, although another sweeper has deleted the media's object and recorded it (R1).
func TestSuspendedSweep(t *testing.T) {
	t.Parallel()
	for _, seen := range []bool{false, true} {
		t.Run(fmt.Sprintf("seen=%t", seen), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{})
			w.put(reused, []byte("cat"))
			_, m := w.adopt()
			w.discard(media.EventRelease, m)
			w.sweepWith(pausedDelete{w.objects, new(sync.Once), func() {
				w.Advance(3 * time.Minute) // its lease ends
				w.sweep()
				w.storedAgain(seen)
			}})
			w.wantKept()
		})
	}
}

// TestSuspendedWhileAnotherRemoves: the same of a stray that another process has removed, and recorded as removed (R1).
func TestSuspendedWhileAnotherRemoves(t *testing.T) {
	t.Parallel()
	for _, seen := range []bool{false, true} {
		t.Run(fmt.Sprintf("seen=%t", seen), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{})
			w.stage("uploads/", false)
			w.put(reused, []byte("cat"))
			w.reconcile()
			w.Advance(grace)
			r := w.reconciler(func(p *parts) {
				p.Concurrency = 1
				p.objects = paused{p.objects, new(sync.Once), func() {
					w.Advance(5 * time.Minute) // its lease ends
					run, err := w.store.Active(t.Context())
					if err != nil {
						t.Error(err)
					}
					if _, err := w.reconciler().Work(t.Context(), run.ID, nil); err != nil {
						t.Error(err)
					}
					w.storedAgain(seen)
				}}
			})
			run, err := r.Begin(t.Context(), settingsOf(policy(reconcile.PolicyDelete)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Work(t.Context(), run.ID, nil); err != nil && !errors.Is(err, reconcile.ErrLeaseLost) {
				t.Fatal(err)
			}
			w.wantKept()
		})
	}
}

// TestReplacedBeforeItsRelease: what others have stored under the key of a released media is left, also by a store that does
// not know conditional deletes.
func TestReplacedBeforeItsRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.put(reused, []byte("cat"))
	_, m := w.adopt()
	w.put(reused, []byte("another cat"))
	w.Advance(time.Hour)
	w.discard(media.EventRelease, m)
	w.sweepWith(careless(w, func() {}))
	if got := w.get(m); !w.held()[reused] || got.State != media.StateDeleted {
		t.Errorf("what replaced it is gone, or the media is not: %s", got.State)
	}
}

// lookingUp lets something happen when a run looks at media again.
type lookingUp struct {
	reconcile.Store
	before, after func()
}

func (l lookingUp) MediaByID(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]*media.Media, error) {
	l.before()
	ms, err := l.Store.MediaByID(ctx, ids)
	l.after()
	return ms, err
}

// TestReplacedAndReleasedDuringARun: a run does not tell the sweeper of another object that it has found under the key of a
// media that was released meanwhile. It is a stray, and no late upload (R7). A dry run says the same.
func TestReplacedAndReleasedDuringARun(t *testing.T) {
	t.Parallel()
	for _, swept := range []bool{false, true} {
		for when, late := range map[string]bool{"before it looks": false, "after": true, "before a trial looks": false} {
			t.Run(fmt.Sprintf("%s swept=%t", when, swept), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, worldOptions{})
				w.put(reused, []byte("cat"))
				_, m := w.adopt()
				w.Advance(time.Hour)
				w.put(reused, []byte("another cat")) // which the run takes a closer look at
				nothing, release := func() {}, sync.OnceFunc(func() {
					w.discard(media.EventRelease, m)
					if swept {
						w.sweep()
					}
				})
				run := w.reconcile(func(p *parts) {
					p.Settings.DryRun = when == "before a trial looks"
					if late {
						p.store = lookingUp{p.store, nothing, release}
					} else {
						p.store = lookingUp{p.store, release, nothing}
					}
				})
				w.want(run, reconcile.Counts{reconcile.CountChanged: 1})
				w.Advance(time.Minute)
				w.sweep()
				if got := w.get(m); !w.held()[reused] || got.State != media.StateDeleted {
					t.Errorf("what replaced it is gone, or the media is not: %s", got.State)
				}
			})
		}
	}
}
