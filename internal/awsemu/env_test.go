package awsemu_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

// env is an emulator with clients and one bucket.
type env struct {
	t       testing.TB
	emu     *awsemu.Server
	http    *httptest.Server
	s3      *s3.Client
	presign *s3.PresignClient
	sqs     *sqs.Client
	bucket  string
}

// ownBody hands the transport its own copy of a small request body: the SDK closes its one right after Do, which
// races with net/http still writing it.
type ownBody struct{ next http.RoundTripper }

func (o ownBody) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.ContentLength > 0 && r.ContentLength <= 1<<20 {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(data))
	}
	return o.next.RoundTrip(r)
}

func client() *http.Client {
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.MaxIdleConns, tr.MaxIdleConnsPerHost = 512, 256
	tr.DisableCompression = true
	return &http.Client{Transport: ownBody{tr}}
}

func start(t testing.TB, cfg awsemu.Config) *env {
	t.Helper()
	emu, err := awsemu.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, emu, httptest.NewServer(emu))
}

// serve connects clients to an emulator that is listening, and makes the bucket.
func serve(t testing.TB, emu *awsemu.Server, h *httptest.Server) *env {
	t.Helper()
	t.Cleanup(func() {
		if err := emu.Close(); err != nil {
			t.Error(err)
		}
		h.CloseClientConnections()
		h.Close()
	})
	e := &env{t: t, emu: emu, http: h, bucket: "coats"}
	hc := client()
	if h.TLS != nil {
		hc = h.Client()
	}
	e.connect(h.URL, hc)
	_, err := e.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &e.bucket})
	e.ok(err)
	return e
}

func (e *env) connect(url string, hc *http.Client) {
	creds := credentials.NewStaticCredentialsProvider("test", "test", "")
	e.s3 = s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: &url, UsePathStyle: true, Credentials: creds, HTTPClient: hc, RetryMaxAttempts: 1})
	e.presign = s3.NewPresignClient(e.s3)
	e.sqs = sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: &url, Credentials: creds, HTTPClient: hc, RetryMaxAttempts: 1})
}

func (e *env) ok(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// code is the AWS code of an error, "" for none.
func code(err error) string {
	if err == nil {
		return ""
	}
	var ae smithy.APIError
	if errors.As(err, &ae) {
		return ae.ErrorCode()
	}
	return err.Error()
}

func (e *env) wantCode(err error, want string) {
	e.t.Helper()
	if got := code(err); got != want {
		e.t.Fatalf("answered %q, want %q (%v)", got, want, err)
	}
}

func (e *env) put(key, body string) *s3.PutObjectOutput {
	e.t.Helper()
	out, err := e.s3.PutObject(e.t.Context(), &s3.PutObjectInput{Bucket: &e.bucket, Key: &key, Body: strings.NewReader(body)})
	e.ok(err)
	return out
}

func (e *env) get(key string) string {
	e.t.Helper()
	out, err := e.s3.GetObject(e.t.Context(), &s3.GetObjectInput{Bucket: &e.bucket, Key: &key})
	e.ok(err)
	defer out.Body.Close()
	data, err := io.ReadAll(out.Body)
	e.ok(err)
	return string(data)
}

func (e *env) exists(key string) bool {
	e.t.Helper()
	_, err := e.s3.HeadObject(e.t.Context(), &s3.HeadObjectInput{Bucket: &e.bucket, Key: &key})
	if err != nil {
		e.wantCode(err, "NotFound")
	}
	return err == nil
}

func (e *env) versioning(status s3types.BucketVersioningStatus) {
	e.t.Helper()
	_, err := e.s3.PutBucketVersioning(e.t.Context(), &s3.PutBucketVersioningInput{
		Bucket: &e.bucket, VersioningConfiguration: &s3types.VersioningConfiguration{Status: status},
	})
	e.ok(err)
}

// queue makes a queue and returns its URL and ARN.
func (e *env) queue(name string, attrs map[string]string) (url, arn string) {
	e.t.Helper()
	out, err := e.sqs.CreateQueue(e.t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attrs})
	e.ok(err)
	return *out.QueueUrl, "arn:aws:sqs:us-east-1:000000000000:" + name
}

func (e *env) send(url string, bodies ...string) {
	e.t.Helper()
	for _, b := range bodies {
		_, err := e.sqs.SendMessage(e.t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String(b)})
		e.ok(err)
	}
}

// receive takes up to ten messages, waiting up to wait seconds for the first.
func (e *env) receive(url string, wait int32) []sqstypes.Message {
	e.t.Helper()
	out, err := e.sqs.ReceiveMessage(e.t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: wait,
		MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"All"},
	})
	e.ok(err)
	return out.Messages
}

// drain receives and deletes until n messages came, or none for a second, and returns their bodies.
func (e *env) drain(url string, n int) []string {
	e.t.Helper()
	var out []string
	for len(out) < n {
		ms := e.receive(url, 1)
		if len(ms) == 0 {
			break
		}
		for _, m := range ms {
			out = append(out, *m.Body)
			_, err := e.sqs.DeleteMessage(e.t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
			e.ok(err)
		}
	}
	return out
}

func (e *env) attribute(url, name string) string {
	e.t.Helper()
	out, err := e.sqs.GetQueueAttributes(e.t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeName(name)},
	})
	e.ok(err)
	return out.Attributes[name]
}

// answer is what came back for a raw request.
type answer struct {
	status int
	code   string // of the error
	body   string
	header http.Header
}

// do sends a raw request with exactly these headers.
func (e *env) do(method, url string, header http.Header, body []byte) answer {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	e.ok(err)
	for name, values := range header {
		switch http.CanonicalHeaderKey(name) {
		case "Host":
			req.Host = values[0]
		case "Content-Length":
		default:
			req.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	resp, err := e.http.Client().Do(req)
	e.ok(err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	e.ok(err)
	_, rest, _ := strings.Cut(string(data), "<Code>")
	code, _, _ := strings.Cut(rest, "</Code>")
	return answer{resp.StatusCode, code, string(data), resp.Header}
}

func (e *env) wantAnswer(got answer, status int, code string) {
	e.t.Helper()
	if got.status != status || got.code != code {
		e.t.Fatalf("answered %d %q, want %d %q: %s", got.status, got.code, status, code, got.body)
	}
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within ten seconds: " + what)
		}
	}
}
