package consumer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/coatcheck/coatcheck/internal/consumer"
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
