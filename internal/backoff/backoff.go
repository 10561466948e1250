// Package backoff says how long to wait before something that failed is tried again.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Policy is exponential back-off with full jitter: before attempt n (from 1) a random time up to Base·2ⁿ⁻¹, at most
// Max. The jitter keeps those that failed together from coming back together.
type Policy struct {
	Base, Max time.Duration
}

// Delay returns the time to wait after so many failures, which count from 1. It is never less than a tenth of the
// bound it is drawn from, so that bad luck does not make it a busy loop.
func (p Policy) Delay(failures int) time.Duration {
	bound := p.Max
	if shift := max(failures, 1) - 1; shift < 30 && p.Base<<shift > 0 && p.Base<<shift < p.Max {
		bound = p.Base << shift
	}
	if bound <= 0 {
		return 0
	}
	least := bound / 10
	return least + rand.N(bound-least+1)
}

// Sleep waits for d, or returns the context's error when that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
