package reconcile_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// removeVersions deletes every version of a key, behind the service's back.
func (w *world) removeVersions(key string) {
	w.t.Helper()
	out, err := w.s3.ListObjectVersions(w.t.Context(), &s3.ListObjectVersionsInput{Bucket: bucket, Prefix: &key})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, v := range out.Versions {
		if aws.ToString(v.Key) != key {
			continue
		}
		if _, err := w.s3.DeleteObject(w.t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: &key, VersionId: v.VersionId}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestHiddenVersions: below a delete marker the version that was confirmed is still there, and still the one served.
func TestHiddenVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{versioned: true})
	ms := w.confirmed(2)
	w.remove(ms[0].Key) // adds a marker
	w.want(w.reconcile(), reconcile.Counts{
		reconcile.CountExplained: 1, reconcile.CountHidden: 1, reconcile.CountNoncurrent: 1, reconcile.CountDeleteMarkers: 1,
	})
	out, err := w.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: &ms[0].Key, VersionId: aws.String(w.get(ms[0]).VersionID)})
	if err != nil || out.VersionId == nil {
		t.Errorf("the version is gone: %v", err)
	}
	w.removeVersions(ms[1].Key)
	w.want(w.reconcile(), reconcile.Counts{
		reconcile.CountMissing: 1, reconcile.CountHidden: 1, reconcile.CountNoncurrent: 1, reconcile.CountDeleteMarkers: 1,
	})
}

// TestConfirmedVersionIsGone: an object with the same bytes does not stand in for the version that was confirmed, which is
// what a download asks for.
func TestConfirmedVersionIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{versioned: true})
	ms := w.confirmed(3)
	for _, m := range ms[:2] {
		w.upload(m) // the same contents once more, as another version
	}
	key, version := ms[0].Key, w.get(ms[0]).VersionID
	if _, err := w.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: &key, VersionId: &version}); err != nil {
		t.Fatal(err)
	}
	w.want(w.reconcile(), reconcile.Counts{reconcile.CountExplained: 2, reconcile.CountMissing: 1, reconcile.CountNoncurrent: 1})
	if got := w.missing(); !got[ms[0].ID] || len(got) != 1 {
		t.Errorf("missing are %v", got)
	}
}

// TestVersioningEnabledBeforeARemoval: a stray's version goes too when the bucket has had its versioning enabled since it was
// asked, or nothing would ever see it again.
func TestVersioningEnabledBeforeARemoval(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	key := w.dueStray()
	w.listed() // there are no versions, which is believed for an hour
	w.version(types.BucketVersioningStatusEnabled)
	w.want(w.reconcile(policy(reconcile.PolicyDelete)), reconcile.Counts{reconcile.CountStrays: 1, reconcile.CountRemoved: 1})
	out, err := w.s3.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: bucket, Prefix: &key})
	if err != nil || len(out.Versions)+len(out.DeleteMarkers) > 0 {
		t.Errorf("%d versions and %d delete markers of it are left, error %v", len(out.Versions), len(out.DeleteMarkers), err)
	}
}
