package torture

import (
	"math/rand/v2"
	"sync"
)

// faultWatch does to what passes the proxies what the fault of the hour says, and counts it.
type faultWatch struct {
	mu     sync.Mutex
	random *rand.Rand
	name   string                                                   // of the fault; empty: there is none
	fate   func(r *rand.Rand, e proxyEffect) (f proxyFate, is bool) // is: the fault does something to it
	n      int                                                      // how often it did
}

func newFaultWatch() *faultWatch { return &faultWatch{random: rand.New(rand.NewPCG(*seed, 4))} }

// begin makes a fault do what it does.
func (w *faultWatch) begin(name string, fate func(*rand.Rand, proxyEffect) (proxyFate, bool)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.name, w.fate, w.n = name, fate, 0
}

// end ends it.
func (w *faultWatch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fate = nil
}

// count is how often it did something.
func (w *faultWatch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}

// Before implements [proxyWatch].
func (w *faultWatch) Before(e proxyEffect) proxyFate {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fate == nil {
		return proxyFate{}
	}
	f, is := w.fate(w.random, e)
	if is {
		w.n++
	}
	return f
}

// After implements [proxyWatch].
func (w *faultWatch) After(proxyEffect, proxyFate) bool { return true }
