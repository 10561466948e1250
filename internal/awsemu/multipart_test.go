package awsemu_test

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

const partSize = 5 << 20

// multipart uploads parts as one object.
func (e *env) multipart(key string, parts ...string) *s3.CompleteMultipartUploadOutput {
	e.t.Helper()
	id := e.create(key, "")
	out, err := e.complete(key, id, e.parts(key, id, parts...))
	e.ok(err)
	return out
}

func (e *env) create(key string, algo types.ChecksumAlgorithm) string {
	e.t.Helper()
	out, err := e.s3.CreateMultipartUpload(e.t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: &e.bucket, Key: &key, ContentType: aws.String("video/mp4"), ChecksumAlgorithm: algo, Metadata: map[string]string{"a": "b"},
	})
	e.ok(err)
	return *out.UploadId
}

func (e *env) parts(key, id string, parts ...string) (done []types.CompletedPart) {
	e.t.Helper()
	for i, body := range parts {
		out, err := e.s3.UploadPart(e.t.Context(), &s3.UploadPartInput{Bucket: &e.bucket, Key: &key, UploadId: &id, PartNumber: aws.Int32(int32(i + 1)), Body: strings.NewReader(body)})
		e.ok(err)
		done = append(done, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: out.ETag})
	}
	return done
}

func (e *env) complete(key, id string, parts []types.CompletedPart) (*s3.CompleteMultipartUploadOutput, error) {
	return e.s3.CompleteMultipartUpload(e.t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: &e.bucket, Key: &key, UploadId: &id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
}

func TestMultipart(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"", t.TempDir()} {
		e := start(t, awsemu.Config{Dir: dir})
		one, two := strings.Repeat("1", partSize), "the tail"
		out := e.multipart("k", one, two)
		a, b := md5.Sum([]byte(one)), md5.Sum([]byte(two))
		if want := fmt.Sprintf(`"%x-2"`, md5.Sum(slices.Concat(a[:], b[:]))); *out.ETag != want {
			t.Errorf("etag %s, want %s", *out.ETag, want)
		}
		if e.get("k") != one+two {
			t.Error("the object is not its parts")
		}
		part, err := e.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &e.bucket, Key: aws.String("k"), Range: aws.String(fmt.Sprintf("bytes=%d-%d", partSize-2, partSize+2))})
		e.ok(err)
		var buf bytes.Buffer
		_, _ = buf.ReadFrom(part.Body)
		if buf.String() != "11the" || part.Metadata["a"] != "b" || *part.ContentType != "video/mp4" {
			t.Errorf("a range over two parts is %q, %+v", buf.String(), part)
		}
		_, err = e.complete("k", "none", []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: out.ETag}})
		e.wantCode(err, "NoSuchUpload")
	}
}

func TestMultipartRefusals(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	id := e.create("k", "")
	done := e.parts("k", id, "too small", "tail")
	_, err := e.complete("k", id, done)
	e.wantCode(err, "EntityTooSmall")
	_, err = e.complete("k", id, []types.CompletedPart{done[1], done[0]})
	e.wantCode(err, "InvalidPartOrder")
	_, err = e.complete("k", id, []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: done[1].ETag}})
	e.wantCode(err, "InvalidPart")
	_, err = e.complete("k", id, []types.CompletedPart{{PartNumber: aws.Int32(3), ETag: done[1].ETag}})
	e.wantCode(err, "InvalidPart")
	_, err = e.complete("k", id, nil)
	e.wantCode(err, "MalformedXML")
	_, err = e.complete("other", id, done[:1])
	e.wantCode(err, "NoSuchUpload")
	_, err = e.s3.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &e.bucket, Key: aws.String("k"), UploadId: &id, PartNumber: aws.Int32(10001), Body: strings.NewReader("x")})
	e.wantCode(err, "InvalidArgument")
	if e.exists("k") {
		t.Error("an object without a complete upload")
	}
	// If-None-Match: refused while the key is taken, and the upload stays to be completed later.
	e.put("k", "taken")
	once := &s3.CompleteMultipartUploadInput{
		Bucket: &e.bucket, Key: aws.String("k"), UploadId: &id, IfNoneMatch: aws.String("*"),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: done[1:]},
	}
	_, err = e.s3.CompleteMultipartUpload(t.Context(), once)
	e.wantCode(err, "PreconditionFailed")
	_, err = e.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &e.bucket, Key: aws.String("k")})
	e.ok(err)
	_, err = e.s3.CompleteMultipartUpload(t.Context(), once)
	e.ok(err)
	if e.get("k") != "tail" {
		t.Errorf("stored %q", e.get("k"))
	}
	id = e.create("aborted", "")
	e.parts("aborted", id, "x")
	abort := &s3.AbortMultipartUploadInput{Bucket: &e.bucket, Key: aws.String("aborted"), UploadId: &id}
	_, err = e.s3.AbortMultipartUpload(t.Context(), abort)
	e.ok(err)
	_, err = e.s3.AbortMultipartUpload(t.Context(), abort)
	e.wantCode(err, "NoSuchUpload")
}

// TestMultipartChecksums lets the SDK verify what the emulator computes, by reading with checksums on.
func TestMultipartChecksums(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	whole := strings.Repeat("ab", partSize/2) + "tail"
	for algo, suffix := range map[types.ChecksumAlgorithm]string{
		types.ChecksumAlgorithmCrc32: "-2", types.ChecksumAlgorithmCrc32c: "-2", types.ChecksumAlgorithmSha1: "-2",
		types.ChecksumAlgorithmSha256: "-2", types.ChecksumAlgorithmCrc64nvme: "",
	} {
		key := string(algo)
		id := e.create(key, algo)
		var done []types.CompletedPart
		for i, body := range []string{whole[:partSize], whole[partSize:]} {
			n := aws.Int32(int32(i + 1))
			out, err := e.s3.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &e.bucket, Key: &key, UploadId: &id, PartNumber: n, Body: strings.NewReader(body), ChecksumAlgorithm: algo})
			e.ok(err)
			done = append(done, types.CompletedPart{
				PartNumber: n, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC32C: out.ChecksumCRC32C,
				ChecksumSHA1: out.ChecksumSHA1, ChecksumSHA256: out.ChecksumSHA256, ChecksumCRC64NVME: out.ChecksumCRC64NVME,
			})
		}
		lp, err := e.s3.ListParts(t.Context(), &s3.ListPartsInput{Bucket: &e.bucket, Key: &key, UploadId: &id, MaxParts: aws.Int32(1)})
		e.ok(err)
		if len(lp.Parts) != 1 || !*lp.IsTruncated || *lp.NextPartNumberMarker != "1" || lp.ChecksumAlgorithm != algo {
			t.Errorf("%s: parts %+v", algo, lp)
		}
		_, err = e.complete(key, id, done)
		e.ok(err)
		head, err := e.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &e.bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		e.ok(err)
		sum := aws.ToString(head.ChecksumCRC32) + aws.ToString(head.ChecksumCRC32C) + aws.ToString(head.ChecksumSHA1) + aws.ToString(head.ChecksumSHA256) + aws.ToString(head.ChecksumCRC64NVME)
		if sum == "" || strings.HasSuffix(sum, "-2") != (suffix != "") {
			t.Errorf("%s: checksum %q", algo, sum)
		}
		if e.get(key) != whole { // the SDK verifies full-object checksums while reading
			t.Errorf("%s: the object is not its parts", algo)
		}
	}
}

// TestListUploads pages through uploads by key and, for equal keys, by age.
func TestListUploads(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	var want []string
	for _, key := range []string{"é", "b", "a/2", "a/1", "b", "B", "b"} {
		want = append(want, key+" "+e.create(key, ""))
	}
	slices.SortStableFunc(want, func(a, b string) int {
		ka, _, _ := strings.Cut(a, " ")
		kb, _, _ := strings.Cut(b, " ")
		return strings.Compare(ka, kb)
	})
	var got []string
	in := &s3.ListMultipartUploadsInput{Bucket: &e.bucket, MaxUploads: aws.Int32(2)}
	for {
		out, err := e.s3.ListMultipartUploads(t.Context(), in)
		e.ok(err)
		for _, u := range out.Uploads {
			got = append(got, *u.Key+" "+*u.UploadId)
		}
		if !*out.IsTruncated {
			break
		}
		in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
	}
	if !slices.Equal(got, want) {
		t.Errorf("uploads\n%q, want\n%q", got, want)
	}
	out, err := e.s3.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &e.bucket, Delimiter: aws.String("/"), MaxUploads: aws.Int32(2)})
	e.ok(err)
	if len(out.Uploads) != 1 || len(out.CommonPrefixes) != 1 || *out.NextKeyMarker != "a/" {
		t.Fatalf("first page %+v", out)
	}
	out, err = e.s3.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &e.bucket, Delimiter: aws.String("/"), KeyMarker: out.NextKeyMarker})
	e.ok(err)
	if len(out.Uploads) != 4 || len(out.CommonPrefixes) != 0 {
		t.Errorf("second page %+v", out)
	}
	out, err = e.s3.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &e.bucket, KeyMarker: aws.String("b")})
	e.ok(err)
	if len(out.Uploads) != 1 || *out.Uploads[0].Key != "é" {
		t.Errorf("after every upload of b: %+v", out.Uploads)
	}
}
