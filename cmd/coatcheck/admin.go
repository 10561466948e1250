package main

import (
	"time"

	"github.com/coatcheck/coatcheck/internal/overview"
	"github.com/coatcheck/coatcheck/internal/reconcile"
	"github.com/coatcheck/coatcheck/internal/rpc"
)

// withAdmin adds to the API what AdminService needs. The reconciler only begins runs there, with the deployment's settings
// where the operator names none; who works on them is the business of the reconciler role.
func (p *program) withAdmin(api rpc.Config, r *reconcile.Reconciler) rpc.Config {
	api.Reconciles, api.BeginReconcile, api.ReconcileSettings = p.store, r.Begin, p.config.Reconcile.settings()
	sources := overview.Sources{Store: p.store, Backlog: p.backlog.Read, Found: p.reconciled.Found}
	if p.depths != nil {
		sources.Queue = p.depths.overview
	}
	maker := overview.New(sources, time.Now, p.config.Logger)
	p.jobs = append(p.jobs, maker.Run)
	api.Overviews = maker
	return api
}
