package torture

import (
	"strings"
	"syscall"
	"time"
)

// crashSlow is how long a batch is held up in stories about what happens meanwhile.
const crashSlow = 900 * time.Millisecond

// crashLanding reports whether it is the statement that records landings, whose name is how it begins.
func crashLanding(e proxyEffect) bool {
	return strings.HasPrefix(e.Name, "SELECT count(*), CASE WHEN count(*) < cardinality(")
}

// crashHeartbeat is a batch that takes so long that its messages are hidden anew meanwhile.
func crashHeartbeat(w *crashWorld) {
	for range 3 {
		id := w.pending()
		w.put(id, crashBody(id))
	}
	beats, slow := 0, true
	w.watch.delay = func(e proxyEffect) time.Duration {
		if !crashLanding(e) || !slow {
			return 0
		}
		slow = false
		return crashSlow
	}
	w.watch.only = func(e proxyEffect) bool {
		if e.Name == "ChangeMessageVisibilityBatch" {
			beats++
			return beats == 1 // how many there are is a question of time
		}
		return beats > 0 && e.Name == "DeleteMessageBatch"
	}
	w.consume(true, "--visibility-timeout", "1s")
	if beats == 0 {
		w.t.Error("there was no heartbeat")
	}
}

// crashDrain is a consumer that is told to stop while it records a batch and has received another, which it gives back.
func crashDrain(w *crashWorld) {
	for range 13 { // more than one call receives
		id := w.pending()
		w.put(id, crashBody(id))
	}
	asked, received, given, slow, draining := 0, 0, 0, true, false
	w.watch.delay = func(e proxyEffect) time.Duration {
		switch {
		case e.Name == "ReceiveMessage":
			if asked++; asked == 2 {
				return crashSlow / 3 // until the first is being recorded
			}
		case crashLanding(e) && slow:
			slow = false
			return crashSlow
		}
		return 0
	}
	w.watch.only = func(e proxyEffect) bool {
		if draining && e.Name == "ChangeMessageVisibilityBatch" {
			given++
			return given == 1 // whether there is another is a question of time
		}
		return draining && e.Name == "DeleteMessageBatch"
	}
	w.watch.onAfter = func(e proxyEffect, _ int) {
		if e.Name != "ReceiveMessage" || draining {
			return
		}
		if received++; received == 2 {
			draining = true
			_ = w.watch.child.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended, which is seen
		}
	}
	c := w.start(true, "serve", "--roles", "consumer")
	if !c.done(crashLimit) {
		w.t.Fatalf("the consumer did not stop within %s", crashLimit)
	}
	if !w.buried(c) {
		w.watch.leave()
		if c.err != nil {
			w.t.Fatalf("the consumer stopped with %v", c.err)
		}
		if d := w.depths(); d.Queue.Visible != 3 || d.Queue.InFlight != 0 {
			violated(w.t, "R10: a consumer was stopped in the middle of 13 messages, and left %+v", d.Queue)
		}
	}
	w.consume(false)
}
