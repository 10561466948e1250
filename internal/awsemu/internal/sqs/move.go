package sqs

import (
	"context"
	"net/http"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/notify"
)

// The states of a move task.
const (
	moveRunning    = "RUNNING"
	moveCompleted  = "COMPLETED"
	moveCancelling = "CANCELLING"
	moveCancelled  = "CANCELLED"
	moveFailed     = "FAILED"
)

// moveTask is one redrive out of a dead-letter queue. Tasks do not survive a restart; the messages do. It is
// guarded by the service's tasksMu.
type moveTask struct {
	handle  string
	source  *queue
	to      string // ARN; empty sends each message back where it came from
	rate    int    // messages a second; 0 is as fast as can be
	status  string
	failure string
	moved   int
	toMove  int
	started time.Time
	cancel  chan struct{}
}

type startMoveInput struct {
	SourceArn                    string
	DestinationArn               string
	MaxNumberOfMessagesPerSecond int
}

type taskHandle struct{ TaskHandle string }

func noResource(message string) error {
	return awserr.New(http.StatusNotFound, "ResourceNotFoundException", message)
}

func (s *Service) startMove(_ context.Context, _ *Caller, in *startMoveInput) (any, error) {
	q := s.byARN(in.SourceArn)
	if q == nil {
		return nil, noResource("The resource that you specified for the SourceArn parameter doesn't exist.")
	}
	if in.DestinationArn != "" && s.byARN(in.DestinationArn) == nil {
		return nil, noResource("The resource that you specified for the DestinationArn parameter doesn't exist.")
	}
	if in.MaxNumberOfMessagesPerSecond < 0 || in.MaxNumberOfMessagesPerSecond > 500 {
		return nil, invalidParameter("Value for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: must be between 1 and 500.")
	}
	if len(s.sourcesOf(q.name)) == 0 {
		return nil, invalidParameter("Source queue must be configured as a Dead Letter Queue.")
	}
	q.mu.Lock()
	q.promote(s.now())
	n := q.nReady
	q.mu.Unlock()
	s.tasksMu.Lock()
	defer s.tasksMu.Unlock()
	for _, t := range s.tasks {
		if t.source == q && (t.status == moveRunning || t.status == moveCancelling) {
			return nil, awserr.New(http.StatusBadRequest, "UnsupportedOperation", "There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
		}
	}
	select {
	case <-s.closing:
		return nil, awserr.New(http.StatusServiceUnavailable, "ServiceUnavailable", "The emulator is closing.")
	default:
	}
	t := &moveTask{
		handle: notify.NewID(), source: q, to: in.DestinationArn, rate: in.MaxNumberOfMessagesPerSecond,
		status: moveRunning, toMove: n, started: s.now(), cancel: make(chan struct{}),
	}
	s.tasks = append(s.tasks, t)
	s.joined.Go(func() { s.runMove(t) })
	return taskHandle{t.handle}, nil
}

// runMove moves until nothing is visible in the source.
func (s *Service) runMove(t *moveTask) {
	for {
		status, failure := "", ""
		select {
		case <-t.cancel:
			status = moveCancelled
		case <-s.closing:
			status = moveCancelled
		default:
			var more bool
			if more, failure = s.moveOne(t); failure != "" {
				status = moveFailed
			} else if !more {
				status = moveCompleted
			}
		}
		if status != "" {
			s.tasksMu.Lock()
			t.status, t.failure = status, failure
			s.tasksMu.Unlock()
			return
		}
		if t.rate > 0 {
			select {
			case <-time.After(time.Second / time.Duration(t.rate)):
			case <-t.cancel:
			case <-s.closing:
			}
		}
	}
}

// moveOne moves the next message. It arrives as a new one: with a new id and time, never received.
func (s *Service) moveOne(t *moveTask) (more bool, failure string) {
	t.source.mu.Lock()
	now := s.now()
	t.source.promote(now)
	m := t.source.pop()
	t.source.mu.Unlock()
	if m == nil {
		return false, ""
	}
	target := t.to
	if target == "" {
		target = m.Source
	}
	to := s.byARN(target)
	fresh := &message{ID: notify.NewID(), Body: m.Body, Attrs: m.Attrs, Sent: now, Sender: m.Sender, md5: m.md5}
	if to == nil {
		failure = "CouldNotDetermineMessageSource"
	}
	t.source.mu.Lock()
	switch {
	case t.source.byID[m.ID] != m:
		t.source.mu.Unlock()
		return true, "" // deleted meanwhile
	case failure == "":
		if err := s.record(Record{Kind: kindMove, Queue: t.source.name, To: to.name, IDs: []string{m.ID}, Messages: []*message{fresh}}); err != nil {
			failure = err.Error()
		}
	}
	if failure != "" {
		t.source.makeReady(m)
		t.source.mu.Unlock()
		return false, failure
	}
	t.source.remove(m)
	t.source.mu.Unlock()
	to.mu.Lock()
	to.add(fresh, now)
	to.mu.Unlock()
	s.tasksMu.Lock()
	t.moved++
	s.tasksMu.Unlock()
	return true, ""
}

type listMovesInput struct {
	SourceArn  string
	MaxResults *int
}

type moveResult struct {
	TaskHandle                        string `json:",omitempty"`
	Status                            string
	SourceArn                         string
	DestinationArn                    string `json:",omitempty"`
	MaxNumberOfMessagesPerSecond      int    `json:",omitempty"`
	ApproximateNumberOfMessagesMoved  int
	ApproximateNumberOfMessagesToMove int
	FailureReason                     string `json:",omitempty"`
	StartedTimestamp                  int64
}

func (s *Service) listMoves(_ context.Context, _ *Caller, in *listMovesInput) (any, error) {
	if s.byARN(in.SourceArn) == nil {
		return nil, noResource("The resource that you specified for the SourceArn parameter doesn't exist.")
	}
	limit, err := bounded("MaxResults", in.MaxResults, 1, 10, 1)
	if err != nil {
		return nil, err
	}
	s.tasksMu.Lock()
	defer s.tasksMu.Unlock()
	results := []moveResult{}
	for i := len(s.tasks) - 1; i >= 0 && len(results) < limit; i-- {
		t := s.tasks[i]
		if t.source.arn != in.SourceArn {
			continue
		}
		r := moveResult{
			Status: t.status, SourceArn: t.source.arn, DestinationArn: t.to, MaxNumberOfMessagesPerSecond: t.rate,
			ApproximateNumberOfMessagesMoved: t.moved, ApproximateNumberOfMessagesToMove: t.toMove,
			FailureReason: t.failure, StartedTimestamp: t.started.UnixMilli(),
		}
		if t.status == moveRunning {
			r.TaskHandle = t.handle
		}
		results = append(results, r)
	}
	return struct{ Results []moveResult }{results}, nil
}

func (s *Service) cancelMove(_ context.Context, _ *Caller, in *taskHandle) (any, error) {
	s.tasksMu.Lock()
	defer s.tasksMu.Unlock()
	for _, t := range s.tasks {
		if t.handle != in.TaskHandle {
			continue
		}
		if t.status != moveRunning {
			return nil, awserr.New(http.StatusBadRequest, "UnsupportedOperation", "Only active tasks can be cancelled.")
		}
		t.status = moveCancelling
		close(t.cancel)
		return struct{ ApproximateNumberOfMessagesMoved int }{t.moved}, nil
	}
	return nil, noResource("Task does not exist.")
}
