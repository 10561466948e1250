package postgres_test

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// begun begins a run with one shard, and leases it.
func (f *fixture) begun(t *testing.T, source string) (*reconcile.Run, *reconcile.Shard) {
	t.Helper()
	settings := reconcile.DefaultSettings()
	settings.Source = source
	run, err := f.BeginRun(t.Context(), settings, 0, []reconcile.Range{{Prefix: "media/"}})
	if err != nil {
		t.Fatal(err)
	}
	shard, err := f.LeaseShard(t.Context(), run.ID, reconcile.ShardListing, time.Minute)
	if err != nil || shard == nil {
		t.Fatal(shard, err)
	}
	return run, shard
}

func (f *fixture) end(t *testing.T, run *reconcile.Run, outcome reconcile.Outcome, counts reconcile.Counts) {
	t.Helper()
	run.Counts = counts
	if ended, err := f.EndRun(t.Context(), run, outcome, ""); err != nil || !ended {
		t.Fatal(ended, err)
	}
}

func (f *fixture) checkpoint(t *testing.T, shard *reconcile.Shard, b reconcile.Batch) {
	t.Helper()
	b.Counts = reconcile.Counts{}
	if err := f.Checkpoint(t.Context(), shard, b); err != nil {
		t.Fatal(err)
	}
}

func seconds(at time.Time) string { return strconv.FormatFloat(float64(at.Unix()), 'g', -1, 64) }

// TestReconciled counts strays by age and by whether they are ours, what is missing and still wanted, and tells of the
// newest listing that finished; and it asks at most once a minute.
func TestReconciled(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	reconciled := postgres.NewReconciled(open(t, f.url), f.Now, slog.New(slog.DiscardHandler))
	strays, bytes := map[string]int{}, map[string]int{}
	var missing int
	var last []string // of the newest run: the metrics that tell of it
	check := func(what string) {
		t.Helper()
		var b strings.Builder
		for _, m := range []struct {
			name, help string
			values     map[string]int
		}{
			{"coatcheck_strays", "Objects that no media explains and that were not removed, by the time since they were first seen, and by whether their keys can be attributed to coatcheck. As of at most a minute ago.", strays},
			{"coatcheck_stray_bytes", "Bytes of the objects that coatcheck_strays counts, without versions that are not current.", bytes},
		} {
			fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n", m.name, m.help, m.name)
			for _, age := range []string{"under_1d", "1d_7d", "7d_30d", "over_30d"} {
				for _, ours := range []string{"true", "false"} {
					fmt.Fprintf(&b, "%s{age=%q,ours=%q} %d\n", m.name, age, ours, m.values[age+" "+ours])
				}
			}
		}
		fmt.Fprintf(&b, "# HELP coatcheck_missing Media that have landed, are UPLOADED or CONFIRMED, and whose object S3 did not have when a reconciliation looked last.\n# TYPE coatcheck_missing gauge\ncoatcheck_missing %d\n", missing)
		for i, name := range []string{"coatcheck_reconcile_last_finished_timestamp_seconds", "coatcheck_reconcile_lost_notifications_share"} {
			if i < len(last) {
				help := "When the newest reconciliation of the bucket's listing that finished did so, in any process, in Unix time. Absent when none has."
				if i == 1 {
					help = "Of the media that had landed between that reconciliation and the one before, the share that was not learnt from a notification or while confirming, from 0 to 1. Absent when none had landed."
				}
				fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n%s %s\n", name, help, name, name, last[i])
			}
		}
		if err := testutil.CollectAndCompare(reconciled, strings.NewReader(b.String())); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("in the beginning")

	stray := func(key string, size int64, ours bool) reconcile.Stray {
		return reconcile.Stray{Key: "media/" + key, SizeBytes: size, ETag: "e", LastModified: f.Now(), Ours: ours}
	}
	run, shard := f.begun(t, reconcile.SourceListing)
	f.checkpoint(t, shard, reconcile.Batch{Position: "media/a", Strays: []reconcile.Stray{stray("a", 5_000_000_000, true)}})
	f.Advance(23 * 24 * time.Hour)
	shard, err := f.LeaseShard(t.Context(), run.ID, reconcile.ShardListing, 30*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	f.checkpoint(t, shard, reconcile.Batch{Position: "media/b", Strays: []reconcile.Stray{stray("b", 2, true)}})
	f.Advance(6 * 24 * time.Hour)
	f.checkpoint(t, shard, reconcile.Batch{Position: "media/c", Strays: []reconcile.Stray{stray("c", 3, false)}})
	f.Advance(24 * time.Hour) // to the microsecond 30, 7 and 1 days
	wanted, gone := f.bring(t, media.StateConfirmed), f.bring(t, media.StateConfirmed)
	f.checkpoint(t, shard, reconcile.Batch{
		Position: "media/e", Strays: []reconcile.Stray{stray("d", 4, false), stray("e", 5, false)},
		Missing: []reconcile.Row{{ID: wanted.ID, Key: wanted.Key, Revision: wanted.Revision}, {ID: gone.ID, Key: gone.Key, Revision: gone.Revision}},
	})
	strays = map[string]int{"over_30d true": 1, "7d_30d true": 1, "1d_7d false": 1, "under_1d false": 2}
	bytes = map[string]int{"over_30d true": 5_000_000_000, "7d_30d true": 2, "1d_7d false": 3, "under_1d false": 9}
	missing = 2
	check("a run under way")

	if _, err := f.Discard(t.Context(), alice, gone.ID, media.EventDelete, ""); err != nil {
		t.Fatal(err)
	}
	removed := stray("e", 5, false)
	if err := f.EndRemoval(t.Context(), shard, reconcile.Removal{Position: "media/e", Removed: []reconcile.Stray{removed}, Counts: reconcile.Counts{}}); err != nil {
		t.Fatal(err)
	}
	f.end(t, run, reconcile.OutcomeFinished, reconcile.Counts{})
	check("asked again at once")
	f.Advance(time.Minute)
	strays["under_1d false"], bytes["under_1d false"], missing = 1, 4, 1
	last = []string{seconds(f.Now().Add(-time.Minute))}
	check("a run with no landings")

	run, _ = f.begun(t, reconcile.SourceListing)
	f.Advance(time.Minute)
	f.end(t, run, reconcile.OutcomeFinished, reconcile.Counts{reconcile.CountLandedSince: 5, reconcile.CountLost: 1, reconcile.CountLanded: 3})
	last = []string{seconds(f.Now()), "0.5"}
	check("a run that found lost notifications")
	for outcome, source := range map[reconcile.Outcome]string{
		reconcile.OutcomeTripped: reconcile.SourceListing, reconcile.OutcomeAbandoned: reconcile.SourceListing,
		reconcile.OutcomeFinished: "s3://inventories/manifest.json",
	} {
		run, _ = f.begun(t, source)
		f.Advance(time.Minute)
		f.end(t, run, outcome, reconcile.Counts{reconcile.CountLandedSince: 1})
	}
	check("runs that did not finish, and one of an inventory")
}

// TestReconciledWithoutDatabase reports nothing rather than what is no longer true.
func TestReconciledWithoutDatabase(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	db := open(t, f.url)
	reconciled := postgres.NewReconciled(db, f.Now, slog.New(slog.DiscardHandler))
	if n := testutil.CollectAndCount(reconciled); n != 17 {
		t.Errorf("%d series, want 2 for each of 4 ages and 2 kinds, and what is missing", n)
	}
	db.Close()
	f.Advance(time.Minute)
	if n := testutil.CollectAndCount(reconciled); n != 0 {
		t.Errorf("%d series of a database that is closed", n)
	}
}

// TestRunProgress: a run that is done has all of its shards done, whether or not it was to remove anything.
func TestRunProgress(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	want := func(id uuid.UUID, done int) {
		t.Helper()
		run, err := f.GetRun(t.Context(), id)
		if err != nil || run.Shards != 1 || run.ShardsDone != done {
			t.Errorf("run %+v (%v), want %d of 1 shards done", run, err, done)
		}
	}
	for _, removing := range []bool{false, true} {
		run, shard := f.begun(t, reconcile.SourceListing)
		want(run.ID, 0)
		f.checkpoint(t, shard, reconcile.Batch{Done: true})
		want(run.ID, 1)
		if removing {
			if err := f.BeginRemoving(t.Context(), run.ID); err != nil {
				t.Fatal(err)
			}
			want(run.ID, 0)
			shard, err := f.LeaseShard(t.Context(), run.ID, reconcile.ShardListed, time.Minute)
			if err == nil {
				err = f.EndRemoval(t.Context(), shard, reconcile.Removal{Done: true, Counts: reconcile.Counts{}})
			}
			if err != nil {
				t.Fatal(err)
			}
			want(run.ID, 1)
			run.Phase = reconcile.PhaseRemoving
		}
		f.end(t, run, reconcile.OutcomeFinished, reconcile.Counts{})
		want(run.ID, 1)
	}
}
