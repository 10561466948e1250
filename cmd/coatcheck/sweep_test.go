package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// TestSweeperWhoseClockIsAhead sweeps nothing: by its clock, what has just landed is past its window.
func TestSweeperWhoseClockIsAhead(t *testing.T) {
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
}
