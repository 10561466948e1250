package consumer_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/coatcheck/coatcheck/internal/consumer"
	"github.com/coatcheck/coatcheck/internal/media"
)

// TestMetricsAreSound runs the linter of Prometheus over the names and help texts, with every label value in place.
func TestMetricsAreSound(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	consumer.NewMetrics(reg)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestLag has an event of an hour ago and one of a moment ahead, by a clock that is a little fast.
func TestLag(t *testing.T) {
	t.Parallel()
	l := &landings{}
	r := newRig(t, 3, l)
	now := time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC)
	r.parts.Now = func() time.Time { return now }
	ids := newIDs(2)
	r.send(eventBridge(ids[0]), strings.Replace(eventBridge(ids[1]), "2026-01-01T00:00:00Z", "2026-01-01T01:00:01Z", 1))
	r.start()
	eventually(t, "both are deleted", r.empty)
	families, err := r.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "coatcheck_landing_lag_seconds" {
			h := f.GetMetric()[0].GetHistogram()
			if h.GetSampleCount() != 2 || h.GetSampleSum() != 3600 {
				t.Errorf("%d lags of %v s in all, want 2 of 3600 s", h.GetSampleCount(), h.GetSampleSum())
			}
			return
		}
	}
	t.Error("there is no such metric")
}

// TestInFlightOfTwoConsumers: what two consumers of a process hold is counted together, and is nothing when both have
// stopped, whatever became of their messages.
func TestInFlightOfTwoConsumers(t *testing.T) {
	t.Parallel()
	leave := make(chan struct{})
	leaveAll := sync.OnceFunc(func() { close(leave) })
	defer leaveAll()
	l := &landings{hook: func(context.Context, []media.Landing) error { <-leave; return nil }}
	one, two := newRig(t, 9, l), newRig(t, 9, l)
	two.parts.Metrics = one.parts.Metrics
	var stops []func() error
	for i, r := range []*rig{one, two} {
		r.cfg.VisibilityTimeout = time.Minute
		r.cfg.BatchSize = 3
		r.send("not understood")
		r.send(each(newIDs(5 + 10*i))...)
		stops = append(stops, r.start())
	}
	eventually(t, "all that can be landed is in flight", func() bool { return one.metric("in_flight") == 5+15 })
	stopped := make(chan error, len(stops))
	for _, stop := range stops {
		go func() { stopped <- stop() }()
	}
	time.Sleep(100 * time.Millisecond) // so that what no writer has begun is given back, which makes no difference
	leaveAll()
	for range stops {
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}
	if n := one.metric("in_flight"); n != 0 {
		t.Errorf("%d are in flight when both have stopped", n)
	}
}
