package conformance

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// fill sends ten messages in one call and receives them all.
func (q queue) fill() []types.Message {
	var entries []types.SendMessageBatchRequestEntry
	for i := range 10 {
		entries = append(entries, types.SendMessageBatchRequestEntry{Id: ptr(fmt.Sprint(i)), MessageBody: ptr(fmt.Sprint("m", i))})
	}
	out, err := q.e.sqs.SendMessageBatch(q.e.Context(), &sqs.SendMessageBatchInput{QueueUrl: &q.url, Entries: entries})
	q.e.must(err, "sending a batch")
	if len(out.Successful) != 10 || len(out.Failed) != 0 {
		q.e.Fatalf("%d sent, %d failed", len(out.Successful), len(out.Failed))
	}
	var all []types.Message
	for range 20 {
		all = append(all, q.receive(1)...)
		if len(all) >= 10 {
			break
		}
	}
	if len(all) != 10 {
		q.e.Fatalf("received %d of 10", len(all))
	}
	return all
}

// failed checks the one failed entry of a batch.
func (e *env) failed(entries []types.BatchResultErrorEntry, id string) {
	if len(entries) != 1 || value(entries[0].Id) != id || value(entries[0].Code) != "ReceiptHandleIsInvalid" || !entries[0].SenderFault {
		for _, f := range entries {
			e.Errorf("failed: id %s, code %s, sender's fault %v", value(f.Id), value(f.Code), f.SenderFault)
		}
		e.Errorf("want one failure, of %s, with ReceiptHandleIsInvalid and by the sender's fault", id)
	}
}

var sqsBatchChecks = []check{
	{"send-receive-delete", func(e *env) {
		q := e.queue(nil)
		seen := map[string]bool{}
		var entries []types.DeleteMessageBatchRequestEntry
		for i, m := range q.fill() {
			seen[value(m.Body)] = true
			entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: ptr(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle})
		}
		if len(seen) != 10 {
			e.Errorf("received %v", seen)
		}
		out, err := e.sqs.DeleteMessageBatch(e.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		e.must(err, "deleting a batch")
		if len(out.Successful) != 10 || len(out.Failed) != 0 {
			e.Errorf("%d deleted, %d failed", len(out.Successful), len(out.Failed))
		}
		e.eventually("empty", func() bool { return q.counts() == "0 0 0" })
	}},
	{"delete-partial-failure", func(e *env) {
		q := e.queue(nil)
		var entries []types.DeleteMessageBatchRequestEntry
		for i, m := range q.fill() {
			entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: ptr(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle})
		}
		entries[7].ReceiptHandle = ptr("bogus")
		out, err := e.sqs.DeleteMessageBatch(e.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		e.must(err, "deleting a batch")
		if len(out.Successful) != 9 {
			e.Errorf("%d deleted", len(out.Successful))
		}
		e.failed(out.Failed, "7")
		e.eventually("one left in flight", func() bool { return q.counts() == "0 1 0" })
	}},
	{"visibility-partial-failure", func(e *env) {
		q := e.queue(nil)
		messages := q.fill()
		entries := []types.ChangeMessageVisibilityBatchRequestEntry{
			{Id: ptr("good"), ReceiptHandle: messages[0].ReceiptHandle, VisibilityTimeout: 0},
			{Id: ptr("bad"), ReceiptHandle: ptr("bogus"), VisibilityTimeout: 0},
		}
		out, err := e.sqs.ChangeMessageVisibilityBatch(e.Context(), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url, Entries: entries})
		e.must(err, "changing a batch")
		if len(out.Successful) != 1 || value(out.Successful[0].Id) != "good" {
			e.Errorf("changed %d", len(out.Successful))
		}
		e.failed(out.Failed, "bad")
		if m := q.one(5); value(m.MessageId) != value(messages[0].MessageId) {
			e.Errorf("another message came back")
		}
	}},
	{"too-many", func(e *env) {
		q := e.queue(nil)
		var entries []types.SendMessageBatchRequestEntry
		for i := range 11 {
			entries = append(entries, types.SendMessageBatchRequestEntry{Id: ptr(fmt.Sprint(i)), MessageBody: ptr("m")})
		}
		_, err := e.sqs.SendMessageBatch(e.Context(), &sqs.SendMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		wantFault[*types.TooManyEntriesInBatchRequest](e, err)
	}},
	{"empty", func(e *env) {
		q := e.queue(nil)
		_, err := e.sqs.DeleteMessageBatch(e.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: []types.DeleteMessageBatchRequestEntry{}})
		wantFault[*types.EmptyBatchRequest](e, err)
	}},
	{"same-id-twice", func(e *env) {
		q := e.queue(nil)
		entries := []types.SendMessageBatchRequestEntry{{Id: ptr("1"), MessageBody: ptr("a")}, {Id: ptr("1"), MessageBody: ptr("b")}}
		_, err := e.sqs.SendMessageBatch(e.Context(), &sqs.SendMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		wantFault[*types.BatchEntryIdsNotDistinct](e, err)
	}},
}
