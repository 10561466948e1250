package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/backoff"
)

const (
	// maxFailures is how often a process tries a run's shards again when nothing of them succeeds.
	maxFailures = 5
	// othersPause is how long it waits for the shards that other processes have.
	othersPause = time.Second
)

var retryShards = backoff.Policy{Base: 500 * time.Millisecond, Max: 30 * time.Second}

// Work does what is left of a run, together with whoever else does, and returns it as it is then: done, unless there is
// an error. What fails is tried again, with back-off; when it goes on failing that is the error, and the run can be gone
// on with later. source is what the run's settings name; nil means the bucket's listing.
func (r *Reconciler) Work(ctx context.Context, id uuid.UUID, source Source) (*Run, error) {
	if err := r.ready(ctx); err != nil {
		return nil, err
	}
	if source == nil {
		source = r.objects
	}
	failures := 0
	for {
		run, err := r.store.GetRun(ctx, id)
		if err != nil {
			return nil, err
		}
		if run == nil {
			return nil, fmt.Errorf("reconciliation %s: there is no such run", id)
		}
		if run.Phase == PhaseDone {
			return run, nil
		}
		did, err := r.shards(ctx, run, source)
		if err == nil {
			err = r.advance(ctx, run)
		}
		switch {
		case ctx.Err() != nil:
			return run, ctx.Err()
		case err != nil:
			if did > 0 { // one shard's fault is not another's, and a slow S3 is no end
				failures = 0
			}
			if failures++; failures == maxFailures {
				return run, err
			}
			r.logger.WarnContext(ctx, "reconcile: failed, and is tried again", "run", id, "failures", failures, "error", err)
			err = backoff.Sleep(ctx, retryShards.Delay(failures))
		case did == 0:
			err = r.others(ctx, run)
		default:
			failures = 0
		}
		if err != nil {
			return run, err
		}
	}
}

// others waits a little when what is left is other processes' work.
func (r *Reconciler) others(ctx context.Context, before *Run) error {
	run, err := r.store.GetRun(ctx, before.ID)
	if err != nil || run == nil || run.Phase != before.Phase {
		return nil // the next round sees what it is
	}
	return backoff.Sleep(ctx, othersPause)
}

// shards works on the shards of the run's phase until none can be had, several at a time, and returns how many it did.
// An error of one ends that worker only.
func (r *Reconciler) shards(ctx context.Context, run *Run, source Source) (done int, _ error) {
	phase := ShardListing
	if run.Phase == PhaseRemoving {
		phase = ShardListed
	}
	adopted, err := r.adopted(ctx, run.Settings)
	if err != nil {
		return 0, err
	}
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		errs []error
	)
	for range min(r.config.Concurrency, run.Shards) {
		wg.Go(func() {
			for {
				shard, err := r.store.LeaseShard(ctx, run.ID, phase, r.config.Lease)
				if err == nil && shard == nil {
					return
				}
				if err == nil {
					err = r.shard(ctx, run, shard, source, adopted)
				}
				mu.Lock()
				switch {
				case err == nil:
					done++
				case !errors.Is(err, ErrLeaseLost):
					errs = append(errs, err)
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return done, errors.Join(errs...)
}

// shard works on one shard while it keeps its lease, and gives it back when it fails or is stopped.
func (r *Reconciler) shard(ctx context.Context, run *Run, shard *Shard, source Source, adopted []string) error {
	work, stop := context.WithCancelCause(ctx)
	var kept sync.WaitGroup
	kept.Go(func() { r.keepLease(work, shard, stop) })
	var err error
	if run.Phase == PhaseRemoving {
		err = r.removeStrays(work, run, shard, adopted)
	} else {
		err = r.listShard(work, run, shard, source, adopted)
	}
	if err != nil && ctx.Err() == nil && context.Cause(work) != nil {
		err = context.Cause(work)
	}
	stop(nil)
	kept.Wait()
	if err == nil || errors.Is(err, ErrLeaseLost) {
		return err
	}
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseLimit)
	defer cancel()
	if releaseErr := r.store.ReleaseShard(release, shard); releaseErr != nil && !errors.Is(releaseErr, ErrLeaseLost) {
		err = errors.Join(err, releaseErr) // it is free again when its lease ends
	}
	return fmt.Errorf("shard %d (%q to %q): %w", shard.Number, shard.After, shard.Until, err)
}

const releaseLimit = 5 * time.Second

// keepLease extends a shard's lease until the context ends. When it cannot be extended in time, the work is stopped:
// another process may have it.
func (r *Reconciler) keepLease(ctx context.Context, shard *Shard, stop context.CancelCauseFunc) {
	until := time.Now().Add(r.config.Lease)
	for backoff.Sleep(ctx, r.config.Lease/3) == nil {
		began := time.Now()
		err := r.store.ExtendLease(ctx, shard, r.config.Lease)
		switch {
		case err == nil:
			until = began.Add(r.config.Lease)
		case errors.Is(err, ErrLeaseLost):
			stop(ErrLeaseLost)
			return
		case time.Now().After(until.Add(-r.config.Lease / 3)):
			stop(fmt.Errorf("keeping the lease of a shard: %w", err))
			return
		}
	}
}

// advance moves the run on when all of its shards have been through its phase.
func (r *Reconciler) advance(ctx context.Context, before *Run) error {
	run, err := r.store.GetRun(ctx, before.ID)
	if err != nil || run == nil || run.Phase != before.Phase || run.ShardsDone < run.Shards {
		return err
	}
	if run.Phase == PhaseRemoving {
		return r.end(ctx, run, OutcomeFinished, left(run.Counts))
	}
	if run.Adopt && !run.DryRun {
		if err := r.store.CloseAdoption(ctx, run.ID); err != nil {
			return err
		}
	}
	next, outcome, explanation := verdict(run.Settings, run.Counts)
	if next == PhaseDone {
		return r.end(ctx, run, outcome, explanation)
	}
	return r.store.BeginRemoving(ctx, run.ID)
}

func (r *Reconciler) end(ctx context.Context, run *Run, outcome Outcome, explanation string) error {
	if first, err := r.store.EndRun(ctx, run, outcome, explanation); err != nil || !first {
		return err
	}
	took := r.now().Sub(run.StartedAt)
	r.metrics.ended(outcome, took, r.now())
	r.logger.InfoContext(ctx, "reconcile: done", "run", run.ID, "outcome", outcome, "explanation", explanation, "took", took, "counts", run.Counts)
	return nil
}
