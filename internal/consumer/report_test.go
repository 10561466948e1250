package consumer

import (
	"fmt"
	"testing"
	"time"
)

func TestRecentForgetsTheOldest(t *testing.T) {
	t.Parallel()
	r := newRecent(3)
	for _, c := range []struct {
		s    string
		want bool
	}{{"a", true}, {"a", false}, {"b", true}, {"c", true}, {"a", false}, {"d", true}, {"b", false}, {"a", true}} {
		if got := r.add(c.s); got != c.want {
			t.Errorf("add(%q) = %v", c.s, got)
		}
	}
	for i := range 100 {
		r.add(fmt.Sprint(i))
	}
	if len(r.seen) != 3 {
		t.Errorf("it remembers %d", len(r.seen))
	}
}

func TestOccasionally(t *testing.T) {
	t.Parallel()
	o := &occasionally{every: 10 * time.Second}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	passed := 0
	for i := range 100 {
		if _, ok := o.now(start.Add(time.Duration(i) * time.Millisecond)); ok {
			passed++
		}
	}
	if passed != burst {
		t.Errorf("%d passed within one interval", passed)
	}
	if skipped, ok := o.now(start.Add(11 * time.Second)); !ok || skipped != 100-burst {
		t.Errorf("the next interval: %v, %d left out", ok, skipped)
	}
	if skipped, ok := o.now(start.Add(12 * time.Second)); !ok || skipped != 0 {
		t.Errorf("and then: %v, %d left out", ok, skipped)
	}
}
