package reconcile_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// TestUnfinishedUploads: those of a run that may remove are aborted when they are old and ours, the others listed.
func TestUnfinishedUploads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	begin := func(key string) string {
		out, err := w.s3.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(out.UploadId)
	}
	begin(mintedKey(w))
	begin("media/some tool's+file")
	begin("elsewhere/1")
	w.Advance(8 * 24 * time.Hour)
	begin(mintedKey(w))
	w.want(w.reconcile(), reconcile.Counts{reconcile.CountUploads: 3})
	w.want(w.reconcile(policy(reconcile.PolicyDelete), dryRun), reconcile.Counts{reconcile.CountUploads: 3})
	w.want(w.reconcile(policy(reconcile.PolicyDelete)), reconcile.Counts{reconcile.CountUploads: 3, reconcile.CountUploadsAborted: 1})
	w.want(w.reconcile(policy(reconcile.PolicyDelete)), reconcile.Counts{reconcile.CountUploads: 2})
}

// TestTrippedRunAbortsNothing: what is wrong about strays may be wrong about uploads (R8).
func TestTrippedRunAbortsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	key := mintedKey(w)
	if _, err := w.s3.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: &key}); err != nil {
		t.Fatal(err)
	}
	w.put(mintedKey(w), nil)
	w.Advance(8 * 24 * time.Hour)
	run := w.reconcile(policy(reconcile.PolicyDelete), with(func(s *reconcile.Settings) { s.MaxStrayShare = 0 }))
	if run.Outcome != reconcile.OutcomeTripped || run.Counts[reconcile.CountUploads] != 1 || run.Counts[reconcile.CountUploadsAborted] != 0 {
		t.Errorf("the run %s and counted %v", run.Outcome, counted(run))
	}
	w.want(w.reconcile(), reconcile.Counts{reconcile.CountStrays: 1, reconcile.CountUploads: 1})
}

// TestStoreWithoutMultipartUploads can be reconciled.
func TestStoreWithoutMultipartUploads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(2)
	w.emu.Faults().Fail(awsemu.Match{Operation: "ListMultipartUploads"}, awsemu.Forever, 501, "NotImplemented")
	w.want(w.reconcile(), reconcile.Counts{reconcile.CountExplained: 2})
}
