package consumer

import (
	"context"
	"time"

	"github.com/coatcheck/coatcheck/internal/backoff"
)

// emptyPause is the back-off of a poller whose polls return nothing without having waited, as they do when the wait
// time is zero, and as SQS may when 120,000 messages are in flight.
var emptyPause = backoff.Policy{Base: 50 * time.Millisecond, Max: time.Second}

// poll receives messages and hands them over until ctx ends. Calls are made in work, so that the end of ctx does not
// cancel them.
func (c *Consumer) poll(ctx, work context.Context) {
	failures, hasty := 0, 0
	for ctx.Err() == nil {
		began := time.Now()
		messages, err := c.queue.Receive(work, receiveSize, c.cfg.WaitTime, c.cfg.VisibilityTimeout)
		switch {
		case err != nil:
			failures++
			c.metrics.receiveErrors.Inc()
			c.trouble("receiving messages failed", "error", err, "failures", failures)
			_ = backoff.Sleep(ctx, c.cfg.Retry.Delay(failures))
			continue
		case len(messages) == 0:
			failures = 0
			hasty++
			if time.Since(began) >= c.cfg.WaitTime/2 && c.cfg.WaitTime > 0 {
				hasty = 0
				continue
			}
			_ = backoff.Sleep(ctx, emptyPause.Delay(hasty))
			continue
		}
		failures, hasty = 0, 0
		c.metrics.received.Add(float64(len(messages)))
		c.sort(ctx, messages, time.Now())
	}
}

// sort hands over each message, which was received at the time given, to where it belongs.
func (c *Consumer) sort(ctx context.Context, messages []Message, received time.Time) {
	items := itemsOf(messages)
	if ctx.Err() != nil { // the poll outlasted the consumer: others are to have them
		c.giveBack(items)
		return
	}
	c.beats.add(items, received) // before anything is decoded: a huge message takes its time
	var landing, finished, unclear []*item
	for _, it := range items {
		c.triage(it)
		if it.unclear != nil {
			unclear = append(unclear, it)
			c.reportUnclear(it)
		}
		switch {
		case len(it.landings) > 0:
			landing = append(landing, it)
		case it.unclear == nil:
			finished = append(finished, it)
			c.metrics.messages.WithLabelValues("nothing_to_do").Inc()
		}
	}
	c.beats.remove(unclear) // it is left to its visibility timeout
	if len(finished) > 0 {
		c.acks <- finished
	}
	if len(landing) == 0 {
		return
	}
	select {
	case c.handover <- landing:
	case <-ctx.Done():
		c.giveBack(landing)
	}
}

// reportUnclear counts a message that was not understood, and logs it when it is seen for the first time here. The
// body is not logged: it comes from outside and may be anything.
func (c *Consumer) reportUnclear(it *item) {
	c.metrics.messages.WithLabelValues("not_understood").Inc()
	if c.unclear.add(it.ID) {
		c.log.Warn("message not understood: it is left for the dead-letter queue",
			"message", it.ID, "bytes", len(it.Body), "reason", it.unclear.Error())
	}
}

// giveBackTimeout is how long messages are given back after work is cut, all calls taken together: what is left over when
// the drain limit is reached is worth a last call, and when SQS does not answer it is not worth one after the other.
const giveBackTimeout = 3 * time.Second

// outlast returns a context that ends so long after work does.
func outlast(work context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(work))
	context.AfterFunc(work, func() {
		t := time.AfterFunc(d, cancel)
		context.AfterFunc(ctx, func() { t.Stop() })
	})
	return ctx, cancel
}

// giveBack shows messages to others at once. Should that fail, they reappear after their visibility timeout.
func (c *Consumer) giveBack(items []*item) {
	if len(items) == 0 {
		return
	}
	c.beats.drop(items) // a heartbeat after this would hide them again
	receipts := make([]string, 0, len(items))
	for _, it := range items {
		if it.unclear == nil { // others would understand it no better
			receipts = append(receipts, it.Receipt)
		}
	}
	if len(receipts) == 0 {
		return
	}
	failures := c.queue.SetVisibility(c.giving, receipts, 0)
	c.metrics.messages.WithLabelValues("given_back").Add(float64(len(receipts) - len(failures)))
	if len(failures) > 0 {
		c.trouble("giving messages back failed: they reappear after their visibility timeout",
			"messages", len(failures), "error", failures[0].Err)
	}
}
