package conformance

import (
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// deleteObjects deletes the objects or versions in one call.
func (e *env) deleteObjects(bucket string, quiet bool, ids ...types.ObjectIdentifier) (*s3.DeleteObjectsOutput, error) {
	return e.s3.DeleteObjects(e.Context(), &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: ids, Quiet: &quiet}})
}

func id(key string) types.ObjectIdentifier { return types.ObjectIdentifier{Key: &key} }

func idVersion(key string, version *string) types.ObjectIdentifier {
	return types.ObjectIdentifier{Key: &key, VersionId: version}
}

// deletedKeys returns the keys that the answer calls deleted, sorted.
func deletedKeys(out *s3.DeleteObjectsOutput) []string {
	var keys []string
	for _, d := range out.Deleted {
		keys = append(keys, value(d.Key))
	}
	slices.Sort(keys)
	return keys
}

var deleteChecks = []check{
	{"one", func(e *env) {
		b := e.bucket()
		e.put(b, "k", body)
		a := e.do(e.signed("DELETE", e.url(b, "k"), nil, signing{}))
		e.want(a, 204, "")
		e.notStored(b, "k")
	}},
	{"one-missing", func(e *env) {
		b := e.bucket()
		e.want(e.do(e.signed("DELETE", e.url(b, "k"), nil, signing{})), 204, "")
	}},
	{"many", func(e *env) {
		b := e.bucket()
		e.putAll(b, []string{"a", "b c+é&<>", "kept"})
		out, err := e.deleteObjects(b, false, id("a"), id("b c+é&<>"), id("missing"))
		e.must(err, "deleting")
		e.wantKeys("Deleted", deletedKeys(out), []string{"a", "b c+é&<>", "missing"})
		if len(out.Errors) != 0 {
			e.Errorf("Errors %+v", out.Errors)
		}
		keys, _, _ := e.listed(s3.ListObjectsV2Input{Bucket: &b})
		e.wantKeys("left", keys, []string{"kept"})
	}},
	{"many-quiet", func(e *env) {
		b := e.bucket()
		e.putAll(b, []string{"a", "b"})
		out, err := e.deleteObjects(b, true, id("a"), id("b"), id("missing"))
		e.must(err, "deleting")
		if len(out.Deleted) != 0 || len(out.Errors) != 0 {
			e.Errorf("Deleted %+v, Errors %+v", out.Deleted, out.Errors)
		}
		e.notStored(b, "a")
	}},
	{"a-thousand", func(e *env) {
		b := e.bucket()
		e.putAll(b, []string{"k/0000", "k/0999"})
		var ids []types.ObjectIdentifier
		for i := range 1000 {
			ids = append(ids, id(fmt.Sprintf("k/%04d", i)))
		}
		out, err := e.deleteObjects(b, false, ids...)
		e.must(err, "deleting")
		if len(out.Deleted) != 1000 || len(out.Errors) != 0 {
			e.Errorf("%d deleted, %d errors", len(out.Deleted), len(out.Errors))
		}
		e.notStored(b, "k/0999")
	}},
	{"over-a-thousand", func(e *env) {
		b := e.bucket()
		e.put(b, "k/0000", body)
		var ids []types.ObjectIdentifier
		for i := range 1001 {
			ids = append(ids, id(fmt.Sprintf("k/%04d", i)))
		}
		_, err := e.deleteObjects(b, false, ids...)
		e.wantError(err, 400, "MalformedXML")
		e.stored(b, "k/0000", body)
	}},
	{"missing-bucket", func(e *env) {
		_, err := e.deleteObjects(unique("no-such"), false, id("k"))
		e.wantError(err, 404, "NoSuchBucket")
	}},
	{"if-match", func(e *env) {
		b := e.bucket()
		tag := e.put(b, "k", body).ETag
		_, err := e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("k"), IfMatch: ptr(`"00000000000000000000000000000000"`)})
		e.wantError(err, 412, "PreconditionFailed")
		e.stored(b, "k", body)
		_, err = e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("k"), IfMatch: tag})
		e.must(err, "deleting by the right ETag")
		e.notStored(b, "k")
	}},
	{"per-key-error", func(e *env) {
		// 200 for the call, and an error for one of its keys.
		b := e.bucket()
		e.put(b, "a", body)
		e.put(b, "b", body)
		changed := types.ObjectIdentifier{Key: ptr("b"), ETag: ptr(`"00000000000000000000000000000000"`)}
		out, err := e.deleteObjects(b, false, id("a"), changed)
		e.must(err, "deleting")
		e.wantKeys("Deleted", deletedKeys(out), []string{"a"})
		if len(out.Errors) != 1 || value(out.Errors[0].Key) != "b" || value(out.Errors[0].Code) != "PreconditionFailed" {
			e.Errorf("Errors %+v", out.Errors)
		}
		e.stored(b, "b", body)
	}},
	{"gone-version", func(e *env) {
		// A delete that is repeated because its answer was lost succeeds, as it does for a key.
		b := e.versionedBucket()
		version := e.put(b, "k", body).VersionId
		for range 2 {
			out, err := e.deleteObjects(b, false, idVersion("k", version))
			e.must(err, "deleting")
			if len(out.Deleted) != 1 || len(out.Errors) != 0 {
				e.Errorf("%d deleted, %d errors", len(out.Deleted), len(out.Errors))
				for _, f := range out.Errors {
					e.Errorf("%s: %s", value(f.Key), value(f.Code))
				}
			}
		}
		_, err := e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("k"), VersionId: version})
		e.must(err, "deleting it alone")
	}},
	{"per-version", func(e *env) {
		b := e.versionedBucket()
		one, two := e.put(b, "k", []byte("one")).VersionId, e.put(b, "k", []byte("two")).VersionId
		out, err := e.deleteObjects(b, false, idVersion("k", two))
		e.must(err, "deleting the newer")
		if len(out.Deleted) != 1 || value(out.Deleted[0].VersionId) != value(two) || value(out.Deleted[0].DeleteMarker) {
			e.Errorf("Deleted %+v", out.Deleted)
		}
		e.stored(b, "k", []byte("one"))
		_, err = e.deleteObjects(b, false, idVersion("k", one))
		e.must(err, "deleting the older")
		if n := len(e.versions(b)); n != 0 {
			e.Errorf("%d versions are left", n)
		}
	}},
	{"versioned-without-version", func(e *env) {
		b := e.versionedBucket()
		e.put(b, "k", body)
		out, err := e.deleteObjects(b, false, id("k"))
		e.must(err, "deleting")
		if len(out.Deleted) != 1 || !value(out.Deleted[0].DeleteMarker) || value(out.Deleted[0].DeleteMarkerVersionId) == "" {
			e.Fatalf("Deleted %+v", out.Deleted)
		}
		e.notStored(b, "k")
		out, err = e.deleteObjects(b, false, idVersion("k", out.Deleted[0].DeleteMarkerVersionId))
		e.must(err, "deleting the marker")
		if len(out.Deleted) != 1 || !value(out.Deleted[0].DeleteMarker) {
			e.Errorf("Deleted %+v", out.Deleted)
		}
		e.stored(b, "k", body)
	}},
}
