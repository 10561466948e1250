package torture

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// modelDeath is how a reconciler ends in the middle.
type modelDeath string

const (
	modelStopped      modelDeath = "stopped after"
	modelKilledBefore modelDeath = "killed before"
	modelKilledAfter  modelDeath = "killed after"
)

var errModelKilled = errors.New("the process is dead")

// modelProcess is one reconciler: whatever it does by its store and its bucket, it does as long as it lives. When it is
// stopped it gives back what it has leased, and when it is killed it does not.
type modelProcess struct {
	h      *history
	ctx    context.Context
	cancel func()
	choice modelReconcile
	then   *meanwhile

	mu    sync.Mutex
	calls int
	dead  bool

	listed chan struct{} // closed when the first page was listed, and what happens then has happened
	once   sync.Once
}

func newModelProcess(h *history, r modelReconcile, then *meanwhile) *modelProcess {
	p := &modelProcess{h: h, choice: r, then: then, listed: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(h.ctx)
	return p
}

// call makes one call, unless the process is dead or dies of it.
func (p *modelProcess) call(do func() error) error {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return errModelKilled
	}
	p.calls++
	dies := p.calls == p.choice.dies
	p.dead = dies && p.choice.how != modelStopped
	p.mu.Unlock()
	if dies {
		defer p.cancel()
		if p.choice.how == modelKilledBefore {
			return errModelKilled
		}
	}
	err := do()
	if dies && p.choice.how == modelKilledAfter {
		return errModelKilled
	}
	return err
}

// died reports whether it did not live to the end of what it was to do.
func (p *modelProcess) died() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.choice.dies > 0 && p.calls >= p.choice.dies
}

// modelRunStore is the store of a process.
type modelRunStore struct {
	reconcile.Store
	p *modelProcess
}

// BeginRun implements [reconcile.Store]. A history has few objects, and would spend its time on empty shards.
func (s modelRunStore) BeginRun(ctx context.Context, c reconcile.Settings, estimate int64, ranges []reconcile.Range) (run *reconcile.Run, err error) {
	all := ranges[0].Prefix
	switch middle := ranges[len(ranges)/2].After; s.p.choice.shards {
	case 1:
		ranges = []reconcile.Range{{Prefix: all}}
	case 2:
		ranges = []reconcile.Range{{Prefix: all, Until: middle}, {Prefix: all, After: middle}}
	}
	err = s.p.call(func() (err error) { run, err = s.Store.BeginRun(ctx, c, estimate, ranges); return err })
	return run, err
}

func (s modelRunStore) LeaseShard(ctx context.Context, run uuid.UUID, phase reconcile.ShardPhase, lease time.Duration) (sh *reconcile.Shard, err error) {
	err = s.p.call(func() (err error) { sh, err = s.Store.LeaseShard(ctx, run, phase, lease); return err })
	return sh, err
}

// ReleaseShard implements [reconcile.Store]. What has failed is not tried again by the same process, which would wait
// for it.
func (s modelRunStore) ReleaseShard(ctx context.Context, sh *reconcile.Shard) error {
	defer s.p.cancel()
	return s.p.call(func() error { return s.Store.ReleaseShard(ctx, sh) })
}

func (s modelRunStore) Rows(ctx context.Context, r reconcile.Range, after string, limit int) (rows []reconcile.Row, err error) {
	select { // a listing is older than the rows, as far as that makes a difference
	case <-s.p.listed:
	case <-ctx.Done():
	}
	err = s.p.call(func() (err error) { rows, err = s.Store.Rows(ctx, r, after, limit); return err })
	return rows, err
}

func (s modelRunStore) Checkpoint(ctx context.Context, sh *reconcile.Shard, b reconcile.Batch) error {
	s.p.then.reached(beforeCheckpoint)
	return s.p.call(func() error { return s.Store.Checkpoint(ctx, sh, b) })
}

func (s modelRunStore) BeginRemoving(ctx context.Context, run uuid.UUID) error {
	return s.p.call(func() error { return s.Store.BeginRemoving(ctx, run) })
}

func (s modelRunStore) EndRun(ctx context.Context, run *reconcile.Run, o reconcile.Outcome, e string) (first bool, err error) {
	err = s.p.call(func() (err error) { first, err = s.Store.EndRun(ctx, run, o, e); return err })
	return first, err
}

func (s modelRunStore) TakeBudget(ctx context.Context, sh *reconcile.Shard, n int) (got int, err error) {
	err = s.p.call(func() (err error) { got, err = s.Store.TakeBudget(ctx, sh, n); return err })
	return got, err
}

func (s modelRunStore) BeginRemoval(ctx context.Context, sh *reconcile.Shard, strays []reconcile.Stray) (may map[string]bool, err error) {
	err = s.p.call(func() (err error) { may, err = s.Store.BeginRemoval(ctx, sh, strays); return err })
	return may, err
}

func (s modelRunStore) EndRemoval(ctx context.Context, sh *reconcile.Shard, r reconcile.Removal) error {
	return s.p.call(func() error { return s.Store.EndRemoval(ctx, sh, r) })
}

// modelBucket is the bucket of a process.
type modelBucket struct {
	reconcile.Objects
	p *modelProcess
}

// List implements [reconcile.Source], in small pages.
func (b modelBucket) List(ctx context.Context, r reconcile.Range) iter.Seq2[[]reconcile.Listed, error] {
	return func(yield func([]reconcile.Listed, error) bool) {
		defer b.p.once.Do(func() { close(b.p.listed) })
		for page, err := range b.Objects.List(ctx, r) {
			if err != nil {
				yield(nil, err)
				return
			}
			b.p.then.reached(afterListing)
			b.p.once.Do(func() { close(b.p.listed) })
			for part := range slices.Chunk(page, 3) {
				err := b.p.call(func() error { return nil })
				if !yield(part, err) || err != nil {
					return
				}
			}
		}
	}
}

func (b modelBucket) Head(ctx context.Context, key string) (o media.Object, found bool, err error) {
	err = b.p.call(func() (err error) { o, found, err = b.Objects.Head(ctx, key); return err })
	b.p.then.reached(afterHead)
	return o, found, err
}

func (b modelBucket) RemoveStrays(ctx context.Context, strays []reconcile.Stray, quarantine string) (errs []error) {
	b.p.then.reached(beforeDelete)
	err := b.p.call(func() error { errs = b.Objects.RemoveStrays(ctx, strays, quarantine); return nil })
	b.p.then.reached(afterDelete)
	if err != nil {
		return slices.Repeat([]error{err}, len(strays))
	}
	return errs
}
