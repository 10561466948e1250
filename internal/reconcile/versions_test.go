package reconcile_test

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
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
