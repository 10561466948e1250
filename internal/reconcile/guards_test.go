package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// TestOneRunIsNotTwo: a run that stands still for longer than the grace period does not remove what it alone has seen,
// however old that is (R7).
func TestOneRunIsNotTwo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.put(mintedKey(w), []byte("orphan"))
	w.Advance(grace)
	deleting := policy(reconcile.PolicyDelete)
	// It dies when all is listed.
	d := &death{at: -1}
	first := w.reconciler(deleting, mortal(d, 2), func(p *parts) { p.store = dyingAt{p.store, d} })
	run := w.beginFew(deleting)
	if _, err := first.Work(t.Context(), run.ID, nil); !errors.Is(err, errDied) {
		t.Fatalf("the run was to die, and ended with %v", err)
	}
	w.Advance(2 * grace)
	done, err := w.reconciler(deleting).Work(t.Context(), run.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.want(done, reconcile.Counts{reconcile.CountStrays: 1, reconcile.CountKeptRecent: 1})
	if len(w.held()) != 1 {
		t.Error("the object is gone (R7)")
	}
}

// dyingAt dies when the run is to move on.
type dyingAt struct {
	reconcile.Store
	d *death
}

func (s dyingAt) GetRun(ctx context.Context, id uuid.UUID) (*reconcile.Run, error) {
	run, err := s.Store.GetRun(ctx, id)
	if err == nil && run.ShardsDone == run.Shards {
		s.d.mu.Lock()
		s.d.dead = true
		s.d.mu.Unlock()
		return nil, errDied
	}
	return run, err
}

// edited is a bucket whose listing somebody edits.
type edited struct {
	reconcile.Objects
	pages func(yield func([]reconcile.Listed, error) bool, all iter.Seq2[[]reconcile.Listed, error])
}

func (e edited) List(ctx context.Context, r reconcile.Range) iter.Seq2[[]reconcile.Listed, error] {
	return func(yield func([]reconcile.Listed, error) bool) { e.pages(yield, e.Objects.List(ctx, r)) }
}

// TestMissingIsAskedFor: a listing that lacks an object is a hint.
func TestMissingIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ms := w.confirmed(3)
	w.remove(ms[0].Key)
	run := w.reconcile(func(p *parts) {
		p.objects = edited{p.objects, func(yield func([]reconcile.Listed, error) bool, _ iter.Seq2[[]reconcile.Listed, error]) {}}
	})
	w.want(run, reconcile.Counts{reconcile.CountMissing: 1, reconcile.CountExplained: 2})
	if got := w.missing(); len(got) != 1 || !got[ms[0].ID] {
		t.Errorf("missing are %v", got)
	}
}

// TestMissingRowThatChanged: an object that landed again after S3 was asked for it is not missing.
func TestMissingRowThatChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ms := w.confirmed(2)
	for _, m := range ms {
		w.remove(m.Key)
	}
	again := ms[0]
	run := w.reconcile(objects(eventful{afterHead: func(key string) {
		if key == again.Key {
			w.upload(again)
			_, err := w.store.Land(t.Context(), media.SourceNotification, []media.Landing{{
				MediaID: again.ID, SizeBytes: again.SizeBytes, ETag: "another", Sequencer: media.Sequencer(fmt.Sprintf("%040d", 7)),
			}})
			if err != nil {
				t.Error(err)
			}
		}
	}}))
	if got := w.missing(); len(got) != 1 || got[again.ID] || run.Counts[reconcile.CountMissing] != 1 {
		t.Errorf("missing are %v; the run counted %v", got, counted(run))
	}
}

// TestListingThatBreaksOff: a listing that ends in an error is not at its end. What was not listed is neither missing nor
// forgotten.
func TestListingThatBreaksOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(8)
	w.put("media/zz/foreign", nil)
	w.reconcile()
	seen := w.strays()["media/zz/foreign"].FirstSeenAt
	w.Advance(time.Hour)
	var cut atomic.Bool
	run := w.reconcile(func(p *parts) {
		p.Concurrency = 1
		p.objects = edited{p.objects, func(yield func([]reconcile.Listed, error) bool, all iter.Seq2[[]reconcile.Listed, error]) {
			for page, err := range all {
				if slices.ContainsFunc(page, func(o reconcile.Listed) bool { return o.Key == "media/zz/foreign" }) && cut.CompareAndSwap(false, true) {
					yield(nil, errors.New("the answer was cut off"))
					return
				}
				if !yield(page, err) {
					return
				}
			}
		}}
	})
	if !cut.Load() {
		t.Fatal("the listing was not cut")
	}
	w.want(run, reconcile.Counts{reconcile.CountExplained: 8, reconcile.CountForeign: 1})
	if got := w.strays()["media/zz/foreign"]; !got.FirstSeenAt.Equal(seen) {
		t.Errorf("the stray was seen first at %v, want %v", got.FirstSeenAt, seen)
	}
}

// TestManyPages: a shard that is longer than a page of S3's is listed to its end.
func TestManyPages(t *testing.T) {
	t.Parallel()
	for _, versioned := range []bool{false, true} {
		t.Run(fmt.Sprintf("versioned=%t", versioned), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{versioned: versioned})
			ms := w.confirmed(1)
			for i := range 1100 {
				w.put(fmt.Sprintf("media/%02x/tool/%d", 0xff, i), nil)
			}
			run := w.reconcile()
			w.want(run, reconcile.Counts{reconcile.CountExplained: 1, reconcile.CountForeign: 1100})
			if len(w.missing()) != 0 {
				t.Errorf("%v is missing", ms[0].Key)
			}
		})
	}
}

// TestOldInventory: an inventory says nothing of what was stored or seen since its scan began.
func TestOldInventory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(2)
	scanned := w.Now()
	listing := inventory(w.listed())
	w.Advance(time.Hour)
	since := w.confirmed(3)
	stray := mintedKey(w)
	w.put(stray, []byte("orphan"))
	w.reconcile()
	w.remove(since[0].Key) // and nobody can know from the inventory
	w.Advance(time.Hour)
	heads := 0
	r := w.reconciler(objects(eventful{beforeHead: func(string) { heads++ }}))
	run, err := r.Begin(t.Context(), settingsOf(with(func(s *reconcile.Settings) { s.Source, s.SourceAt = "s3://inventory/manifest.json", scanned })))
	if err != nil {
		t.Fatal(err)
	}
	done, err := r.Work(t.Context(), run.ID, listing)
	if err != nil {
		t.Fatal(err)
	}
	w.want(done, reconcile.Counts{reconcile.CountExplained: 2})
	if heads > 0 || len(w.missing()) > 0 {
		t.Errorf("S3 was asked %d times, and %v are missing", heads, w.missing())
	}
	if _, ok := w.strays()[stray]; !ok {
		t.Error("a stray that was seen after the scan is forgotten")
	}
}

type inventory []reconcile.Listed

func (i inventory) List(context.Context, reconcile.Range) iter.Seq2[[]reconcile.Listed, error] {
	return func(yield func([]reconcile.Listed, error) bool) { yield(i, nil) }
}

// TestUnclearIsNotForgotten: a run that could not ask for an object, or whose row somebody held, does not end what is known
// of it: a media stays missing, and a removal that was begun is not taken for one that was done.
func TestUnclearIsNotForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ms := w.confirmed(2)
	for _, m := range ms {
		w.remove(m.Key)
	}
	stray := w.dueStray()
	w.put(mintedKey(w), nil)
	if _, err := w.db.ExecContext(t.Context(), `UPDATE coatcheck.stray SET deleting_at = ? WHERE key = ?`, w.Now(), stray); err != nil {
		t.Fatal(err)
	}
	tx, err := w.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it only holds a row
	if _, err := tx.Exec(`SELECT 1 FROM coatcheck.media WHERE id = ? FOR UPDATE`, ms[1].ID); err != nil {
		t.Fatal(err)
	}
	r := w.reconciler()
	for _, key := range []string{ms[0].Key, stray} {
		listing := inventory(w.listed()) // by a run of an inventory S3 is asked for strays too
		w.emu.Faults().Clear()
		w.emu.Faults().Fail(awsemu.Match{Operation: "HeadObject", KeyContains: key}, awsemu.Forever, 403, "AccessDenied")
		w.Advance(time.Hour)
		run, err := r.Begin(t.Context(), settingsOf(with(func(s *reconcile.Settings) { s.Source, s.SourceAt = "s3://inventory/manifest.json", w.Now() })))
		if err != nil {
			t.Fatal(err)
		}
		done, err := r.Work(t.Context(), run.ID, listing)
		if err != nil {
			t.Fatal(err)
		}
		if c := done.Counts; c[reconcile.CountUnclear] != 1 || c[reconcile.CountChanged] != 1 {
			t.Errorf("%s: the run counted %v", key, counted(done))
		}
		if got := w.missing(); len(got) != 2 {
			t.Errorf("%s could not be asked for, and missing are %v", key, got)
		}
		if _, ok := w.strays()[stray]; !ok {
			t.Errorf("%s could not be asked for, and the stray is forgotten", key)
		}
	}
}

// TestTrialOfAnAdoptionForgetsNothing: what is known of strays below the managed prefix is so after a dry run of an
// adoption, even of the whole bucket.
func TestTrialOfAnAdoptionForgetsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.put("media/tool.cfg", []byte("not ours"))
	w.put("legacy/a", []byte("not managed yet"))
	stray := w.dueStray()
	before := w.strays()
	for _, prefix := range []string{"legacy/", ""} {
		run := w.reconcile(dryRun, with(func(s *reconcile.Settings) { s.Adopt, s.AdoptPrefix = true, prefix }))
		if n := run.Counts[reconcile.CountStrays] + run.Counts[reconcile.CountForeign]; n != 3 {
			t.Errorf("a trial of %q counted %v", prefix, counted(run))
		}
		after := w.strays()
		if len(after) != len(before) {
			t.Errorf("before a trial of %q there were %d strays, and after it %d", prefix, len(before), len(after))
		}
		for key, s := range before {
			if !after[key].FirstSeenAt.Equal(s.FirstSeenAt) || after[key].Ours != s.Ours {
				t.Errorf("stray %s was %+v before a trial of %q, and is %+v", key, s, prefix, after[key])
			}
		}
	}
	run := w.reconcile(policy(reconcile.PolicyDelete))
	if run.Counts[reconcile.CountRemoved] != 1 || w.held()[stray] {
		t.Errorf("after the trials the run counted %v", counted(run))
	}
}
