package conformance

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/coatcheck/coatcheck/internal/awsclient"
)

// TestReceivesLost counts the calls that the SDK fails although the server answered them, with a plain transport and
// with coatcheck's own, which must lose none. See awsclient.OwnBodies. COATCHECK_CONFORMANCE_CALLS sets the number of
// calls; with the default, too few for a rate, only the second count means anything.
func TestReceivesLost(t *testing.T) {
	t.Parallel()
	calls := 200
	if v := os.Getenv("COATCHECK_CONFORMANCE_CALLS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("COATCHECK_CONFORMANCE_CALLS: %v", err)
		}
		calls = n
	}
	e := &env{T: t, target: newTarget(t)}
	// Messages that stay visible: a receive gets ten of them, an answer too large to arrive in one piece.
	q := e.queue(map[string]string{"VisibilityTimeout": "0"})
	for range 20 {
		q.send(strings.Repeat("m", 1000))
	}
	count := func(wrap func(http.RoundTripper) http.RoundTripper) int64 {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = 64
		defer transport.CloseIdleConnections()
		return e.lost(e.newSQS(e.accessKey, e.secretKey, &http.Client{Transport: wrap(transport)}), q, calls)
	}
	plain := count(func(next http.RoundTripper) http.RoundTripper { return next })
	own := count(awsclient.OwnBodies)
	t.Logf("%s: of %d receives each, %d failed with a plain transport, %d with its own copy of small bodies", e.name, calls, plain, own)
	if own != 0 {
		t.Errorf("%d calls failed", own)
	}
}

// lost makes the calls, eight at a time, and returns how many failed.
func (e *env) lost(client *sqs.Client, q queue, calls int) int64 {
	var failed, made atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for made.Add(1) <= int64(calls) {
				_, err := client.ReceiveMessage(e.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 10})
				if err != nil {
					e.Logf("receiving: %v", err)
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return failed.Load()
}
