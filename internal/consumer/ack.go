package consumer

import (
	"context"
	"time"

	"github.com/coatcheck/coatcheck/internal/backoff"
)

// ackLimit is how long a deletion that fails for no fault of its own is tried, beyond the queue's own retries. Then the
// message is let go: it reappears, and is a duplicate.
const ackLimit = 10 * time.Minute

// acknowledge deletes what was handled until there is nothing more to come. The messages stay hidden by heartbeats
// until it is done with them.
func (c *Consumer) acknowledge(work context.Context) {
	for items := range c.acks {
		c.deleteItems(work, items)
		c.beats.remove(items)
	}
}

func (c *Consumer) deleteItems(work context.Context, items []*item) {
	receipts := make([]string, len(items))
	for i, it := range items {
		receipts[i] = it.Receipt
	}
	began := time.Now()
	for attempt := 1; ; attempt++ {
		failures := c.queue.Delete(work, receipts)
		c.metrics.deleted.Add(float64(len(receipts) - len(failures)))
		if len(failures) == 0 {
			return
		}
		c.metrics.deleteErrors.Add(float64(len(failures)))
		c.trouble("deleting messages failed", "error", failures[0].Err, "messages", len(failures), "attempt", attempt)
		receipts = receipts[:0:0]
		for _, f := range failures {
			if !f.Final {
				receipts = append(receipts, f.Receipt)
			}
		}
		if len(receipts) == 0 || time.Since(began) > ackLimit || backoff.Sleep(work, c.cfg.Retry.Delay(attempt)) != nil {
			return
		}
	}
}
