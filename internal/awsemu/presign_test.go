package awsemu_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

func sha(body string) string {
	sum := sha256.Sum256([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// upload presigns a PUT that only body fits, and only once.
func (e *env) upload(key, body string, life time.Duration) *v4.PresignedHTTPRequest {
	e.t.Helper()
	p, err := e.presign.PresignPutObject(e.t.Context(), &s3.PutObjectInput{
		Bucket: &e.bucket, Key: &key, ContentLength: aws.Int64(int64(len(body))), ContentType: aws.String("image/jpeg"),
		IfNoneMatch: aws.String("*"), ChecksumSHA256: aws.String(sha(body)),
	}, s3.WithPresignExpires(life))
	e.ok(err)
	return p
}

// TestPresignedPut sends what was signed, and then everything but that.
func TestPresignedPut(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	const body = "a photograph"
	p := e.upload("dir/a b+é!.jpg", body, time.Minute)
	got := e.do("PUT", p.URL, p.SignedHeader, []byte(body))
	e.wantAnswer(got, 200, "")
	if got.header.Get("X-Amz-Checksum-Sha256") != sha(body) || got.header.Get("Etag") == "" || got.header.Get("X-Amz-Request-Id") == "" {
		t.Errorf("answered with %v", got.header)
	}
	if stored := e.get("dir/a b+é!.jpg"); stored != body {
		t.Errorf("stored %q", stored)
	}
	e.wantAnswer(e.do("PUT", p.URL, p.SignedHeader, []byte(body)), 412, "PreconditionFailed")

	header := func(change func(h http.Header)) func(*string, *http.Header, *[]byte) {
		return func(_ *string, h *http.Header, _ *[]byte) { change(*h) }
	}
	for name, c := range map[string]struct {
		change func(url *string, h *http.Header, body *[]byte)
		status int
		code   string
	}{
		"longer":        {func(_ *string, _ *http.Header, b *[]byte) { *b = append(*b, 'x') }, 403, "SignatureDoesNotMatch"},
		"shorter":       {func(_ *string, _ *http.Header, b *[]byte) { *b = (*b)[1:] }, 403, "SignatureDoesNotMatch"},
		"empty":         {func(_ *string, _ *http.Header, b *[]byte) { *b = nil }, 403, "SignatureDoesNotMatch"},
		"other bytes":   {func(_ *string, _ *http.Header, b *[]byte) { (*b)[0] = 'A' }, 400, "BadDigest"},
		"other type":    {header(func(h http.Header) { h.Set("Content-Type", "text/html") }), 403, "SignatureDoesNotMatch"},
		"no type":       {header(func(h http.Header) { h.Del("Content-Type") }), 403, "SignatureDoesNotMatch"},
		"not once":      {header(func(h http.Header) { h.Del("If-None-Match") }), 403, "SignatureDoesNotMatch"},
		"no checksum":   {header(func(h http.Header) { h.Del("X-Amz-Checksum-Sha256") }), 403, "SignatureDoesNotMatch"},
		"metadata":      {header(func(h http.Header) { h.Set("X-Amz-Meta-Evil", "1") }), 403, "AccessDenied"},
		"acl":           {header(func(h http.Header) { h.Set("X-Amz-Acl", "public-read") }), 403, "AccessDenied"},
		"other key":     {func(u *string, _ *http.Header, _ *[]byte) { *u = strings.Replace(*u, "mine", "thine", 1) }, 403, "SignatureDoesNotMatch"},
		"other bucket":  {func(u *string, _ *http.Header, _ *[]byte) { *u = strings.Replace(*u, "/coats/", "/goats/", 1) }, 403, "SignatureDoesNotMatch"},
		"more query":    {func(u *string, _ *http.Header, _ *[]byte) { *u += "&tagging" }, 403, "SignatureDoesNotMatch"},
		"longer life":   {func(u *string, _ *http.Header, _ *[]byte) { *u = strings.Replace(*u, "Expires=60", "Expires=600", 1) }, 403, "SignatureDoesNotMatch"},
		"bad signature": {func(u *string, _ *http.Header, _ *[]byte) { *u = strings.Replace(*u, "Signature=", "Signature=0", 1) }, 403, "SignatureDoesNotMatch"},
		"no signature":  {func(u *string, _ *http.Header, _ *[]byte) { *u, _, _ = strings.Cut(*u, "?") }, 403, "AccessDenied"},
	} {
		key := "mine/" + strings.ReplaceAll(name, " ", "-")
		p := e.upload(key, body, time.Minute)
		url, h, b := p.URL, p.SignedHeader.Clone(), []byte(body)
		c.change(&url, &h, &b)
		if got := e.do("PUT", url, h, b); got.status != c.status || got.code != c.code {
			t.Errorf("%s: answered %d %s, want %d %s: %s", name, got.status, got.code, c.status, c.code, got.body)
		}
		if e.exists(key) {
			t.Errorf("%s: an object was stored", name)
		}
	}
	e.wantAnswer(e.do("GET", p.URL, p.SignedHeader, nil), 403, "SignatureDoesNotMatch")
}

// TestExpiryAtStart moves the clock: a URL that has expired is refused, and one that expires while the body is
// on its way is not.
func TestExpiryAtStart(t *testing.T) {
	t.Parallel()
	clock := newClock()
	e := start(t, awsemu.Config{Now: clock.now})
	p := e.upload("late", "body", time.Minute)
	clock.advance(61 * time.Second)
	got := e.do("PUT", p.URL, p.SignedHeader, []byte("body"))
	e.wantAnswer(got, 403, "AccessDenied")
	if !strings.Contains(got.body, "Request has expired") {
		t.Errorf("said %s", got.body)
	}
	p = e.upload("slow", "body", 2*time.Minute)
	c := e.dial()
	c.head("PUT", p.URL, p.SignedHeader, 4)
	c.write("bo")
	eventually(t, "the request has begun", func() bool { return e.emu.Counts()["PutObject"] == 2 })
	clock.advance(time.Hour)
	c.write("dy")
	if status, _ := c.answer(); status != 200 {
		t.Errorf("answered %d to a PUT that began in time", status)
	}
}

func TestPresignedGet(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	e.put("k", "hello")
	p, err := e.presign.PresignGetObject(t.Context(), &s3.GetObjectInput{
		Bucket: &e.bucket, Key: aws.String("k"), ResponseContentDisposition: aws.String(`attachment; filename="é.txt"`),
		ResponseContentType: aws.String("text/x-special"),
	})
	e.ok(err)
	got := e.do("GET", p.URL, p.SignedHeader, nil)
	if got.status != 200 || got.body != "hello" || got.header.Get("Content-Type") != "text/x-special" ||
		got.header.Get("Content-Disposition") != `attachment; filename="é.txt"` {
		t.Errorf("answered %d %q %v", got.status, got.body, got.header)
	}
	e.wantAnswer(e.do("GET", strings.Replace(p.URL, "x-special", "html", 1), p.SignedHeader, nil), 403, "SignatureDoesNotMatch")
	e.wantAnswer(e.do("DELETE", p.URL, p.SignedHeader, nil), 403, "SignatureDoesNotMatch")
}

// TestVirtualHost addresses the bucket by the first label of the host.
func TestVirtualHost(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	e.put("dir/k", "hello")
	_, port, _ := strings.Cut(strings.TrimPrefix(e.http.URL, "http://"), ":")
	url := "http://s3.localhost:" + port
	virtual := s3.NewPresignClient(s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: &url, Credentials: e.s3.Options().Credentials}))
	p, err := virtual.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: &e.bucket, Key: aws.String("dir/k")})
	e.ok(err)
	host := "coats.s3.localhost:" + port
	if !strings.HasPrefix(p.URL, "http://"+host) {
		t.Fatalf("presigned %s", p.URL)
	}
	h := p.SignedHeader.Clone()
	h.Set("Host", host)
	got := e.do("GET", strings.Replace(p.URL, "http://"+host, e.http.URL, 1), h, nil)
	if got.status != 200 || got.body != "hello" {
		t.Errorf("answered %d %s", got.status, got.body)
	}
}
