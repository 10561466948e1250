package consumer

import (
	"fmt"
	"time"

	"github.com/coatcheck/coatcheck/internal/backoff"
	"github.com/coatcheck/coatcheck/internal/media"
)

// Config is the consumer's settings. [DefaultConfig] has sane ones for all but Bucket and Keys.
type Config struct {
	// Bucket is the bucket whose events are ours. An event of another one means that a notification or a queue policy
	// is set up wrongly, and makes the message one that is not understood.
	Bucket string
	// Keys recognises the keys of media. Other keys in the bucket are none of our business: their events are deleted.
	Keys media.Keys

	// Pollers is how many receive calls run at a time. Each brings at most ten messages, so that a process takes
	// Pollers × 10 / round trip messages a second. Idle ones cost one request per WaitTime each.
	Pollers int
	// Writers is how many batches are recorded at a time at most, each on a database connection of its own. Batches that
	// are not full are recorded in turn, by one of them.
	Writers int
	// Deleters is how many delete calls run at a time, of ten messages each. With fewer than Pollers, acknowledging
	// becomes the bottleneck.
	Deleters int
	// BatchSize is the most messages in one batch. A batch does not wait to become full: it takes what is there, what comes
	// while the one before it is recorded, and what a full receive has left in the queue. A statement by itself costs
	// Postgres as much as fifty rows do, so that beyond 300 it gains little, and a larger batch holds its row locks longer.
	BatchSize int
	// VisibilityTimeout is how long a message stays hidden without a heartbeat. Shorter: the messages of a process
	// that died come back sooner, and what is not understood reaches the dead-letter queue sooner. Longer: fewer
	// heartbeats, and a longer stall of the process or of SQS costs no redelivery. SQS counts in whole seconds.
	VisibilityTimeout time.Duration
	// WaitTime is how long a poll waits for messages, at most 20 s. Longer: fewer requests to pay for while idle.
	// Shorter: stopping is quicker, because a poll that is under way is never cancelled.
	WaitTime time.Duration
	// LandTimeout bounds one attempt to record a batch. Shorter: a hung connection is left sooner. Too short, and a
	// slow database is given the same work again and again.
	LandTimeout time.Duration
	// DrainLimit is how long stopping may take. It must leave time beyond WaitTime, and be less than what the
	// supervisor grants between SIGTERM and SIGKILL.
	DrainLimit time.Duration
	// Retry is the back-off after a failed receive, batch or deletion. A shorter maximum notices sooner that an outage
	// is over, and knocks more often while it lasts.
	Retry backoff.Policy
}

const (
	// receiveSize is the most messages that SQS gives out at a time, and deletes in one call.
	receiveSize = 10
	// maxLandings is the most landings in one batch, unless one message alone has more.
	maxLandings = 500
)

// DefaultConfig returns settings for about a thousand messages a second at the round trips within a region.
func DefaultConfig() Config {
	return Config{
		Pollers: 4, Writers: 2, Deleters: 4, BatchSize: 300,
		VisibilityTimeout: 30 * time.Second, WaitTime: 10 * time.Second, LandTimeout: 15 * time.Second,
		DrainLimit: 25 * time.Second,
		Retry:      backoff.Policy{Base: 200 * time.Millisecond, Max: 15 * time.Second},
	}
}

// Validate returns an error that names the first setting that is out of its range or contradicts another.
func (c Config) Validate() error {
	for _, f := range []struct {
		name         string
		value, limit int
	}{
		{"pollers", c.Pollers, 256}, {"writers", c.Writers, 256}, {"deleters", c.Deleters, 256},
		{"batch size", c.BatchSize, maxLandings},
	} {
		if f.value < 1 || f.value > f.limit {
			return fmt.Errorf("consumer: %s is %d: must be from 1 to %d", f.name, f.value, f.limit)
		}
	}
	switch {
	case c.Bucket == "":
		return fmt.Errorf("consumer: bucket is empty")
	case c.VisibilityTimeout < time.Second || c.VisibilityTimeout > 12*time.Hour:
		return fmt.Errorf("consumer: visibility timeout is %s: must be from 1s to 12h", c.VisibilityTimeout)
	case c.WaitTime < 0 || c.WaitTime > 20*time.Second:
		return fmt.Errorf("consumer: wait time is %s: must be from 0s to 20s", c.WaitTime)
	case c.LandTimeout <= 0:
		return fmt.Errorf("consumer: land timeout is %s: must be more than 0s", c.LandTimeout)
	case c.DrainLimit <= c.WaitTime:
		return fmt.Errorf("consumer: drain limit %s is not more than the wait time %s: a poll that is under way when the process stops would be cut off, and its messages stay hidden for a visibility timeout", c.DrainLimit, c.WaitTime)
	case c.Retry.Base <= 0 || c.Retry.Max < c.Retry.Base:
		return fmt.Errorf("consumer: retry from %s to %s: must be more than 0s, and not fall", c.Retry.Base, c.Retry.Max)
	}
	return nil
}
