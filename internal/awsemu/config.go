package awsemu

import (
	"log/slog"
	"time"
)

// Config says what to emulate. Its zero value is an emulator in memory.
type Config struct {
	// Dir is a folder for everything that has to survive a restart, made if it is missing; empty keeps all in
	// memory. One process can use a folder at a time.
	Dir string
	// AccessKeyID and SecretAccessKey are the one credential pair that is accepted; "test" and "test" by default.
	AccessKeyID, SecretAccessKey string
	// Region is us-east-1 by default.
	Region string
	// AccountID is 000000000000 by default.
	AccountID string
	// Logger receives what goes wrong inside; nothing is logged by default.
	Logger *slog.Logger
	// Now replaces the clock. Waits still take real time: a long poll notices within 20 ms that the clock has
	// passed a message's visibility timeout.
	Now func() time.Time
}

func (c *Config) setDefaults() {
	fallback := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	fallback(&c.AccessKeyID, "test")
	fallback(&c.SecretAccessKey, "test")
	fallback(&c.Region, "us-east-1")
	fallback(&c.AccountID, "000000000000")
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}
