package main

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/queue"
	"github.com/coatcheck/coatcheck/internal/rpc"
)

// TestDeadLetters: peek says why each died and leaves them, redrive moves them back.
func TestDeadLetters(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", devKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", devSecret)
	emulator, err := awsemu.New(awsemu.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(emulator)
	t.Cleanup(func() {
		server.Close()
		emulator.Close()
	})
	cfg, err := awsclient.Load(t.Context(), awsclient.Config{Region: devRegion, Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	url, err := createDevResources(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	client := awsclient.SQS(cfg)
	_, err = client.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{
		QueueUrl: &url, Attributes: map[string]string{"VisibilityTimeout": "0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	send := func(body string) {
		t.Helper()
		if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body}); err != nil {
			t.Fatal(err)
		}
	}
	receive := func() int {
		t.Helper()
		got, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		return len(got.Messages)
	}
	const other = `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventTime":"2026-03-01T12:00:00.000Z","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"another"},"object":{"key":"media/x","size":1,"eTag":"e","sequencer":"01"}}}]}`
	send("not JSON \u009b31m") // a terminal takes U+009B for the beginning of a command
	send(other)
	for receive() > 0 { // the test event of the notification is among them
	}
	command := func(args ...string) string {
		t.Helper()
		var out, log output
		status := run(t.Context(), append(append([]string{"queue"}, args...), "--queue-url", url, "--aws-region", devRegion, "--aws-endpoint", server.URL), &out, &log)
		if status != 0 {
			t.Fatalf("queue %v: status %d: %s", args, status, &log)
		}
		return out.String()
	}
	for range 2 { // looking changes nothing
		peeked := command("peek", "--bucket", devBucket, "--body")
		for _, want := range []string{"JSON", `the bucket \"another\"`, `\u009b31m`, "understood now"} {
			if !strings.Contains(peeked, want) {
				t.Errorf("peek does not say %q:\n%s", want, peeked)
			}
		}
		if strings.Contains(peeked, "\u009b") {
			t.Errorf("peek lets a message at the terminal:\n%s", peeked)
		}
	}
	keys, err := media.NewKeys("media/")
	if err != nil {
		t.Fatal(err)
	}
	p := &program{keys: keys, queue: queue.New(client, url, queue.DefaultRetry)}
	p.config.Bucket.Bucket = devBucket
	for _, limit := range []int{2, 20, 20} { // and neither does the API
		letters, err := p.deadLetters(t.Context(), limit)
		if err != nil || len(letters) != min(limit, 3) {
			t.Errorf("the API sees %d of %d dead letters (%v)", len(letters), limit, err)
		}
		for _, l := range letters {
			if l.MessageID == "" || l.SentAt.IsZero() || l.Receives == 0 || l.Reason == "" || l.Body == "" {
				t.Errorf("the API sees %+v", l)
			}
		}
	}
	dead, err := p.queue.DeadLetters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.queue = dead
	if _, err := p.deadLetters(t.Context(), 1); !errors.Is(err, rpc.ErrNoDeadLetterQueue) {
		t.Errorf("of a queue that has none: %v", err)
	}
	if got := command("redrive"); !strings.Contains(got, "moved 3 dead letters") {
		t.Errorf("redrive says %q", got)
	}
	if got := receive(); got != 3 {
		t.Errorf("after the redrive the queue has %d messages", got)
	}
	if got := command("peek", "--bucket", devBucket); !strings.Contains(got, "no dead letters") {
		t.Errorf("after the redrive peek says %q", got)
	}
}
