package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// TestBreaker: at the wrong database nothing is removed, and the run says why (R8).
func TestBreaker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(50)
	w.reconcile()
	_, err := w.db.ExecContext(t.Context(), `DELETE FROM coatcheck.media`) // as good as another one
	if err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	w.Advance(grace + time.Hour)
	cautious := with(func(s *reconcile.Settings) { s.MaxStrayShare = 0.05 })
	for _, p := range []reconcile.Policy{reconcile.PolicyDelete, reconcile.PolicyQuarantine} {
		run := w.reconcile(policy(p), cautious)
		if run.Outcome != reconcile.OutcomeTripped || !strings.Contains(run.Explanation, "50 of 50 objects (100 %) have no row") {
			t.Errorf("the run %s: %s", run.Outcome, run.Explanation)
		}
		if got := len(w.held()); got != 50 {
			t.Fatalf("%d of 50 objects are left (R8)", got)
		}
	}
	report := w.reconcile(cautious)
	if report.Outcome != reconcile.OutcomeFinished || !strings.Contains(report.Explanation, "would stop here") {
		t.Errorf("the report %s: %s", report.Outcome, report.Explanation)
	}
	// At exactly the share it goes on.
	for i := range 950 {
		key := fmt.Sprintf("media/tool/%d", i)
		w.put(key, []byte("in use"))
		w.insertRow(key)
	}
	if run := w.reconcile(policy(reconcile.PolicyDelete), cautious); run.Counts[reconcile.CountRemoved] != 50 {
		t.Errorf("the run %s: %s; it counted %v", run.Outcome, run.Explanation, counted(run))
	}
}

// TestStrayBudget: runs go on where the budget of the one before ended.
func TestStrayBudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	for range 25 {
		w.put(mintedKey(w), []byte("orphan"))
	}
	w.put("media/00/first", nil)
	w.reconcile()
	w.Advance(grace)
	for _, want := range []struct{ removed, left int64 }{{10, 15}, {10, 5}, {5, 0}} {
		run := w.reconcile(policy(reconcile.PolicyDelete), with(func(s *reconcile.Settings) { s.DeleteBudget = 10 }))
		if run.Counts[reconcile.CountRemoved] != want.removed || run.Counts[reconcile.CountKeptBudget] != want.left {
			t.Errorf("want %+v; the run counted %v", want, counted(run))
		}
		if (want.left > 0) != strings.Contains(run.Explanation, "budget") {
			t.Errorf("with %d left the run says %q", want.left, run.Explanation)
		}
	}
	if got := len(w.held()); got != 1 {
		t.Errorf("%d objects are left", got)
	}
}

// TestFailuresDoNotUseUpTheBudget, or strays that S3 refuses for good would hide all others.
func TestFailuresDoNotUseUpTheBudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	for i := range 4 {
		w.put(fmt.Sprintf("media/%02x/00000000-0000-4000-8000-0000000000%02x", i, i), []byte("refused"))
	}
	w.put("media/ff/00000000-0000-4000-8000-0000000000ff", []byte("last"))
	w.reconcile()
	w.Advance(grace)
	w.emu.Faults().FailKeys("media/0", awsemu.Forever, "AccessDenied")
	run := w.reconcile(policy(reconcile.PolicyDelete), with(func(s *reconcile.Settings) { s.DeleteBudget = 1 }), func(p *parts) { p.Concurrency = 1 })
	if run.Counts[reconcile.CountRemoved] != 1 {
		t.Errorf("the run counted %v", counted(run))
	}
	for key, s := range w.strays() {
		if s.LastError == "" && s.Attempts > 0 || !strings.HasPrefix(key, "media/0") {
			t.Errorf("stray %s: %+v", key, s)
		}
	}
}

// TestBudgetIsGivenBack: what was taken for strays that were not removed then, since S3 was down or the process was stopped,
// is there for the same strays when the run goes on.
func TestBudgetIsGivenBack(t *testing.T) {
	t.Parallel()
	const n = 10
	for name, change := range map[string]func(w *world, run uuid.UUID){
		"S3 is down": func(w *world, _ uuid.UUID) {
			w.emu.Faults().Fail(awsemu.Match{Operation: "HeadObject"}, 2*n, 503, "SlowDown")
			w.emu.Faults().Fail(awsemu.Match{Operation: "GetObject"}, 2, 503, "SlowDown")
		},
		"the process is stopped": func(w *world, run uuid.UUID) {
			ctx, stop := context.WithCancel(w.t.Context())
			defer stop()
			stopped := w.reconciler(objects(eventful{beforeHead: func(string) { stop() }}))
			if _, err := stopped.Work(ctx, run, nil); !errors.Is(err, context.Canceled) {
				w.t.Fatalf("it ended with %v", err)
			}
			w.Advance(time.Minute) // the leases end that it could not give back
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{})
			for i := range n { // in one shard
				w.put(fmt.Sprintf("media/00/00000000-0000-4000-8000-00000000%02x00", i), []byte("orphan"))
			}
			w.reconcile()
			w.Advance(grace)
			r := w.reconciler()
			run, err := r.Begin(t.Context(), settingsOf(policy(reconcile.PolicyDelete), with(func(s *reconcile.Settings) { s.DeleteBudget = n })))
			if err != nil {
				t.Fatal(err)
			}
			change(w, run.ID)
			done, err := r.Work(t.Context(), run.ID, nil)
			if err != nil {
				t.Fatal(err)
			}
			w.want(done, reconcile.Counts{reconcile.CountStrays: n, reconcile.CountRemoved: n})
		})
	}
}

// TestRestoredDatabase: in a copy of the database what is known of strays is old, and their grace periods begin anew.
func TestRestoredDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	if err := w.store.BindBucket(t.Context(), *bucket, w.keys.Prefix()); err != nil {
		t.Fatal(err)
	}
	key := w.dueStray()
	if _, err := w.db.ExecContext(t.Context(), `UPDATE coatcheck.deployment SET database_identity = 'the one of the backup'`); err != nil {
		t.Fatal(err)
	}
	w.want(w.reconcile(policy(reconcile.PolicyDelete)), reconcile.Counts{reconcile.CountStrays: 1, reconcile.CountKeptRecent: 1})
	w.Advance(grace)
	w.want(w.reconcile(policy(reconcile.PolicyDelete)), reconcile.Counts{reconcile.CountStrays: 1, reconcile.CountRemoved: 1})
	if w.held()[key] {
		t.Error("it never goes")
	}
}

// TestBreakerLooksAtWhatIsOurs: objects that no run would remove say nothing of the database (R8).
func TestBreakerLooksAtWhatIsOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{bare: true})
	for range 5 {
		w.put(mintedKey(w), []byte("somebody's")) // and not a row of them is here
	}
	for i := range 200 {
		w.put(fmt.Sprintf("logs/%d", i), nil)
	}
	w.reconcile()
	w.Advance(grace)
	run := w.reconcile(policy(reconcile.PolicyDelete), with(func(s *reconcile.Settings) { s.MaxStrayShare = 0.05 }))
	if run.Outcome != reconcile.OutcomeTripped || run.Counts[reconcile.CountRemoved] != 0 {
		t.Errorf("the run %s: %s; it counted %v", run.Outcome, run.Explanation, counted(run))
	}
}

// TestUntoldStraysStay: what S3 could not be asked for the breaker has not counted, and the run does not remove it (R8). It
// is not forgotten either, and goes in a run that sees it.
func TestUntoldStraysStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(20)
	const n = 20
	for range n {
		w.put(mintedKey(w), []byte("orphan"))
	}
	w.reconcile()
	w.Advance(grace)
	scanned, listing := w.Now(), inventory(w.listed())
	w.emu.Faults().Fail(awsemu.Match{Operation: "HeadObject"}, n-1, 503, "SlowDown")
	r := w.reconciler()
	run, err := r.Begin(t.Context(), settingsOf(policy(reconcile.PolicyDelete), with(func(s *reconcile.Settings) {
		s.Source, s.SourceAt, s.MaxStrayShare = "s3://inventory/manifest.json", scanned, 0.05
	})))
	if err != nil {
		t.Fatal(err)
	}
	done, err := r.Work(t.Context(), run.ID, listing)
	if err != nil {
		t.Fatal(err)
	}
	w.want(done, reconcile.Counts{
		reconcile.CountExplained: 20, reconcile.CountUnclear: n - 1, reconcile.CountStrays: 1, reconcile.CountRemoved: 1,
	})
	if got := len(w.held()); got != 20+n-1 {
		t.Errorf("%d objects are left (R8)", got)
	}
	w.want(w.reconcile(policy(reconcile.PolicyDelete)), reconcile.Counts{
		reconcile.CountExplained: 20, reconcile.CountStrays: n - 1, reconcile.CountRemoved: n - 1,
	})
}
