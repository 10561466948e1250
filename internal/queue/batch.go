package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/coatcheck/coatcheck/internal/backoff"
	"github.com/coatcheck/coatcheck/internal/consumer"
)

// Delete implements [consumer.Queue]: ten messages a call, one call after the other. SQS answers a batch with success
// even when entries of it failed, and the SDK does not try those again: it is done here, unless SQS says that the
// fault is the sender's.
//
// A deletion with a receipt that has expired can succeed without deleting; the message is then given out once more.
func (q *Queue) Delete(ctx context.Context, receipts []string) []consumer.Failure {
	var failures []consumer.Failure
	for attempt := 1; ; attempt++ {
		var again []string
		for chunk := range slices.Chunk(receipts, batchSize) {
			for _, f := range q.deleteBatch(ctx, chunk) {
				if !f.Final && attempt < q.retry.Attempts && ctx.Err() == nil {
					again = append(again, f.Receipt)
					continue
				}
				failures = append(failures, f)
			}
		}
		if len(again) == 0 {
			return failures
		}
		receipts = again
		// A context that ends here is noticed by the next call, which then tells it for each entry.
		_ = backoff.Sleep(ctx, q.retry.Delay(attempt))
	}
}

func (q *Queue) deleteBatch(ctx context.Context, receipts []string) []consumer.Failure {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	entries := make([]types.DeleteMessageBatchRequestEntry, len(receipts))
	for i, r := range receipts {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(r)}
	}
	out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(q.url), Entries: entries}, quick)
	if err != nil {
		return all(receipts, fmt.Errorf("deleting from SQS: %w", err))
	}
	done := make([]string, len(out.Successful))
	for i, s := range out.Successful {
		done[i] = aws.ToString(s.Id)
	}
	return failed("deleting from SQS", receipts, done, out.Failed)
}

// SetVisibility implements [consumer.Queue]: ten messages a call, one call after the other, each tried once. The
// visibility is rounded up to whole seconds, and is at most twelve hours.
func (q *Queue) SetVisibility(ctx context.Context, receipts []string, visibility time.Duration) []consumer.Failure {
	var failures []consumer.Failure
	for chunk := range slices.Chunk(receipts, batchSize) {
		failures = append(failures, q.setVisibilityBatch(ctx, chunk, visibility)...)
	}
	return failures
}

func (q *Queue) setVisibilityBatch(ctx context.Context, receipts []string, visibility time.Duration) []consumer.Failure {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(receipts))
	for i, r := range receipts {
		entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(r), VisibilityTimeout: seconds(visibility),
		}
	}
	out, err := q.client.ChangeMessageVisibilityBatch(ctx,
		&sqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(q.url), Entries: entries})
	if err != nil {
		return all(receipts, fmt.Errorf("setting the visibility in SQS: %w", err))
	}
	done := make([]string, len(out.Successful))
	for i, s := range out.Successful {
		done[i] = aws.ToString(s.Id)
	}
	return failed("setting the visibility in SQS", receipts, done, out.Failed)
}

// all returns the failure of every message, of a call that failed as a whole.
func all(receipts []string, err error) []consumer.Failure {
	failures := make([]consumer.Failure, len(receipts))
	for i, r := range receipts {
		failures[i] = consumer.Failure{Receipt: r, Err: err}
	}
	return failures
}

// errUnanswered is the failure of an entry that the answer lists neither among the successful nor among the failed.
var errUnanswered = errors.New("the answer does not mention it")

// failed returns the failures of a batch whose entries' ids are their indexes. What is not known to have succeeded has
// failed.
func failed(doing string, receipts, done []string, bad []types.BatchResultErrorEntry) []consumer.Failure {
	var failures []consumer.Failure
	for i, r := range receipts {
		id := strconv.Itoa(i)
		if b := slices.IndexFunc(bad, func(e types.BatchResultErrorEntry) bool { return aws.ToString(e.Id) == id }); b >= 0 {
			e := bad[b]
			failures = append(failures, consumer.Failure{
				Receipt: r, Final: e.SenderFault,
				Err: fmt.Errorf("%s: %s: %s", doing, aws.ToString(e.Code), aws.ToString(e.Message)),
			})
			continue
		}
		if !slices.Contains(done, id) {
			failures = append(failures, consumer.Failure{Receipt: r, Err: fmt.Errorf("%s: %w", doing, errUnanswered)})
		}
	}
	return failures
}
