package queue

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	// PeekHidden is how long a message that is shown stays hidden from others, should whoever shows it be killed before it
	// lets others see it again.
	PeekHidden = 30 * time.Second
	// peekWait is how long it takes to believe that there are no more.
	peekWait = time.Second
	// peekBack bounds the time that it takes to let others see them again, which is not given up when the looking is.
	peekBack = 5 * time.Second
)

// Seen is a message that stays in the queue.
type Seen struct {
	ID, Body string
	// Receives is how often it has been given out, this time included; 0 when the queue did not tell.
	Receives int
	SentAt   time.Time // zero when the queue did not tell
}

func seen(m types.Message) Seen {
	s := Seen{ID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body)}
	if n, err := strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)]); err == nil {
		s.Receives = n
	}
	sent := m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)]
	if ms, err := strconv.ParseInt(sent, 10, 64); err == nil {
		s.SentAt = time.UnixMilli(ms).UTC()
	}
	return s
}

// Peek shows up to limit messages of the queue, which stay there, until ctx ends or there are no more. Each is hidden until all
// have been seen, or the same ones would be given out again; and each look counts as a receive.
func (q *Queue) Peek(ctx context.Context, limit int, show func(Seen)) (err error) {
	var receipts []string
	defer func() {
		if len(receipts) == 0 {
			return
		}
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), peekBack)
		defer cancel()
		if failures := q.SetVisibility(back, receipts, 0); len(failures) > 0 && err == nil {
			err = fmt.Errorf("%d messages stay hidden for up to %s: %w", len(failures), PeekHidden, failures[0].Err)
		}
	}()
	for len(receipts) < limit {
		messages, err := q.receive(ctx, limit-len(receipts), peekWait, PeekHidden,
			types.MessageSystemAttributeNameApproximateReceiveCount, types.MessageSystemAttributeNameSentTimestamp)
		if err != nil {
			return err
		}
		if len(messages) == 0 {
			return nil
		}
		for _, m := range messages {
			receipts = append(receipts, aws.ToString(m.ReceiptHandle))
			show(seen(m))
		}
	}
	return nil
}
