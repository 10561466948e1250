package sigv4

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// verifier has the credentials and the clock of the examples in the Amazon S3 API reference, "Signature
// Calculations for the Authorization Header" and "Authenticating Requests: Using Query Parameters".
func verifier() *Verifier {
	return &Verifier{
		AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", Region: "us-east-1",
		Now: func() time.Time { return time.Date(2013, 5, 24, 0, 0, 30, 0, time.UTC) },
	}
}

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func example() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://examplebucket.s3.amazonaws.com/test.txt", nil)
	r.Header.Set("Range", "bytes=0-9")
	r.Header.Set("X-Amz-Content-Sha256", emptyHash)
	r.Header.Set("X-Amz-Date", "20130524T000000Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"+
		"SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
	return r
}

const presignedExample = "http://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256" +
	"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z" +
	"&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"

// TestExamples verifies signatures that AWS published.
func TestExamples(t *testing.T) {
	t.Parallel()
	s, err := verifier().Verify(example(), "s3", "")
	if err != nil || s.PayloadHash != emptyHash || s.Presigned {
		t.Errorf("header: %+v, %v", s, err)
	}
	s, err = verifier().Verify(httptest.NewRequest(http.MethodGet, presignedExample, nil), "s3", "")
	if err != nil || s.PayloadHash != UnsignedPayload || !s.Presigned {
		t.Errorf("query: %+v, %v", s, err)
	}
}

// TestRefusals changes the examples one thing at a time.
func TestRefusals(t *testing.T) {
	t.Parallel()
	header := func(change func(r *http.Request)) *http.Request {
		r := example()
		change(r)
		return r
	}
	auth := func(old, new string) *http.Request {
		return header(func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		})
	}
	query := func(old, new string) *http.Request {
		return httptest.NewRequest(http.MethodGet, strings.Replace(presignedExample, old, new, 1), nil)
	}
	for name, c := range map[string]struct {
		r    *http.Request
		code string
		text string
	}{
		"anonymous":            {httptest.NewRequest(http.MethodGet, "/b/k", nil), "AccessDenied", ""},
		"other method":         {header(func(r *http.Request) { r.Method = http.MethodHead }), "SignatureDoesNotMatch", ""},
		"other host":           {header(func(r *http.Request) { r.Host = "other" }), "SignatureDoesNotMatch", ""},
		"other path":           {header(func(r *http.Request) { r.URL.Path = "/test.txt2" }), "SignatureDoesNotMatch", ""},
		"more query":           {header(func(r *http.Request) { r.URL.RawQuery = "acl" }), "SignatureDoesNotMatch", ""},
		"other signed header":  {header(func(r *http.Request) { r.Header.Set("Range", "bytes=0-10") }), "SignatureDoesNotMatch", ""},
		"signed header gone":   {header(func(r *http.Request) { r.Header.Del("Range") }), "SignatureDoesNotMatch", ""},
		"unsigned amz header":  {header(func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "b") }), "AccessDenied", "not signed"},
		"host not signed":      {auth("host;", ""), "AccessDenied", "not signed"},
		"no payload hash":      {header(func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }), "InvalidRequest", "x-amz-content-sha256"},
		"no date":              {header(func(r *http.Request) { r.Header.Del("X-Amz-Date") }), "AccessDenied", "Date"},
		"other day":            {header(func(r *http.Request) { r.Header.Set("X-Amz-Date", "20130523T234400Z") }), "AuthorizationHeaderMalformed", "date"},
		"unknown key":          {auth("AKIA", "BKIA"), "InvalidAccessKeyId", ""},
		"other region":         {auth("us-east-1", "eu-west-1"), "AuthorizationHeaderMalformed", "region"},
		"other service":        {auth("/s3/", "/sqs/"), "AuthorizationHeaderMalformed", "service"},
		"other scope date":     {auth("/20130524/", "/20130525/"), "AuthorizationHeaderMalformed", "date"},
		"signature version 2":  {auth("AWS4-HMAC-SHA256", "AWS"), "InvalidRequest", "AWS4-HMAC-SHA256"},
		"half a credential":    {auth("/us-east-1/s3/aws4_request", ""), "AuthorizationHeaderMalformed", "Credential"},
		"session token":        {header(func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "t") }), "InvalidToken", ""},
		"presigned other path": {query("test.txt", "best.txt"), "SignatureDoesNotMatch", ""},
		"presigned longer":     {query("=86400", "=86401"), "SignatureDoesNotMatch", ""},
		"presigned expired":    {query("=86400", "=20"), "AccessDenied", "expired"},
		"presigned for never":  {query("=86400", "=0"), "AuthorizationQueryParametersError", "Expires"},
		"presigned too long":   {query("=86400", "=604801"), "AuthorizationQueryParametersError", "week"},
		"presigned nonsense":   {query("=86400", "=x"), "AuthorizationQueryParametersError", "number"},
		"presigned no expiry":  {query("&X-Amz-Expires=86400", ""), "AuthorizationQueryParametersError", "requires"},
		"presigned early":      {query("20130524T000000Z", "20130524T003000Z"), "AccessDenied", "not yet"},
	} {
		_, err := verifier().Verify(c.r, "s3", "")
		if err == nil || err.Code != c.code || !strings.Contains(err.Message, c.text) {
			t.Errorf("%s: %v, want %s saying %q", name, err, c.code, c.text)
		}
	}
}

func TestSkew(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		14 * time.Minute: "", 16 * time.Minute: "RequestTimeTooSkewed", -14 * time.Minute: "", -16 * time.Minute: "RequestTimeTooSkewed",
	} {
		v := verifier()
		v.Now = func() time.Time { return time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC).Add(d) }
		got := ""
		if _, err := v.Verify(example(), "s3", ""); err != nil {
			got = err.Code
		}
		if got != want {
			t.Errorf("at %v: %q, want %q", d, got, want)
		}
	}
}
