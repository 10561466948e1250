package awsclient_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/coatcheck/coatcheck/internal/awsclient"
)

// receiveServer answers every ReceiveMessage with one message of 40 kB, in two halves with a pause between them.
func receiveServer(t *testing.T, pause time.Duration) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		answer := fmt.Sprintf(`{"Messages":[{"MessageId":"1","ReceiptHandle":"r","Body":%q}]}`, strings.Repeat("b", 40_000))
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, answer[:len(answer)/2])
		_ = http.NewResponseController(w).Flush()
		time.Sleep(pause)
		_, _ = io.WriteString(w, answer[len(answer)/2:])
	}))
	t.Cleanup(server.Close)
	return server
}

// slowWrites is a connection whose Write returns a while after the bytes are out, as it does when the scheduler runs
// something else first.
type slowWrites struct {
	net.Conn
	pause time.Duration
}

func (c slowWrites) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	time.Sleep(c.pause)
	return n, err
}

func transport(pause time.Duration) *http.Transport {
	t := awshttp.NewBuildableClient().GetTransport()
	if dial := t.DialContext; pause > 0 {
		t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return slowWrites{conn, pause}, nil
		}
	}
	return t
}

// lostReceives makes n calls of which each sends a request of about the given size, and returns how many of them
// failed, with the last error.
func lostReceives(n, size int, transport http.RoundTripper, url string) (lost int64, last error) {
	q := sqs.New(sqs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(url), HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		Retryer:     aws.NopRetryer{}, // what is lost is lost: a retry gets other messages
	})
	in := &sqs.ReceiveMessageInput{
		QueueUrl:                aws.String(url + "/q"),
		ReceiveRequestAttemptId: aws.String(strings.Repeat("a", size)),
	}
	var failed, called atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for called.Add(1) <= int64(n) {
				if _, err := q.ReceiveMessage(context.Background(), in); err != nil {
					failed.Add(1)
					mu.Lock()
					last = err
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return failed.Load(), last
}

// TestSDKLosesReceives shows the fault and its cure. What is a race in practice is certain here: the server's second
// half comes after the write loop has looked at the body, which it does after the SDK has closed it.
func TestSDKLosesReceives(t *testing.T) {
	t.Parallel()
	const n, writePause, answerPause = 16, 20 * time.Millisecond, 100 * time.Millisecond
	server := receiveServer(t, answerPause)
	for _, size := range []int{20, 200 << 10} { // copied, and too large for that
		lost, err := lostReceives(n, size, transport(writePause), server.URL)
		if lost == 0 {
			t.Errorf("size %d: the SDK lost nothing: if its fault has been mended, OwnBodies may go", size)
		} else if !strings.Contains(err.Error(), "use of closed network connection") {
			t.Errorf("size %d: the SDK lost %d of %d, but for another reason: %v", size, lost, n, err)
		}
		if lost, err := lostReceives(n, size, awsclient.OwnBodies(transport(writePause)), server.URL); lost != 0 {
			t.Errorf("size %d: with bodies of its own the transport lost %d of %d: %v", size, lost, n, err)
		}
	}
}

// TestOwnBodies checks what a RoundTripper promises: what arrives is what was given, the request is left as it was,
// the body is closed, and a body that is not as long as it says is refused.
func TestOwnBodies(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d of %d", n, r.ContentLength)
	}))
	t.Cleanup(server.Close)
	for _, c := range []struct {
		name   string
		size   int
		length int64
		want   string // empty where an error is wanted
	}{
		{"none", 0, 0, "0 of 0"},
		{"small", 1000, 1000, "1000 of 1000"},
		{"large", 300_000, 300_000, "300000 of 300000"},
		{"of unknown length", 1000, -1, "1000 of -1"},
		{"shorter than it says", 999, 1000, ""},
		{"longer than it says", 1001, 1000, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body := &closing{Reader: strings.NewReader(strings.Repeat("x", c.size))}
			r, err := http.NewRequest(http.MethodPost, server.URL, body)
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = c.length
			if c.size == 0 {
				r.Body = http.NoBody
			}
			answer, err := awsclient.OwnBodies(transport(0)).RoundTrip(r)
			if c.size > 0 && r.Body != io.ReadCloser(body) {
				t.Error("the request's body was replaced")
			}
			if c.size > 0 {
				// A RoundTripper may close it after it has returned.
				for deadline := time.Now().Add(10 * time.Second); !body.closed.Load(); time.Sleep(time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatal("the request's body was not closed")
					}
				}
			}
			if c.want == "" {
				if err == nil {
					answer.Body.Close()
					t.Error("it was sent")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if got, _ := io.ReadAll(answer.Body); string(got) != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

type closing struct {
	io.Reader
	closed atomic.Bool
}

func (c *closing) Close() error {
	c.closed.Store(true)
	return nil
}
