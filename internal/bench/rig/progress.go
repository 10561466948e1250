package rig

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// progressEvery is how often a step that takes long tells how far it is.
const progressEvery = 5 * time.Second

// Progress tells on standard error how far a step is.
type Progress struct {
	what  string
	total int
	began time.Time

	mu   sync.Mutex
	done int
	told time.Time
}

// NewProgress begins with nothing of total done.
func NewProgress(what string, total int) *Progress {
	now := time.Now()
	return &Progress{what: what, total: total, began: now, told: now}
}

// Add tells of n more.
func (p *Progress) Add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	if now := time.Now(); now.Sub(p.told) >= progressEvery {
		p.told = now
		fmt.Fprintf(os.Stderr, "%d of %d %s (%.0f %%)\n", p.done, p.total, p.what, 100*float64(p.done)/float64(p.total))
	}
}

// End tells how long it took.
func (p *Progress) End() {
	took := time.Since(p.began).Seconds()
	fmt.Fprintf(os.Stderr, "%d %s in %.1f s (%.0f/s)\n", p.total, p.what, took, float64(p.total)/took)
}
