package reconcile

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what reconciliations of this process do. What is there, in strays and missing objects, is read from the
// database instead.
type Metrics struct {
	runs        *prometheus.CounterVec
	counts      *prometheus.CounterVec
	seconds     prometheus.Histogram
	lastSuccess prometheus.Gauge
}

// NewMetrics registers the reconciler's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coatcheck_reconcile_runs_total",
			Help: "Runs that this process ended, by outcome: finished, tripped (so many strays that none was removed), abandoned.",
		}, []string{"outcome"}),
		counts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coatcheck_reconcile_seen_total",
			Help: "What this process saw and did in runs, by what docs/reconciling.md calls it; bytes where the name says so.",
		}, []string{"what"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "coatcheck_reconcile_seconds",
			Help:    "How long runs took, from beginning to end.",
			Buckets: prometheus.ExponentialBuckets(0.1, 4, 10), // 0.1 s to 7 h
		}),
		lastSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "coatcheck_reconcile_last_success_timestamp_seconds",
			Help: "When this process last ended a run that finished, in Unix time; 0 before the first.",
		}),
	}
	reg.MustRegister(m.runs, m.counts, m.seconds, m.lastSuccess)
	// A series that begins with its first event does not show as an increase.
	for _, o := range Outcomes {
		m.runs.WithLabelValues(string(o))
	}
	for _, c := range CountNames {
		m.counts.WithLabelValues(string(c))
	}
	return m
}

// recorded counts what a checkpoint has added to a shard's counts.
func (m *Metrics) recorded(before, after Counts) {
	for c, n := range after {
		if d := n - before[c]; d > 0 {
			m.counts.WithLabelValues(string(c)).Add(float64(d))
		}
	}
}

func (m *Metrics) ended(o Outcome, took time.Duration, now time.Time) {
	m.runs.WithLabelValues(string(o)).Inc()
	m.seconds.Observe(took.Seconds())
	if o == OutcomeFinished {
		m.lastSuccess.Set(float64(now.UnixMilli()) / 1000)
	}
}
