package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// progressEvery is how often a step that takes long tells how far it is.
const progressEvery = 5 * time.Second

// progress tells on standard error how far a step is.
type progress struct {
	what  string
	total int
	began time.Time

	mu   sync.Mutex
	done int
	told time.Time
}

func newProgress(what string, total int) *progress {
	now := time.Now()
	return &progress{what: what, total: total, began: now, told: now}
}

func (p *progress) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	if now := time.Now(); now.Sub(p.told) >= progressEvery {
		p.told = now
		fmt.Fprintf(os.Stderr, "%d of %d %s (%.0f %%)\n", p.done, p.total, p.what, 100*float64(p.done)/float64(p.total))
	}
}

// end tells how long it took.
func (p *progress) end() {
	took := time.Since(p.began).Seconds()
	fmt.Fprintf(os.Stderr, "%d %s in %.1f s (%.0f/s)\n", p.total, p.what, took, float64(p.total)/took)
}
