package main

import (
	"time"

	"github.com/coatcheck/coatcheck/internal/overview"
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
	return api
}
