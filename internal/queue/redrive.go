package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/coatcheck/coatcheck/internal/backoff"
)

// deadLetters is where a queue's redrive policy sends what was received too often.
type deadLetters struct {
	arn, url    string
	maxReceives int
}

// deadLetters reads a redrive policy and finds the queue that it names; nil when there is no policy.
func (q *Queue) deadLetters(ctx context.Context, policy string) (*deadLetters, error) {
	if policy == "" {
		return nil, nil
	}
	// AWS writes maxReceiveCount as a number and accepts it as a string as well.
	var redrive struct {
		Target      string `json:"deadLetterTargetArn"`
		MaxReceives any    `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(policy), &redrive); err != nil {
		return nil, fmt.Errorf("reading the queue's redrive policy: %w", err)
	}
	// arn:aws:sqs:region:account:name
	arn := strings.Split(redrive.Target, ":")
	if len(arn) != 6 {
		return nil, fmt.Errorf("reading the queue's redrive policy: %q is no ARN of a queue", redrive.Target)
	}
	found, err := q.client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{
		QueueName: aws.String(arn[5]), QueueOwnerAWSAccountId: aws.String(arn[4]),
	})
	if err != nil {
		return nil, fmt.Errorf("finding the dead-letter queue %s: %w", arn[5], err)
	}
	dead := &deadLetters{arn: redrive.Target, url: aws.ToString(found.QueueUrl)}
	dead.maxReceives, _ = strconv.Atoi(fmt.Sprint(redrive.MaxReceives))
	return dead, nil
}

// ErrNoDeadLetterQueue means that the queue has no redrive policy.
var ErrNoDeadLetterQueue = errors.New("the queue has no dead-letter queue: it needs a redrive policy")

// DeadLetters returns the queue's dead-letter queue, or [ErrNoDeadLetterQueue].
func (q *Queue) DeadLetters(ctx context.Context) (*Queue, error) {
	dead, err := q.findDeadLetters(ctx)
	if err != nil {
		return nil, err
	}
	return New(q.client, dead.url, q.retry), nil
}

func (q *Queue) findDeadLetters(ctx context.Context) (*deadLetters, error) {
	_, policy, err := q.depth(ctx, q.url)
	if err != nil {
		return nil, err
	}
	dead, err := q.deadLetters(ctx, policy)
	if err == nil && dead == nil {
		err = ErrNoDeadLetterQueue
	}
	return dead, err
}

// redriveInterval is the time between two looks at a move task.
const redriveInterval = 500 * time.Millisecond

// Redrive moves the dead letters back to the queue by a move task of SQS itself, which no crash of ours can stop half
// way, and reports how many of how many have been moved until it has ended. A task that is under way already is
// followed instead of a new one being started, so an interrupted call can be made again. Cancelling ctx stops the
// watching, not the task.
func (q *Queue) Redrive(ctx context.Context, report func(moved, total int64)) error {
	dead, err := q.findDeadLetters(ctx)
	if err != nil {
		return err
	}
	task, err := q.moveTask(ctx, dead.arn)
	if err != nil {
		return err
	}
	if task == nil || aws.ToString(task.Status) != "RUNNING" {
		_, err := q.client.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &dead.arn})
		if err != nil {
			return fmt.Errorf("starting a move task: %w", err)
		}
	}
	for {
		if task, err = q.moveTask(ctx, dead.arn); err != nil {
			return err
		}
		if task == nil {
			return errors.New("following the move task: SQS does not know of it")
		}
		report(task.ApproximateNumberOfMessagesMoved, aws.ToInt64(task.ApproximateNumberOfMessagesToMove))
		switch status := aws.ToString(task.Status); status {
		case "COMPLETED":
			return nil
		case "RUNNING", "CANCELLING":
		default:
			return fmt.Errorf("the move task ended as %s: %s", status, aws.ToString(task.FailureReason))
		}
		if err := backoff.Sleep(ctx, redriveInterval); err != nil {
			return err
		}
	}
}

// moveTask returns the latest move task of a dead-letter queue, or nil.
func (q *Queue) moveTask(ctx context.Context, arn string) (*types.ListMessageMoveTasksResultEntry, error) {
	listed, err := q.client.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &arn, MaxResults: aws.Int32(1)})
	if err != nil {
		return nil, fmt.Errorf("asking for move tasks: %w", err)
	}
	if len(listed.Results) == 0 {
		return nil, nil
	}
	return &listed.Results[0], nil
}
