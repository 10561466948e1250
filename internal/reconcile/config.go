package reconcile

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/internal/schedule"
)

// Config is what an operator may set of a reconciler. [DefaultConfig] has sound values.
type Config struct {
	// Concurrency is how many shards are gone over at a time. Each lists one page after another, so that more are faster
	// until S3's rate, Postgres or the processor is the limit.
	Concurrency int
	// HeadConcurrency is how many HEADs of a shard run at a time.
	HeadConcurrency int
	// Lease is for how long a shard belongs to the process that took it, unless it is kept. What a killed process had
	// taken waits for as long.
	Lease time.Duration
	// CheckpointEvery is how much work a kill loses at most, in time. Shorter ones cost more transactions.
	CheckpointEvery time.Duration
	// InFlight is the age up to which an object of a PENDING media is left to its notification, which may be on its way.
	InFlight time.Duration
	// Schedule says when Run begins a run; nil when it only works on those that others begin. Settings are those of such
	// runs.
	Schedule schedule.Schedule
	Settings Settings
	// Ready, unless it is nil, is asked before a run is begun or worked on, and keeps it from that when it is an error. By a
	// clock that is wrong grace periods are over too soon (R7).
	Ready func(context.Context) error
	// Poll is how often Run looks for a run to work on, which is how long one that an operator begins waits at most. It takes
	// two small statements.
	Poll time.Duration
}

// DefaultSettings returns settings that suit most: they change nothing but what a lost notification would have.
func DefaultSettings() Settings {
	return Settings{
		Source: SourceListing, Policy: PolicyReport, Quarantine: "coatcheck-quarantine/", Grace: 72 * time.Hour, MaxStrayShare: 0.05,
		DeleteBudget: 100_000, AbortUploadsAfter: 7 * 24 * time.Hour,
	}
}

// DefaultConfig returns the config that suits most.
func DefaultConfig() Config {
	return Config{
		Concurrency: 8, HeadConcurrency: 16, Lease: 30 * time.Second, CheckpointEvery: 2 * time.Second, InFlight: 5 * time.Minute,
		Schedule: schedule.Every(24 * time.Hour), Settings: DefaultSettings(), Poll: 10 * time.Second,
	}
}

const (
	maxConcurrency = 256
	// minLease leaves Postgres the time to be asked three times before it ends.
	minLease = 3 * time.Second
)

func (c Config) check(managed string) error {
	switch {
	case c.Concurrency < 1 || c.Concurrency > maxConcurrency:
		return fmt.Errorf("reconcile concurrency is %d, must be from 1 to %d", c.Concurrency, maxConcurrency)
	case c.HeadConcurrency < 1 || c.HeadConcurrency > maxConcurrency:
		return fmt.Errorf("reconcile HEAD concurrency is %d, must be from 1 to %d", c.HeadConcurrency, maxConcurrency)
	case c.Lease < minLease:
		return fmt.Errorf("reconcile lease is %v, must be at least %v", c.Lease, minLease)
	case c.CheckpointEvery < 0 || c.InFlight < 0:
		return fmt.Errorf("reconcile checkpoints and time in flight are %v and %v, must not be negative", c.CheckpointEvery, c.InFlight)
	case c.Poll <= 0:
		return fmt.Errorf("reconcile poll interval is %v, must be positive", c.Poll)
	}
	if c.Schedule != nil {
		if err := schedule.Check(c.Schedule); err != nil {
			return fmt.Errorf("reconcile %w", err)
		}
	}
	return c.Settings.check(managed)
}

func (s Settings) check(managed string) error {
	switch {
	case s.Source == "":
		return fmt.Errorf("reconcile source is empty, must be %q or the address of an inventory", SourceListing)
	case s.Policy != PolicyReport && s.Policy != PolicyQuarantine && s.Policy != PolicyDelete:
		return fmt.Errorf("stray policy is %q, must be %s, %s or %s", s.Policy, PolicyReport, PolicyQuarantine, PolicyDelete)
	case s.Policy == PolicyQuarantine && s.Quarantine == "":
		return fmt.Errorf("stray policy is %s, and the quarantine prefix is empty", PolicyQuarantine)
	case s.Quarantine != "" && (!strings.HasSuffix(s.Quarantine, "/") || strings.HasPrefix(managed, s.Quarantine) ||
		managed != "" && strings.HasPrefix(s.Quarantine, managed)):
		return fmt.Errorf("quarantine prefix is %q, must end with \"/\", and be neither within the key prefix %q nor around it", s.Quarantine, managed)
	case s.Grace <= 0:
		return fmt.Errorf("stray grace period is %v, must be positive", s.Grace)
	case !(s.MaxStrayShare >= 0 && s.MaxStrayShare <= 1): // NaN is neither
		return fmt.Errorf("largest share of strays is %v, must be from 0 to 1", s.MaxStrayShare)
	case s.DeleteBudget < 0:
		return fmt.Errorf("delete budget is %d, must not be negative", s.DeleteBudget)
	case s.AbortUploadsAfter <= 0:
		return fmt.Errorf("age at which uploads are aborted is %v, must be positive", s.AbortUploadsAfter)
	}
	return nil
}
