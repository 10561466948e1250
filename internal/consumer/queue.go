package consumer

import (
	"context"
	"time"
)

// Queue is the queue that notifications come from, with at-least-once delivery and visibility timeouts.
type Queue interface {
	// Receive waits up to wait for messages and returns at most max of them, which are then hidden from others for
	// visibility. No message within wait is no error.
	Receive(ctx context.Context, max int, wait, visibility time.Duration) ([]Message, error)
	// Delete deletes messages by their receipts and returns those that it could not delete, after it has tried again
	// what may be tried again.
	Delete(ctx context.Context, receipts []string) []Failure
	// SetVisibility hides messages for so long from now on, or shows them again at once when visibility is 0. It
	// returns those for which that failed, and tries nothing again.
	SetVisibility(ctx context.Context, receipts []string, visibility time.Duration) []Failure
}

// Message is one message as the queue gave it out.
type Message struct {
	ID      string
	Receipt string // stands for this one delivery of it
	Body    string
}

// Failure is one message with which something could not be done.
type Failure struct {
	Receipt string
	Err     error
	// Final means that it is of no use to try again with this receipt, which has expired or is unknown.
	Final bool
}
