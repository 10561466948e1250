package conformance

import (
	"bytes"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

var presignedGetChecks = []check{
	{"get", func(e *env) {
		b := e.bucket()
		e.put(b, "k", body)
		out, err := e.presign.PresignGetObject(e.Context(), &s3.GetObjectInput{
			Bucket: &b, Key: ptr("k"),
			ResponseContentDisposition: ptr(`attachment; filename="a b.jpg"`),
			ResponseContentType:        ptr("image/png"),
		}, s3.WithPresignExpires(time.Minute))
		e.must(err, "presigning")
		a := e.send("GET", out.URL, nil, nil)
		e.want(a, 200, "")
		if !bytes.Equal(a.body, body) {
			e.Errorf("got %q", a.body)
		}
		if a.header.Get("Content-Disposition") != `attachment; filename="a b.jpg"` || a.header.Get("Content-Type") != "image/png" {
			e.Errorf("overridden headers are %q and %q", a.header.Get("Content-Disposition"), a.header.Get("Content-Type"))
		}
	}},
	{"get-altered-disposition", func(e *env) {
		b := e.bucket()
		e.put(b, "k", body)
		out, err := e.presign.PresignGetObject(e.Context(), &s3.GetObjectInput{
			Bucket: &b, Key: ptr("k"), ResponseContentDisposition: ptr("attachment"),
		})
		e.must(err, "presigning")
		e.want(e.send("GET", strings.Replace(out.URL, "attachment", "inline", 1), nil, nil), 403, "SignatureDoesNotMatch")
	}},
	{"get-expired", func(e *env) {
		b := e.bucket()
		e.put(b, "k", body)
		out, err := e.presign.PresignGetObject(e.Context(), &s3.GetObjectInput{Bucket: &b, Key: ptr("k")}, s3.WithPresignExpires(time.Second))
		e.must(err, "presigning")
		time.Sleep(2200 * time.Millisecond)
		e.want(e.send("GET", out.URL, nil, nil), 403, "AccessDenied")
	}},
	{"get-missing", func(e *env) {
		b := e.bucket()
		out, err := e.presign.PresignGetObject(e.Context(), &s3.GetObjectInput{Bucket: &b, Key: ptr("k")})
		e.must(err, "presigning")
		e.want(e.send("GET", out.URL, nil, nil), 404, "NoSuchKey")
	}},
}
