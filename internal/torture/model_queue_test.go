package torture

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/coatcheck/coatcheck/internal/consumer"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/s3event"
)

// modelRecord is what has been received in a history, so that it can be sent again, and so that it is known what was
// lost on the way.
type modelRecord struct {
	mu     sync.Mutex
	bodies map[string]string   // by the message's id
	order  []string            // ids, as first received
	seen   map[modelSeen]bool  // events
	events map[string][]string // etags of distinct events, by key
}

type modelSeen struct{ key, etag, version, sequencer string }

func newModelRecord() *modelRecord {
	return &modelRecord{bodies: map[string]string{}, seen: map[modelSeen]bool{}, events: map[string][]string{}}
}

func (r *modelRecord) add(messages []consumer.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range messages {
		if _, ok := r.bodies[m.ID]; ok {
			continue
		}
		r.bodies[m.ID] = m.Body
		r.order = append(r.order, m.ID)
		event, err := s3event.Decode(m.Body)
		if err != nil {
			continue // the consumer says so
		}
		for _, e := range event.Records {
			seen := modelSeen{e.Key, e.ETag, e.VersionID, e.Sequencer}
			if !r.seen[seen] {
				r.seen[seen] = true
				r.events[e.Key] = append(r.events[e.Key], e.ETag)
			}
		}
	}
}

// count is how many events of a key with an etag were received, repetitions not counted.
func (r *modelRecord) count(key, etag string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events[key] {
		if e == etag {
			n++
		}
	}
	return n
}

// modelQueue is a queue that gives out at most so many messages and calls stop when all that it gave out are deleted
// and there are no more. It then asks for no more, so that stopping gives none back.
type modelQueue struct {
	consumer.Queue
	record *modelRecord
	stop   func()

	mu    sync.Mutex
	left  int
	open  int
	empty bool
	err   error
}

func (q *modelQueue) Receive(ctx context.Context, most int, wait, visibility time.Duration) ([]consumer.Message, error) {
	q.mu.Lock()
	most = min(most, q.left)
	if most == 0 {
		q.empty = true
	}
	done := q.empty
	if done && q.open == 0 {
		q.stop()
	}
	q.mu.Unlock()
	if done {
		return nil, nil
	}
	messages, err := q.Queue.Receive(ctx, most, wait, visibility)
	q.record.add(messages)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.left -= len(messages)
	q.open += len(messages)
	if err != nil {
		q.err = err
	}
	if len(messages) == 0 {
		q.empty = true
		if q.open == 0 {
			q.stop()
		}
	}
	return messages, err
}

func (q *modelQueue) Delete(ctx context.Context, receipts []string) []consumer.Failure {
	failures := q.Queue.Delete(ctx, receipts)
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(failures) > 0 {
		q.err = failures[0].Err
	}
	q.open -= len(receipts)
	if q.open == 0 && (q.empty || q.left == 0) {
		q.empty = true
		q.stop()
	}
	return failures
}

// modelLander is the store, and fails the consumer's round when the database refuses what it should not.
type modelLander struct {
	consumer.Lander
	queue *modelQueue
	then  *meanwhile
}

func (l modelLander) Land(ctx context.Context, source media.Source, landings []media.Landing) ([]media.Landed, error) {
	l.then.reached(beforeLanding)
	landed, err := l.Lander.Land(ctx, source, landings)
	l.then.reached(afterLanding)
	if err != nil {
		l.queue.mu.Lock()
		l.queue.err = err
		l.queue.mu.Unlock()
	}
	return landed, err
}

// consume runs a consumer until it has handled so many messages, or all that there are.
func (s *site) consume(ctx context.Context, record *modelRecord, most, batch int, then *meanwhile) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	run, stop := context.WithCancel(ctx)
	defer stop()
	q := &modelQueue{Queue: s.queue, record: record, stop: stop, left: most}
	c, err := s.newConsumer(q, modelLander{s.store, q, then}, func(c *consumer.Config) {
		c.Pollers, c.Writers, c.Deleters, c.BatchSize = 1, 1, 1, batch
	})
	if err != nil {
		return err
	}
	if err := c.Run(run); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return fmt.Errorf("consuming: %w", q.err)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("consuming: %d messages were still open after a minute", q.open)
	}
	return nil
}
