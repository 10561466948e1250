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
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

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

// TestWhatS3WillNotTell: an object of which S3 never tells, as a bucket policy does of infected ones, keeps no run from its
// end, and is left as it is.
func TestWhatS3WillNotTell(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	stray := w.dueStray()
	tombstone := w.confirmed(1)[0]
	w.discard(media.EventRelease, tombstone)
	w.sweep()
	w.upload(tombstone)
	gone := w.confirmed(1)[0]
	w.remove(gone.Key)
	for key, status := range map[string]int{stray: 403, tombstone.Key: 400, gone.Key: 403} {
		w.emu.Faults().Fail(awsemu.Match{Operation: "HeadObject", KeyContains: key}, awsemu.Forever, status, "AccessDenied")
	}
	run := w.reconcile(policy(reconcile.PolicyDelete))
	w.want(run, reconcile.Counts{reconcile.CountUnclear: 2, reconcile.CountStrays: 1, reconcile.CountKeptUnclear: 1})
	if held := w.held(); !held[stray] || !held[tombstone.Key] {
		t.Errorf("the bucket holds %v", held)
	}
	if kinds := w.findings(run); kinds[tombstone.Key] != reconcile.KindUnclear || kinds[gone.Key] != reconcile.KindUnclear {
		t.Errorf("it found %v", kinds)
	}
	w.emu.Faults().Clear()
	w.want(w.reconcile(policy(reconcile.PolicyDelete)), reconcile.Counts{
		reconcile.CountLate: 1, reconcile.CountMissing: 1, reconcile.CountStrays: 1, reconcile.CountRemoved: 1,
	})
}
