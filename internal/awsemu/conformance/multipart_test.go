package conformance

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// upload is a multipart upload in the making.
type upload struct {
	e           *env
	bucket, key string
	id          *string
	parts       []types.CompletedPart
}

func (e *env) startUpload(bucket, key string) *upload {
	out, err := e.s3.CreateMultipartUpload(e.Context(), &s3.CreateMultipartUploadInput{
		Bucket: &bucket, Key: &key, ContentType: ptr("video/mp4"), Metadata: map[string]string{"media-id": "42"},
	})
	e.must(err, "creating an upload")
	if value(out.UploadId) == "" {
		e.Fatalf("an upload without an id")
	}
	return &upload{e: e, bucket: bucket, key: key, id: out.UploadId}
}

// part uploads the next part.
func (u *upload) part(content []byte) *upload {
	n := int32(len(u.parts) + 1)
	out, err := u.e.s3.UploadPart(u.e.Context(), &s3.UploadPartInput{
		Bucket: &u.bucket, Key: &u.key, UploadId: u.id, PartNumber: &n, Body: bytes.NewReader(content),
	})
	u.e.must(err, "uploading a part")
	u.parts = append(u.parts, types.CompletedPart{PartNumber: &n, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
	return u
}

func (u *upload) complete(change ...func(*s3.CompleteMultipartUploadInput)) (*s3.CompleteMultipartUploadOutput, error) {
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &u.bucket, Key: &u.key, UploadId: u.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
	}
	for _, c := range change {
		c(in)
	}
	return u.e.s3.CompleteMultipartUpload(u.e.Context(), in)
}

// unfinished returns the keys of the uploads that ListMultipartUploads shows.
func (e *env) unfinished(bucket, prefix string) []string {
	out, err := e.s3.ListMultipartUploads(e.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket, Prefix: &prefix})
	e.must(err, "listing uploads")
	var keys []string
	for _, u := range out.Uploads {
		keys = append(keys, value(u.Key))
		if value(u.UploadId) == "" || u.Initiated == nil || time.Since(*u.Initiated) > time.Minute {
			e.Errorf("upload %+v", u)
		}
	}
	return keys
}

func ifNoneMatch(in *s3.CompleteMultipartUploadInput) { in.IfNoneMatch = ptr("*") }

var bigPart = bytes.Repeat([]byte("x"), 5<<20)

var multipartChecks = []check{
	{"complete", func(e *env) {
		b := e.bucket()
		u := e.startUpload(b, "k").part(bigPart).part([]byte("tail"))
		out, err := u.complete()
		e.must(err, "completing")
		if !strings.HasSuffix(strings.Trim(value(out.ETag), `"`), "-2") {
			e.Errorf("ETag %s", value(out.ETag))
		}
		h, err := e.s3.HeadObject(e.Context(), &s3.HeadObjectInput{Bucket: &b, Key: ptr("k")})
		e.must(err, "HEAD")
		if value(h.ContentLength) != int64(len(bigPart)+4) || value(h.ContentType) != "video/mp4" || h.Metadata["media-id"] != "42" || value(h.ETag) != value(out.ETag) {
			e.Errorf("HEAD: %d bytes, %s, %v, %s", value(h.ContentLength), value(h.ContentType), h.Metadata, value(h.ETag))
		}
		e.stored(b, "k", append(bytes.Clone(bigPart), "tail"...))
		e.wantKeys("uploads", e.unfinished(b, ""), nil)
	}},
	{"composite-sha256", func(e *env) {
		// A SHA-256 of SHA-256s, which must not be taken for the object's own.
		b := e.bucket()
		created, err := e.s3.CreateMultipartUpload(e.Context(), &s3.CreateMultipartUploadInput{Bucket: &b, Key: ptr("k"), ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
		e.must(err, "creating an upload")
		part, err := e.s3.UploadPart(e.Context(), &s3.UploadPartInput{
			Bucket: &b, Key: ptr("k"), UploadId: created.UploadId, PartNumber: ptr(int32(1)),
			Body: bytes.NewReader(body), ChecksumSHA256: ptr(sha256Base64(body)),
		})
		e.must(err, "uploading a part")
		u := &upload{e: e, bucket: b, key: "k", id: created.UploadId}
		u.parts = []types.CompletedPart{{PartNumber: ptr(int32(1)), ETag: part.ETag, ChecksumSHA256: part.ChecksumSHA256}}
		_, err = u.complete()
		e.must(err, "completing")
		h, err := e.s3.HeadObject(e.Context(), &s3.HeadObjectInput{Bucket: &b, Key: ptr("k"), ChecksumMode: types.ChecksumModeEnabled})
		e.must(err, "HEAD")
		sum := sha256.Sum256(body)
		if want := sha256Base64(sum[:]) + "-1"; value(h.ChecksumSHA256) != want || h.ChecksumType != types.ChecksumTypeComposite {
			e.Errorf("HEAD shows %s of type %s, want %s", value(h.ChecksumSHA256), h.ChecksumType, want)
		}
	}},
	{"presigned-part", func(e *env) {
		b := e.bucket()
		u := e.startUpload(b, "k")
		p, err := e.presign.PresignUploadPart(e.Context(), &s3.UploadPartInput{
			Bucket: &b, Key: ptr("k"), UploadId: u.id, PartNumber: ptr(int32(1)), ContentLength: ptr(int64(len(body))),
		})
		e.must(err, "presigning")
		a := e.send("PUT", p.URL, p.SignedHeader, body[1:])
		e.want(a, 403, "SignatureDoesNotMatch")
		a = e.send("PUT", p.URL, p.SignedHeader, body)
		e.want(a, 200, "")
		u.parts = []types.CompletedPart{{PartNumber: ptr(int32(1)), ETag: ptr(a.header.Get("Etag"))}}
		_, err = u.complete()
		e.must(err, "completing")
		e.stored(b, "k", body)
	}},
	{"list-parts", func(e *env) {
		b := e.bucket()
		u := e.startUpload(b, "k").part(bigPart).part(body)
		out, err := e.s3.ListParts(e.Context(), &s3.ListPartsInput{Bucket: &b, Key: ptr("k"), UploadId: u.id})
		e.must(err, "listing parts")
		if len(out.Parts) != 2 || value(out.Parts[1].PartNumber) != 2 || value(out.Parts[1].Size) != int64(len(body)) || value(out.Parts[1].ETag) != value(u.parts[1].ETag) {
			e.Errorf("parts %+v", out.Parts)
		}
	}},
	{"list-uploads", func(e *env) {
		b := e.bucket()
		for _, k := range []string{"m/b", "m/a", "m/é", "m/B", "other"} {
			e.startUpload(b, k)
		}
		e.wantKeys("uploads", e.unfinished(b, "m/"), []string{"m/B", "m/a", "m/b", "m/é"})
	}},
	{"list-uploads-pages", func(e *env) {
		b := e.bucket()
		var want, got []string
		for _, k := range []string{"a", "b", "b", "c", "d"} {
			want = append(want, k)
			e.startUpload(b, k)
		}
		in := &s3.ListMultipartUploadsInput{Bucket: &b, MaxUploads: ptr(int32(2))}
		for pages := 1; ; pages++ {
			out, err := e.s3.ListMultipartUploads(e.Context(), in)
			e.must(err, "listing uploads")
			for _, u := range out.Uploads {
				got = append(got, value(u.Key))
			}
			if !value(out.IsTruncated) || pages > 10 {
				break
			}
			in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
		}
		e.wantKeys("uploads", got, want)
	}},
	{"abort", func(e *env) {
		b := e.bucket()
		u := e.startUpload(b, "k").part(body)
		_, err := e.s3.AbortMultipartUpload(e.Context(), &s3.AbortMultipartUploadInput{Bucket: &b, Key: ptr("k"), UploadId: u.id})
		e.must(err, "aborting")
		_, err = u.complete()
		e.wantError(err, 404, "NoSuchUpload")
		e.wantKeys("uploads", e.unfinished(b, ""), nil)
		e.notStored(b, "k")
	}},
	{"complete-if-none-match", func(e *env) {
		b := e.bucket()
		u := e.startUpload(b, "k").part(body)
		_, err := u.complete(ifNoneMatch)
		e.must(err, "completing on a free key")
		e.stored(b, "k", body)
	}},
	{"complete-if-none-match-refused", func(e *env) {
		b := e.bucket()
		u := e.startUpload(b, "k").part([]byte("late"))
		e.put(b, "k", body)
		_, err := u.complete(ifNoneMatch)
		e.wantError(err, 412, "PreconditionFailed")
		e.stored(b, "k", body)
		e.wantKeys("uploads", e.unfinished(b, ""), []string{"k"})
	}},
	{"part-too-small", func(e *env) {
		b := e.bucket()
		_, err := e.startUpload(b, "k").part([]byte("small")).part(body).complete()
		e.wantError(err, 400, "EntityTooSmall")
		e.notStored(b, "k")
	}},
	{"wrong-part-etag", func(e *env) {
		b := e.bucket()
		u := e.startUpload(b, "k").part(body)
		u.parts[0].ETag = ptr(`"00000000000000000000000000000000"`)
		_, err := u.complete()
		e.wantError(err, 400, "InvalidPart")
	}},
	{"parts-out-of-order", func(e *env) {
		b := e.bucket()
		u := e.startUpload(b, "k").part(bigPart).part(body)
		u.parts[0], u.parts[1] = u.parts[1], u.parts[0]
		_, err := u.complete()
		e.wantError(err, 400, "InvalidPartOrder")
	}},
	{"part-replaced", func(e *env) {
		b := e.bucket()
		u := e.startUpload(b, "k").part([]byte("first"))
		u.parts = nil
		u.part(body)
		_, err := u.complete()
		e.must(err, "completing")
		e.stored(b, "k", body)
	}},
}
