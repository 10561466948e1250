package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/coatcheck/coatcheck/internal/consumer"
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

// Peek shows up to limit messages of the queue, which stay there, until ctx ends or there are no more. Each is hidden until all
// have been seen, or the same ones would be given out again; and each look counts as a receive.
func (q *Queue) Peek(ctx context.Context, limit int, show func(consumer.Message)) (err error) {
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
		messages, err := q.Receive(ctx, min(10, limit-len(receipts)), peekWait, PeekHidden)
		if err != nil {
			return err
		}
		if len(messages) == 0 {
			return nil
		}
		for _, m := range messages {
			receipts = append(receipts, m.Receipt)
			show(m)
		}
	}
	return nil
}
