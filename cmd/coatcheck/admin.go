package main

import (
	"context"
	"errors"
	"time"

	"github.com/coatcheck/coatcheck/internal/overview"
	"github.com/coatcheck/coatcheck/internal/queue"
	"github.com/coatcheck/coatcheck/internal/reconcile"
	"github.com/coatcheck/coatcheck/internal/rpc"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

// withAdmin adds to the API what AdminService needs. The reconciler only begins runs there, with the deployment's settings
// where the operator names none; who works on them is the business of the reconciler role. A pass of the sweeper is made here,
// when this process has that role.
func (p *program) withAdmin(api rpc.Config, r *reconcile.Reconciler, s *sweep.Sweeper) rpc.Config {
	api.Reconciles, api.BeginReconcile, api.ReconcileSettings = p.store, r.Begin, p.config.Reconcile.settings()
	sources := overview.Sources{Store: p.store, Backlog: p.backlog.Read, Found: p.reconciled.Found}
	if p.depths != nil {
		sources.Queue = p.depths.overview
	}
	maker := overview.New(sources, time.Now, p.config.Logger)
	p.jobs = append(p.jobs, maker.Run)
	api.Overviews = maker
	api.Passes, api.Sweeper, api.MaySweep = p.store, s, p.has("sweeper")
	api.Finder = p.store
	if p.queue != nil {
		api.DeadLetters = p.deadLetters
	}
	return api
}

// deadLetters is what [rpc.DeadLetters] asks for.
func (p *program) deadLetters(ctx context.Context, limit int) ([]rpc.DeadLetter, error) {
	dead, err := p.queue.DeadLetters(ctx)
	if errors.Is(err, queue.ErrNoDeadLetterQueue) {
		return nil, rpc.ErrNoDeadLetterQueue
	}
	if err != nil {
		return nil, err
	}
	var letters []rpc.DeadLetter
	err = dead.Peek(ctx, limit, func(m queue.Seen) {
		letters = append(letters, rpc.DeadLetter{
			MessageID: m.ID, SentAt: m.SentAt, Receives: m.Receives, Body: m.Body, Reason: why(p.config.Bucket.Bucket, p.keys, m.Body),
		})
	})
	if ctx.Err() != nil && len(letters) > 0 {
		return letters, nil // what could be seen in time
	}
	return letters, err
}
