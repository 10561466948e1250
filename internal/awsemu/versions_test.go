package awsemu_test

import (
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

// versions pages through all versions as "key id latest marker", in the order S3 lists them in.
func (e *env) versions(max int32) (out []string) {
	e.t.Helper()
	in := &s3.ListObjectVersionsInput{Bucket: &e.bucket, MaxKeys: &max}
	for range 100 {
		r, err := e.s3.ListObjectVersions(e.t.Context(), in)
		e.ok(err)
		if n := len(r.Versions) + len(r.DeleteMarkers); n > int(max) {
			e.t.Fatalf("%d on a page of %d", n, max)
		}
		for _, v := range r.Versions {
			out = append(out, fmt.Sprint(*v.Key, " ", *v.VersionId, " ", *v.IsLatest))
		}
		for _, m := range r.DeleteMarkers {
			out = append(out, fmt.Sprint(*m.Key, " ", *m.VersionId, " ", *m.IsLatest, " marker"))
		}
		if !*r.IsTruncated {
			return out
		}
		in.KeyMarker, in.VersionIdMarker = r.NextKeyMarker, r.NextVersionIdMarker
	}
	e.t.Fatal("the listing does not end")
	return nil
}

func (e *env) getVersion(key, id string) string {
	out, err := e.s3.GetObject(e.t.Context(), &s3.GetObjectInput{Bucket: &e.bucket, Key: &key, VersionId: &id})
	if err != nil {
		return code(err)
	}
	data, err := io.ReadAll(out.Body)
	e.ok(err)
	return string(data)
}

// TestVersions follows one key through a bucket that is not versioned, is, and is suspended.
func TestVersions(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	if out := e.put("k", "null 1"); out.VersionId != nil {
		t.Errorf("version %s before versioning", *out.VersionId)
	}
	e.put("k", "null 2")
	e.versioning(types.BucketVersioningStatusEnabled)
	v1, v2 := *e.put("k", "one").VersionId, *e.put("k", "two").VersionId
	marker, err := e.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &e.bucket, Key: aws.String("k")})
	e.ok(err)
	if !*marker.DeleteMarker || e.exists("k") {
		t.Error("a delete marker does not hide the object")
	}
	m := *marker.VersionId
	for id, want := range map[string]string{v1: "one", v2: "two", "null": "null 2", m: "MethodNotAllowed", "none": "NoSuchVersion"} {
		if got := e.getVersion("k", id); got != want {
			t.Errorf("version %s is %q, want %q", id, got, want)
		}
	}
	want := []string{"k " + m + " true marker", "k " + v2 + " false", "k " + v1 + " false", "k null false"}
	if got := e.versions(1); !slices.Equal(got, want) {
		t.Errorf("versions %q, want %q", got, want)
	}
	if got := e.list("", "", "", 10); len(got) != 0 {
		t.Errorf("hidden, and listed: %q", got)
	}
	// Removing the marker brings the object back.
	out, err := e.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &e.bucket, Key: aws.String("k"), VersionId: &m})
	e.ok(err)
	if !*out.DeleteMarker || e.get("k") != "two" {
		t.Errorf("after the marker: %q", e.get("k"))
	}
	// Suspended: one null version, in front of the others, which stay.
	e.versioning(types.BucketVersioningStatusSuspended)
	e.put("k", "null 3")
	if got := e.versions(1); !slices.Equal(got, []string{"k null true", "k " + v2 + " false", "k " + v1 + " false"}) {
		t.Errorf("suspended: %q", got)
	}
	marker, err = e.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &e.bucket, Key: aws.String("k")})
	e.ok(err)
	if *marker.VersionId != "null" || e.getVersion("k", "null") != "MethodNotAllowed" || e.getVersion("k", v1) != "one" {
		t.Errorf("a null marker: %+v", marker)
	}
	for _, id := range []string{"null", v1, v2} {
		_, err := e.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &e.bucket, Key: aws.String("k"), VersionId: &id})
		e.ok(err)
	}
	if got := e.versions(10); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
	_, err = e.s3.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &e.bucket})
	e.ok(err)
}

// TestVersionPages pages through many versions of many keys, with every page size.
func TestVersionPages(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	e.versioning(types.BucketVersioningStatusEnabled)
	var want []string
	for k := range 4 {
		var ids []string
		for range k + 1 {
			ids = append(ids, *e.put(fmt.Sprintf("dir%d/k", k), "x").VersionId)
		}
		slices.Reverse(ids)
		for i, id := range ids {
			want = append(want, fmt.Sprintf("dir%d/k %s %v", k, id, i == 0))
		}
	}
	for size := range int32(len(want) + 1) {
		if got := e.versions(size + 1); !slices.Equal(got, want) {
			t.Errorf("pages of %d:\n%q, want\n%q", size+1, got, want)
		}
	}
	var prefixes []string
	in := &s3.ListObjectVersionsInput{Bucket: &e.bucket, MaxKeys: aws.Int32(3), Delimiter: aws.String("/")}
	for {
		out, err := e.s3.ListObjectVersions(t.Context(), in)
		e.ok(err)
		for _, p := range out.CommonPrefixes {
			prefixes = append(prefixes, *p.Prefix)
		}
		if !*out.IsTruncated {
			break
		}
		in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker
	}
	if !slices.Equal(prefixes, []string{"dir0/", "dir1/", "dir2/", "dir3/"}) {
		t.Errorf("prefixes %q", prefixes)
	}
}
