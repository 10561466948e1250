package torture

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// crashPoint is an instant at which a process is killed: at the nth effect of this name, before the server hears of it
// or after the server has done it and before the process learns so.
type crashPoint struct {
	effect proxyEffect
	n      int
	after  bool
}

func (p crashPoint) String() string {
	side := "before"
	if p.after {
		side = "after"
	}
	return fmt.Sprintf("%s %s #%d", side, p.effect, p.n)
}

// crashWatch numbers the effects of a story, and kills its process at one of them, if it is told to.
type crashWatch struct {
	mu      sync.Mutex
	child   *crashChild         // whose effects count; nil: nobody's
	kill    *crashPoint         // nil: the story is only watched
	killed  bool                // the process is dead or about to be
	counts  map[proxyEffect]int // how many there were
	seen    []crashPoint        // in order, the before of each
	onAfter func(e proxyEffect, n int)
	only    func(e proxyEffect) bool          // when it is not nil: whose points are gone through, however passive
	delay   func(e proxyEffect) time.Duration // before an effect is passed on
}

func newCrashWatch(kill *crashPoint) *crashWatch {
	return &crashWatch{kill: kill, counts: map[proxyEffect]int{}}
}

// follow starts a process and makes its effects count.
func (w *crashWatch) follow(start func() *crashChild) *crashChild {
	w.mu.Lock() // before its first effect
	defer w.mu.Unlock()
	w.child = start()
	return w.child
}

// leave makes no effects count any more.
func (w *crashWatch) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.child = nil
}

// crashPassive are effects at which nobody is killed unless a story is about them: they come or not as time goes by, and
// change nothing, but for heartbeats. An announcement is one that nothing waits for.
func crashPassive(e proxyEffect) bool {
	return strings.HasPrefix(e.Name, "presigned ") || e.Name == "" || e.Name == "ChangeMessageVisibilityBatch" || e.Name == "GetQueueAttributes" ||
		strings.HasPrefix(e.Name, "SELECT coatcheck.announce") || strings.HasPrefix(e.Name, `SELECT "r"."id"`) || strings.HasPrefix(e.Name, "SELECT phase, counts, leased_until") // a run's progress
}

// isPoint reports whether an effect is one at which the process may be killed.
func (w *crashWatch) isPoint(e proxyEffect) bool {
	if w.only != nil {
		return w.only(e)
	}
	return !crashPassive(e)
}

// crashReads reports whether an effect is none to the server, so that before and after it are the same instant.
func crashReads(e proxyEffect) bool {
	for _, verb := range []string{"select", "begin", "head", "get", "list"} {
		if strings.HasPrefix(strings.ToLower(e.Name), verb) {
			return !strings.Contains(e.Name, "advisory") && !strings.Contains(e.Name, "FOR UPDATE")
		}
	}
	return false
}

// Before implements [proxyWatch].
func (w *crashWatch) Before(e proxyEffect) proxyFate {
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.HasPrefix(e.Name, "presigned ") { // a browser's
		return proxyFate{}
	}
	if w.killed && w.child != nil {
		return proxyFate{Cut: proxyBefore} // it was sent while the process died
	}
	if w.child == nil {
		return proxyFate{}
	}
	var fate proxyFate
	if w.delay != nil {
		fate.Delay = w.delay(e)
	}
	if !w.isPoint(e) {
		return fate
	}
	w.counts[e]++
	point := crashPoint{effect: e, n: w.counts[e]}
	w.seen = append(w.seen, point)
	if w.kill != nil && *w.kill == point {
		w.die()
		return proxyFate{Cut: proxyBefore}
	}
	fate.Number = point.n
	return fate
}

// After implements [proxyWatch].
func (w *crashWatch) After(e proxyEffect, fate proxyFate) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.HasPrefix(e.Name, "presigned ") {
		return true
	}
	if w.killed && w.child != nil {
		return false
	}
	if w.child == nil {
		return true
	}
	if fate.Number == 0 {
		if w.onAfter != nil && w.only != nil {
			w.onAfter(e, 0)
		}
		return true
	}
	point := crashPoint{effect: e, n: fate.Number, after: true}
	if w.onAfter != nil {
		w.onAfter(e, point.n)
	}
	if w.kill != nil && *w.kill == point {
		w.die()
		return false
	}
	return true
}

// die kills the process. Whoever calls holds the lock, so that nothing more of it is passed on.
func (w *crashWatch) die() {
	w.killed = true
	w.child.kill()
}

// killedThe reports whether this is the process that was killed.
func (w *crashWatch) killedThe(c *crashChild) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.killed && w.child == c
}

// died reports whether a process was killed.
func (w *crashWatch) died() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.killed
}

// points are the instants at which a process that did what was seen can be killed: both sides of each effect, and one of
// what only reads, the first time.
func (w *crashWatch) points() []crashPoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	var points []crashPoint
	for _, p := range w.seen {
		if p.effect.Name == "ReceiveMessage" && p.n > 1 {
			continue // everything waits in the queue before the first; the others bring nothing
		}
		if crashReads(p.effect) && p.n > 1 {
			continue // the same instant to the servers as that after what was done before
		}
		if !crashReads(p.effect) {
			points = append(points, p)
		}
		points = append(points, crashPoint{effect: p.effect, n: p.n, after: true})
	}
	return points
}
