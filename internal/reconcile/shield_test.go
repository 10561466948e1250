package reconcile_test

import (
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// TestListedButNotAdopted: what an adoption's list says is in use is not removed because the adoption did not get to it.
func TestListedButNotAdopted(t *testing.T) {
	t.Parallel()
	key := "uploads/used.jpg"
	for name, adopt := range map[string]func(w *world){
		// A run that was scheduled was begun right after the list was staged, and the operator has gone home.
		"another run was first": func(*world) {},
		"given up": func(w *world) {
			r := w.reconciler()
			run, err := r.Begin(w.t.Context(), settingsOf(adopting("uploads/")))
			if err != nil {
				w.t.Fatal(err)
			}
			if err := r.Abandon(w.t.Context(), run); err != nil {
				w.t.Fatal(err)
			}
		},
		"S3 could not be asked": func(w *world) {
			w.emu.Faults().Fail(awsemu.Match{Operation: "HeadObject", KeyContains: key}, awsemu.Forever, 403, "AccessDenied")
			w.reconcile(adopting("uploads/"))
			w.emu.Faults().Clear()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{})
			w.put(key, []byte("in use"))
			w.put("uploads/orphan.jpg", []byte("orphan"))
			w.put("uploads/fine.jpg", []byte("fine"))
			w.stage("uploads/", false, reconcile.Adoption{Key: key, Claim: "post/1"}, reconcile.Adoption{Key: "uploads/fine.jpg", Claim: "post/2"})
			adopt(w)
			w.reconcile()
			w.Advance(grace)
			w.reconcile(policy(reconcile.PolicyDelete))
			if held := w.held(); !held[key] || held["uploads/orphan.jpg"] {
				t.Errorf("the bucket holds %v", held)
			}
			// The list is still there for the next attempt, and its end.
			w.stage("uploads/", false, reconcile.Adoption{Key: key, Claim: "post/1"}, reconcile.Adoption{Key: "uploads/fine.jpg", Claim: "post/2"})
			w.reconcile(adopting("uploads/"))
			if ms, err := w.store.List(t.Context(), alice, media.Page{Limit: 10}); err != nil || len(ms) != 2 {
				t.Errorf("%d are adopted, error %v", len(ms), err)
			}
		})
	}
}

// TestReusedKeys: unlike those that are minted, the keys that were adopted may be used again. What is stored under one
// after its media was deleted is another object, and no late upload.
func TestReusedKeys(t *testing.T) {
	t.Parallel()
	for name, later := range map[string]func(w *world, key string){
		"a run goes over it":      func(w *world, _ string) { w.reconcile(policy(reconcile.PolicyDelete)); w.sweep() },
		"its tombstone is purged": func(w *world, _ string) { w.Advance(windows.Tombstone + time.Hour); w.sweep() },
		"it is adopted once again": func(w *world, key string) {
			w.stage("uploads/", false, reconcile.Adoption{Key: key, Claim: "user/2"})
			w.want(w.reconcile(adopting("uploads/")), reconcile.Counts{reconcile.CountAdopted: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{})
			key := "uploads/avatar.png"
			w.put(key, []byte("old"))
			w.stage("uploads/", false, reconcile.Adoption{Key: key, Claim: "user/1"})
			w.reconcile(adopting("uploads/"))
			ms, err := w.store.List(t.Context(), alice, media.Page{Limit: 10})
			if err != nil || len(ms) != 1 {
				t.Fatalf("there are %d media, error %v", len(ms), err)
			}
			if _, err := w.store.Discard(t.Context(), alice, ms[0].ID, media.EventRelease, "user/1"); err != nil {
				t.Fatal(err)
			}
			w.sweep()
			if w.held()[key] {
				t.Fatal("what was released is still there")
			}
			w.put(key, []byte("new"))
			later(w, key)
			w.sweep()
			if !w.held()[key] {
				t.Error("the new object was deleted without its grace period (R7)")
			}
			w.reconcile()
			w.Advance(windows.Tombstone + time.Hour)
			w.sweep()
			w.reconcile()
			w.Advance(grace)
			w.reconcile(policy(reconcile.PolicyDelete))
			if adopted := name == "it is adopted once again"; w.held()[key] != adopted {
				t.Errorf("it is there: %t", !adopted)
			}
		})
	}
}
