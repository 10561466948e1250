package conformance

import (
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const goodOrigin, badOrigin = "https://app.example", "https://evil.example"

// corsBucket makes a bucket with the rule that coatcheck asks for.
func (e *env) corsBucket() string {
	b := e.bucket()
	_, err := e.s3.PutBucketCors(e.Context(), &s3.PutBucketCorsInput{Bucket: &b, CORSConfiguration: &types.CORSConfiguration{
		CORSRules: []types.CORSRule{{
			ID:             ptr("uploads"),
			AllowedOrigins: []string{goodOrigin, "https://*.preview.example"},
			AllowedMethods: []string{"PUT", "GET"},
			AllowedHeaders: []string{"content-type", "if-none-match", "x-amz-checksum-sha256", "x-amz-meta-*"},
			ExposeHeaders:  []string{"ETag"},
			MaxAgeSeconds:  ptr(int32(600)),
		}},
	}})
	e.must(err, "setting CORS")
	return b
}

// preflight asks as a browser does before an upload.
func (e *env) preflight(bucket, origin, method, headers string) answer {
	h := http.Header{"Origin": {origin}, "Access-Control-Request-Method": {method}}
	if headers != "" {
		h.Set("Access-Control-Request-Headers", headers)
	}
	return e.send("OPTIONS", e.url(bucket, "k"), h, nil)
}

const allowOrigin = "Access-Control-Allow-Origin"

// forbidden checks a preflight that must fail.
func (e *env) forbidden(a answer) {
	e.want(a, 403, "")
	if a.header.Get(allowOrigin) != "" {
		e.Errorf("a refused preflight names the origin %s", a.header.Get(allowOrigin))
	}
}

var corsChecks = []check{
	{"configuration", func(e *env) {
		b := e.corsBucket()
		out, err := e.s3.GetBucketCors(e.Context(), &s3.GetBucketCorsInput{Bucket: &b})
		e.must(err, "getting CORS")
		if len(out.CORSRules) != 1 || len(out.CORSRules[0].AllowedOrigins) != 2 || value(out.CORSRules[0].MaxAgeSeconds) != 600 ||
			len(out.CORSRules[0].AllowedHeaders) != 4 || len(out.CORSRules[0].ExposeHeaders) != 1 {
			e.Errorf("rules %+v", out.CORSRules)
		}
		_, err = e.s3.DeleteBucketCors(e.Context(), &s3.DeleteBucketCorsInput{Bucket: &b})
		e.must(err, "deleting CORS")
		_, err = e.s3.GetBucketCors(e.Context(), &s3.GetBucketCorsInput{Bucket: &b})
		e.wantError(err, 404, "NoSuchCORSConfiguration")
	}},
	{"preflight", func(e *env) {
		b := e.corsBucket()
		a := e.preflight(b, goodOrigin, "PUT", "content-type,if-none-match,x-amz-checksum-sha256")
		e.want(a, 200, "")
		if a.header.Get(allowOrigin) != goodOrigin || a.header.Get("Access-Control-Max-Age") != "600" {
			e.Errorf("origin %q, max age %q", a.header.Get(allowOrigin), a.header.Get("Access-Control-Max-Age"))
		}
		if !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "PUT") {
			e.Errorf("methods %q", a.header.Get("Access-Control-Allow-Methods"))
		}
		allowed := strings.ToLower(a.header.Get("Access-Control-Allow-Headers"))
		for _, h := range []string{"content-type", "if-none-match", "x-amz-checksum-sha256"} {
			if !strings.Contains(allowed, h) {
				e.Errorf("headers %q, without %s", allowed, h)
			}
		}
		if !strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Origin") {
			e.Errorf("Vary %q", a.header.Values("Vary"))
		}
	}},
	{"preflight-wildcard-origin", func(e *env) {
		b := e.corsBucket()
		a := e.preflight(b, "https://pr-7.preview.example", "PUT", "content-type")
		e.want(a, 200, "")
		if a.header.Get(allowOrigin) != "https://pr-7.preview.example" {
			e.Errorf("origin %q", a.header.Get(allowOrigin))
		}
	}},
	{"preflight-wildcard-header", func(e *env) {
		a := e.preflight(e.corsBucket(), goodOrigin, "PUT", "content-type,x-amz-meta-anything")
		e.want(a, 200, "")
	}},
	{"preflight-foreign-origin", func(e *env) {
		e.forbidden(e.preflight(e.corsBucket(), badOrigin, "PUT", ""))
	}},
	{"preflight-other-method", func(e *env) {
		e.forbidden(e.preflight(e.corsBucket(), goodOrigin, "DELETE", ""))
	}},
	{"preflight-other-header", func(e *env) {
		e.forbidden(e.preflight(e.corsBucket(), goodOrigin, "PUT", "content-type,authorization"))
	}},
	{"preflight-without-configuration", func(e *env) {
		e.forbidden(e.preflight(e.bucket(), goodOrigin, "PUT", ""))
	}},
	{"upload", func(e *env) {
		b := e.corsBucket()
		p := e.presignPut(b, "k", body)
		a := e.send("PUT", p.url, p.with("Origin", goodOrigin), body)
		e.want(a, 200, "")
		if a.header.Get(allowOrigin) != goodOrigin || !strings.EqualFold(a.header.Get("Access-Control-Expose-Headers"), "ETag") {
			e.Errorf("origin %q, exposed %q", a.header.Get(allowOrigin), a.header.Get("Access-Control-Expose-Headers"))
		}
	}},
	{"refused-upload", func(e *env) {
		// Without these headers a page sees a network error, not the 412 that tells it that it has been here before.
		b := e.corsBucket()
		p := e.presignPut(b, "k", body)
		e.want(e.send("PUT", p.url, p.with("Origin", goodOrigin), body), 200, "")
		a := e.send("PUT", p.url, p.with("Origin", goodOrigin), body)
		e.want(a, 412, "PreconditionFailed")
		if a.header.Get(allowOrigin) != goodOrigin {
			e.Errorf("the 412 names the origin %q", a.header.Get(allowOrigin))
		}
		a = e.send("PUT", p.withQuery(e, "X-Amz-Signature", "0"), p.with("Origin", goodOrigin), body)
		e.want(a, 403, "SignatureDoesNotMatch")
		if a.header.Get(allowOrigin) != goodOrigin {
			e.Errorf("the 403 names the origin %q", a.header.Get(allowOrigin))
		}
	}},
	{"foreign-upload", func(e *env) {
		// CORS is the browser's business: S3 serves the request, without the headers.
		b := e.corsBucket()
		p := e.presignPut(b, "k", body)
		a := e.send("PUT", p.url, p.with("Origin", badOrigin), body)
		e.want(a, 200, "")
		if a.header.Get(allowOrigin) != "" {
			e.Errorf("origin %q", a.header.Get(allowOrigin))
		}
	}},
}
