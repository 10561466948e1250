package backoff_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/backoff"
)

func TestDelayGrowsToItsBound(t *testing.T) {
	t.Parallel()
	p := backoff.Policy{Base: 100 * time.Millisecond, Max: time.Second}
	for failures, bound := range map[int]time.Duration{
		-1: 100 * time.Millisecond, 0: 100 * time.Millisecond, 1: 100 * time.Millisecond, 2: 200 * time.Millisecond,
		4: 800 * time.Millisecond, 5: time.Second, 29: time.Second, 64: time.Second, 1 << 40: time.Second,
	} {
		seen := map[time.Duration]bool{}
		for range 200 {
			d := p.Delay(failures)
			if d < bound/10 || d > bound {
				t.Fatalf("after %d failures: %s, not within %s and %s", failures, d, bound/10, bound)
			}
			seen[d] = true
		}
		if len(seen) < 2 {
			t.Errorf("after %d failures: no jitter", failures)
		}
	}
	if d := (backoff.Policy{}).Delay(3); d != 0 {
		t.Errorf("without a policy: %s", d)
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := backoff.Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := backoff.Sleep(t.Context(), time.Nanosecond); err != nil {
		t.Errorf("got %v", err)
	}
}
