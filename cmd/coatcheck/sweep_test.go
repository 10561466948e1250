package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// TestWhoseClockIsAhead sweeps and reconciles nothing: by that clock, what has just landed is past its window, and what has just
// been seen past its grace.
func TestWhoseClockIsAhead(t *testing.T) {
	t.Parallel()
	p := &program{config: programConfig{Logger: slog.New(slog.DiscardHandler)}, registry: prometheus.NewRegistry()}
	var err error
	if p.db, err = postgres.Open(pgtest.New(t), 2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.db.Close() })
	ahead := func() time.Time { return time.Now().Add(25 * time.Hour) }
	p.store = postgres.NewStore(p.db, windowSettings{}.windows(), ahead, postgres.NewMetrics(p.registry))
	sweeper, err := p.sweeper()
	if err != nil {
		t.Fatal(err)
	}
	if r, err := sweeper.RunOnce(t.Context()); err == nil || !strings.Contains(err.Error(), "ahead of Postgres's") || !r.Zero() {
		t.Errorf("it did %+v, %v", r, err)
	}
	reconciler, err := p.reconciler(reconcile.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	if run, err := reconciler.Begin(t.Context(), reconcile.DefaultSettings()); err == nil || !strings.Contains(err.Error(), "ahead of Postgres's") {
		t.Errorf("a reconciliation was begun: %+v, %v", run, err)
	}
	if run, err := reconciler.Work(t.Context(), uuid.New(), nil); err == nil || !strings.Contains(err.Error(), "ahead of Postgres's") {
		t.Errorf("a reconciliation was worked on: %+v, %v", run, err)
	}
}
