package plot

import (
	"slices"
	"testing"
)

// TestAxis: an axis begins and ends at a step, holds every value, and has neither one tick nor too many to read.
func TestAxis(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		ticks  []float64
	}{
		{[]float64{48, 120, 63}, []float64{20, 50, 100, 200}},
		{[]float64{1, 2000}, []float64{1, 10, 100, 1000}},
		{[]float64{1000, 10_000, 1_000_000}, []float64{1000, 10_000, 100_000, 1_000_000}},
		{[]float64{7}, []float64{5, 10}},
		{[]float64{5}, []float64{5, 10}},
		{[]float64{0.03, 0.3}, []float64{0.02, 0.05, 0.1, 0.2, 0.5}},
	} {
		a := axisOf(c.values)
		ticks := a.ticks()
		if !slices.EqualFunc(ticks, c.ticks, func(got, want float64) bool { return number(got) == number(want) }) {
			t.Errorf("%v: the ticks are %v, want %v", c.values, ticks, c.ticks)
		}
		for _, v := range c.values {
			if at := a.at(v); at < -rounding || at > 1+rounding {
				t.Errorf("%v: %g is at %g of %v", c.values, v, at, a)
			}
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0.05: "0.05", 1: "1", 200: "200", 1000: "1,000", 10_000_000: "10,000,000"} {
		if got := number(v); got != want {
			t.Errorf("%g is written %q, want %q", v, got, want)
		}
	}
}
