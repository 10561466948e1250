package conformance

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

var authChecks = []check{
	{"signed-put", func(e *env) {
		b := e.bucket()
		h := http.Header{"Content-Type": {"image/png"}, "X-Amz-Meta-Media": {"42"}}
		e.want(e.do(e.signed("PUT", e.url(b, "a b+é/k"), body, signing{header: h})), 200, "")
		e.stored(b, "a b+é/k", body)
	}},
	{"unsigned-payload", func(e *env) {
		b := e.bucket()
		e.want(e.do(e.signed("PUT", e.url(b, "k"), body, signing{payloadHash: "UNSIGNED-PAYLOAD"})), 200, "")
		e.stored(b, "k", body)
	}},
	{"wrong-secret", func(e *env) {
		b := e.bucket()
		_, err := e.newS3(e.accessKey, "not-the-secret").PutObject(e.Context(), &s3.PutObjectInput{Bucket: &b, Key: ptr("k"), Body: bytes.NewReader(body)})
		e.wantError(err, 403, "SignatureDoesNotMatch")
		e.notStored(b, "k")
	}},
	{"unknown-access-key", func(e *env) {
		b := e.bucket()
		_, err := e.newS3("AKIAIOSFODNN7NOSUCH", e.secretKey).PutObject(e.Context(), &s3.PutObjectInput{Bucket: &b, Key: ptr("k"), Body: bytes.NewReader(body)})
		e.wantError(err, 403, "InvalidAccessKeyId")
		e.notStored(b, "k")
	}},
	{"anonymous-put", func(e *env) {
		b := e.bucket()
		e.want(e.send("PUT", e.url(b, "k"), nil, body), 403, "AccessDenied")
		e.notStored(b, "k")
	}},
	{"anonymous-get", func(e *env) {
		b := e.bucket()
		e.put(b, "k", body)
		e.want(e.send("GET", e.url(b, "k"), nil, nil), 403, "AccessDenied")
	}},
	{"anonymous-list", func(e *env) {
		b := e.bucket()
		e.want(e.send("GET", e.endpoint+"/"+b+"?list-type=2", nil, nil), 403, "AccessDenied")
	}},
	{"changed-header", func(e *env) {
		b := e.bucket()
		req := e.signed("PUT", e.url(b, "k"), body, signing{header: http.Header{"X-Amz-Meta-Media": {"42"}}})
		req.Header.Set("X-Amz-Meta-Media", "43")
		e.want(e.do(req), 403, "SignatureDoesNotMatch")
		e.notStored(b, "k")
	}},
	{"changed-path", func(e *env) {
		b := e.bucket()
		req := e.signed("PUT", e.url(b, "k"), body, signing{})
		req.URL.Path = "/" + b + "/other"
		e.want(e.do(req), 403, "SignatureDoesNotMatch")
		e.notStored(b, "other")
	}},
	{"changed-body", func(e *env) {
		b := e.bucket()
		req := e.signed("PUT", e.url(b, "k"), body, signing{})
		other := bytes.ToUpper(body)
		req.Body = io.NopCloser(bytes.NewReader(other))
		req.GetBody = nil
		e.want(e.do(req), 400, "XAmzContentSHA256Mismatch")
		e.notStored(b, "k")
	}},
	{"old-date", func(e *env) {
		b := e.bucket()
		req := e.signed("PUT", e.url(b, "k"), body, signing{at: time.Now().Add(-20 * time.Minute)})
		e.want(e.do(req), 403, "RequestTimeTooSkewed")
		e.notStored(b, "k")
	}},
	{"malformed-authorization", func(e *env) {
		b := e.bucket()
		req := e.signed("PUT", e.url(b, "k"), body, signing{})
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x")
		a := e.do(req)
		if a.status != 400 && a.status != 403 {
			e.Errorf("got %d %s, want 400 or 403", a.status, a.code)
		}
		e.notStored(b, "k")
	}},
	{"sqs-wrong-secret", func(e *env) {
		_, err := e.newSQS(e.accessKey, "not-the-secret", e.http).ListQueues(e.Context(), &sqs.ListQueuesInput{})
		if err == nil || !strings.Contains(err.Error(), "403") {
			e.Errorf("got %v, want a 403", err)
		}
	}},
	{"sqs-anonymous", func(e *env) {
		h := http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"AmazonSQS.ListQueues"}}
		e.want(e.send("POST", e.endpoint+"/", h, []byte("{}")), 403, "")
	}},
}
