package torture

import (
	"testing"

	"github.com/coatcheck/coatcheck/internal/pgtest"
)

// crashStory is a script whose process is killed at each effect in turn.
type crashStory struct {
	name string
	tell func(t *testing.T, watch *crashWatch)
}

var crashStories = []crashStory{
	{"consumer", crashOf(false, crashConsumer)},
	{"heartbeat", crashOf(false, crashHeartbeat)},
	{"drain", crashOf(false, crashDrain)},
	{"sweep", crashOf(false, crashSweep)},
	{"sweep versions", crashOf(true, crashSweep)},
	{"late", crashOf(false, crashLate)},
	{"api", crashOf(false, crashAPI)},
	{"reconcile", crashOf(false, crashReconcile)},
	{"reconcile versions", crashOf(true, crashQuarantine)},
	{"reconciler", crashOf(false, crashReconciler)},
	{"adopt", crashOf(false, crashAdopt)},
	{"migrate", crashMigrate},
}

// crashOf tells a story in a world with a migrated schema, and then lets all windows end.
func crashOf(versioned bool, tell func(*crashWorld)) func(*testing.T, *crashWatch) {
	return func(t *testing.T, watch *crashWatch) {
		t.Helper()
		w := newCrashWorld(t, pgtest.New(t), watch, versioned)
		tell(w)
		w.end()
	}
}

// crashConsumer is a batch with one message of each kind.
func crashConsumer(w *crashWorld) {
	late := w.tombstone()
	w.confirmed(true) // told of what is confirmed already
	landed, doubled, rejected := w.pending(), w.pending(), w.pending()
	w.put(landed, crashBody(landed))
	w.emulator.Faults().DoubleNotifications(1)
	w.put(doubled, crashBody(doubled))
	w.put(rejected, "not as declared")
	w.put(late, crashBody(late))
	w.consume(true)
}

// crashSweep is a sweep with something of each class to do.
func crashSweep(w *crashWorld) {
	w.putUnnoticed(w.tombstone(), "came late, and nobody was told")
	w.confirmed(false)
	w.pending()
	unnoticed, wrong := w.pending(), w.pending()
	w.putUnnoticed(unnoticed, crashBody(unnoticed))
	w.putUnnoticed(wrong, "not as declared")
	w.uploaded()
	w.cancelled()
	w.pass()
	w.sweep(true)
}

// crashLate is a PUT that ends while its key is being deleted: between the deletion and its record.
func crashLate(w *crashWorld) {
	w.confirmed(false)
	id := w.cancelled()
	came := false
	w.watch.onAfter = func(e proxyEffect, n int) {
		if e.Name == "DeleteObjects" && !came {
			came = true
			w.put(id, crashBody(id))
		}
	}
	w.sweep(true)
	w.unhide()
	if w.drained() { // the sweep was killed before
		w.put(id, crashBody(id))
	}
	w.consume(!w.watch.died())
	w.pass()
	w.sweep(!w.watch.died())
}
