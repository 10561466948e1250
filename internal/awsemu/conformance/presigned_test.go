package conformance

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// presignedPut is what CreateUpload hands to a client.
type presignedPut struct {
	url    string
	header http.Header // every header that is signed, Host and Content-Length too
}

// presignPut signs an upload of content as coatcheck does: size, type, checksum and write-once are all signed.
func (e *env) presignPut(bucket, key string, content []byte, change ...func(*s3.PutObjectInput)) presignedPut {
	return e.presignPutFor(time.Minute, bucket, key, content, change...)
}

func (e *env) presignPutFor(ttl time.Duration, bucket, key string, content []byte, change ...func(*s3.PutObjectInput)) presignedPut {
	in := &s3.PutObjectInput{
		Bucket:         &bucket,
		Key:            &key,
		ContentLength:  ptr(int64(len(content))),
		ContentType:    ptr("image/jpeg"),
		ChecksumSHA256: ptr(sha256Base64(content)),
		IfNoneMatch:    ptr("*"),
	}
	for _, c := range change {
		c(in)
	}
	out, err := e.presign.PresignPutObject(e.Context(), in, s3.WithPresignExpires(ttl))
	e.must(err, "presigning")
	return presignedPut{url: out.URL, header: out.SignedHeader}
}

// with returns a copy of the header with one field set, or removed when the value is empty.
func (p presignedPut) with(name, value string) http.Header {
	h := p.header.Clone()
	for have := range h {
		if strings.EqualFold(have, name) {
			delete(h, have)
		}
	}
	if value != "" {
		h.Set(name, value)
	}
	return h
}

// withQuery returns the URL with one query parameter set.
func (p presignedPut) withQuery(e *env, name, value string) string {
	u, err := url.Parse(p.url)
	e.must(err, "parsing the presigned URL")
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

func noChecksum(in *s3.PutObjectInput) { in.ChecksumSHA256 = nil }

var presignedChecks = []check{
	{"put", func(e *env) {
		b, key := e.bucket(), "media/00/a b+é(1).jpg"
		p := e.presignPut(b, key, body)
		a := e.send("PUT", p.url, p.header, body)
		e.want(a, 200, "")
		if tag := a.header.Get("Etag"); tag != `"`+md5Hex(body)+`"` {
			e.Errorf("ETag %s, want the MD5 in quotes", tag)
		}
		h, err := e.s3.HeadObject(e.Context(), &s3.HeadObjectInput{Bucket: &b, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		e.must(err, "HEAD")
		if *h.ContentLength != int64(len(body)) || value(h.ContentType) != "image/jpeg" || value(h.ChecksumSHA256) != sha256Base64(body) {
			e.Errorf("HEAD says %d bytes, type %q, checksum %q", *h.ContentLength, value(h.ContentType), value(h.ChecksumSHA256))
		}
	}},
	{"too-long", refusedPut(403, "SignatureDoesNotMatch", func(e *env, p presignedPut) answer {
		return e.send("PUT", p.url, p.header, append([]byte("x"), body...))
	}, noChecksum)},
	{"too-short", refusedPut(403, "SignatureDoesNotMatch", func(e *env, p presignedPut) answer {
		return e.send("PUT", p.url, p.header, body[1:])
	}, noChecksum)},
	{"too-long-with-checksum", refusedPut(403, "SignatureDoesNotMatch", func(e *env, p presignedPut) answer {
		return e.send("PUT", p.url, p.header, append([]byte("x"), body...))
	})},
	{"wrong-content-type", refusedPut(403, "SignatureDoesNotMatch", func(e *env, p presignedPut) answer {
		return e.send("PUT", p.url, p.with("Content-Type", "text/html"), body)
	})},
	{"dropped-content-type", refusedPut(403, "", func(e *env, p presignedPut) answer {
		return e.send("PUT", p.url, p.with("Content-Type", ""), body)
	})},
	{"wrong-checksum-header", refusedPut(403, "SignatureDoesNotMatch", func(e *env, p presignedPut) answer {
		other := []byte("other-jpeg-bytes")
		return e.send("PUT", p.url, p.with("X-Amz-Checksum-Sha256", sha256Base64(other)), other)
	})},
	{"dropped-checksum", refusedPut(403, "", func(e *env, p presignedPut) answer {
		return e.send("PUT", p.url, p.with("X-Amz-Checksum-Sha256", ""), body)
	})},
	{"dropped-if-none-match", refusedPut(403, "", func(e *env, p presignedPut) answer {
		return e.send("PUT", p.url, p.with("If-None-Match", ""), body)
	})},
	{"other-if-none-match", refusedPut(403, "SignatureDoesNotMatch", func(e *env, p presignedPut) answer {
		return e.send("PUT", p.url, p.with("If-None-Match", `"00000000000000000000000000000000"`), body)
	})},
	{"extra-amz-header", refusedPut(403, "AccessDenied", func(e *env, p presignedPut) answer {
		return e.send("PUT", p.url, p.with("X-Amz-Meta-Sneaked", "in"), body)
	})},
	{"bad-signature", refusedPut(403, "SignatureDoesNotMatch", func(e *env, p presignedPut) answer {
		return e.send("PUT", p.withQuery(e, "X-Amz-Signature", strings.Repeat("0", 64)), p.header, body)
	})},
	{"longer-expiry", refusedPut(403, "SignatureDoesNotMatch", func(e *env, p presignedPut) answer {
		return e.send("PUT", p.withQuery(e, "X-Amz-Expires", "3600"), p.header, body)
	})},
	{"extra-query", refusedPut(403, "SignatureDoesNotMatch", func(e *env, p presignedPut) answer {
		return e.send("PUT", p.withQuery(e, "x-id2", "sneaked"), p.header, body)
	})},
	{"fewer-signed-headers", refusedPut(403, "", func(e *env, p presignedPut) answer {
		return e.send("PUT", p.withQuery(e, "X-Amz-SignedHeaders", "host"), p.with("Content-Type", "text/html"), body)
	})},
	{"unknown-access-key", refusedPut(403, "InvalidAccessKeyId", func(e *env, p presignedPut) answer {
		u := strings.Replace(p.url, "X-Amz-Credential="+e.accessKey, "X-Amz-Credential=AKIAIOSFODNN7NOSUCH", 1)
		return e.send("PUT", u, p.header, body)
	})},
	{"checksum-mismatch", refusedPut(400, "BadDigest", func(e *env, p presignedPut) answer {
		return e.send("PUT", p.url, p.header, []byte("HELLO-jpeg-bytes"))
	})},
	{"expired", func(e *env) {
		b := e.bucket()
		p := e.presignPutFor(time.Second, b, "k", body)
		time.Sleep(2200 * time.Millisecond)
		e.want(e.send("PUT", p.url, p.header, body), 403, "AccessDenied")
		e.notStored(b, "k")
	}},
	{"expiry-over-a-week", func(e *env) {
		b := e.bucket()
		p := e.presignPutFor(8*24*time.Hour, b, "k", body)
		e.want(e.send("PUT", p.url, p.header, body), 400, "AuthorizationQueryParametersError")
		e.notStored(b, "k")
	}},
	{"other-key", func(e *env) {
		b := e.bucket()
		p := e.presignPut(b, "key-one", body)
		e.want(e.send("PUT", strings.Replace(p.url, "key-one", "key-two", 1), p.header, body), 403, "SignatureDoesNotMatch")
		e.notStored(b, "key-two")
	}},
	{"other-bucket", func(e *env) {
		b, other := e.bucket(), e.bucket()
		p := e.presignPut(b, "k", body)
		e.want(e.send("PUT", strings.Replace(p.url, b, other, 1), p.header, body), 403, "SignatureDoesNotMatch")
		e.notStored(other, "k")
	}},
	{"other-method", func(e *env) {
		b := e.bucket()
		p := e.presignPut(b, "k", body)
		e.put(b, "k", body)
		e.want(e.send("DELETE", p.url, p.header, nil), 403, "SignatureDoesNotMatch")
		e.stored(b, "k", body)
	}},
	{"extra-plain-header", func(e *env) {
		// Browsers add headers of their own: only x-amz-* must be signed.
		b := e.bucket()
		p := e.presignPut(b, "k", body)
		h := p.with("User-Agent", "Mozilla/5.0")
		h.Set("Origin", "https://app.example")
		h.Set("Accept-Language", "en")
		e.want(e.send("PUT", p.url, h, body), 200, "")
		e.stored(b, "k", body)
	}},
	{"replay", func(e *env) {
		b := e.bucket()
		p := e.presignPut(b, "k", body)
		e.want(e.send("PUT", p.url, p.header, body), 200, "")
		e.want(e.send("PUT", p.url, p.header, body), 412, "PreconditionFailed")
		e.stored(b, "k", body)
	}},
	{"replay-over-other-content", func(e *env) {
		b := e.bucket()
		p := e.presignPut(b, "k", body)
		e.put(b, "k", []byte("there first"))
		e.want(e.send("PUT", p.url, p.header, body), 412, "PreconditionFailed")
		e.stored(b, "k", []byte("there first"))
	}},
	{"replay-after-delete", func(e *env) {
		// Nothing but time ends a URL: the reason for tombstones.
		b := e.bucket()
		p := e.presignPut(b, "k", body)
		e.want(e.send("PUT", p.url, p.header, body), 200, "")
		_, err := e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("k")})
		e.must(err, "deleting")
		e.want(e.send("PUT", p.url, p.header, body), 200, "")
	}},
	{"concurrent-replays", func(e *env) {
		b := e.bucket()
		p := e.presignPut(b, "k", body)
		answers := make([]answer, 8)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() { answers[i] = e.send("PUT", p.url, p.header, body) })
		}
		wg.Wait()
		won := 0
		for _, a := range answers {
			switch {
			case a.status == 200:
				won++
			case a.status != 412 && a.status != 409:
				e.Errorf("a loser got %d %s, want 412 or 409", a.status, a.code)
			}
		}
		if won != 1 {
			e.Errorf("%d of 8 uploads with one URL succeeded, want 1", won)
		}
	}},
	{"chunked-transfer-encoding", func(e *env) {
		// Without a Content-Length the signed one does not match: refused in any case.
		b := e.bucket()
		p := e.presignPut(b, "k", body)
		a := e.sendChunked(p.url, p.header, body)
		if a.status != 403 && a.status != 411 {
			e.Errorf("got %d %s, want 403 or 411", a.status, a.code)
		}
		e.notStored(b, "k")
	}},
	{"slow-put-outlives-expiry", func(e *env) {
		// The signature is checked when the request starts.
		b := e.bucket()
		p := e.presignPutFor(2*time.Second, b, "k", body)
		e.want(e.sendSlowly(p.url, p.header, body, 3500*time.Millisecond), 200, "")
		e.stored(b, "k", body)
	}},
}

// refusedPut makes a check in which attempt misuses a presigned upload of body: it must be answered with the status
// and the code, if one is given, and store nothing.
func refusedPut(status int, code string, attempt func(*env, presignedPut) answer, change ...func(*s3.PutObjectInput)) func(*env) {
	return func(e *env) {
		b := e.bucket()
		p := e.presignPut(b, "k", body, change...)
		e.want(attempt(e, p), status, code)
		e.notStored(b, "k")
	}
}
