// Package fault keeps the faults that were asked for in requests, until they are used up.
package fault

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Forever as a count means until cleared.
const Forever = -1

// Match says which requests a fault is for: an operation's name as the AWS API spells it, and a part of the
// object's key or the queue's name. Empty means any.
type Match struct {
	Operation   string
	KeyContains string
}

func (m Match) fits(op, key string) bool {
	return (m.Operation == "" || m.Operation == op) && strings.Contains(key, m.KeyContains)
}

// Cut says when a connection is cut.
type Cut int

// The moments of a cut: never, before the request is carried out, or after it, in place of the answer.
const (
	CutNever Cut = iota
	CutBefore
	CutAfter
)

// Effect is what happens to one request or one entry of a batch.
type Effect struct {
	Delay       time.Duration
	Status      int // 0: it is carried out
	Code        string
	SenderFault bool // for an entry of an SQS batch
	Cut         Cut
}

type rule struct {
	match  Match
	left   int
	effect Effect
}

// Rules is a list of faults. Its zero value has none. It is safe for concurrent use.
type Rules struct {
	mu    sync.Mutex
	rules []*rule
	some  atomic.Bool // spares the lock as long as there are none
}

// Add adds a fault for the next n requests that match. It takes its turn after those added before it.
func (r *Rules) Add(m Match, n int, e Effect) {
	if n == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rules = append(r.rules, &rule{m, n, e})
	r.some.Store(true)
}

// Clear removes every fault.
func (r *Rules) Clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rules = nil
	r.some.Store(false)
}

// Some reports whether there is any fault, so that finding out what one could be for is spared.
func (r *Rules) Some() bool { return r.some.Load() }

// Take uses up what is due for one request: every delay that matches, summed, and the first failure or cut.
func (r *Rules) Take(op, key string) (Effect, bool) {
	if !r.some.Load() {
		return Effect{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var out Effect
	var found, ended bool
	for _, u := range r.rules {
		ends := u.effect.Status != 0 || u.effect.Code != "" || u.effect.Cut != CutNever
		if !u.match.fits(op, key) || ends && ended {
			continue
		}
		found, ended = true, ended || ends
		delay := out.Delay + u.effect.Delay
		if ends {
			out = u.effect
		}
		out.Delay = delay
		if u.left > 0 {
			u.left--
		}
	}
	r.rules = slices.DeleteFunc(r.rules, func(u *rule) bool { return u.left == 0 })
	r.some.Store(len(r.rules) > 0)
	return out, found
}
