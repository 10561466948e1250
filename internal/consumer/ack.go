package consumer

import (
	"context"
	"time"

	"github.com/coatcheck/coatcheck/internal/backoff"
)

// ackLimit is how long a deletion that fails for no fault of its own is tried, beyond the queue's own retries. Then the
// message is let go: it reappears, and is a duplicate (R5).
const ackLimit = 10 * time.Minute

// ackAttempts is how often it is tried when other deletions succeed meanwhile: then there is no outage to sit out, and
// while a deleter waits it deletes nothing else.
const ackAttempts = 5

// acknowledge deletes what was handled until there is nothing more to come. The messages stay hidden by heartbeats
// until it is done with them.
func (c *Consumer) acknowledge(work context.Context) {
	for items := range c.acks {
		c.deleteItems(work, items)
	}
}

func (c *Consumer) deleteItems(work context.Context, items []*item) {
	defer func() { c.beats.remove(items) }()
	began, before := time.Now(), c.deletions.Load()
	for attempt := 1; ; attempt++ {
		// Whether anything was deleted since the last attempt began. What is deleted during this one does not count: it
		// may be the first after an outage, which this attempt was still in.
		now := c.deletions.Load()
		othersSucceed := now != before
		before = now
		failures := c.queue.Delete(work, receiptsOf(items))
		if n := len(items) - len(failures); n > 0 {
			c.deletions.Add(1)
			c.metrics.deleted.Add(float64(n))
		}
		if len(failures) == 0 {
			return
		}
		c.metrics.deleteErrors.Add(float64(len(failures)))
		c.trouble("deleting messages failed", "error", failures[0].Err, "messages", len(failures), "attempt", attempt)
		if items = c.keepFailed(items, failures); len(items) == 0 {
			return
		}
		if attempt >= ackAttempts && othersSucceed || time.Since(began) > ackLimit {
			c.trouble("messages could not be deleted: they come again", "messages", len(items), "attempts", attempt)
			return
		}
		if backoff.Sleep(work, c.cfg.Retry.Delay(attempt)) != nil {
			return
		}
		if attempt >= ackAttempts && len(items) <= receiveSize {
			// Either there is an outage, or every deleter is held up by messages like these. Others will tell.
			select {
			case more := <-c.acks:
				items = append(items, more...)
			default:
			}
		}
	}
}

// keepFailed returns those of the messages whose deletion is worth another attempt, and ends the heartbeats of the
// others: of what is deleted they would fail, and look as if it was lost.
func (c *Consumer) keepFailed(items []*item, failures []Failure) (again []*item) {
	retry := make(map[string]bool, len(failures))
	for _, f := range failures {
		retry[f.Receipt] = !f.Final
	}
	var done []*item
	for _, it := range items {
		if retry[it.Receipt] {
			again = append(again, it)
		} else {
			done = append(done, it)
		}
	}
	c.beats.remove(done)
	return again
}
