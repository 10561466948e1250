package queue

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Depth is how many messages one queue holds, as SQS estimates it within about a minute.
type Depth struct {
	Visible  int64 // waiting to be received
	InFlight int64 // received, and not yet deleted or visible again; SQS caps it at 120,000
	Delayed  int64
}

// Depths are the depths of a queue and its dead-letter queue.
type Depths struct {
	Queue Depth
	// HasDeadLetterQueue reports whether the queue has one at all. Without it, what is not understood comes back for
	// ever.
	HasDeadLetterQueue bool
	DeadLetters        Depth
	// MaxReceives is how often a message is given out before it goes to the dead-letter queue; 0 without one.
	MaxReceives int
}

// Depths asks SQS. The dead-letter queue is found by the queue's redrive policy; permission to read the attributes of
// both is needed.
func (q *Queue) Depths(ctx context.Context) (Depths, error) {
	depth, policy, err := q.depth(ctx, q.url)
	if err != nil {
		return Depths{}, err
	}
	d := Depths{Queue: depth}
	dead, err := q.deadLetters(ctx, policy)
	if err != nil || dead == nil {
		return d, err
	}
	d.HasDeadLetterQueue, d.MaxReceives = true, dead.maxReceives
	if d.DeadLetters, _, err = q.depth(ctx, dead.url); err != nil {
		return Depths{}, err
	}
	return d, nil
}

// depth returns the depth of the queue at the URL and its redrive policy, which is empty when it has none.
func (q *Queue) depth(ctx context.Context, url string) (Depth, string, error) {
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(url),
		AttributeNames: []types.QueueAttributeName{
			types.QueueAttributeNameApproximateNumberOfMessages,
			types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
			types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
			types.QueueAttributeNameRedrivePolicy,
		},
	})
	if err != nil {
		return Depth{}, "", fmt.Errorf("reading the attributes of a queue: %w", err)
	}
	number := func(name types.QueueAttributeName) int64 {
		n, _ := strconv.ParseInt(out.Attributes[string(name)], 10, 64)
		return n
	}
	return Depth{
		Visible:  number(types.QueueAttributeNameApproximateNumberOfMessages),
		InFlight: number(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible),
		Delayed:  number(types.QueueAttributeNameApproximateNumberOfMessagesDelayed),
	}, out.Attributes[string(types.QueueAttributeNameRedrivePolicy)], nil
}
