// Package consumer takes the notifications of S3 from a queue and records the landings that they tell of.
//
// A message goes through four hands, which run side by side:
//
//	pollers ──▶ writers ──▶ deleters
//	   │           │            │
//	   └───────────┴────────────┴── heartbeats, from receive to acknowledgement
//
// A poller receives up to ten messages and decodes them. A writer takes what waits, as much as fits one statement, and
// records it. While another one does, or receives come back full, it waits for its turn or until its own statement is
// full. A deleter acknowledges what was recorded. Every hand-over is bounded, so that a slow database stops the polling;
// meanwhile heartbeats keep what was received hidden, so that an outage costs no message one of its receives. Messages about
// a media that somebody's transaction holds wait beside the writers, which go on.
//
// What becomes of a message (R4):
//
//   - Understood, and its landings are committed, or it has none: deleted.
//   - Not understood, in whole or in part, or about another bucket: its good records land, and it is left to its
//     visibility timeout, and so by the queue's redrive policy to the dead-letter queue.
//   - Refused by the database when tried alone: likewise left.
//   - Received and not begun when the consumer stops: shown again at once.
package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Lander records landings. Landings that were recorded before change nothing (R5), so that a call whose outcome is not
// known may be repeated. One whose verdict is held has not been recorded, and is given again later. With an error come those
// that were recorded before it.
type Lander interface {
	Land(ctx context.Context, source media.Source, landings []media.Landing) ([]media.Landed, error)
}

// Parts are what a consumer works with.
type Parts struct {
	Queue  Queue
	Lander Lander
	// Transient reports whether a call of Land that failed with this error could succeed later as it stands. Without
	// it, every error is transient unless it, or one that it wraps, has a method Transient() bool that says otherwise.
	Transient func(error) bool
	Metrics   *Metrics
	Log       *slog.Logger     // slog.Default() when nil
	Now       func() time.Time // time.Now when nil
}

// Consumer is made by [New].
type Consumer struct {
	cfg     Config
	queue   Queue
	lander  Lander
	passing func(error) bool
	metrics *Metrics
	log     *slog.Logger
	now     func() time.Time

	handover chan []*item // from pollers to writers, as received
	batches  *batches     // what writers make of it
	held     chan []*item // from writers, about media that somebody's transaction holds
	acks     chan []*item // to deleters, at most ten at a time
	beats    *heartbeats
	giving   context.Context // of the calls that give messages back

	deletions atomic.Int64  // counts calls that deleted something
	unclear   *recent       // messages that were logged as not understood, or refused
	troubles  *occasionally // bounds the log of failing calls
}

// New returns a consumer. It is an error when the configuration contradicts itself, or a part is missing.
func New(cfg Config, parts Parts) (*Consumer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if parts.Queue == nil || parts.Lander == nil || parts.Metrics == nil {
		return nil, errors.New("consumer: the queue, the lander and the metrics are needed")
	}
	c := &Consumer{
		cfg: cfg, queue: parts.Queue, lander: parts.Lander, passing: parts.Transient, metrics: parts.Metrics,
		log: parts.Log, now: parts.Now,
	}
	if c.passing == nil {
		c.passing = transient
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.unclear = newRecent(1024)
	c.troubles = &occasionally{every: 10 * time.Second}
	return c, nil
}

// transient is what Parts.Transient is without a better one. The safe answer is yes: a message that is held back is
// seen, in a metric and in the log, and one that drifts to the dead-letter queue during an outage has to be moved back.
func transient(err error) bool {
	var t interface{ Transient() bool }
	return !errors.As(err, &t) || t.Transient()
}

// Run consumes until ctx is cancelled, and returns when all that it began has ended. What goes wrong meanwhile is tried
// again, counted and logged. It may be called again afterwards, but not twice at a time.
//
// When ctx ends, a poll that is under way is awaited, because SQS would hide for a whole visibility timeout what it
// answers to a caller who has left. Batches in hand are committed and acknowledged, and what was not begun is shown
// again to others at once. After the drain limit everything is cut short, which is the only error; the messages then
// reappear by themselves.
func (c *Consumer) Run(ctx context.Context) error {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stopWatch := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(c.cfg.DrainLimit, cut)
		context.AfterFunc(work, func() { t.Stop() })
	})
	defer stopWatch()
	giving, stopGiving := outlast(work, giveBackTimeout)
	defer stopGiving()
	c.giving = giving

	// Enough waits for a writer to fill its batch, and for the deleters of a batch not to hold up the next.
	perBatch := (c.cfg.BatchSize + receiveSize - 1) / receiveSize
	c.handover = make(chan []*item, max(c.cfg.Pollers, c.cfg.Writers*perBatch))
	c.batches = newBatches(c.handover, c.cfg.BatchSize)
	c.held = make(chan []*item)
	c.acks = make(chan []*item, 2*c.cfg.Writers*perBatch)
	c.beats = newHeartbeats(c)

	var pollers, writers, biding, deleters, beats sync.WaitGroup
	beat, stopBeats := context.WithCancel(work)
	beats.Go(func() { c.beats.run(beat) })
	for range c.cfg.Deleters {
		deleters.Go(func() { c.acknowledge(work) })
	}
	biding.Go(func() { c.bide(ctx, work) })
	for range c.cfg.Writers {
		writers.Go(func() { c.write(ctx, work) })
	}
	for range c.cfg.Pollers {
		pollers.Go(func() { c.poll(ctx, work) })
	}
	c.log.Info("consumer started", "bucket", c.cfg.Bucket, "pollers", c.cfg.Pollers, "writers", c.cfg.Writers)
	// Each hand ends when the one before it has, and has taken everything that was handed over.
	pollers.Wait()
	close(c.handover)
	writers.Wait()
	close(c.held)
	biding.Wait()
	close(c.acks)
	deleters.Wait()
	stopBeats()
	beats.Wait()
	if work.Err() != nil {
		return fmt.Errorf("consumer: stopping took more than the drain limit of %s, and was cut short", c.cfg.DrainLimit)
	}
	c.log.Info("consumer stopped")
	return nil
}
