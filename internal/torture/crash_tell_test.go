package torture

import (
	"time"
)

// crashLimit is how long a process may take for its part of a story. It is generous: a run waits for as long only when
// something is wrong.
const crashLimit = 30 * time.Second

// buried looks after a process that was killed: what holds at every instant holds at this one. It reports false when
// the process was not killed.
func (w *crashWorld) buried(c *crashChild) bool {
	w.t.Helper()
	if !w.watch.killedThe(c) {
		return false
	}
	w.quiet()
	w.watch.leave()
	w.checkInstant()
	return true
}

// consume runs the consumer until the queue is empty, and again when it is killed on the way. Then everything that was
// told of is recorded.
func (w *crashWorld) consume(watched bool, flags ...string) {
	w.t.Helper()
	for w.consumeOnce(watched, flags...) {
		watched = false
	}
	w.checkInstant()
}

func (w *crashWorld) consumeOnce(watched bool, flags ...string) (killed bool) {
	w.t.Helper()
	c := w.start(watched, append([]string{"serve", "--roles", "consumer"}, flags...)...)
	for deadline := time.Now().Add(crashLimit); ; time.Sleep(2 * time.Millisecond) {
		if c.done(0) {
			if w.buried(c) {
				return true
			}
			w.t.Fatalf("the consumer ended: %v", c.err)
		}
		if w.drained() {
			break
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the consumer did not empty the queue within %s: %+v", crashLimit, w.depths())
		}
	}
	w.watch.leave() // what follows is idling
	c.kill()
	w.quiet()
	return false
}

// sweep runs one sweep, and another one when it is killed on the way, after the leases of the first.
func (w *crashWorld) sweep(watched bool) {
	w.t.Helper()
	c := w.start(watched, "sweep")
	if !c.done(crashLimit) {
		w.t.Fatalf("the sweep did not end within %s", crashLimit)
	}
	if w.buried(c) {
		w.pass()
		w.sweep(false)
		return
	}
	w.watch.leave()
	if c.err != nil {
		w.t.Fatalf("the sweep failed: %v\n%s", c.err, &c.out)
	}
}

// end lets all windows end: what was told of is recorded, what nobody claims is deleted, and what was deleted forgotten.
func (w *crashWorld) end() {
	w.t.Helper()
	if w.unhide(); !w.drained() {
		w.consume(false)
	}
	// Three passes at most: landed by the sweep itself, expired and deleted, forgotten.
	for range 3 {
		w.pass()
		if _, err := w.sweeper.RunOnce(w.t.Context()); err != nil {
			w.t.Fatalf("the last sweeps: %v", err)
		}
	}
	w.mend()
	w.checkInstant()
	w.checkEnd()
}
