package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

var errDied = errors.New("the process is dead")

// death ends a process at one of its calls: before the server hears of it, or after the server has done it. Nothing that
// the process does afterwards reaches a server.
type death struct {
	mu    sync.Mutex
	calls []string
	at    int  // which call; -1: never
	after bool // once it was carried out
	dead  bool
}

// call carries out a call, unless the process dies of it.
func (d *death) call(name string, do func() error) error {
	d.mu.Lock()
	if d.dead {
		d.mu.Unlock()
		return errDied
	}
	n := len(d.calls)
	d.calls = append(d.calls, name)
	dies := n == d.at
	d.dead = dies
	d.mu.Unlock()
	if dies && !d.after {
		return errDied
	}
	if err := do(); err != nil || !dies {
		return err
	}
	return errDied
}

type mortalStore struct {
	reconcile.Store
	*death
}

func (s mortalStore) LeaseShard(ctx context.Context, run uuid.UUID, phase reconcile.ShardPhase, lease time.Duration) (sh *reconcile.Shard, err error) {
	err = s.call("LeaseShard", func() (err error) { sh, err = s.Store.LeaseShard(ctx, run, phase, lease); return err })
	return sh, err
}

func (s mortalStore) ExtendLease(ctx context.Context, sh *reconcile.Shard, lease time.Duration) error {
	return s.call("ExtendLease", func() error { return s.Store.ExtendLease(ctx, sh, lease) })
}

func (s mortalStore) ReleaseShard(ctx context.Context, sh *reconcile.Shard) error {
	return s.call("ReleaseShard", func() error { return s.Store.ReleaseShard(ctx, sh) })
}

func (s mortalStore) Rows(ctx context.Context, r reconcile.Range, after string, limit int) (rows []reconcile.Row, err error) {
	if s.death.isDead() { // reading is not an effect
		return nil, errDied
	}
	return s.Store.Rows(ctx, r, after, limit)
}

func (d *death) isDead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

func (s mortalStore) Checkpoint(ctx context.Context, sh *reconcile.Shard, b reconcile.Batch) error {
	return s.call("Checkpoint", func() error { return s.Store.Checkpoint(ctx, sh, b) })
}

func (s mortalStore) BeginRemoving(ctx context.Context, run uuid.UUID) error {
	return s.call("BeginRemoving", func() error { return s.Store.BeginRemoving(ctx, run) })
}

func (s mortalStore) EndRun(ctx context.Context, run *reconcile.Run, o reconcile.Outcome, e string) (first bool, err error) {
	err = s.call("EndRun", func() (err error) { first, err = s.Store.EndRun(ctx, run, o, e); return err })
	return first, err
}

func (s mortalStore) TakeBudget(ctx context.Context, sh *reconcile.Shard, n int) (got int, err error) {
	err = s.call("TakeBudget", func() (err error) { got, err = s.Store.TakeBudget(ctx, sh, n); return err })
	return got, err
}

func (s mortalStore) BeginRemoval(ctx context.Context, sh *reconcile.Shard, strays []reconcile.Stray) (may map[string]bool, err error) {
	err = s.call("BeginRemoval", func() (err error) { may, err = s.Store.BeginRemoval(ctx, sh, strays); return err })
	return may, err
}

func (s mortalStore) EndRemoval(ctx context.Context, sh *reconcile.Shard, r reconcile.Removal) error {
	return s.call("EndRemoval", func() error { return s.Store.EndRemoval(ctx, sh, r) })
}

// GetRun is no effect, and the dead do not look any more.
func (s mortalStore) GetRun(ctx context.Context, id uuid.UUID) (*reconcile.Run, error) {
	if s.death.isDead() {
		return nil, errDied
	}
	return s.Store.GetRun(ctx, id)
}

type mortalObjects struct {
	reconcile.Objects
	*death
	page int // how many keys a page has
}

// List makes pages small, and dies between them.
func (o mortalObjects) List(ctx context.Context, r reconcile.Range) iter.Seq2[[]reconcile.Listed, error] {
	return func(yield func([]reconcile.Listed, error) bool) {
		for page, err := range o.Objects.List(ctx, r) {
			if err != nil {
				yield(nil, err)
				return
			}
			for part := range slices.Chunk(page, o.page) {
				if err := o.call("List", func() error { return nil }); err != nil {
					yield(nil, err)
					return
				}
				if !yield(part, nil) {
					return
				}
			}
		}
	}
}

func (o mortalObjects) Head(ctx context.Context, key string) (m media.Object, found bool, err error) {
	if o.death.isDead() {
		return m, false, errDied
	}
	return o.Objects.Head(ctx, key)
}

func (o mortalObjects) RemoveStrays(ctx context.Context, strays []reconcile.Stray, quarantine string) []error {
	var errs []error
	if err := o.call("RemoveStrays", func() error { errs = o.Objects.RemoveStrays(ctx, strays, quarantine); return nil }); err != nil {
		return slices.Repeat([]error{err}, len(strays))
	}
	return errs
}

func mortal(d *death, page int) func(*parts) {
	return func(p *parts) {
		p.store, p.objects = mortalStore{p.store, d}, mortalObjects{p.objects, d, page}
		p.Concurrency, p.CheckpointEvery = 1, 0
	}
}

// idOf makes ids whose keys lie in few shards and follow one another.
func idOf(n int) uuid.UUID {
	var id uuid.UUID
	id[6], id[8] = 0x70, 0x80
	id[5], id[15] = byte(n), byte(n%3)*0x55
	return id
}

// plant makes a bucket in which everything occurs, and a run is due to remove strays.
func plant(t testing.TB) *world {
	w := newWorld(t, worldOptions{})
	n := 0
	next := func(count int) []*media.Media {
		ms := make([]*media.Media, count)
		for i := range ms {
			id := idOf(n)
			n++
			ms[i] = &media.Media{ID: id, Tenant: alice.Tenant, Owner: alice.Owner, Key: w.keys.Key(id), ContentType: "text/plain",
				SizeBytes: int64(len(content(w.keys.Key(id)))), URLExpiresAt: w.Now().Add(time.Minute)}
		}
		ms, err := w.store.Create(t.Context(), ms)
		if err != nil {
			t.Fatal(err)
		}
		return ms
	}
	confirm := func(ms []*media.Media) []*media.Media {
		w.upload(ms...)
		w.land(ms...)
		w.confirm(ms...)
		return ms
	}
	tombstones := confirm(next(2))
	w.discard(media.EventRelease, tombstones...)
	w.sweep()
	for range 4 {
		w.put(w.keys.Key(idOf(100+n)), []byte("orphan"))
		n++
	}
	w.reconcile()
	w.Advance(grace)
	confirm(next(5))
	w.upload(next(3)...) // whose notifications were lost
	for _, m := range confirm(next(2)) {
		w.remove(m.Key)
	}
	w.upload(tombstones...)
	w.put("media/2a-tool", []byte("foreign"))
	w.put(w.keys.Key(idOf(100+n)), []byte("young orphan"))
	w.Advance(time.Hour)
	return w
}

// outcome is all that a run leaves behind.
func (w *world) outcome(run *reconcile.Run) string {
	var b strings.Builder
	fmt.Fprintln(&b, run.Outcome, run.Counts)
	for _, key := range slices.Sorted(maps.Keys(w.held())) {
		fmt.Fprintln(&b, "object", key)
	}
	strays := w.strays()
	for _, key := range slices.Sorted(maps.Keys(strays)) {
		fmt.Fprintln(&b, "stray", key, strays[key].LastRun == run.ID)
	}
	for id := range w.missing() {
		fmt.Fprintln(&b, "missing", id)
	}
	kinds := w.findings(run)
	for _, key := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintln(&b, "finding", key, kinds[key])
	}
	var states []string
	if err := w.db.NewRaw(`SELECT key || ' ' || state FROM coatcheck.media ORDER BY key`).Scan(w.t.Context(), &states); err != nil {
		w.t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	slices.Sort(lines)
	return strings.Join(append(lines, states...), "\n")
}

// beginFew begins a run of few shards.
func (w *world) beginFew(change ...func(*parts)) *reconcile.Run {
	w.t.Helper()
	run, err := w.store.BeginRun(w.t.Context(), settingsOf(change...), 0, []reconcile.Range{
		{Prefix: "media/", Until: "media/2b"}, {Prefix: "media/", After: "media/2b", Until: "media/80"}, {Prefix: "media/", After: "media/80"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return run
}

// TestKilledAnywhere kills a run at every call that has an effect, and at every page, before and after, and goes on with
// another process: nothing is lost and nothing is counted twice (R10).
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	deleting := policy(reconcile.PolicyDelete)
	w := plant(t)
	undisturbed := &death{at: -1}
	run, err := w.reconciler(mortal(undisturbed, 2)).Work(t.Context(), w.beginFew(deleting).ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := w.outcome(run)
	for _, must := range []string{"RemoveStrays", "EndRemoval", "BeginRemoval", "Checkpoint", "List", "EndRun"} {
		if !slices.Contains(undisturbed.calls, must) {
			t.Fatalf("the run makes no call of %s: %v", must, undisturbed.calls)
		}
	}
	if strings.Count(want, "finding") != 5 || strings.Count(want, "missing ") != 2 || !strings.Contains(want, "removed:4") {
		t.Fatalf("the planted bucket comes to\n%s", want)
	}
	for at := range undisturbed.calls {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %s after=%t", at, undisturbed.calls[at], after), func(t *testing.T) {
				t.Parallel()
				w := plant(t)
				d := &death{at: at, after: after}
				first := w.reconciler(deleting, mortal(d, 2))
				run := w.beginFew(deleting)
				if _, err := first.Work(t.Context(), run.ID, nil); !errors.Is(err, errDied) {
					t.Fatalf("the process did not die: %v", err)
				}
				w.Advance(time.Minute) // its lease ends
				done, err := w.reconciler(deleting, mortal(&death{at: -1}, 2)).Work(t.Context(), run.ID, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got := w.outcome(done); got != want {
					t.Errorf("it comes to\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}
