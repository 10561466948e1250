package reconcile

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/coatcheck/coatcheck/internal/backoff"
)

// abandonAfter is how long a run that only one process could go on with, since it has the inventory, may stand still
// before the next scheduled one takes its place.
const abandonAfter = time.Hour

// restAfterFailure is for how many polls a run that failed is left alone: S3 and Postgres are asked for much when it is gone on
// with. Where runs are to follow each other soon, so are they then.
const restAfterFailure = 6

// Run looks for a run to work on, begins one when the schedule says so, and goes on until the context ends. What fails
// is logged and tried again.
func (r *Reconciler) Run(ctx context.Context) error {
	if r.config.Schedule != nil {
		r.logger.Info("reconcile: scheduled", "schedule", fmt.Sprint(r.config.Schedule), "policy", r.config.Settings.Policy)
	}
	pause := rand.N(r.config.Poll) // so that replicas that start together do not ask together
	for backoff.Sleep(ctx, pause) == nil {
		pause = r.config.Poll
		if _, err := r.RunOnce(ctx); err != nil && ctx.Err() == nil {
			r.logger.ErrorContext(ctx, "reconcile: a run failed, it is gone on with later", "error", err)
			pause *= restAfterFailure
		}
	}
	return nil
}

// RunOnce works on the run that is under way, or on one that is due, and returns it; nil when there is none.
func (r *Reconciler) RunOnce(ctx context.Context) (*Run, error) {
	run, err := r.store.Active(ctx)
	if err != nil {
		return nil, err
	}
	if run != nil && run.Source != SourceListing {
		return nil, r.giveUp(ctx, run)
	}
	if run == nil {
		due, err := r.due(ctx)
		if err != nil || !due {
			return nil, err
		}
		run, err = r.Begin(ctx, r.config.Settings)
		if errors.Is(err, ErrActive) {
			return nil, nil // another process was first; the next look finds its run
		}
		if err != nil {
			return nil, err
		}
	}
	return r.Work(ctx, run.ID, nil)
}

func (r *Reconciler) due(ctx context.Context) (bool, error) {
	if r.config.Schedule == nil {
		return false, nil
	}
	last, err := r.store.LastStarted(ctx)
	if err != nil {
		return false, err
	}
	return last.IsZero() || !r.config.Schedule.Next(last).After(r.now()), nil
}

// giveUp abandons a run of an inventory that nobody has gone on with for long.
func (r *Reconciler) giveUp(ctx context.Context, run *Run) error {
	if r.now().Sub(run.WorkedAt) < abandonAfter {
		return nil
	}
	r.logger.WarnContext(ctx, "reconcile: nobody goes on with a run, it is given up", "run", run.ID, "source", run.Source)
	return r.Abandon(ctx, run)
}

// Abandon ends a run that is not done, whatever its phase is by now, and takes it from whoever works on it. What it has
// recorded stays.
func (r *Reconciler) Abandon(ctx context.Context, run *Run) error {
	for {
		if err := r.end(ctx, run, OutcomeAbandoned, "it was given up in the middle"); err != nil {
			return err
		}
		now, err := r.store.GetRun(ctx, run.ID)
		if err != nil || now == nil || now.Phase == PhaseDone {
			return err
		}
		run = now
	}
}
