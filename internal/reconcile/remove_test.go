package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// TestStraysGo: seen in two runs a grace period apart, and not before; what is confirmed and what is foreign stays.
func TestStraysGo(t *testing.T) {
	t.Parallel()
	for _, p := range []reconcile.Policy{reconcile.PolicyReport, reconcile.PolicyDelete, reconcile.PolicyQuarantine} {
		for _, versioned := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s versioned=%t", p, versioned), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, worldOptions{versioned: versioned})
				kept := w.confirmed(3)
				stray := mintedKey(w)
				w.put(stray, []byte("first"))
				w.put(stray, []byte("orphan")) // a noncurrent version, where there are any
				w.put("media/tool.cfg", []byte("not ours"))
				first := w.reconcile(policy(p))
				want := reconcile.Counts{reconcile.CountExplained: 3, reconcile.CountStrays: 1, reconcile.CountForeign: 1}
				if versioned {
					want[reconcile.CountNoncurrent] = 1
				}
				if p != reconcile.PolicyReport {
					want[reconcile.CountKeptRecent], want[reconcile.CountKeptForeign] = 1, 1
				}
				w.want(first, want)
				w.Advance(grace - time.Second)
				w.want(w.reconcile(policy(p)), want)
				w.Advance(time.Second)
				third := w.reconcile(policy(p))
				if p != reconcile.PolicyReport {
					delete(want, reconcile.CountKeptRecent)
					want[reconcile.CountRemoved] = 1
					if third.Counts[reconcile.CountRemovedBytes] != int64(len("orphan")) {
						t.Errorf("it removed %d bytes", third.Counts[reconcile.CountRemovedBytes])
					}
				}
				w.want(third, want)
				held := w.held()
				if held[stray] != (p == reconcile.PolicyReport) || !held["media/tool.cfg"] {
					t.Errorf("the bucket holds %v", held)
				}
				if moved := held[quarantined(first.StartedAt, stray)]; moved != (p == reconcile.PolicyQuarantine) {
					t.Errorf("it was moved to quarantine: %t", moved)
				}
				for _, m := range kept {
					if !held[m.Key] {
						t.Errorf("the object of a CONFIRMED media is gone (R1)")
					}
				}
				if versioned && p != reconcile.PolicyReport {
					out, err := w.s3.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: bucket, Prefix: &stray})
					if err != nil || len(out.Versions)+len(out.DeleteMarkers) > 0 {
						t.Errorf("%d versions and %d delete markers are left, error %v", len(out.Versions), len(out.DeleteMarkers), err)
					}
				}
				// Once more: nothing is left to do, and it is remembered what became of it.
				w.Advance(grace)
				fourth := w.reconcile(policy(p))
				if p != reconcile.PolicyReport {
					delete(want, reconcile.CountRemoved)
					delete(want, reconcile.CountStrays)
					delete(want, reconcile.CountNoncurrent)
					gone, err := w.store.Strays(t.Context(), reconcile.StrayPage{Removed: true, Limit: 10})
					if err != nil || len(gone) != 1 || gone[0].Key != stray || (gone[0].RemovedTo != "") != (p == reconcile.PolicyQuarantine) {
						t.Errorf("it is remembered that %+v were removed, error %v", gone, err)
					}
				}
				w.want(fourth, want)
			})
		}
	}
}

// quarantined is where a stray of that time is moved to.
func quarantined(modified time.Time, key string) string {
	return (&reconcile.Stray{Key: key, LastModified: modified}).Quarantined("coatcheck-quarantine/")
}

// eventful lets things happen in the middle of a run.
type eventful struct {
	reconcile.Objects
	afterHead   func(key string)
	beforeHead  func(key string)
	afterRemove func()
}

func (e eventful) Head(ctx context.Context, key string) (media.Object, bool, error) {
	if e.beforeHead != nil {
		e.beforeHead(key)
	}
	o, found, err := e.Objects.Head(ctx, key)
	if e.afterHead != nil {
		e.afterHead(key)
	}
	return o, found, err
}

func (e eventful) RemoveStrays(ctx context.Context, strays []reconcile.Stray, quarantine string) []error {
	errs := e.Objects.RemoveStrays(ctx, strays, quarantine)
	if e.afterRemove != nil {
		e.afterRemove()
	}
	return errs
}

func objects(e eventful) func(*parts) {
	return func(p *parts) {
		e.Objects = p.objects
		p.objects = e
	}
}

// dueStray makes a stray that a run would remove.
func (w *world) dueStray() string {
	w.t.Helper()
	key := mintedKey(w)
	w.put(key, []byte("orphan"))
	w.reconcile()
	w.Advance(grace)
	return key
}

// insertRow makes a CONFIRMED row for a key, as a restored backup or an adoption would.
func (w *world) insertRow(key string) {
	w.t.Helper()
	id, ok := w.keys.ID(key)
	if !ok {
		id = uuid.Must(uuid.NewV7())
	}
	_, err := w.db.ExecContext(w.t.Context(), `INSERT INTO coatcheck.media (id, tenant, owner, key, state, content_type, size_bytes, created_at,
		url_expires_at, landed_at, landed_by, claim, confirmed_at) VALUES (?, 'acme', 'alice', ?, 'confirmed', 'text/plain', 6, ?, ?, ?, 'confirm', 'post/1', ?)`,
		id, key, w.Now(), w.Now(), w.Now(), w.Now())
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestStraysThatStay: whatever changes between the listing and the deletion, the object stays and the reason is counted.
func TestStraysThatStay(t *testing.T) {
	t.Parallel()
	for _, versioned := range []bool{false, true} {
		for name, c := range map[string]struct {
			reason reconcile.Count
			change func(w *world, key string) func(*parts)
		}{
			"replaced before the HEAD": {reconcile.CountKeptChanged, func(w *world, key string) func(*parts) {
				return objects(eventful{beforeHead: func(string) { w.put(key, []byte("another")) }})
			}},
			"replaced by the same": {reconcile.CountKeptChanged, func(w *world, key string) func(*parts) {
				return objects(eventful{beforeHead: func(string) { w.put(key, []byte("orphan")) }})
			}},
			"replaced after the HEAD": {reconcile.CountKeptChanged, func(w *world, key string) func(*parts) {
				return objects(eventful{afterHead: func(string) { w.put(key, []byte("another")) }})
			}},
			"row appears after the listing": {reconcile.CountKeptRow, func(w *world, key string) func(*parts) {
				return objects(eventful{beforeHead: func(string) { w.insertRow(key) }})
			}},
			"row appears after the HEAD": {reconcile.CountKeptRow, func(w *world, key string) func(*parts) {
				return objects(eventful{afterHead: func(string) { w.insertRow(key) }})
			}},
			"S3 cannot be asked": {reconcile.CountKeptUnclear, func(w *world, key string) func(*parts) {
				w.put(mintedKey(w), []byte("x")) // not due, so that it is not all that fails
				w.emu.Faults().FailKeys(key, awsemu.Forever, "InternalError")
				return nil
			}},
			"no budget": {reconcile.CountKeptBudget, func(*world, string) func(*parts) {
				return with(func(s *reconcile.Settings) { s.DeleteBudget = 0 })
			}},
		} {
			t.Run(fmt.Sprintf("%s versioned=%t", name, versioned), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, worldOptions{versioned: versioned})
				key := w.dueStray()
				change := []func(*parts){policy(reconcile.PolicyDelete)}
				if f := c.change(w, key); f != nil {
					change = append(change, f)
				}
				w.Advance(time.Second) // so that what is stored now is newer
				run := w.reconcile(change...)
				if n := run.Counts[c.reason]; n != 1 || run.Counts[reconcile.CountRemoved] != 0 {
					t.Errorf("%s is %d; the run counted %v", c.reason, n, counted(run))
				}
				if !w.held()[key] {
					t.Error("the object is gone")
				}
			})
		}
	}
}

// TestRemovalThatDidNotLiveToSaySo: what a killed process has removed is found out and counted once.
func TestRemovalThatDidNotLiveToSaySo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	for range 5 {
		w.put(mintedKey(w), []byte("orphan"))
	}
	w.reconcile()
	w.Advance(grace)
	ctx, kill := context.WithCancel(t.Context())
	r := w.reconciler(policy(reconcile.PolicyDelete), objects(eventful{afterRemove: kill}))
	run, err := r.Begin(ctx, settingsOf(policy(reconcile.PolicyDelete)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Work(ctx, run.ID, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("the killed run ended with %v", err)
	}
	w.Advance(time.Minute)
	done, err := w.reconciler().Work(t.Context(), run.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := done.Counts[reconcile.CountRemoved]; got != 5 || len(w.held()) != 0 {
		t.Errorf("it counted %v, and %d are left", counted(done), len(w.held()))
	}
}

func settingsOf(change ...func(*parts)) reconcile.Settings {
	p := parts{Config: reconcile.DefaultConfig()}
	p.Settings.Grace, p.Settings.MaxStrayShare = grace, 1
	for _, f := range change {
		f(&p)
	}
	return p.Settings
}
