package conformance

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func crc32Base64(b []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)))
}

// trailerPut uploads content as SDKs do over TLS: in aws-chunked encoding with the CRC-32 behind it.
func (e *env) trailerPut(bucket, key string, content []byte, crc string) answer {
	chunked := fmt.Appendf(nil, "%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n", len(content), content, crc)
	return e.do(e.signed("PUT", e.url(bucket, key), chunked, signing{
		payloadHash: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
		header: http.Header{
			"Content-Encoding":             {"aws-chunked"},
			"X-Amz-Decoded-Content-Length": {fmt.Sprint(len(content))},
			"X-Amz-Trailer":                {"x-amz-checksum-crc32"},
			"X-Amz-Sdk-Checksum-Algorithm": {"CRC32"},
		},
	}))
}

var objectChecks = []check{
	{"head", func(e *env) {
		b := e.bucket()
		_, err := e.s3.PutObject(e.Context(), &s3.PutObjectInput{
			Bucket: &b, Key: ptr("k"), Body: bytes.NewReader(body), ContentType: ptr("image/png"),
			CacheControl: ptr("max-age=60"), Metadata: map[string]string{"media-id": "42"},
		})
		e.must(err, "putting")
		h, err := e.s3.HeadObject(e.Context(), &s3.HeadObjectInput{Bucket: &b, Key: ptr("k")})
		e.must(err, "HEAD")
		if value(h.ContentLength) != int64(len(body)) || value(h.ContentType) != "image/png" ||
			value(h.CacheControl) != "max-age=60" || h.Metadata["media-id"] != "42" || value(h.ETag) != `"`+md5Hex(body)+`"` {
			e.Errorf("HEAD says length %d, type %q, cache control %q, metadata %v, ETag %s",
				value(h.ContentLength), value(h.ContentType), value(h.CacheControl), h.Metadata, value(h.ETag))
		}
		if age := time.Since(value(h.LastModified)); age < -2*time.Second || age > time.Minute {
			e.Errorf("LastModified is %v", h.LastModified)
		}
		if h.ChecksumCRC32 != nil || h.ChecksumSHA256 != nil {
			e.Errorf("HEAD shows a checksum without being asked")
		}
	}},
	{"default-content-type", func(e *env) {
		b := e.bucket()
		e.want(e.do(e.signed("PUT", e.url(b, "k"), body, signing{})), 200, "")
		h, err := e.s3.HeadObject(e.Context(), &s3.HeadObjectInput{Bucket: &b, Key: ptr("k")})
		e.must(err, "HEAD")
		if value(h.ContentType) != "binary/octet-stream" {
			e.Errorf("Content-Type is %q", value(h.ContentType))
		}
	}},
	{"head-sha256", func(e *env) {
		b := e.bucket()
		out, err := e.s3.PutObject(e.Context(), &s3.PutObjectInput{Bucket: &b, Key: ptr("k"), Body: bytes.NewReader(body), ChecksumSHA256: ptr(sha256Base64(body))})
		e.must(err, "putting")
		h, err := e.s3.HeadObject(e.Context(), &s3.HeadObjectInput{Bucket: &b, Key: ptr("k"), ChecksumMode: types.ChecksumModeEnabled})
		e.must(err, "HEAD")
		if value(out.ChecksumSHA256) != sha256Base64(body) || value(h.ChecksumSHA256) != sha256Base64(body) {
			e.Errorf("PUT says %q, HEAD %q", value(out.ChecksumSHA256), value(h.ChecksumSHA256))
		}
		if h.ChecksumType != types.ChecksumTypeFullObject {
			e.Errorf("checksum type %q", h.ChecksumType)
		}
	}},
	{"sdk-default-crc32", func(e *env) {
		b := e.bucket()
		_, err := e.s3.PutObject(e.Context(), &s3.PutObjectInput{Bucket: &b, Key: ptr("k"), Body: bytes.NewReader(body)}, func(o *s3.Options) {
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported
		})
		e.must(err, "putting")
		h, err := e.s3.HeadObject(e.Context(), &s3.HeadObjectInput{Bucket: &b, Key: ptr("k"), ChecksumMode: types.ChecksumModeEnabled})
		e.must(err, "HEAD")
		if value(h.ChecksumCRC32) != crc32Base64(body) {
			e.Errorf("HEAD shows CRC32 %q", value(h.ChecksumCRC32))
		}
	}},
	{"trailer-crc32", func(e *env) {
		b := e.bucket()
		e.want(e.trailerPut(b, "k", body, crc32Base64(body)), 200, "")
		e.stored(b, "k", body)
		h, err := e.s3.HeadObject(e.Context(), &s3.HeadObjectInput{Bucket: &b, Key: ptr("k"), ChecksumMode: types.ChecksumModeEnabled})
		e.must(err, "HEAD")
		if value(h.ChecksumCRC32) != crc32Base64(body) || value(h.ContentLength) != int64(len(body)) || value(h.ContentEncoding) != "" {
			e.Errorf("HEAD shows CRC32 %q, length %d, encoding %q", value(h.ChecksumCRC32), value(h.ContentLength), value(h.ContentEncoding))
		}
	}},
	{"trailer-crc32-mismatch", func(e *env) {
		b := e.bucket()
		e.want(e.trailerPut(b, "k", body, crc32Base64([]byte("other"))), 400, "BadDigest")
		e.notStored(b, "k")
	}},
	{"sha256-mismatch", func(e *env) {
		b := e.bucket()
		_, err := e.s3.PutObject(e.Context(), &s3.PutObjectInput{Bucket: &b, Key: ptr("k"), Body: bytes.NewReader(body), ChecksumSHA256: ptr(sha256Base64([]byte("other")))})
		e.wantError(err, 400, "BadDigest")
		e.notStored(b, "k")
	}},
	{"malformed-sha256", func(e *env) {
		b := e.bucket()
		h := http.Header{"X-Amz-Checksum-Sha256": {"not-base64-of-32-bytes"}}
		e.want(e.do(e.signed("PUT", e.url(b, "k"), body, signing{header: h})), 400, "InvalidRequest")
		e.notStored(b, "k")
	}},
	{"content-md5-mismatch", func(e *env) {
		b := e.bucket()
		h := http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(make([]byte, 16))}}
		e.want(e.do(e.signed("PUT", e.url(b, "k"), body, signing{header: h})), 400, "BadDigest")
		e.notStored(b, "k")
	}},
	{"overwrite", func(e *env) {
		b := e.bucket()
		e.put(b, "k", []byte("one"))
		e.put(b, "k", []byte("two!"))
		e.stored(b, "k", []byte("two!"))
	}},
	{"put-if-none-match", func(e *env) {
		b := e.bucket()
		in := func() *s3.PutObjectInput {
			return &s3.PutObjectInput{Bucket: &b, Key: ptr("k"), Body: bytes.NewReader(body), IfNoneMatch: ptr("*")}
		}
		_, err := e.s3.PutObject(e.Context(), in())
		e.must(err, "putting")
		_, err = e.s3.PutObject(e.Context(), in())
		e.wantError(err, 412, "PreconditionFailed")
	}},
	{"put-if-match", func(e *env) {
		b := e.bucket()
		tag := e.put(b, "k", []byte("one")).ETag
		_, err := e.s3.PutObject(e.Context(), &s3.PutObjectInput{Bucket: &b, Key: ptr("k"), Body: bytes.NewReader(body), IfMatch: tag})
		e.must(err, "putting over the ETag")
		_, err = e.s3.PutObject(e.Context(), &s3.PutObjectInput{Bucket: &b, Key: ptr("k"), Body: bytes.NewReader(body), IfMatch: tag})
		e.wantError(err, 412, "PreconditionFailed")
		_, err = e.s3.PutObject(e.Context(), &s3.PutObjectInput{Bucket: &b, Key: ptr("none"), Body: bytes.NewReader(body), IfMatch: tag})
		e.wantError(err, 404, "NoSuchKey")
	}},
	{"get-conditions", func(e *env) {
		b := e.bucket()
		tag := value(e.put(b, "k", body).ETag)
		for _, c := range []struct {
			method, name, value string
			status              int
		}{
			{"GET", "If-None-Match", tag, 304}, {"GET", "If-None-Match", `"x"`, 200},
			{"GET", "If-Match", tag, 200}, {"GET", "If-Match", `"x"`, 412},
			{"HEAD", "If-None-Match", tag, 304}, {"HEAD", "If-Match", `"x"`, 412},
		} {
			a := e.do(e.signed(c.method, e.url(b, "k"), nil, signing{header: http.Header{c.name: {c.value}}}))
			if a.status != c.status {
				e.Errorf("%s with %s: %s is answered %d, want %d", c.method, c.name, c.value, a.status, c.status)
			}
		}
	}},
	{"head-missing", func(e *env) {
		b := e.bucket()
		_, err := e.s3.HeadObject(e.Context(), &s3.HeadObjectInput{Bucket: &b, Key: ptr("k")})
		e.wantError(err, 404, "NotFound")
	}},
	{"get-missing", func(e *env) {
		b := e.bucket()
		_, err := e.s3.GetObject(e.Context(), &s3.GetObjectInput{Bucket: &b, Key: ptr("k")})
		e.wantError(err, 404, "NoSuchKey")
	}},
	{"missing-bucket", func(e *env) {
		b := unique("no-such")
		_, err := e.s3.PutObject(e.Context(), &s3.PutObjectInput{Bucket: &b, Key: ptr("k"), Body: bytes.NewReader(body)})
		e.wantError(err, 404, "NoSuchBucket")
		_, err = e.s3.ListObjectsV2(e.Context(), &s3.ListObjectsV2Input{Bucket: &b})
		e.wantError(err, 404, "NoSuchBucket")
		_, err = e.s3.HeadBucket(e.Context(), &s3.HeadBucketInput{Bucket: &b})
		e.wantError(err, 404, "NotFound")
	}},
	{"delete-bucket-not-empty", func(e *env) {
		b := e.bucket()
		e.put(b, "k", body)
		_, err := e.s3.DeleteBucket(e.Context(), &s3.DeleteBucketInput{Bucket: &b})
		e.wantError(err, 409, "BucketNotEmpty")
	}},
	{"ranges", func(e *env) {
		b := e.bucket()
		e.put(b, "k", body)
		for _, c := range []struct {
			header, contentRange, content string
		}{
			{"bytes=0-4", "bytes 0-4/16", "hello"},
			{"bytes=11-", "bytes 11-15/16", "bytes"},
			{"bytes=-5", "bytes 11-15/16", "bytes"},
			{"bytes=11-999", "bytes 11-15/16", "bytes"},
		} {
			out, err := e.s3.GetObject(e.Context(), &s3.GetObjectInput{Bucket: &b, Key: ptr("k"), Range: &c.header})
			e.must(err, "getting "+c.header)
			got, err := io.ReadAll(out.Body)
			e.must(err, "reading "+c.header)
			if string(got) != c.content || value(out.ContentRange) != c.contentRange {
				e.Errorf("GET %s: %q, %s", c.header, got, value(out.ContentRange))
			}
			a := e.do(e.signed("HEAD", e.url(b, "k"), nil, signing{header: http.Header{"Range": {c.header}}}))
			if a.status != 206 || a.header.Get("Content-Range") != c.contentRange || a.header.Get("Content-Length") != fmt.Sprint(len(c.content)) {
				e.Errorf("HEAD %s: %d, range %q, length %s", c.header, a.status, a.header.Get("Content-Range"), a.header.Get("Content-Length"))
			}
		}
		_, err := e.s3.GetObject(e.Context(), &s3.GetObjectInput{Bucket: &b, Key: ptr("k"), Range: ptr("bytes=16-")})
		e.wantError(err, 416, "InvalidRange")
	}},
}
