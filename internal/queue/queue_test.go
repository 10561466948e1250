package queue_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/coatcheck/coatcheck/internal/backoff"
	"github.com/coatcheck/coatcheck/internal/consumer"
	"github.com/coatcheck/coatcheck/internal/queue"
)

// entry and call are what an SQS call says, as far as these tests ask.
type entry struct {
	ID         string `json:"Id"`
	Receipt    string `json:"ReceiptHandle"`
	Visibility *int   `json:"VisibilityTimeout"`
}

type call struct {
	op      string
	Entries []entry

	MaxNumberOfMessages, WaitTimeSeconds, VisibilityTimeout int
	MessageSystemAttributeNames                             []string
	QueueUrl                                                string
}

// scripted is an SQS whose answers the test writes: the faults of a batch cannot be had otherwise.
type scripted struct {
	mu    sync.Mutex
	calls []call
	queue *queue.Queue
}

func script(t *testing.T, answer func(n int, c call) (status int, body any)) *scripted {
	t.Helper()
	s := &scripted{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := call{op: strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")}
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
			t.Errorf("a request that is not JSON: %v", err)
		}
		s.mu.Lock()
		n := len(s.calls)
		s.calls = append(s.calls, c)
		s.mu.Unlock()
		status, body := answer(n, c)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}))
	t.Cleanup(server.Close)
	client := sqs.New(sqs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	})
	s.queue = queue.New(client, server.URL+"/1/q", queue.Retry{
		Attempts: 3, Policy: backoff.Policy{Base: time.Millisecond, Max: time.Millisecond},
	})
	return s
}

func (s *scripted) receipts() (batches []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		var names []string
		for _, e := range c.Entries {
			names = append(names, e.Receipt)
		}
		batches = append(batches, strings.Join(names, " "))
	}
	return batches
}

type result struct {
	ID          string `json:"Id"`
	Code        string `json:",omitempty"`
	Message     string `json:",omitempty"`
	SenderFault bool
}

type answer struct{ Successful, Failed []result }

// judge answers each entry of a batch by its receipt: what is not in bad succeeded.
func judge(c call, bad map[string]result) answer {
	a := answer{Successful: []result{}, Failed: []result{}}
	for _, e := range c.Entries {
		r, failed := bad[e.Receipt]
		r.ID = e.ID
		if failed {
			a.Failed = append(a.Failed, r)
		} else {
			a.Successful = append(a.Successful, r)
		}
	}
	return a
}

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("r%d", i)
	}
	return out
}

func TestDeleteInTens(t *testing.T) {
	t.Parallel()
	s := script(t, func(_ int, c call) (int, any) { return 200, judge(c, nil) })
	if failures := s.queue.Delete(t.Context(), names(23)); len(failures) != 0 {
		t.Errorf("failures: %v", failures)
	}
	var sizes []int
	for _, c := range s.calls {
		if c.op != "DeleteMessageBatch" || !strings.HasSuffix(c.QueueUrl, "/1/q") {
			t.Errorf("the call is %s of %s", c.op, c.QueueUrl)
		}
		sizes = append(sizes, len(c.Entries))
	}
	if !slices.Equal(sizes, []int{10, 10, 3}) {
		t.Errorf("the calls have %v entries", sizes)
	}
}

// TestDeleteTriesFailedEntriesAgain is about answers with status 200 in which entries failed.
func TestDeleteTriesFailedEntriesAgain(t *testing.T) {
	t.Parallel()
	s := script(t, func(n int, c call) (int, any) {
		bad := map[string]result{"r3": {Code: "ReceiptHandleIsInvalid", Message: "no such receipt", SenderFault: true}}
		if n == 0 {
			bad["r1"] = result{Code: "InternalError"}
		}
		bad["r2"] = result{Code: "ServiceUnavailable"}
		return 200, judge(c, bad)
	})
	failures := s.queue.Delete(t.Context(), names(4))
	if got, want := s.receipts(), []string{"r0 r1 r2 r3", "r1 r2", "r2"}; !slices.Equal(got, want) {
		t.Errorf("the calls are %q, want %q", got, want)
	}
	got := map[string]consumer.Failure{}
	for _, f := range failures {
		got[f.Receipt] = f
	}
	if len(got) != 2 || !got["r3"].Final || got["r2"].Final || got["r2"].Err == nil {
		t.Errorf("the failures are %+v", failures)
	}
	if err := got["r3"].Err; err == nil || !strings.Contains(err.Error(), "ReceiptHandleIsInvalid: no such receipt") {
		t.Errorf("the error of r3 is %v", err)
	}
}

func TestDeleteTriesFailedCallsAgain(t *testing.T) {
	t.Parallel()
	s := script(t, func(n int, c call) (int, any) {
		if n == 0 {
			return 503, map[string]string{"__type": "ServiceUnavailable"}
		}
		return 200, judge(c, nil)
	})
	if failures := s.queue.Delete(t.Context(), names(2)); len(failures) != 0 || len(s.calls) != 2 {
		t.Errorf("%d calls, failures: %v", len(s.calls), failures)
	}
}

// TestDeleteMissesWhatIsNotAnswered takes an entry that the answer forgot for one that failed, also where the answer has as
// many entries as it should.
func TestDeleteMissesWhatIsNotAnswered(t *testing.T) {
	t.Parallel()
	s := script(t, func(_ int, c call) (int, any) {
		a := judge(c, nil)
		a.Successful = a.Successful[:0]
		return 200, a
	})
	failures := s.queue.Delete(t.Context(), names(1))
	if len(failures) != 1 || failures[0].Final || len(s.calls) != 3 {
		t.Errorf("%d calls, failures: %+v", len(s.calls), failures)
	}
	s = script(t, func(_ int, c call) (int, any) {
		a := judge(c, nil)
		if len(a.Successful) == 2 {
			a.Successful[1] = a.Successful[0]
		}
		return 200, a
	})
	if failures := s.queue.Delete(t.Context(), names(2)); len(failures) != 0 || !slices.Equal(s.receipts(), []string{"r0 r1", "r1"}) {
		t.Errorf("one is answered twice, and the calls are %q, with failures %+v", s.receipts(), failures)
	}
}

func TestDeleteEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := script(t, func(_ int, c call) (int, any) {
		cancel()
		return 503, map[string]string{"__type": "ServiceUnavailable"}
	})
	failures := s.queue.Delete(ctx, names(12))
	if len(failures) != 12 || len(s.receipts()) > 1 {
		t.Errorf("%d calls, %d failures", len(s.calls), len(failures))
	}
}

func TestSetVisibility(t *testing.T) {
	t.Parallel()
	s := script(t, func(_ int, c call) (int, any) {
		return 200, judge(c, map[string]result{"r11": {Code: "MessageNotInflight", SenderFault: true}})
	})
	failures := s.queue.SetVisibility(t.Context(), names(12), 1500*time.Millisecond)
	if len(failures) != 1 || failures[0].Receipt != "r11" || !failures[0].Final {
		t.Errorf("the failures are %+v", failures)
	}
	if len(s.calls) != 2 || s.calls[0].op != "ChangeMessageVisibilityBatch" || *s.calls[0].Entries[0].Visibility != 2 {
		t.Errorf("the calls are %+v", s.calls)
	}
	// Zero has to be said: leaving it out would mean something else.
	s.queue.SetVisibility(t.Context(), names(1), 0)
	if v := s.calls[2].Entries[0].Visibility; v == nil || *v != 0 {
		t.Errorf("the visibility is %v, want 0", v)
	}
}

func TestReceive(t *testing.T) {
	t.Parallel()
	s := script(t, func(n int, c call) (int, any) {
		if n > 0 {
			return 500, map[string]string{"__type": "InternalFailure"}
		}
		return 200, map[string]any{"Messages": []any{
			map[string]any{"MessageId": "m1", "ReceiptHandle": "r1", "Body": "b1"},
			map[string]any{"MessageId": "m2", "ReceiptHandle": "r2", "Body": "b2"},
		}}
	})
	got, err := s.queue.Receive(t.Context(), 50, 1200*time.Millisecond, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want := []consumer.Message{
		{ID: "m1", Receipt: "r1", Body: "b1"},
		{ID: "m2", Receipt: "r2", Body: "b2"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
	c := s.calls[0]
	if c.op != "ReceiveMessage" || c.MaxNumberOfMessages != 10 || c.WaitTimeSeconds != 2 || c.VisibilityTimeout != 30 || c.MessageSystemAttributeNames != nil {
		t.Errorf("the call is %+v", c)
	}
	if _, err := s.queue.Receive(t.Context(), 1, 0, time.Second); err == nil || !strings.Contains(err.Error(), "receiving from SQS") {
		t.Errorf("the error is %v", err)
	}
}
