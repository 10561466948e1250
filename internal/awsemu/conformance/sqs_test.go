package conformance

import (
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

var sqsChecks = []check{
	{"create-again", func(e *env) {
		name := unique("conformance")
		q := e.namedQueue(name, map[string]string{"VisibilityTimeout": "45"})
		out, err := e.sqs.CreateQueue(e.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"VisibilityTimeout": "45"}})
		e.must(err, "creating it again")
		if value(out.QueueUrl) != q.url {
			e.Errorf("another URL: %s", value(out.QueueUrl))
		}
		_, err = e.sqs.CreateQueue(e.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"VisibilityTimeout": "46"}})
		wantFault[*types.QueueNameExists](e, err)
	}},
	{"get-url", func(e *env) {
		name := unique("conformance")
		_, err := e.sqs.GetQueueUrl(e.Context(), &sqs.GetQueueUrlInput{QueueName: &name})
		wantFault[*types.QueueDoesNotExist](e, err)
		q := e.namedQueue(name, nil)
		out, err := e.sqs.GetQueueUrl(e.Context(), &sqs.GetQueueUrlInput{QueueName: &name})
		e.must(err, "getting the URL")
		if value(out.QueueUrl) != q.url || !strings.HasSuffix(q.url, "/"+name) {
			e.Errorf("URL %s, created as %s", value(out.QueueUrl), q.url)
		}
		if !strings.HasPrefix(q.arn, "arn:aws:sqs:"+region+":") || !strings.HasSuffix(q.arn, ":"+name) {
			e.Errorf("ARN %s", q.arn)
		}
	}},
	{"deleted-queue", func(e *env) {
		q := e.queue(nil)
		_, err := e.sqs.DeleteQueue(e.Context(), &sqs.DeleteQueueInput{QueueUrl: &q.url})
		e.must(err, "deleting the queue")
		_, err = e.sqs.ReceiveMessage(e.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.url})
		wantFault[*types.QueueDoesNotExist](e, err)
		_, err = e.sqs.SendMessage(e.Context(), &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: ptr("x")})
		wantFault[*types.QueueDoesNotExist](e, err)
	}},
	{"attributes", func(e *env) {
		q := e.queue(map[string]string{"VisibilityTimeout": "45", "ReceiveMessageWaitTimeSeconds": "3"})
		_, err := e.sqs.SetQueueAttributes(e.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &q.url, Attributes: map[string]string{"VisibilityTimeout": "50", "MessageRetentionPeriod": "86400"}})
		e.must(err, "setting attributes")
		for name, want := range map[types.QueueAttributeName]string{
			"VisibilityTimeout": "50", "ReceiveMessageWaitTimeSeconds": "3", "MessageRetentionPeriod": "86400", "DelaySeconds": "0",
		} {
			if got := q.attribute(name); got != want {
				e.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}},
	{"send-receive-delete", func(e *env) {
		q := e.queue(nil)
		text := "a <b> & \"é\"\n😀"
		before := time.Now()
		sent, err := e.sqs.SendMessage(e.Context(), &sqs.SendMessageInput{
			QueueUrl: &q.url, MessageBody: &text,
			MessageAttributes: map[string]types.MessageAttributeValue{"kind": {DataType: ptr("String"), StringValue: ptr("test")}},
		})
		e.must(err, "sending")
		if value(sent.MD5OfMessageBody) != md5Hex([]byte(text)) {
			e.Errorf("MD5OfMessageBody %s", value(sent.MD5OfMessageBody))
		}
		m := q.one(5)
		if value(m.Body) != text || value(m.MessageId) != value(sent.MessageId) || value(m.MD5OfBody) != md5Hex([]byte(text)) {
			e.Errorf("received %q, id %s, sent as %s, MD5 %s", value(m.Body), value(m.MessageId), value(sent.MessageId), value(m.MD5OfBody))
		}
		if value(m.MessageAttributes["kind"].StringValue) != "test" {
			e.Errorf("attributes %+v", m.MessageAttributes)
		}
		millis, err := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64)
		if at := time.UnixMilli(millis); err != nil || at.Before(before.Add(-2*time.Second)) || at.After(time.Now().Add(2*time.Second)) {
			e.Errorf("SentTimestamp %q", m.Attributes["SentTimestamp"])
		}
		if m.Attributes["ApproximateReceiveCount"] != "1" || m.Attributes["ApproximateFirstReceiveTimestamp"] == "" || m.Attributes["SenderId"] == "" {
			e.Errorf("system attributes %v", m.Attributes)
		}
		q.delete(m.ReceiptHandle)
		e.eventually("empty", func() bool { return q.counts() == "0 0 0" })
	}},
	{"counts", func(e *env) {
		q := e.queue(nil)
		q.send("one")
		e.eventually("one visible", func() bool { return q.counts() == "1 0 0" })
		q.one(5)
		e.eventually("one in flight", func() bool { return q.counts() == "0 1 0" })
		_, err := e.sqs.SendMessage(e.Context(), &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: ptr("two"), DelaySeconds: 60})
		e.must(err, "sending")
		e.eventually("one delayed", func() bool { return q.counts() == "0 1 1" })
	}},
	{"receive-at-most-asked", func(e *env) {
		q := e.queue(nil)
		for range 3 {
			q.send("m")
		}
		out, err := e.sqs.ReceiveMessage(e.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 2, WaitTimeSeconds: 2})
		e.must(err, "receiving")
		if len(out.Messages) == 0 || len(out.Messages) > 2 {
			e.Errorf("received %d", len(out.Messages))
		}
		out, err = e.sqs.ReceiveMessage(e.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.url})
		e.must(err, "receiving")
		if len(out.Messages) > 1 {
			e.Errorf("received %d without asking for more than one", len(out.Messages))
		}
		for _, n := range []int32{11, -1} {
			_, err = e.sqs.ReceiveMessage(e.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: n})
			if errorCode(err) != "InvalidParameterValue" && errorCode(err) != "ReadCountOutOfRange" {
				e.Errorf("asking for %d: %s", n, errorCode(err))
			}
		}
	}},
	{"short-poll", func(e *env) {
		q := e.queue(nil)
		start := time.Now()
		q.none(0)
		if d := time.Since(start); d > 3*time.Second {
			e.Errorf("a poll without waiting took %v", d)
		}
	}},
	{"long-poll-waits", func(e *env) {
		q := e.queue(nil)
		start := time.Now()
		q.none(2)
		if d := time.Since(start); d < 1900*time.Millisecond {
			e.Errorf("returned after %v, want 2 s", d)
		}
	}},
	{"long-poll-by-attribute", func(e *env) {
		q := e.queue(map[string]string{"ReceiveMessageWaitTimeSeconds": "2"})
		start := time.Now()
		_, err := e.sqs.ReceiveMessage(e.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.url})
		e.must(err, "receiving")
		if d := time.Since(start); d < 1900*time.Millisecond {
			e.Errorf("returned after %v, want 2 s", d)
		}
	}},
	{"long-poll-wakes", func(e *env) {
		q := e.queue(nil)
		done := make(chan struct{})
		var text string
		go func() {
			defer close(done)
			out, err := e.sqs.ReceiveMessage(e.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.url, WaitTimeSeconds: 15})
			if err != nil || len(out.Messages) != 1 {
				e.Errorf("received %v, %v", out, err)
				return
			}
			text = value(out.Messages[0].Body)
		}()
		time.Sleep(500 * time.Millisecond)
		start := time.Now()
		q.send("wake")
		<-done
		if d := time.Since(start); text != "wake" || d > 10*time.Second {
			e.Errorf("received %q %v after it was sent", text, d)
		}
	}},
	{"long-poll-wakes-on-visibility", func(e *env) {
		q := e.queue(map[string]string{"VisibilityTimeout": "1"})
		q.send("m")
		q.one(5)
		start := time.Now()
		if m := q.one(15); m.Attributes["ApproximateReceiveCount"] != "2" || time.Since(start) > 10*time.Second {
			e.Errorf("count %s after %v", m.Attributes["ApproximateReceiveCount"], time.Since(start))
		}
	}},
	{"visibility", func(e *env) {
		q := e.queue(map[string]string{"VisibilityTimeout": "2"})
		q.send("m")
		first := q.one(5)
		q.none(0)
		second := q.one(5)
		if value(first.MessageId) != value(second.MessageId) || value(first.ReceiptHandle) == value(second.ReceiptHandle) {
			e.Errorf("ids %s and %s, the same handle: %v", value(first.MessageId), value(second.MessageId), value(first.ReceiptHandle) == value(second.ReceiptHandle))
		}
		if first.Attributes["ApproximateFirstReceiveTimestamp"] != second.Attributes["ApproximateFirstReceiveTimestamp"] {
			e.Errorf("the time of the first receive changed")
		}
		if second.Attributes["ApproximateReceiveCount"] != "2" {
			e.Errorf("receive count %s", second.Attributes["ApproximateReceiveCount"])
		}
	}},
	{"visibility-by-call", func(e *env) {
		q := e.queue(nil)
		q.send("m")
		out, err := e.sqs.ReceiveMessage(e.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.url, VisibilityTimeout: 1, WaitTimeSeconds: 2})
		e.must(err, "receiving")
		if len(out.Messages) != 1 {
			e.Fatalf("received %d", len(out.Messages))
		}
		q.one(5)
	}},
	{"change-visibility-to-zero", func(e *env) {
		q := e.queue(nil)
		q.send("m")
		m := q.one(5)
		e.must(q.changeVisibility(m.ReceiptHandle, 0), "giving it back")
		if m := q.one(5); m.Attributes["ApproximateReceiveCount"] != "2" {
			e.Errorf("receive count %s", m.Attributes["ApproximateReceiveCount"])
		}
	}},
	{"change-visibility-extends", func(e *env) {
		q := e.queue(map[string]string{"VisibilityTimeout": "2"})
		q.send("m")
		m := q.one(5)
		e.must(q.changeVisibility(m.ReceiptHandle, 30), "extending")
		time.Sleep(2500 * time.Millisecond)
		q.none(0)
		q.delete(m.ReceiptHandle)
		e.eventually("empty", func() bool { return q.counts() == "0 0 0" })
	}},
	{"change-visibility-out-of-range", func(e *env) {
		q := e.queue(nil)
		q.send("m")
		m := q.one(5)
		if err := q.changeVisibility(m.ReceiptHandle, 43201); errorCode(err) != "InvalidParameterValue" {
			e.Errorf("got %s", errorCode(err))
		}
	}},
	{"invalid-receipt", func(e *env) {
		q := e.queue(nil)
		wantFault[*types.ReceiptHandleIsInvalid](e, q.changeVisibility(ptr("bogus"), 10))
		_, err := e.sqs.DeleteMessage(e.Context(), &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: ptr("bogus")})
		wantFault[*types.ReceiptHandleIsInvalid](e, err)
	}},
	{"stale-receipt", func(e *env) {
		// The delete of somebody who took too long succeeds, and deletes nothing.
		q := e.queue(map[string]string{"VisibilityTimeout": "1"})
		q.send("m")
		stale := q.one(5)
		current := q.one(5)
		q.delete(stale.ReceiptHandle)
		e.must(q.changeVisibility(current.ReceiptHandle, 0), "giving it back")
		q.one(5)
	}},
	{"delete-twice", func(e *env) {
		q := e.queue(nil)
		q.send("m")
		m := q.one(5)
		q.delete(m.ReceiptHandle)
		q.delete(m.ReceiptHandle)
	}},
	{"delay", func(e *env) {
		q := e.queue(nil)
		_, err := e.sqs.SendMessage(e.Context(), &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: ptr("m"), DelaySeconds: 2})
		e.must(err, "sending")
		q.none(0)
		q.one(6)
	}},
	{"purge", func(e *env) {
		q := e.queue(nil)
		q.send("a")
		q.send("b")
		_, err := e.sqs.PurgeQueue(e.Context(), &sqs.PurgeQueueInput{QueueUrl: &q.url})
		e.must(err, "purging")
		e.eventually("empty", func() bool { return q.counts() == "0 0 0" })
	}},
	{"invalid-contents", func(e *env) {
		q := e.queue(nil)
		_, err := e.sqs.SendMessage(e.Context(), &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: ptr("a\x00b")})
		wantFault[*types.InvalidMessageContents](e, err)
		_, err = e.sqs.SendMessage(e.Context(), &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: ptr(strings.Repeat("x", 1<<20+1))})
		if errorCode(err) != "InvalidParameterValue" {
			e.Errorf("a message over 1 MiB: %s", errorCode(err))
		}
	}},
}
