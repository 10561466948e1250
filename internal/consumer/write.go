package consumer

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/backoff"
	"github.com/coatcheck/coatcheck/internal/media"
)

// write records what is handed over until there is nothing more to come. When ctx ends it finishes the batch that it
// has begun and gives back the others.
func (c *Consumer) write(ctx, work context.Context) {
	for {
		batch, done, ok := c.batches.next(ctx)
		if !ok {
			return
		}
		var held []*item
		if ctx.Err() != nil {
			c.giveBack(batch)
		} else {
			held = c.commit(ctx, work, batch)
		}
		done()
		if len(held) > 0 {
			c.held <- held
		}
	}
}

// commit records a batch and passes it on for acknowledgement (R4), but for what it returns: messages about a media that
// somebody's transaction holds. It does not return before the batch is recorded or left: an outage stops the writers, and by
// that the pollers.
func (c *Consumer) commit(ctx, work context.Context, batch []*item) (held []*item) {
	for failures := 1; ; failures++ {
		rows, err := c.land(work, batch)
		if err == nil {
			if len(rows) > 0 {
				batch, held = split(batch, rows)
			}
			c.handled(batch)
			return held
		}
		if work.Err() == nil && !c.passing(err) {
			return c.isolate(ctx, work, batch, err)
		}
		c.metrics.retries.Inc()
		c.trouble("recording landings failed: it is tried again", "error", err, "messages", len(batch), "failures", failures)
		if backoff.Sleep(ctx, c.cfg.Retry.Delay(failures)) != nil || work.Err() != nil {
			c.giveBack(batch)
			return nil
		}
	}
}

// split parts messages about any of these media from the others.
func split(batch []*item, rows map[uuid.UUID]bool) (others, held []*item) {
	for _, it := range batch {
		if slices.ContainsFunc(it.landings, func(l media.Landing) bool { return rows[l.MediaID] }) {
			held = append(held, it)
		} else {
			others = append(others, it)
		}
	}
	return others, held
}

// isolate deals with a batch that was refused for good: tried one at a time, all but the bad ones land. A bad one is
// left to its visibility timeout.
func (c *Consumer) isolate(ctx, work context.Context, batch []*item, err error) (held []*item) {
	if len(batch) == 1 {
		it := batch[0]
		c.beats.remove(batch)
		if it.unclear == nil { // a message has one outcome
			c.metrics.messages.WithLabelValues("refused").Inc()
		}
		if c.unclear.add("refused " + it.ID) { // that it was not understood is another line
			c.log.Error("message refused by the database: it is left for the dead-letter queue",
				"message", it.ID, "landings", len(it.landings), "error", err)
		}
		return nil
	}
	c.metrics.isolations.Inc()
	c.trouble("recording landings was refused: each message is tried alone", "error", err, "messages", len(batch))
	for i, it := range batch {
		if ctx.Err() != nil {
			c.giveBack(batch[i:])
			return held
		}
		held = append(held, c.commit(ctx, work, []*item{it})...)
	}
	return held
}

// land makes one attempt to record a batch, and measures it. It returns the media whose rows are held.
func (c *Consumer) land(work context.Context, batch []*item) (held map[uuid.UUID]bool, err error) {
	n := 0
	for _, it := range batch {
		n += len(it.landings)
	}
	landings := make([]media.Landing, 0, n)
	for _, it := range batch {
		landings = append(landings, it.landings...)
	}
	ctx, cancel := context.WithTimeout(work, c.cfg.LandTimeout)
	defer cancel()
	began := time.Now()
	landed, err := c.lander.Land(ctx, media.SourceNotification, landings)
	c.metrics.landSeconds.Observe(time.Since(began).Seconds())
	now, verdicts := c.now(), map[media.Verdict]int{}
	for _, l := range landed { // with an error, too: what it was too late for
		verdicts[l.Verdict]++
		if l.Verdict == media.VerdictLanded && !l.EventTime.IsZero() {
			c.metrics.lag.Observe(max(0, now.Sub(l.EventTime).Seconds())) // the clocks are not the same
		}
	}
	for verdict, n := range verdicts {
		c.metrics.verdicts.WithLabelValues(string(verdict)).Add(float64(n))
	}
	if err != nil {
		return nil, err
	}
	c.metrics.batchLandings.Observe(float64(n))
	if verdicts[media.VerdictHeld] > 0 {
		held = make(map[uuid.UUID]bool)
		for _, l := range landed {
			if l.Verdict == media.VerdictHeld {
				held[l.MediaID] = true
			}
		}
	}
	return held, nil
}

// handled passes on a batch that is committed to the deleters, all but what was understood in part only.
func (c *Consumer) handled(batch []*item) {
	done := slices.DeleteFunc(batch, func(it *item) bool { return it.unclear != nil })
	c.metrics.messages.WithLabelValues("landed").Add(float64(len(done)))
	for chunk := range slices.Chunk(done, receiveSize) {
		c.acks <- chunk
	}
}
