package reconcile_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/objectstore"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// TestOddKeysGo: keys that XML and URLs are bad at are quarantined and deleted under their own names, and no other is.
func TestOddKeysGo(t *testing.T) {
	t.Parallel()
	for _, versioned := range []bool{false, true} {
		for _, p := range []reconcile.Policy{reconcile.PolicyDelete, reconcile.PolicyQuarantine} {
			t.Run(fmt.Sprintf("%s versioned=%t", p, versioned), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, worldOptions{versioned: versioned})
				odd := oddKeys("uploads/")[1:]
				list := []reconcile.Adoption{{Key: "uploads/control-\uFFFD", Claim: "post/1"}} // what XML makes of "control-\x01"
				w.put(list[0].Key, []byte("odd"))
				for _, k := range odd {
					if len(k) < 950 {
						w.put(k, []byte("odd"))
					}
				}
				before := len(w.held())
				w.stage("uploads/", false, list...)
				w.reconcile(adopting("uploads/"))
				w.Advance(grace)
				run := w.reconcile(policy(p))
				if n := run.Counts[reconcile.CountRemoved]; n != int64(before-1) {
					t.Errorf("%d of %d were removed; the run counted %v", n, before-1, counted(run))
					for k, s := range w.strays() {
						t.Logf("%q: %s", k, s.LastError)
					}
				}
				if held := w.held(); !held[list[0].Key] || (p == reconcile.PolicyDelete) != (len(held) == 1) {
					t.Errorf("the bucket holds %v", held)
				}
			})
		}
	}
}

// TestNullVersionIsOverwritten: while versioning is suspended, what is stored anew has the version that was recorded.
func TestNullVersionIsOverwritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.version(types.BucketVersioningStatusSuspended)
	key := w.dueStray()
	w.Advance(time.Second)
	run := w.reconcile(policy(reconcile.PolicyDelete), objects(eventful{afterHead: func(string) { w.put(key, []byte("somebody's")) }}))
	if !w.held()[key] || run.Counts[reconcile.CountKeptChanged] != 1 {
		t.Errorf("what replaced the stray is gone; the run counted %v", counted(run))
	}
}

// careless is a store that does not know conditional deletes, as older ones and imitations do not.
func careless(w *world, afterCopy func()) *objectstore.Store {
	return objectstore.New(s3.New(w.s3.Options(), func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("careless", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				if del, ok := in.Parameters.(*s3.DeleteObjectsInput); ok {
					for i := range del.Delete.Objects {
						del.Delete.Objects[i].ETag = nil
					}
				}
				out, meta, err := next.HandleInitialize(ctx, in)
				if _, ok := in.Parameters.(*s3.CopyObjectInput); ok {
					afterCopy()
				}
				return out, meta, err
			}), middleware.Before)
		})
	}), *bucket, w.keys.Prefix(), w.Now)
}

// TestReplacedDuringTheCopy: a copy into quarantine can take minutes, and not every store deletes on a condition.
func TestReplacedDuringTheCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	key := w.dueStray()
	w.Advance(time.Second)
	run := w.reconcile(policy(reconcile.PolicyQuarantine), func(p *parts) {
		p.objects = careless(w, func() { w.put(key, []byte("somebody's")) })
	})
	if !w.held()[key] || run.Counts[reconcile.CountKeptChanged] != 1 {
		t.Errorf("what replaced the stray is gone; the run counted %v", counted(run))
	}
}

// TestReplacedAfterItsRelease: a key that was adopted may be used again before the sweep that follows its release.
func TestReplacedAfterItsRelease(t *testing.T) {
	t.Parallel()
	for _, versioned := range []bool{false, true} {
		w := newWorld(t, worldOptions{versioned: versioned})
		list := []reconcile.Adoption{{Key: "uploads/1", Claim: "user/1"}, {Key: "uploads/2", Claim: "user/1"}}
		for _, a := range list {
			w.put(a.Key, []byte("old"))
		}
		w.stage("uploads/", false, list...)
		w.reconcile(adopting("uploads/"))
		ms, err := w.store.List(t.Context(), alice, media.Page{Limit: 10})
		if err != nil || len(ms) != 2 {
			t.Fatalf("there are %d media, error %v", len(ms), err)
		}
		for _, m := range ms {
			if _, err := w.store.Discard(t.Context(), alice, m.ID, media.EventRelease, "user/1"); err != nil {
				t.Fatal(err)
			}
		}
		w.put("uploads/2", []byte("new"))
		w.sweep()
		if held := w.held(); held["uploads/1"] || !held["uploads/2"] {
			t.Errorf("versioned %t: the bucket holds %v", versioned, held)
		}
		for _, m := range ms {
			if got := w.get(m); got.State != media.StateDeleted {
				t.Errorf("it is %s: %s", got.State, got.LastError)
			}
		}
	}
}

// TestSiblingsAreNotListed: the versions of a key are found without going over all keys that begin with it.
func TestSiblingsAreNotListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{versioned: true})
	w.stage("uploads/", false)
	w.put("uploads/1", []byte("orphan"))
	w.reconcile()
	w.Advance(grace)
	for i := range 1100 {
		w.put(fmt.Sprintf("uploads/1/%d", i), nil)
	}
	before := w.emu.Counts()["ListObjectVersions"]
	if errs := w.objects.RemoveStrays(t.Context(), []reconcile.Stray{w.strays()["uploads/1"]}, ""); errs[0] != nil {
		t.Fatal(errs[0])
	}
	if n := w.emu.Counts()["ListObjectVersions"] - before; n != 1 {
		t.Errorf("it took %d listings", n)
	}
}
