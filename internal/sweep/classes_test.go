package sweep_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

// TestThreeClasses: never uploaded, uploaded but unclaimed, and confirmed, each before and after its window.
func TestThreeClasses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ms := w.create(t, 3)
	never, unclaimed, confirmed := ms[0], ms[1], ms[2]
	w.put(t, unclaimed, confirmed)
	w.land(t, "01", unclaimed, confirmed)
	w.confirm(t, confirmed)

	w.Advance(windows.Upload - time.Second)
	young := w.create(t, 1)[0]
	w.pass(t, sweep.Result{})
	w.Advance(time.Second)
	w.pass(t, sweep.Result{NeverUploaded: 1, Deleted: 1})
	w.is(t, never, media.StateDeleted, media.ReasonNeverUploaded, false)
	w.is(t, unclaimed, media.StateUploaded, "", true)
	w.is(t, young, media.StatePending, "", false)

	w.Advance(windows.Claim - windows.Upload - time.Second)
	w.pass(t, sweep.Result{NeverUploaded: 1, Deleted: 1}) // the young one
	w.Advance(time.Second)
	w.pass(t, sweep.Result{Unclaimed: 1, Deleted: 1})
	w.is(t, unclaimed, media.StateDeleted, media.ReasonUnclaimed, false)

	w.Advance(365 * 24 * time.Hour)
	w.pass(t, sweep.Result{Purged: 3})
	w.is(t, confirmed, media.StateConfirmed, "", true)
	if there := w.there(t); len(there) != 1 {
		t.Errorf("the bucket has %v", there)
	}
}

// TestLostNotification: the user has uploaded, and only the notification went missing. It costs nothing, and the claim
// window begins when the upload becomes known.
func TestLostNotification(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.create(t, 1)[0]
	w.put(t, m)
	w.Advance(windows.Upload)
	w.pass(t, sweep.Result{Landed: 1})
	got := w.is(t, m, media.StateUploaded, "", true)
	if got.LandedBy != media.SourceSweep || got.ETag == "" || !got.DueAt.Equal(w.Now().Add(windows.Claim)) {
		t.Errorf("it landed by %s, with ETag %q, due at %v", got.LandedBy, got.ETag, got.DueAt)
	}
	w.confirm(t, m)
	w.Advance(windows.Claim)
	w.pass(t, sweep.Result{})
	w.is(t, m, media.StateConfirmed, "", true)
}

// TestLostNotificationOfAnotherFile: what is there is not what was declared.
func TestLostNotificationOfAnotherFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ms := w.create(t, 2)
	if err := w.tryPut(t.Context(), ms[0], append(bytes.Clone(content), '!')); err != nil {
		t.Fatal(err)
	}
	html := *ms[1]
	html.ContentType = "text/html"
	w.put(t, &html)
	w.Advance(windows.Upload)
	w.pass(t, sweep.Result{Rejected: 2, Deleted: 2})
	for _, m := range ms {
		w.is(t, m, media.StateDeleted, media.ReasonRejected, false)
	}
}

// TestLatePut: the URL is still good when the media is deleted, or the PUT took that long.
func TestLatePut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.create(t, 1)[0]
	w.discard(t, m)
	w.pass(t, sweep.Result{Deleted: 1})
	w.is(t, m, media.StateDeleted, media.ReasonCancelled, false)

	w.put(t, m)
	if v := w.land(t, "01", m); v != media.VerdictLate {
		t.Fatalf("the landing is %s", v)
	}
	w.is(t, m, media.StateDeleting, media.ReasonLate, true)
	w.pass(t, sweep.Result{Deleted: 1})
	w.is(t, m, media.StateDeleted, media.ReasonLate, false)
}

// TestLatePutUnnoticed: a PUT ends after its media was deleted, and its notification is lost. The tombstone is not
// forgotten before its object is deleted once more (R2).
func TestLatePutUnnoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.create(t, 1)[0]
	w.discard(t, m)
	w.pass(t, sweep.Result{Deleted: 1})
	w.put(t, m)
	w.Advance(windows.Tombstone + 5*time.Minute)
	w.emu.Faults().FailKeys(m.Key, 1, "InternalError")
	if r, err := w.sweeper(t).RunOnce(t.Context()); err == nil || r.DeleteErrors != 1 || r.Purged != 0 {
		t.Fatalf("the pass did %+v, %v", r, err)
	}
	w.Advance(sweep.DefaultConfig().Backoff.Max)
	w.pass(t, sweep.Result{Purged: 1})
	if there := w.there(t); len(there) != 0 {
		t.Errorf("the bucket has %v", there)
	}
}

// TestTombstones are kept as long as a late PUT is waited for, counted from the end of the URL or from the deletion,
// whichever is later.
func TestTombstones(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.create(t, 1)[0]
	w.discard(t, m)
	w.pass(t, sweep.Result{Deleted: 1})
	w.Advance(windows.Tombstone)
	w.pass(t, sweep.Result{}) // the URL ended 5 minutes after the deletion
	w.Advance(5*time.Minute - time.Second)
	w.pass(t, sweep.Result{})
	w.Advance(time.Second)
	w.pass(t, sweep.Result{Purged: 1})
	if _, err := w.store.Get(t.Context(), alice, m.ID); err == nil {
		t.Error("the tombstone is still there")
	}
}

// TestBacklogInSmallBatches: a pass ends only when nothing is due, whatever the size of its batches.
func TestBacklogInSmallBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ms := w.create(t, 35)
	w.put(t, ms[:20]...)
	w.land(t, "01", ms[:10]...)
	w.Advance(windows.Claim)
	w.pass(t, sweep.Result{Unclaimed: 10, Landed: 10, NeverUploaded: 15, Deleted: 25}, func(p *parts) { p.BatchSize = 4 })
	if there := w.there(t); len(there) != 10 {
		t.Errorf("the bucket has %d objects, want the 10 that landed late", len(there))
	}
}
