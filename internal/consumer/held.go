package consumer

import (
	"context"
	"time"

	"github.com/coatcheck/coatcheck/internal/backoff"
)

// maxHeld is how many messages wait for rows that somebody holds, beside the writers. When there are more the writers wait, and
// by that the pollers.
const maxHeld = 1000

// heldRetry is the back-off of looking whether rows are held still. Most are for some milliseconds; a product's transaction that
// claims media may be open for minutes.
var heldRetry = backoff.Policy{Base: 50 * time.Millisecond, Max: 5 * time.Second}

// bide records what somebody's transaction held, once it holds it no longer, so that no writer waits for that. Meanwhile heartbeats
// keep the messages hidden. It returns when there is nothing more to come; when ctx ends it gives back what is held still.
func (c *Consumer) bide(ctx, work context.Context) {
	var (
		held  []*item
		tries int
		next  time.Time
	)
	for {
		more := c.held
		if len(held) >= maxHeld {
			more = nil
		}
		var due <-chan time.Time
		if len(held) > 0 {
			due = time.After(time.Until(next))
		}
		select {
		case items, open := <-more:
			if !open {
				c.giveBack(held)
				return
			}
			if len(held) == 0 {
				tries, next = 1, time.Now().Add(heldRetry.Delay(1))
			}
			held = append(held, items...)
		case <-due:
			batch := held[:min(len(held), c.cfg.BatchSize)]
			still := c.commit(ctx, work, batch)
			tries++
			if len(still) < len(batch) {
				tries = 1
			}
			held = append(append([]*item(nil), held[len(batch):]...), still...)
			next = time.Now().Add(heldRetry.Delay(tries))
		case <-ctx.Done():
			c.giveBack(held)
			for items := range c.held {
				c.giveBack(items)
			}
			return
		}
	}
}
