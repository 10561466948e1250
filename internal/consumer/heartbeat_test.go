package consumer

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestHeartbeatsOfWhatIsHeld: whatever the order in which messages are let go, the others are kept hidden, and no other is
// (R4). One that is let go twice, or was never held, changes nothing.
func TestHeartbeatsOfWhatIsHeld(t *testing.T) {
	t.Parallel()
	received := time.Now()
	c := &Consumer{cfg: DefaultConfig(), metrics: NewMetrics(prometheus.NewRegistry())}
	for _, order := range [][]int{{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 0, 4, 1, 3}, {1, 1, 3, 0, 3, 4, 2}} {
		h := newHeartbeats(c)
		items := itemsOf(make([]Message, 6))
		stranger := items[5:]
		h.remove(stranger)
		h.add(items[:3], received)
		h.add(items[3:5], received)
		held := map[*item]bool{}
		for _, it := range items[:5] {
			held[it] = true
		}
		for _, i := range order {
			h.remove(items[i : i+1])
			h.remove(stranger)
			delete(held, items[i])
			due := map[*item]bool{}
			for _, it := range h.due(received.Add(c.cfg.VisibilityTimeout / 2)) {
				due[it] = true
			}
			if !maps.Equal(due, held) {
				t.Fatalf("let go in the order %v: %d are kept hidden after %d, want %d", order, len(due), i, len(held))
			}
		}
		if slices.ContainsFunc(items, func(it *item) bool { return it.place != 0 }) {
			t.Errorf("let go in the order %v: one has a place yet", order)
		}
	}
}
