package rpc

import (
	"context"
	"errors"
	"strings"
	"time"

	"connectrpc.com/connect"

	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

// DeadLetter is a message that the consumer gave up.
type DeadLetter struct {
	MessageID string
	SentAt    time.Time
	Receives  int
	Reason    string
	Body      string
}

// DeadLetters looks at up to limit dead letters until ctx ends, and returns those that it saw. It is [ErrNoDeadLetterQueue]
// when the queue has none.
type DeadLetters func(ctx context.Context, limit int) ([]DeadLetter, error)

// ErrNoDeadLetterQueue means that there is nowhere for dead letters to be.
var ErrNoDeadLetterQueue = errors.New("the queue has no dead-letter queue")

const (
	// deadLettersTime is how long dead letters are looked for.
	deadLettersTime = 5 * time.Second
	// maxDeadLetterBody is how many bytes of a body are shown.
	maxDeadLetterBody = 4096
)

func (a *admin) ListDeadLetters(ctx context.Context, req *connect.Request[coatcheckv1.ListDeadLettersRequest]) (*connect.Response[coatcheckv1.ListDeadLettersResponse], error) {
	if a.deadLetters == nil {
		return nil, notSetUp("this process knows no queue: give it --queue-url (COATCHECK_QUEUE_URL), and the right to receive from its dead-letter queue")
	}
	looking, cancel := context.WithTimeout(ctx, deadLettersTime)
	defer cancel()
	letters, err := a.deadLetters(looking, limit(req.Msg))
	if errors.Is(err, ErrNoDeadLetterQueue) {
		return nil, notSetUp("the queue has no dead-letter queue: give it a redrive policy")
	}
	if err != nil {
		return nil, err
	}
	answer := new(coatcheckv1.ListDeadLettersResponse)
	for _, l := range letters {
		answer.DeadLetters = append(answer.DeadLetters, &coatcheckv1.DeadLetter{
			MessageId: l.MessageID, SentAt: timestamp(l.SentAt), Receives: int32(l.Receives), Reason: strings.ToValidUTF8(l.Reason, "\uFFFD"),
			Body: strings.ToValidUTF8(l.Body[:min(len(l.Body), maxDeadLetterBody)], "\uFFFD"),
		})
	}
	return connect.NewResponse(answer), nil
}
