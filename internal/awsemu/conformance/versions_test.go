package conformance

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// versions returns what ListObjectVersions shows as key@id, latest marked with *, delete markers with -. Versions come
// before markers, each in the listed order.
func (e *env) versions(bucket string) []string {
	out, err := e.s3.ListObjectVersions(e.Context(), &s3.ListObjectVersionsInput{Bucket: &bucket})
	e.must(err, "listing versions")
	var all []string
	for _, v := range out.Versions {
		all = append(all, entry(v.Key, v.VersionId, v.IsLatest, ""))
	}
	for _, m := range out.DeleteMarkers {
		all = append(all, entry(m.Key, m.VersionId, m.IsLatest, "-"))
	}
	return all
}

func entry(key, version *string, latest *bool, suffix string) string {
	s := value(key) + "@" + value(version) + suffix
	if value(latest) {
		s += "*"
	}
	return s
}

// setVersioning changes the bucket's state.
func (e *env) setVersioning(bucket string, status types.BucketVersioningStatus) {
	_, err := e.s3.PutBucketVersioning(e.Context(), &s3.PutBucketVersioningInput{
		Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: status},
	})
	e.must(err, "setting the versioning")
}

var versionChecks = []check{
	{"state", func(e *env) {
		b := e.bucket()
		out, err := e.s3.GetBucketVersioning(e.Context(), &s3.GetBucketVersioningInput{Bucket: &b})
		e.must(err, "getting the state")
		if out.Status != "" {
			e.Errorf("a new bucket says %q", out.Status)
		}
		if v := e.put(b, "k", body).VersionId; v != nil {
			e.Errorf("a PUT without versioning answers version %q", *v)
		}
		for _, s := range []types.BucketVersioningStatus{types.BucketVersioningStatusEnabled, types.BucketVersioningStatusSuspended} {
			e.setVersioning(b, s)
			out, err := e.s3.GetBucketVersioning(e.Context(), &s3.GetBucketVersioningInput{Bucket: &b})
			e.must(err, "getting the state")
			if out.Status != s {
				e.Errorf("got %q, want %q", out.Status, s)
			}
		}
	}},
	{"get-each", func(e *env) {
		b := e.versionedBucket()
		one, two := e.put(b, "k", []byte("one")).VersionId, e.put(b, "k", []byte("two!")).VersionId
		if value(one) == "" || value(one) == value(two) || value(one) == "null" {
			e.Fatalf("version ids %q and %q", value(one), value(two))
		}
		for version, want := range map[*string]string{one: "one", two: "two!", nil: "two!"} {
			out, err := e.s3.GetObject(e.Context(), &s3.GetObjectInput{Bucket: &b, Key: ptr("k"), VersionId: version})
			e.must(err, "getting")
			got, err := io.ReadAll(out.Body)
			e.must(err, "reading")
			if string(got) != want || (version != nil && value(out.VersionId) != *version) {
				e.Errorf("version %s holds %q and says %s", value(version), got, value(out.VersionId))
			}
			h, err := e.s3.HeadObject(e.Context(), &s3.HeadObjectInput{Bucket: &b, Key: ptr("k"), VersionId: version})
			e.must(err, "HEAD")
			if value(h.ContentLength) != int64(len(want)) || value(h.VersionId) != value(out.VersionId) {
				e.Errorf("HEAD of %s says %d bytes, version %s", value(version), value(h.ContentLength), value(h.VersionId))
			}
		}
		_, err := e.s3.GetObject(e.Context(), &s3.GetObjectInput{Bucket: &b, Key: ptr("other"), VersionId: one})
		e.wantError(err, 404, "NoSuchVersion")
	}},
	{"list", func(e *env) {
		b := e.versionedBucket()
		b1 := value(e.put(b, "b", body).VersionId)
		a1, a2 := value(e.put(b, "a", body).VersionId), value(e.put(b, "a", body).VersionId)
		d, err := e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("b")})
		e.must(err, "deleting")
		want := []string{"a@" + a2 + "*", "a@" + a1, "b@" + b1, "b@" + value(d.VersionId) + "-*"}
		e.wantKeys("versions", e.versions(b), want)
		keys, _, _ := e.listed(s3.ListObjectsV2Input{Bucket: &b})
		e.wantKeys("ListObjectsV2", keys, []string{"a"})
	}},
	{"list-prefix", func(e *env) {
		b := e.versionedBucket()
		e.putAll(b, []string{"k", "k/1", "l"})
		_, err := e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("l")})
		e.must(err, "deleting")
		out, err := e.s3.ListObjectVersions(e.Context(), &s3.ListObjectVersionsInput{Bucket: &b, Prefix: ptr("k")})
		e.must(err, "listing versions")
		var keys []string
		for _, v := range out.Versions {
			keys = append(keys, value(v.Key))
			if value(v.Size) == 0 || v.LastModified == nil || value(v.ETag) == "" {
				e.Errorf("version %+v", v)
			}
		}
		e.wantKeys("versions", keys, []string{"k", "k/1"})
		if len(out.DeleteMarkers) != 0 {
			e.Errorf("%d delete markers", len(out.DeleteMarkers))
		}
	}},
	{"list-pages", func(e *env) {
		b := e.versionedBucket()
		var want, got []string
		for i := range 3 {
			key := fmt.Sprintf("k%d", i)
			first, second := value(e.put(b, key, body).VersionId), value(e.put(b, key, body).VersionId)
			want = append(want, key+"@"+second, key+"@"+first)
		}
		in := &s3.ListObjectVersionsInput{Bucket: &b, MaxKeys: ptr(int32(2))}
		for pages := 1; ; pages++ {
			out, err := e.s3.ListObjectVersions(e.Context(), in)
			e.must(err, "listing versions")
			for _, v := range out.Versions {
				got = append(got, value(v.Key)+"@"+value(v.VersionId))
			}
			if !value(out.IsTruncated) || pages > 10 {
				break
			}
			in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker
		}
		if !slices.Equal(got, want) {
			e.Errorf("got %q, want %q", got, want)
		}
	}},
	{"delete-marker", func(e *env) {
		b := e.versionedBucket()
		v := e.put(b, "k", body).VersionId
		d, err := e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("k")})
		e.must(err, "deleting")
		if !value(d.DeleteMarker) || value(d.VersionId) == "" || value(d.VersionId) == value(v) {
			e.Errorf("delete marker %v, version %q", value(d.DeleteMarker), value(d.VersionId))
		}
		a := e.do(e.signed("GET", e.url(b, "k"), nil, signing{}))
		e.want(a, 404, "NoSuchKey")
		if a.header.Get("X-Amz-Delete-Marker") != "true" {
			e.Errorf("the 404 does not say x-amz-delete-marker")
		}
		a = e.do(e.signed("HEAD", e.url(b, "k"), nil, signing{query: "versionId=" + value(d.VersionId)}))
		e.want(a, 405, "")
		_, err = e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("k"), VersionId: d.VersionId})
		e.must(err, "deleting the marker")
		e.stored(b, "k", body)
	}},
	{"delete-missing-adds-marker", func(e *env) {
		b := e.versionedBucket()
		d, err := e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("k")})
		e.must(err, "deleting")
		e.wantKeys("versions", e.versions(b), []string{"k@" + value(d.VersionId) + "-*"})
	}},
	{"delete-version", func(e *env) {
		b := e.versionedBucket()
		one, two := e.put(b, "k", []byte("one")).VersionId, e.put(b, "k", []byte("two")).VersionId
		d, err := e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("k"), VersionId: two})
		e.must(err, "deleting")
		if value(d.DeleteMarker) {
			e.Errorf("a permanent delete says delete marker")
		}
		e.wantKeys("versions", e.versions(b), []string{"k@" + value(one) + "*"})
		e.stored(b, "k", []byte("one"))
	}},
	{"if-none-match-over-version", func(e *env) {
		b := e.versionedBucket()
		p := e.presignPut(b, "k", body)
		e.want(e.send("PUT", p.url, p.header, body), 200, "")
		e.want(e.send("PUT", p.url, p.header, body), 412, "PreconditionFailed")
		if n := len(e.versions(b)); n != 1 {
			e.Errorf("%d versions", n)
		}
	}},
	{"if-none-match-over-marker", func(e *env) {
		b := e.versionedBucket()
		p := e.presignPut(b, "k", body)
		e.want(e.send("PUT", p.url, p.header, body), 200, "")
		_, err := e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("k")})
		e.must(err, "deleting")
		e.want(e.send("PUT", p.url, p.header, body), 200, "")
		e.stored(b, "k", body)
	}},
	{"null-version", func(e *env) {
		// What was there before versioning has the id "null", and a suspended bucket overwrites just that.
		b := e.bucket()
		e.put(b, "k", []byte("before"))
		e.setVersioning(b, types.BucketVersioningStatusEnabled)
		v := value(e.put(b, "k", []byte("enabled")).VersionId)
		e.wantKeys("enabled", e.versions(b), []string{"k@" + v + "*", "k@null"})
		e.setVersioning(b, types.BucketVersioningStatusSuspended)
		_, err := e.s3.PutObject(e.Context(), &s3.PutObjectInput{Bucket: &b, Key: ptr("k"), Body: bytes.NewReader([]byte("suspended"))})
		e.must(err, "putting")
		e.wantKeys("suspended", e.versions(b), []string{"k@null*", "k@" + v})
		a := e.do(e.signed("GET", e.url(b, "k"), nil, signing{query: "versionId=null", header: http.Header{}}))
		if string(a.body) != "suspended" {
			e.Errorf("the null version holds %q", a.body)
		}
	}},
}
