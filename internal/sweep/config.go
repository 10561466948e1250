package sweep

import (
	"context"
	"fmt"
	"time"

	"github.com/coatcheck/coatcheck/internal/backoff"
	"github.com/coatcheck/coatcheck/internal/schedule"
)

// Config is what an operator may set of a sweeper. [DefaultConfig] has sound values.
type Config struct {
	// BatchSize is how many media are leased at a time, and how many keys go into one DeleteObjects call: at most 1000,
	// which is S3's limit. A smaller one loses less when a process is killed, and costs more statements and calls.
	BatchSize int
	// Concurrency is how many batches are worked on at a time when there is more than one of them: one waits for S3 while
	// another asks Postgres. More end a long backlog sooner, and take more of the rate that S3 allows, 3,500 deletions a
	// second and prefix; it answers SlowDown to what is above it, which is tried again later.
	Concurrency int
	// HeadConcurrency is how many HEADs run at a time, of all batches. More make a backlog of uploads that never came end
	// sooner, and take more of the rate that S3 allows the bucket, 5,500 a second and prefix.
	HeadConcurrency int
	// Lease is for how long a batch belongs to the sweeper that took it. What a killed sweeper had taken waits for as
	// long. When a batch's calls to S3 take more than three quarters of it they are given up, since another sweeper
	// would soon do them as well.
	Lease time.Duration
	// PassLimit is the longest that one pass takes. A pass that reaches it goes on where it was in the next.
	PassLimit time.Duration
	// Backoff is how long a failed deletion waits: a sooner retry ends a short fault sooner, and asks an S3 that is
	// failing more often.
	Backoff backoff.Policy
	// Ready, unless it is nil, is asked before each pass, and keeps it from being made when it is an error. A sweep whose
	// clock is wrong would delete what is not over yet.
	Ready func(context.Context) error
	// Schedule says when Run makes its passes. It may be nil where Run is not called. What is due waits for the next
	// pass, so windows are kept to within the schedule's interval.
	Schedule schedule.Schedule
}

// DefaultConfig returns the config that suits most.
func DefaultConfig() Config {
	return Config{
		BatchSize: 1000, Concurrency: 2, HeadConcurrency: 64, Lease: 2 * time.Minute, PassLimit: 10 * time.Minute,
		Backoff: backoff.Policy{Base: time.Minute, Max: time.Hour}, Schedule: schedule.Every(time.Minute),
	}
}

const (
	maxBatchSize       = 1000 // of DeleteObjects
	maxConcurrency     = 64
	maxHeadConcurrency = 1024
	// minLease leaves S3 the time to answer, with the SDK's retries.
	minLease = 10 * time.Second
)

func (c Config) check() error {
	switch {
	case c.BatchSize < 1 || c.BatchSize > maxBatchSize:
		return fmt.Errorf("sweep batch size is %d, must be from 1 to %d", c.BatchSize, maxBatchSize)
	case c.Concurrency < 1 || c.Concurrency > maxConcurrency:
		return fmt.Errorf("sweep concurrency is %d, must be from 1 to %d", c.Concurrency, maxConcurrency)
	case c.HeadConcurrency < 1 || c.HeadConcurrency > maxHeadConcurrency:
		return fmt.Errorf("sweep HEAD concurrency is %d, must be from 1 to %d", c.HeadConcurrency, maxHeadConcurrency)
	case c.Lease < minLease:
		return fmt.Errorf("sweep lease is %v, must be at least %v: a batch's calls to S3 have to end within it", c.Lease, minLease)
	case c.PassLimit <= 0:
		return fmt.Errorf("sweep pass limit is %v, must be positive", c.PassLimit)
	case c.Backoff.Base <= 0 || c.Backoff.Max < c.Backoff.Base:
		return fmt.Errorf("sweep back-off begins at %v and ends at %v: must be positive, and the end not before the beginning",
			c.Backoff.Base, c.Backoff.Max)
	}
	if err := schedule.Check(c.Schedule); err != nil {
		return fmt.Errorf("sweep %w", err)
	}
	return nil
}
