package awsemu_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

func bodies(ms []types.Message) (out []string) {
	for _, m := range ms {
		out = append(out, *m.Body)
	}
	return out
}

func (e *env) visibility(url string, handle *string, seconds int32) error {
	_, err := e.sqs.ChangeMessageVisibility(e.t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: handle, VisibilityTimeout: seconds})
	return err
}

func (e *env) delete(url string, handle *string) error {
	_, err := e.sqs.DeleteMessage(e.t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: handle})
	return err
}

func TestQueues(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	url, arn := e.queue("q-1", map[string]string{"VisibilityTimeout": "7", "Policy": `{"Version":"2012-10-17"}`})
	if again, _ := e.queue("q-1", map[string]string{"VisibilityTimeout": "7"}); again != url || !strings.HasPrefix(url, e.http.URL+"/000000000000/q-1") {
		t.Errorf("URLs %s and %s", url, again)
	}
	create := func(name string, attrs map[string]string) error {
		_, err := e.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attrs})
		return err
	}
	var exists *types.QueueNameExists
	if err := create("q-1", map[string]string{"VisibilityTimeout": "8"}); !errors.As(err, &exists) {
		t.Errorf("another timeout: %v", err)
	}
	e.wantCode(create("no spaces", nil), "InvalidParameterValue")
	e.wantCode(create("q.fifo", nil), "AWS.SimpleQueueService.UnsupportedOperation")
	e.wantCode(create("q-2", map[string]string{"Color": "red"}), "InvalidAttributeName")
	e.wantCode(create("q-2", map[string]string{"VisibilityTimeout": "43201"}), "InvalidAttributeValue")
	e.wantCode(create("q-2", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + arn + `x","maxReceiveCount":2}`}), "InvalidParameterValue")
	e.wantCode(create("q-2", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + arn + `","maxReceiveCount":0}`}), "InvalidParameterValue")
	all, err := e.sqs.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
	e.ok(err)
	for name, want := range map[string]string{
		"QueueArn": arn, "VisibilityTimeout": "7", "DelaySeconds": "0", "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600",
		"ReceiveMessageWaitTimeSeconds": "0", "SqsManagedSseEnabled": "true", "Policy": `{"Version":"2012-10-17"}`, "ApproximateNumberOfMessages": "0",
	} {
		if all.Attributes[name] != want {
			t.Errorf("%s is %q, want %q", name, all.Attributes[name], want)
		}
	}
	_, err = e.sqs.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"Policy": "", "DelaySeconds": "3"}})
	e.ok(err)
	if e.attribute(url, "Policy") != "" || e.attribute(url, "DelaySeconds") != "3" {
		t.Error("attributes were not set")
	}
	_, err = e.sqs.TagQueue(t.Context(), &sqs.TagQueueInput{QueueUrl: &url, Tags: map[string]string{"a": "1", "b": "2"}})
	e.ok(err)
	_, err = e.sqs.UntagQueue(t.Context(), &sqs.UntagQueueInput{QueueUrl: &url, TagKeys: []string{"a"}})
	e.ok(err)
	tags, err := e.sqs.ListQueueTags(t.Context(), &sqs.ListQueueTagsInput{QueueUrl: &url})
	e.ok(err)
	if len(tags.Tags) != 1 || tags.Tags["b"] != "2" {
		t.Errorf("tags %v", tags.Tags)
	}
	e.ok(create("other", nil))
	list, err := e.sqs.ListQueues(t.Context(), &sqs.ListQueuesInput{QueueNamePrefix: aws.String("q")})
	e.ok(err)
	if !slices.Equal(list.QueueUrls, []string{url}) {
		t.Errorf("queues %v", list.QueueUrls)
	}
	_, err = e.sqs.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &url})
	e.ok(err)
	var gone *types.QueueDoesNotExist
	if _, err = e.sqs.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("q-1")}); !errors.As(err, &gone) {
		t.Errorf("after deletion: %v", err)
	}
	e.wantCode(err, "AWS.SimpleQueueService.NonExistentQueue")
}

// TestReceive follows a message through receives, visibility and stale handles.
func TestReceive(t *testing.T) {
	t.Parallel()
	clock := newClock()
	e := start(t, awsemu.Config{Now: clock.now})
	url, _ := e.queue("q", map[string]string{"VisibilityTimeout": "30"})
	sent, err := e.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: &url, MessageBody: aws.String("hello <&\"é"),
		MessageAttributes: map[string]types.MessageAttributeValue{"kind": {DataType: aws.String("String"), StringValue: aws.String("coat")}},
	})
	e.ok(err)
	out, err := e.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &url, MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	e.ok(err)
	m := out.Messages[0]
	ms := fmt.Sprint(clock.now().UnixMilli())
	if *m.Body != "hello <&\"é" || *m.MessageId != *sent.MessageId || *m.MD5OfMessageAttributes != *sent.MD5OfMessageAttributes ||
		*m.MessageAttributes["kind"].StringValue != "coat" || m.Attributes["ApproximateReceiveCount"] != "1" ||
		m.Attributes["SentTimestamp"] != ms || m.Attributes["ApproximateFirstReceiveTimestamp"] != ms || m.Attributes["SenderId"] == "" {
		t.Errorf("received %+v", m)
	}
	if got := e.receive(url, 0); len(got) != 0 || e.attribute(url, "ApproximateNumberOfMessagesNotVisible") != "1" {
		t.Error("a message in flight was received again")
	}
	e.ok(e.visibility(url, m.ReceiptHandle, 100))
	clock.advance(99 * time.Second)
	if got := e.receive(url, 0); len(got) != 0 {
		t.Error("the new timeout was not kept")
	}
	clock.advance(2 * time.Second)
	e.wantCode(e.visibility(url, m.ReceiptHandle, 5), "AWS.SimpleQueueService.MessageNotInflight")
	second := e.receive(url, 0)[0]
	if second.Attributes["ApproximateReceiveCount"] != "2" || second.Attributes["ApproximateFirstReceiveTimestamp"] != ms || *second.ReceiptHandle == *m.ReceiptHandle {
		t.Errorf("received again %+v", second)
	}
	e.ok(e.delete(url, m.ReceiptHandle)) // stale: succeeds and does nothing
	e.ok(e.visibility(url, second.ReceiptHandle, 0))
	third := e.receive(url, 0)
	if len(third) != 1 {
		t.Fatal("the stale handle deleted the message, or visibility 0 did not give it back")
	}
	clock.advance(5 * time.Minute)
	e.ok(e.delete(url, third[0].ReceiptHandle)) // the timeout is over, but nobody has received it since
	e.ok(e.delete(url, third[0].ReceiptHandle))
	if got := e.receive(url, 0); len(got) != 0 {
		t.Error("a deleted message was received")
	}
	e.wantCode(e.delete(url, aws.String("nonsense")), "ReceiptHandleIsInvalid")
	e.wantCode(e.visibility(url, third[0].ReceiptHandle, 5), "InvalidParameterValue")
	e.wantCode(e.visibility(url, third[0].ReceiptHandle, 43201), "InvalidParameterValue")
	_, err = e.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 11})
	e.wantCode(err, "InvalidParameterValue")
}

// TestLongPoll wakes a poll by a message that is sent, one that is given back, one whose timeout ends, and one
// whose delay ends.
func TestLongPoll(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	url, _ := e.queue("q", map[string]string{"VisibilityTimeout": "1"})
	poll := func(what string, trigger func()) types.Message {
		t.Helper()
		got := make(chan []types.Message, 1)
		go func() {
			out, err := e.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20})
			if err != nil {
				t.Error(err)
				out = &sqs.ReceiveMessageOutput{}
			}
			got <- out.Messages
		}()
		before := e.emu.Counts()["ReceiveMessage"]
		eventually(t, "the poll has begun", func() bool { return e.emu.Counts()["ReceiveMessage"] > before || before > 0 })
		time.Sleep(50 * time.Millisecond)
		trigger()
		select {
		case ms := <-got:
			if len(ms) != 1 {
				t.Fatalf("%s: %d messages", what, len(ms))
			}
			return ms[0]
		case <-time.After(10 * time.Second):
			t.Fatalf("%s did not wake the poll", what)
			panic("unreachable")
		}
	}
	m := poll("sending", func() { e.send(url, "x") })
	m = poll("the end of the timeout", func() {})
	e.ok(e.visibility(url, m.ReceiptHandle, 3600))
	m = poll("giving back", func() { e.ok(e.visibility(url, m.ReceiptHandle, 0)) })
	e.ok(e.delete(url, m.ReceiptHandle))
	poll("the end of a delay", func() {
		_, err := e.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("later"), DelaySeconds: 1})
		e.ok(err)
	})
	began := time.Now()
	empty, _ := e.queue("empty", map[string]string{"ReceiveMessageWaitTimeSeconds": "1"})
	out, err := e.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &empty})
	e.ok(err)
	if len(out.Messages) != 0 || time.Since(began) < time.Second {
		t.Errorf("an empty poll took %v", time.Since(began))
	}
}

// TestManyPollers sends while many poll: every message is received once, and nobody sleeps beside one.
func TestManyPollers(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	url, _ := e.queue("q", nil)
	const n = 400
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				ms := e.receive(url, 2)
				if len(ms) == 0 {
					return
				}
				for _, m := range ms {
					mu.Lock()
					seen[*m.Body]++
					mu.Unlock()
					if err := e.delete(url, m.ReceiptHandle); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for i := range n {
		e.send(url, fmt.Sprint(i))
	}
	wg.Wait()
	if len(seen) != n {
		t.Errorf("%d of %d received", len(seen), n)
	}
	for body, times := range seen {
		if times != 1 {
			t.Errorf("%s received %d times", body, times)
		}
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	url, _ := e.queue("q", nil)
	entries := func(ids ...string) (out []types.SendMessageBatchRequestEntry) {
		for _, id := range ids {
			out = append(out, types.SendMessageBatchRequestEntry{Id: &id, MessageBody: aws.String("m" + id)})
		}
		return out
	}
	send := func(in []types.SendMessageBatchRequestEntry) (*sqs.SendMessageBatchOutput, error) {
		return e.sqs.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: in})
	}
	var empty *types.EmptyBatchRequest
	if _, err := send([]types.SendMessageBatchRequestEntry{}); !errors.As(err, &empty) {
		t.Errorf("no entries: %v", err)
	}
	_, err := send(entries("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"))
	e.wantCode(err, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest")
	_, err = send(entries("1", "1"))
	e.wantCode(err, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct")
	_, err = send(entries("a b"))
	e.wantCode(err, "AWS.SimpleQueueService.InvalidBatchEntryId")
	big := entries("1", "2")
	big[0].MessageBody, big[1].MessageBody = aws.String(strings.Repeat("x", 600_000)), aws.String(strings.Repeat("x", 600_000))
	_, err = send(big)
	e.wantCode(err, "AWS.SimpleQueueService.BatchRequestTooLong")
	one := func(body string) error {
		_, err := e.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})
		return err
	}
	e.wantCode(one(strings.Repeat("x", 1<<20+1)), "InvalidParameterValue")
	e.wantCode(one("\x01"), "InvalidMessageContents")
	e.ok(one(strings.Repeat("x", 1<<20)))
	_, err = e.sqs.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: &url})
	e.ok(err)
	mixed := entries("1", "2", "3")
	mixed[1].MessageBody = aws.String("\x02")
	sent, err := send(mixed)
	e.ok(err)
	if len(sent.Successful) != 2 || len(sent.Failed) != 1 || *sent.Failed[0].Id != "2" || !sent.Failed[0].SenderFault {
		t.Errorf("sent %+v", sent)
	}
	ms := e.receive(url, 1)
	if got := bodies(ms); !slices.Equal(got, []string{"m1", "m3"}) {
		t.Fatalf("received %q", got)
	}
	visible, err := e.sqs.ChangeMessageVisibilityBatch(t.Context(), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &url, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
		{Id: aws.String("a"), ReceiptHandle: ms[0].ReceiptHandle}, {Id: aws.String("b"), ReceiptHandle: aws.String("none")},
	}})
	e.ok(err)
	if len(visible.Successful) != 1 || len(visible.Failed) != 1 || *visible.Failed[0].Code != "ReceiptHandleIsInvalid" {
		t.Errorf("given back %+v", visible)
	}
	again := e.receive(url, 1)
	e.emu.Faults().FailEntries(awsemu.Match{Operation: "DeleteMessageBatch", KeyContains: "q"}, 1, "InternalError", false)
	batch := &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: []types.DeleteMessageBatchRequestEntry{
		{Id: aws.String("a"), ReceiptHandle: again[0].ReceiptHandle}, {Id: aws.String("b"), ReceiptHandle: ms[1].ReceiptHandle},
	}}
	deleted, err := e.sqs.DeleteMessageBatch(t.Context(), batch)
	e.ok(err)
	if len(deleted.Successful) != 1 || len(deleted.Failed) != 1 || *deleted.Failed[0].Id != "a" || deleted.Failed[0].SenderFault || e.attribute(url, "ApproximateNumberOfMessagesNotVisible") != "1" {
		t.Errorf("deleted %+v", deleted)
	}
	deleted, err = e.sqs.DeleteMessageBatch(t.Context(), batch)
	e.ok(err)
	if len(deleted.Successful) != 2 || e.attribute(url, "ApproximateNumberOfMessagesNotVisible") != "0" {
		t.Errorf("deleted again %+v", deleted)
	}
}

// TestSQSAuthentication sends what SQS refuses before it looks at the operation.
func TestSQSAuthentication(t *testing.T) {
	t.Parallel()
	clock := newClock()
	e := start(t, awsemu.Config{Now: clock.now})
	with := func(id, secret, region string) error {
		c := sqs.New(sqs.Options{
			Region: region, BaseEndpoint: &e.http.URL, RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
		})
		_, err := c.ListQueues(t.Context(), &sqs.ListQueuesInput{})
		return err
	}
	e.ok(with("test", "test", "us-east-1"))
	e.wantCode(with("test", "wrong", "us-east-1"), "SignatureDoesNotMatch")
	e.wantCode(with("nobody", "test", "us-east-1"), "InvalidClientTokenId")
	e.wantCode(with("test", "test", "eu-west-1"), "SignatureDoesNotMatch")
	clock.advance(time.Hour)
	e.wantCode(with("test", "test", "us-east-1"), "SignatureDoesNotMatch")
	got := e.do("POST", e.http.URL, map[string][]string{"X-Amz-Target": {"AmazonSQS.ListQueues"}}, []byte("{}"))
	if got.status != 403 || !strings.Contains(got.body, "MissingAuthenticationToken") {
		t.Errorf("anonymous: %d %s", got.status, got.body)
	}
}
