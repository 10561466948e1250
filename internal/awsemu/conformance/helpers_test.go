package conformance

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// body is what most checks upload.
var body = []byte("hello-jpeg-bytes")

// ptr returns a pointer to a copy of v.
func ptr[T any](v T) *T { return &v }

// unique returns a name that no other check uses, fit for buckets and queues.
func unique(prefix string) string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // It never fails.
	return prefix + "-" + hex.EncodeToString(b[:])
}

func md5Hex(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// value returns what p points to, else the zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func sha256Base64(b []byte) string {
	sum := sha256.Sum256(b)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// errorCode returns the code of an API error, "ok" for nil, and the text of any other error.
func errorCode(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &api):
		return api.ErrorCode()
	default:
		return err.Error()
	}
}

// wantError checks the code and the HTTP status of a refused SDK call.
func (e *env) wantError(err error, status int, code string) {
	var response *awshttp.ResponseError
	got := 0
	if errors.As(err, &response) {
		got = response.HTTPStatusCode()
	}
	if got != status || errorCode(err) != code {
		e.Errorf("got %d %s, want %d %s", got, errorCode(err), status, code)
	}
}

// answer is what a raw request got.
type answer struct {
	status int
	code   string // from an S3 error document, else empty
	header http.Header
	body   []byte
}

// send makes a raw request. Host and Content-Length in header are taken from the URL and the body instead, so that the
// header set of a presigned request can be given as it is.
func (e *env) send(method, u string, header http.Header, body []byte) answer {
	req, err := http.NewRequestWithContext(e.Context(), method, u, bytes.NewReader(body))
	e.must(err, "making a request")
	copyHeader(req, header)
	return e.do(req)
}

// do sends the request and reads the whole answer.
func (e *env) do(req *http.Request) answer {
	resp, err := e.http.Do(req)
	if err != nil {
		e.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		e.Fatalf("%s %s: reading the answer: %v", req.Method, req.URL.Path, err)
	}
	var document struct{ Code string }
	if resp.StatusCode >= 300 && len(b) > 0 {
		_ = xml.Unmarshal(b, &document) // Not every refusal has one.
	}
	return answer{status: resp.StatusCode, code: document.Code, header: resp.Header, body: b}
}

// want checks an answer's status and, unless code is empty, its S3 error code.
func (e *env) want(a answer, status int, code string) {
	if a.status != status || (code != "" && a.code != code) {
		e.Errorf("got %d %s, want %d %s; body %.300q", a.status, a.code, status, code, a.body)
	}
}

// url returns the path-style URL of a key, escaped as signatures want it: all but letters, digits and -._~/.
func (e *env) url(bucket, key string) string {
	escaped := strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(key))
	return e.endpoint + "/" + bucket + "/" + escaped
}

// bucket makes a bucket for this check alone, and removes it afterwards with all that is in it.
func (e *env) bucket() string {
	name := unique("conformance")
	_, err := e.s3.CreateBucket(e.Context(), &s3.CreateBucketInput{Bucket: &name})
	e.must(err, "creating a bucket")
	e.Cleanup(func() { e.removeBucket(name) })
	return name
}

// versionedBucket makes a bucket with versioning switched on.
func (e *env) versionedBucket() string {
	name := e.bucket()
	_, err := e.s3.PutBucketVersioning(e.Context(), &s3.PutBucketVersioningInput{
		Bucket:                  &name,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	e.must(err, "switching versioning on")
	return name
}

// removeBucket empties and deletes the bucket as well as the server lets it: what it leaves is in nobody's way.
func (e *env) removeBucket(bucket string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	uploads, err := e.s3.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &bucket})
	if err == nil {
		for _, u := range uploads.Uploads {
			_, _ = e.s3.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &bucket, Key: u.Key, UploadId: u.UploadId})
		}
	}
	for range 10 {
		out, err := e.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &bucket})
		if err != nil {
			break
		}
		var ids []types.ObjectIdentifier
		for _, v := range out.Versions {
			ids = append(ids, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, m := range out.DeleteMarkers {
			ids = append(ids, types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
		}
		if len(ids) == 0 {
			break
		}
		_, err = e.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: ids[:min(len(ids), 1000)], Quiet: ptr(true)}})
		if err != nil {
			break
		}
	}
	_, _ = e.s3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket})
}

// put stores an object by header-signed PutObject and returns the answer.
func (e *env) put(bucket, key string, content []byte) *s3.PutObjectOutput {
	out, err := e.s3.PutObject(e.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(content)})
	e.must(err, "putting "+key)
	return out
}

// stored checks that the key holds exactly this content.
func (e *env) stored(bucket, key string, content []byte) {
	out, err := e.s3.GetObject(e.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		e.Errorf("getting %s: %v", key, err)
		return
	}
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	if err != nil || !bytes.Equal(got, content) {
		e.Errorf("%s holds %.60q (%v), want %.60q", key, got, err, content)
	}
}

// notStored checks that there is no object with the key.
func (e *env) notStored(bucket, key string) {
	_, err := e.s3.HeadObject(e.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if errorCode(err) != "NotFound" {
		e.Errorf("HEAD of %s, which must not be stored: %s", key, errorCode(err))
	}
}

// eventually calls condition until it holds, for at most ten seconds.
func (e *env) eventually(what string, condition func() bool) {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if condition() {
			return
		}
		if time.Now().After(deadline) {
			e.Fatalf("%s: not within 10 s", what)
		}
	}
}
