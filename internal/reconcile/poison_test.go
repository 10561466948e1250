package reconcile_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// TestOnePoisonedKey: a key that S3 refuses to tell of, for good, as a bucket policy does of infected objects, is left
// and reported; it neither keeps its shard from ending nor all later runs from beginning.
func TestOnePoisonedKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(2)
	gone := w.confirmed(1)[0]
	w.remove(gone.Key)
	w.emu.Faults().Fail(awsemu.Match{Operation: "HeadObject", KeyContains: gone.Key}, awsemu.Forever, 403, "AccessDenied")
	w.want(w.reconcile(), reconcile.Counts{reconcile.CountExplained: 2, reconcile.CountUnclear: 1})

	w.emu.Faults().Clear()
	key := w.dueStray()
	w.emu.Faults().Fail(awsemu.Match{Operation: "HeadObject", KeyContains: key}, awsemu.Forever, 403, "AccessDenied")
	run := w.reconcile(policy(reconcile.PolicyDelete))
	if run.Counts[reconcile.CountKeptUnclear] != 1 || !w.held()[key] {
		t.Errorf("the run counted %v", counted(run))
	}
}

// TestUnclearIsNotGone: that S3 could not be asked, or that somebody held the row, is no news of what was missing.
func TestUnclearIsNotGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(2)
	ms := w.confirmed(3)
	for _, m := range ms {
		w.remove(m.Key)
	}
	w.want(w.reconcile(), reconcile.Counts{reconcile.CountExplained: 2, reconcile.CountMissing: 3})

	w.emu.Faults().Fail(awsemu.Match{Operation: "HeadObject", KeyContains: ms[0].Key}, awsemu.Forever, 403, "AccessDenied")
	tx, err := w.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it only holds a row
	if _, err := tx.Exec(`SELECT 1 FROM coatcheck.media WHERE id = ? FOR UPDATE`, ms[1].ID); err != nil {
		t.Fatal(err)
	}
	run := w.reconcile()
	if c := run.Counts; c[reconcile.CountMissing] != 1 || c[reconcile.CountUnclear] != 1 || c[reconcile.CountChanged] != 1 {
		t.Errorf("the run counted %v", counted(run))
	}
	if got := w.missing(); len(got) != 3 {
		t.Errorf("%d are missing, want still 3", len(got))
	}
}

// TestAdoptAnyContentType: what other tools stored need not be text.
func TestAdoptAnyContentType(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	key := "uploads/latin1"
	_, err := w.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: &key, ContentType: aws.String("text/pl\xe4in")})
	if err != nil {
		t.Fatal(err)
	}
	w.stage("uploads/", false, reconcile.Adoption{Key: key, Claim: "post/1"})
	w.want(w.reconcile(adopting("uploads/")), reconcile.Counts{reconcile.CountAdopted: 1})
}

// TestFoldersThatPostgresCannotHold are no place to cut a prefix at.
func TestFoldersThatPostgresCannotHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	keys := []string{"uploads/a\x00b/1", "uploads/c/2", "uploads/\x00/3", "uploads/z"}
	for _, k := range keys {
		w.put(k, nil)
	}
	w.stage("uploads/", false, reconcile.Adoption{Key: "uploads/c/2", Claim: "post/1"})
	w.want(w.reconcile(adopting("uploads/")), reconcile.Counts{reconcile.CountAdopted: 1, reconcile.CountStrays: 3})
}

// TestGoingOnAtAKeyThatPostgresCannotHold neither fails nor counts anything twice.
func TestGoingOnAtAKeyThatPostgresCannotHold(t *testing.T) {
	t.Parallel()
	for _, odd := range []string{"media/a\x00b", "media/a\x00"} {
		w := newWorld(t, worldOptions{})
		for _, k := range []string{"media/a", odd, "media/a\x01", "media/b"} {
			w.put(k, []byte("in use"))
			if k != odd {
				w.insertRow(k)
			}
		}
		run, err := w.store.BeginRun(t.Context(), settingsOf(), 0, []reconcile.Range{{Prefix: "media/"}})
		if err != nil {
			t.Fatal(err)
		}
		sh, err := w.store.LeaseShard(t.Context(), run.ID, reconcile.ShardListing, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		counts := reconcile.Counts{reconcile.CountObjects: 2, reconcile.CountExplained: 1, reconcile.CountForeign: 1, reconcile.CountRows: 1}
		if err := w.store.Checkpoint(t.Context(), sh, reconcile.Batch{Position: odd, Counts: counts}); err != nil {
			t.Fatal(err)
		}
		w.Advance(time.Minute)
		done, err := w.reconciler().Work(t.Context(), run.ID, nil)
		if err != nil {
			t.Fatalf("%q: %v", odd, err)
		}
		w.want(done, reconcile.Counts{reconcile.CountExplained: 3, reconcile.CountForeign: 1})
	}
}

// flaky fails every other listing.
type flaky struct {
	reconcile.Objects
	calls *int
}

func (f flaky) List(ctx context.Context, g reconcile.Range) iter.Seq2[[]reconcile.Listed, error] {
	if *f.calls++; *f.calls%2 == 0 {
		return func(yield func([]reconcile.Listed, error) bool) { yield(nil, errors.New("slow down")) }
	}
	return f.Objects.List(ctx, g)
}

// TestProgressIsNoFailure: a run goes on as long as something of it succeeds, however often something fails.
func TestProgressIsNoFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(3)
	run := w.reconcile(func(p *parts) {
		p.Concurrency = 1
		p.objects = flaky{p.objects, new(int)}
	})
	w.want(run, reconcile.Counts{reconcile.CountExplained: 3})
}

// TestStoreWithoutMultipartUploads can be reconciled.
func TestStoreWithoutMultipartUploads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(2)
	w.emu.Faults().Fail(awsemu.Match{Operation: "ListMultipartUploads"}, awsemu.Forever, 501, "NotImplemented")
	w.want(w.reconcile(), reconcile.Counts{reconcile.CountExplained: 2})
}
