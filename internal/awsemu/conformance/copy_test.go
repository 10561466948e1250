package conformance

import (
	"bytes"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// source stores an object with everything that a copy may keep or replace.
func (e *env) source(bucket, key string) *s3.PutObjectOutput {
	out, err := e.s3.PutObject(e.Context(), &s3.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: bytes.NewReader(body), ContentType: ptr("image/png"),
		Metadata: map[string]string{"media-id": "42"}, ChecksumSHA256: ptr(sha256Base64(body)),
	})
	e.must(err, "putting the source")
	return out
}

var copyChecks = []check{
	{"keeps", func(e *env) {
		b := e.bucket()
		e.source(b, "a b+é")
		out, err := e.s3.CopyObject(e.Context(), &s3.CopyObjectInput{Bucket: &b, Key: ptr("to"), CopySource: ptr(b + "/a%20b%2B%C3%A9")})
		e.must(err, "copying")
		if out.CopyObjectResult == nil || value(out.CopyObjectResult.ETag) != `"`+md5Hex(body)+`"` {
			e.Errorf("the result is %+v", out.CopyObjectResult)
		}
		e.stored(b, "to", body)
		h, err := e.s3.HeadObject(e.Context(), &s3.HeadObjectInput{Bucket: &b, Key: ptr("to"), ChecksumMode: types.ChecksumModeEnabled})
		e.must(err, "HEAD")
		if value(h.ContentType) != "image/png" || h.Metadata["media-id"] != "42" || value(h.ChecksumSHA256) != sha256Base64(body) {
			e.Errorf("type %q, metadata %v, checksum %q", value(h.ContentType), h.Metadata, value(h.ChecksumSHA256))
		}
	}},
	{"replaces", func(e *env) {
		b := e.bucket()
		e.source(b, "k")
		_, err := e.s3.CopyObject(e.Context(), &s3.CopyObjectInput{
			Bucket: &b, Key: ptr("to"), CopySource: ptr(b + "/k"), MetadataDirective: types.MetadataDirectiveReplace,
			ContentType: ptr("text/plain"), Metadata: map[string]string{"other": "1"},
		})
		e.must(err, "copying")
		h, err := e.s3.HeadObject(e.Context(), &s3.HeadObjectInput{Bucket: &b, Key: ptr("to")})
		e.must(err, "HEAD")
		if value(h.ContentType) != "text/plain" || h.Metadata["media-id"] != "" || h.Metadata["other"] != "1" {
			e.Errorf("type %q, metadata %v", value(h.ContentType), h.Metadata)
		}
	}},
	{"other-bucket", func(e *env) {
		from, to := e.bucket(), e.bucket()
		e.source(from, "k")
		_, err := e.s3.CopyObject(e.Context(), &s3.CopyObjectInput{Bucket: &to, Key: ptr("k"), CopySource: ptr(from + "/k")})
		e.must(err, "copying")
		e.stored(to, "k", body)
	}},
	{"missing-source", func(e *env) {
		b := e.bucket()
		_, err := e.s3.CopyObject(e.Context(), &s3.CopyObjectInput{Bucket: &b, Key: ptr("to"), CopySource: ptr(b + "/k")})
		e.wantError(err, 404, "NoSuchKey")
	}},
	{"if-match", func(e *env) {
		b := e.bucket()
		e.source(b, "k")
		_, err := e.s3.CopyObject(e.Context(), &s3.CopyObjectInput{Bucket: &b, Key: ptr("to"), CopySource: ptr(b + "/k"), CopySourceIfMatch: ptr(`"x"`)})
		e.wantError(err, 412, "PreconditionFailed")
		e.notStored(b, "to")
	}},
	{"onto-itself", func(e *env) {
		// Refused unless something changes.
		b := e.bucket()
		e.source(b, "k")
		_, err := e.s3.CopyObject(e.Context(), &s3.CopyObjectInput{Bucket: &b, Key: ptr("k"), CopySource: ptr(b + "/k")})
		e.wantError(err, 400, "InvalidRequest")
	}},
	{"version", func(e *env) {
		b := e.versionedBucket()
		first := e.source(b, "k")
		e.put(b, "k", []byte("newer"))
		_, err := e.s3.CopyObject(e.Context(), &s3.CopyObjectInput{Bucket: &b, Key: ptr("to"), CopySource: ptr(b + "/k?versionId=" + value(first.VersionId))})
		e.must(err, "copying")
		e.stored(b, "to", body)
	}},
}
