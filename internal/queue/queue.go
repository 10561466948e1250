// Package queue is the adapter to SQS. [Queue] is what the consumer takes notifications from; [Queue.Depths] is for
// metrics and for people.
package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/coatcheck/coatcheck/internal/backoff"
	"github.com/coatcheck/coatcheck/internal/consumer"
)

const (
	// batchSize is the most that SQS accepts in one batch call, and gives out in one receive.
	batchSize = 10
	// callTimeout bounds a call that is not a long poll, the SDK's own retries included. It is well below half of a
	// usual visibility timeout, so that a heartbeat that hangs leaves time for another.
	callTimeout = 10 * time.Second
	// pollSlack is what a receive may take beyond its wait. It is large, because a receive that is given up hides its
	// messages until their visibility timeout.
	pollSlack = 20 * time.Second
)

// Queue is one SQS queue. It is safe for concurrent use.
type Queue struct {
	client *sqs.Client
	url    string
	retry  Retry
}

// Retry says how [Queue.Delete] tries again what failed for no fault of the request.
type Retry struct {
	// Attempts is how often an entry is tried in all. More of them ride out a longer throttling before a message that
	// was handled is seen once more.
	Attempts int
	backoff.Policy
}

// DefaultRetry tries for about four seconds in all.
var DefaultRetry = Retry{Attempts: 6, Policy: backoff.Policy{Base: 100 * time.Millisecond, Max: 2 * time.Second}}

// New returns the queue at the URL.
func New(client *sqs.Client, url string, retry Retry) *Queue {
	return &Queue{client: client, url: url, retry: retry}
}

var _ consumer.Queue = (*Queue)(nil)

// Receive implements [consumer.Queue]. SQS counts in whole seconds: wait and visibility are rounded up. At most ten
// messages are given out at a time, and wait is at most 20 s.
//
// The context should not be cancelled while a receive is on its way: messages that SQS has given out to a caller who
// no longer listens stay hidden until their visibility timeout.
func (q *Queue) Receive(ctx context.Context, max int, wait, visibility time.Duration) ([]consumer.Message, error) {
	received, err := q.receive(ctx, max, wait, visibility)
	if err != nil {
		return nil, err
	}
	messages := make([]consumer.Message, len(received))
	for i, m := range received {
		messages[i] = consumer.Message{ID: aws.ToString(m.MessageId), Receipt: aws.ToString(m.ReceiptHandle), Body: aws.ToString(m.Body)}
	}
	return messages, nil
}

func (q *Queue) receive(ctx context.Context, max int, wait, visibility time.Duration, attributes ...types.MessageSystemAttributeName) ([]types.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+pollSlack)
	defer cancel()
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:                    aws.String(q.url),
		MaxNumberOfMessages:         int32(min(max, batchSize)),
		WaitTimeSeconds:             seconds(wait),
		VisibilityTimeout:           seconds(visibility),
		MessageSystemAttributeNames: attributes,
	}, quick)
	if err != nil {
		return nil, fmt.Errorf("receiving from SQS: %w", err)
	}
	return out.Messages, nil
}

// seconds returns d in whole seconds, rounded up.
func seconds(d time.Duration) int32 {
	return int32((d + time.Second - 1) / time.Second)
}
