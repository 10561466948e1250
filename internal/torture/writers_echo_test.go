package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/coatcheck/coatcheck/internal/consumer"
)

// writersEcho is a queue that sends what was received lately again and again, in other orders: so the batches of
// different consumers have many rows in common, and would wait for each other in a circle if they could.
type writersEcho struct {
	consumer.Queue

	mu     sync.Mutex
	recent []string
}

const (
	writersEchoes = 40 // bodies that are remembered
	writersEchoed = 50 * time.Millisecond
)

// Receive implements [consumer.Queue].
func (e *writersEcho) Receive(ctx context.Context, most int, wait, visibility time.Duration) ([]consumer.Message, error) {
	messages, err := e.Queue.Receive(ctx, most, wait, visibility)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range messages {
		if len(e.recent) < writersEchoes {
			e.recent = append(e.recent, m.Body)
		} else {
			e.recent[rand.IntN(writersEchoes)] = m.Body
		}
	}
	return messages, err
}

// run echoes until ctx ends.
func (e *writersEcho) run(t *testing.T, ctx context.Context, s *site) {
	for ; ctx.Err() == nil; time.Sleep(writersEchoed) {
		e.mu.Lock()
		bodies := append([]string(nil), e.recent...)
		e.mu.Unlock()
		rand.Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
		for len(bodies) > 0 {
			n := min(10, len(bodies))
			in := &sqs.SendMessageBatchInput{QueueUrl: &s.queueURL}
			for i, body := range bodies[:n] {
				in.Entries = append(in.Entries, sqstypes.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: aws.String(body)})
			}
			if out, err := s.sqs.SendMessageBatch(context.WithoutCancel(ctx), in); err != nil || len(out.Failed) > 0 {
				violated(t, "echoing: %v", err)
				return
			}
			bodies = bodies[n:]
		}
	}
}
