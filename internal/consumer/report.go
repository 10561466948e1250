package consumer

import (
	"sync"
	"time"
)

// trouble logs that something failed which is tried again: at most one line in a while, with the number of lines
// that were left out since the last.
func (c *Consumer) trouble(text string, args ...any) {
	if skipped, ok := c.troubles.now(time.Now()); ok {
		c.log.Warn(text, append(args, "lines_left_out", skipped)...)
	}
}

// occasionally lets something pass once in a while: a few times in a row, then once in every.
type occasionally struct {
	every time.Duration

	mu      sync.Mutex
	since   time.Time
	passed  int
	skipped int
}

// burst is how much may pass in one interval.
const burst = 5

// now reports whether something may pass at t, and how much may not have since the last.
func (o *occasionally) now(t time.Time) (skipped int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t.Sub(o.since) >= o.every {
		o.since, o.passed = t, 0
	}
	if o.passed == burst {
		o.skipped++
		return 0, false
	}
	o.passed++
	skipped, o.skipped = o.skipped, 0
	return skipped, true
}

// recent remembers the last so many strings.
type recent struct {
	mu   sync.Mutex
	ring []string
	next int
	seen map[string]struct{}
}

func newRecent(n int) *recent {
	return &recent{ring: make([]string, n), seen: make(map[string]struct{}, n)}
}

// add reports whether s is new, and remembers it in the place of the oldest.
func (r *recent) add(s string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.seen[s]; ok {
		return false
	}
	if old := r.ring[r.next]; old != "" {
		delete(r.seen, old)
	}
	r.ring[r.next] = s
	r.next = (r.next + 1) % len(r.ring)
	r.seen[s] = struct{}{}
	return true
}
