package main

import (
	"testing"
	"time"
)

// TestPercentiles: a percentile is told where there are samples enough for it.
func TestPercentiles(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "nothing", 12: "6.0 ms", 99: "50.0 ms", 100: "50.0 / 99.0 ms", 1000: "500.0 / 990.0 / 999.0 ms"} {
		all := make([]time.Duration, n)
		for i := range all {
			all[i] = time.Duration(i+1) * time.Millisecond
		}
		if got := percentiles(all); got != want {
			t.Errorf("of %d: %q, want %q", n, got, want)
		}
	}
}
