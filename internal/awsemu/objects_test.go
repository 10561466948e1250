package awsemu_test

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

// signed sends a request signed by header, with this payload hash.
func (e *env) signed(method, path string, header http.Header, hash string, body string) answer {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.http.URL+path, strings.NewReader(body))
	e.ok(err)
	for name, values := range header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.Header.Set("X-Amz-Content-Sha256", hash)
	creds, err := e.s3.Options().Credentials.Retrieve(e.t.Context())
	e.ok(err)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	e.ok(signer.SignHTTP(e.t.Context(), creds, req, hash, "s3", "us-east-1", time.Now()))
	return e.do(method, e.http.URL+path, req.Header, []byte(body))
}

const unsigned = "UNSIGNED-PAYLOAD"

// TestPutHeaders sends what is wrong with a PUT one thing at a time.
func TestPutHeaders(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	sum := md5.Sum([]byte("body"))
	good := base64.StdEncoding.EncodeToString(sum[:])
	for name, c := range map[string]struct {
		header map[string]string
		hash   string
		status int
		code   string
	}{
		"right md5, wrong sum": {map[string]string{"Content-Md5": good, "X-Amz-Checksum-Crc32": "Rfbe7g=="}, unsigned, 400, "BadDigest"},
		"right md5":            {map[string]string{"Content-Md5": good}, unsigned, 200, ""},
		"wrong md5":            {map[string]string{"Content-Md5": "AAAAAAAAAAAAAAAAAAAAAA=="}, unsigned, 400, "BadDigest"},
		"no md5":               {map[string]string{"Content-Md5": "x"}, unsigned, 400, "InvalidDigest"},
		"no checksum":          {map[string]string{"X-Amz-Checksum-Crc32": "x"}, unsigned, 400, "InvalidRequest"},
		"short checksum":       {map[string]string{"X-Amz-Checksum-Sha256": "Rfbe7g=="}, unsigned, 400, "InvalidRequest"},
		"two checksums":        {map[string]string{"X-Amz-Checksum-Crc32": "Rfbe7g==", "X-Amz-Checksum-Crc32c": "Rfbe7g=="}, unsigned, 400, "InvalidRequest"},
		"announced only":       {map[string]string{"X-Amz-Sdk-Checksum-Algorithm": "CRC32"}, unsigned, 400, "InvalidRequest"},
		"wrong hash":           {nil, fmt.Sprintf("%064d", 0), 400, "XAmzContentSHA256Mismatch"},
		"no hash":              {nil, "nonsense", 400, "InvalidArgument"},
		"if-none-match etag":   {map[string]string{"If-None-Match": `"x"`}, unsigned, 501, "NotImplemented"},
		"much metadata":        {map[string]string{"X-Amz-Meta-A": strings.Repeat("x", 2100)}, unsigned, 400, "MetadataTooLarge"},
		"bad tags":             {map[string]string{"X-Amz-Tagging": "%zz"}, unsigned, 400, "InvalidArgument"},
	} {
		h := http.Header{}
		for k, v := range c.header {
			h.Set(k, v)
		}
		got := e.signed("PUT", "/coats/k", h, c.hash, "body")
		if got.status != c.status || got.code != c.code {
			t.Errorf("%s: answered %d %s, want %d %s: %s", name, got.status, got.code, c.status, c.code, got.body)
		}
		if c.status != 200 && got.header.Get("X-Amz-Id-2") == "" {
			t.Errorf("%s: no x-amz-id-2", name)
		}
	}
	e.wantAnswer(e.signed("PUT", "/coats/"+strings.Repeat("k", 1025), nil, unsigned, "body"), 400, "KeyTooLongError")
	e.wantAnswer(e.signed("PUT", "/nowhere/k", nil, unsigned, "body"), 404, "NoSuchBucket")
	e.wantAnswer(e.signed("POST", "/coats/k?select&select-type=2", nil, unsigned, ""), 501, "NotImplemented")
}

// TestChecksums stores with each algorithm, in a header, and reads it back.
func TestChecksums(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	for _, algo := range types.ChecksumAlgorithm("").Values() {
		switch algo {
		case "CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME":
		default:
			continue // newer than the emulator
		}
		key := string(algo)
		_, err := e.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &e.bucket, Key: &key, Body: strings.NewReader("hello"), ChecksumAlgorithm: algo})
		e.ok(err)
		got := e.signed("HEAD", "/coats/"+key, http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}}, unsigned, "")
		if sum := got.header.Get("X-Amz-Checksum-" + key); sum == "" || got.header.Get("X-Amz-Checksum-Type") != "FULL_OBJECT" {
			t.Errorf("%s: %v", algo, got.header)
		}
		if e.get(key) != "hello" {
			t.Errorf("%s: read %q", algo, e.get(key))
		}
	}
	// Without one in the request S3 computes CRC64NVME.
	e.wantAnswer(e.signed("PUT", "/coats/plain", nil, unsigned, "123456789"), 200, "")
	head, err := e.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &e.bucket, Key: aws.String("plain"), ChecksumMode: types.ChecksumModeEnabled})
	e.ok(err)
	if aws.ToString(head.ChecksumCRC64NVME) != "rosUhgp5mIg=" {
		t.Errorf("checksum %v", aws.ToString(head.ChecksumCRC64NVME))
	}
	if off := e.signed("HEAD", "/coats/plain", nil, unsigned, ""); off.header.Get("X-Amz-Checksum-Crc64nvme") != "" {
		t.Error("a checksum that nobody asked for")
	}
}

// TestStreamed sends over TLS, where the SDK streams the body in chunks with its checksum in a trailer.
func TestStreamed(t *testing.T) {
	t.Parallel()
	emu, err := awsemu.New(awsemu.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var encoding string
	h := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/k") {
			encoding = r.Header.Get("X-Amz-Content-Sha256")
		}
		emu.ServeHTTP(w, r)
	}))
	e := serve(t, emu, h)
	o := e.s3.Options()
	o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported // what LoadDefaultConfig sets
	e.s3 = s3.New(o)
	body := strings.Repeat("0123456789", 40_000)
	_, err = e.s3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &e.bucket, Key: aws.String("k"), Body: strings.NewReader(body), ContentEncoding: aws.String("gzip"),
	})
	e.ok(err)
	if encoding != "STREAMING-UNSIGNED-PAYLOAD-TRAILER" {
		t.Fatalf("the SDK sent %s", encoding)
	}
	out, err := e.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &e.bucket, Key: aws.String("k"), ChecksumMode: types.ChecksumModeEnabled})
	e.ok(err)
	if aws.ToString(out.ChecksumCRC32) == "" || aws.ToString(out.ContentEncoding) != "gzip" || *out.ContentLength != int64(len(body)) {
		t.Errorf("stored %+v", out)
	}
	if e.get("k") != body {
		t.Error("read something else")
	}
}

// TestStreamedTrailer sends chunks by hand, with right and wrong trailers and lengths.
func TestStreamedTrailer(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	const chunks = "4\r\n1234\r\n5\r\n56789\r\n0\r\n"
	for name, c := range map[string]struct {
		body, length, trailer string
		status                int
		code                  string
	}{
		"fine":        {chunks + "x-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", "9", "x-amz-checksum-crc32", 200, ""},
		"wrong":       {chunks + "x-amz-checksum-crc32:y/Q5Jw==\r\n\r\n", "9", "x-amz-checksum-crc32", 400, "BadDigest"},
		"nonsense":    {chunks + "x-amz-checksum-crc32:y\r\n\r\n", "9", "x-amz-checksum-crc32", 400, "InvalidRequest"},
		"missing":     {chunks + "\r\n", "9", "x-amz-checksum-crc32", 400, "MalformedTrailerError"},
		"none":        {chunks + "\r\n", "9", "", 200, ""},
		"too long":    {chunks + "\r\n", "8", "", 400, "IncompleteBody"},
		"too short":   {chunks + "\r\n", "10", "", 400, "IncompleteBody"},
		"no length":   {chunks + "\r\n", "", "", 411, "MissingContentLength"},
		"not chunked": {"not hex\n9", "9", "", 400, "InvalidRequest"},
		"breaks off":  {"9\r\n1234", "9", "", 400, "IncompleteBody"},
	} {
		h := http.Header{"Content-Encoding": {"aws-chunked"}}
		if c.length != "" {
			h.Set("X-Amz-Decoded-Content-Length", c.length)
		}
		if c.trailer != "" {
			h.Set("X-Amz-Trailer", c.trailer)
		}
		key := strings.ReplaceAll(name, " ", "-")
		got := e.signed("PUT", "/coats/"+key, h, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", c.body)
		if got.status != c.status || got.code != c.code {
			t.Errorf("%s: answered %d %s, want %d %s: %s", name, got.status, got.code, c.status, c.code, got.body)
		}
		if e.exists(key) != (c.status == 200) {
			t.Errorf("%s: stored %v", name, e.exists(key))
		}
	}
}

// TestStreamedSigned sends the example of "Example: PUT object" with chunk signatures in the Amazon S3 API
// reference, at the time and with the credentials it was made for.
func TestStreamedSigned(t *testing.T) {
	t.Parallel()
	at := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	emu, err := awsemu.New(awsemu.Config{
		AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		Now: func() time.Time { return at },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = emu.Close() })
	bucket := httptest.NewRequest(http.MethodPut, "http://s3.amazonaws.com/examplebucket", nil)
	creds := aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
	bucket.Header.Set("X-Amz-Content-Sha256", unsigned)
	if err := v4.NewSigner().SignHTTP(t.Context(), creds, bucket, unsigned, "s3", "us-east-1", at); err != nil {
		t.Fatal(err)
	}
	made := httptest.NewRecorder()
	emu.ServeHTTP(made, bucket)
	body := "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" + strings.Repeat("a", 65536) + "\r\n" +
		"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" + strings.Repeat("a", 1024) + "\r\n" +
		"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
	send := func(body string) (int, string) {
		r := httptest.NewRequest(http.MethodPut, "http://s3.amazonaws.com/examplebucket/chunkObject.txt", strings.NewReader(body))
		r.Header.Set("X-Amz-Date", "20130524T000000Z")
		r.Header.Set("X-Amz-Storage-Class", "REDUCED_REDUNDANCY")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"+
			"SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,"+
			"Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9")
		r.Header.Set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
		r.Header.Set("Content-Encoding", "aws-chunked")
		r.Header.Set("X-Amz-Decoded-Content-Length", "66560")
		w := httptest.NewRecorder()
		emu.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	if status, text := send(strings.Replace(body, "aa\r\n400", "ab\r\n400", 1)); status != 403 || !strings.Contains(text, "SignatureDoesNotMatch") {
		t.Errorf("a changed chunk: %d %s", status, text)
	}
	if status, text := send(body); status != 200 {
		t.Errorf("the example: %d %s", status, text)
	}
}

func TestObjectDetails(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"", t.TempDir()} {
		e := start(t, awsemu.Config{Dir: dir})
		_, err := e.s3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: &e.bucket, Key: aws.String("src"), Body: strings.NewReader("hello"), ContentType: aws.String("text/plain"),
			CacheControl: aws.String("max-age=60"), ContentDisposition: aws.String("inline"), ContentLanguage: aws.String("en"),
			Metadata: map[string]string{"Owner-Id": "42"}, Tagging: aws.String("b=2&a=1"),
		})
		e.ok(err)
		copied := func(in *s3.CopyObjectInput) error {
			in.Bucket = &e.bucket
			_, err := e.s3.CopyObject(t.Context(), in)
			return err
		}
		e.ok(copied(&s3.CopyObjectInput{Key: aws.String("same"), CopySource: aws.String("coats/src")}))
		e.ok(copied(&s3.CopyObjectInput{
			Key: aws.String("other"), CopySource: aws.String("/coats/src"), ContentType: aws.String("text/html"),
			MetadataDirective: types.MetadataDirectiveReplace, TaggingDirective: types.TaggingDirectiveReplace, Tagging: aws.String("c=3"),
		}))
		e.wantCode(copied(&s3.CopyObjectInput{Key: aws.String("src"), CopySource: aws.String("coats/src")}), "InvalidRequest")
		e.wantCode(copied(&s3.CopyObjectInput{Key: aws.String("x"), CopySource: aws.String("coats/none")}), "NoSuchKey")
		e.wantCode(copied(&s3.CopyObjectInput{Key: aws.String("x"), CopySource: aws.String("coats/src"), CopySourceIfMatch: aws.String("x")}), "PreconditionFailed")
		_, err = e.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &e.bucket, Key: aws.String("src")})
		e.ok(err)
		for key, want := range map[string]string{
			"same":  "text/plain max-age=60 inline en map[owner-id:42] a=1 b=2 ",
			"other": "text/html    map[] c=3 ",
		} {
			h, err := e.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &e.bucket, Key: &key})
			e.ok(err)
			got := fmt.Sprint(*h.ContentType, " ", aws.ToString(h.CacheControl), " ", aws.ToString(h.ContentDisposition), " ", aws.ToString(h.ContentLanguage), " ", h.Metadata, " ")
			tags, err := e.s3.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &e.bucket, Key: &key})
			e.ok(err)
			for _, tag := range tags.TagSet {
				got += *tag.Key + "=" + *tag.Value + " "
			}
			if got != want || e.get(key) != "hello" {
				t.Errorf("%s is %q %q, want %q", key, got, e.get(key), want)
			}
		}
		e.put("empty", "")
		if e.get("empty") != "" || !e.exists("empty") {
			t.Error("an empty object")
		}
	}
}

func TestDeleteObjects(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	etag := *e.put("a", "x").ETag
	e.put("b", "x")
	e.put("bad", "x")
	remove := func(quiet bool, objects ...types.ObjectIdentifier) (*s3.DeleteObjectsOutput, error) {
		return e.s3.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: &e.bucket, Delete: &types.Delete{Quiet: &quiet, Objects: objects}})
	}
	id := func(key string) types.ObjectIdentifier { return types.ObjectIdentifier{Key: &key} }
	e.emu.Faults().FailKeys("bad", 1, "InternalError")
	out, err := remove(false, types.ObjectIdentifier{Key: aws.String("a"), ETag: aws.String(`"x"`)}, id("b"), id("bad"), id("none"))
	e.ok(err)
	if len(out.Deleted) != 2 || len(out.Errors) != 2 || *out.Errors[0].Code != "PreconditionFailed" || *out.Errors[1].Key != "bad" || *out.Errors[1].Code != "InternalError" {
		t.Errorf("deleted %+v, errors %+v", out.Deleted, out.Errors)
	}
	if !e.exists("a") || !e.exists("bad") || e.exists("b") {
		t.Error("what failed is gone, or what did not is there")
	}
	out, err = remove(true, types.ObjectIdentifier{Key: aws.String("a"), ETag: &etag}, id("bad"))
	e.ok(err)
	if len(out.Deleted) != 0 || len(out.Errors) != 0 || e.exists("a") || e.exists("bad") {
		t.Errorf("quietly: %+v", out)
	}
	many := make([]types.ObjectIdentifier, 1001)
	for i := range many {
		many[i] = id(fmt.Sprint(i))
	}
	_, err = remove(false, many...)
	e.wantCode(err, "MalformedXML")
	_, err = remove(false, many[:1000]...)
	e.ok(err)
	e.wantAnswer(e.signed("POST", "/coats?delete", nil, unsigned, "<Delete><Object><Key>a</Key></Object></Delete>"), 400, "InvalidRequest")
	_, err = e.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &e.bucket, Key: aws.String("none"), IfMatch: aws.String(`"x"`)})
	e.ok(err)
}
