package sweep_test

import (
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/schedule"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*sweep.Config){
		"batch size is 0":       func(c *sweep.Config) { c.BatchSize = 0 },
		"batch size is 1001":    func(c *sweep.Config) { c.BatchSize = 1001 },
		"concurrency is 0":      func(c *sweep.Config) { c.Concurrency = 0 },
		"concurrency is 65":     func(c *sweep.Config) { c.Concurrency = 65 },
		"HEAD concurrency is 0": func(c *sweep.Config) { c.HeadConcurrency = 0 },
		"lease is 1s":           func(c *sweep.Config) { c.Lease = time.Second },
		"pass limit is 0s":      func(c *sweep.Config) { c.PassLimit = 0 },
		"back-off begins at":    func(c *sweep.Config) { c.Backoff.Max = c.Backoff.Base - 1 },
		"interval is 0s":        func(c *sweep.Config) { c.Schedule = schedule.Every(0) },
	} {
		c := sweep.DefaultConfig()
		change(&c)
		if _, err := sweep.New(nil, nil, c, time.Now, nil, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
	}
}
