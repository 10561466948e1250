package consumer

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Metrics are the consumer's counters. Consumers of a process may share them: the gauge is changed by differences, too.
type Metrics struct {
	received      prometheus.Counter
	messages      *prometheus.CounterVec
	records       *prometheus.CounterVec
	verdicts      *prometheus.CounterVec
	deleted       prometheus.Counter
	receiveErrors prometheus.Counter
	deleteErrors  prometheus.Counter
	retries       prometheus.Counter
	isolations    prometheus.Counter
	heartbeats    *prometheus.CounterVec
	inFlight      prometheus.Gauge
	batchLandings prometheus.Histogram
	landSeconds   prometheus.Histogram
	lag           prometheus.Histogram
}

// NewMetrics registers the consumer's metrics. Every label value that can occur is there from the beginning, so that
// the rate of the first occurrence is seen.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "coatcheck_consumer_" + name, Help: help})
	}
	counters := func(name, help, label string, values ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "coatcheck_consumer_" + name, Help: help}, []string{label})
		for _, value := range values {
			v.WithLabelValues(value)
		}
		return v
	}
	verdicts := make([]string, len(media.Verdicts))
	for i, v := range media.Verdicts {
		verdicts[i] = string(v)
	}
	m := &Metrics{
		received: counter("received_total", "Messages received, repetitions included."),
		messages: counters("messages_total", "Messages by what became of them: landed and nothing_to_do are deleted, "+
			"not_understood and refused are left for the dead-letter queue, given_back are shown to others at shutdown.",
			"outcome", "landed", "nothing_to_do", "not_understood", "refused", "given_back"),
		records: counters("records_total", "Event records by kind. Bad is what was not understood, a whole message counting once.",
			"kind", "created", "foreign", "removed", "other", "test", "other_bucket", "bad"),
		verdicts: counters("verdicts_total", "Landings from notifications by what they did to their media.",
			"verdict", verdicts...),
		deleted:       counter("deleted_total", "Messages deleted from the queue."),
		receiveErrors: counter("receive_errors_total", "Receive calls that failed."),
		deleteErrors:  counter("delete_errors_total", "Messages that could not be deleted, for each attempt."),
		retries:       counter("retries_total", "Batches tried again because the database was not available."),
		isolations:    counter("isolations_total", "Batches refused by the database, whose messages were tried one by one."),
		heartbeats: counters("heartbeats_total", "Messages whose visibility timeout was to be extended, by result.",
			"result", "extended", "failed", "lost"),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "coatcheck_consumer_in_flight", Help: "Messages received and not yet acknowledged.",
		}),
		batchLandings: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "coatcheck_consumer_batch_landings", Help: "Landings recorded together.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000},
		}),
		landSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "coatcheck_consumer_land_seconds", Help: "Time of one attempt to record a batch.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "coatcheck_landing_lag_seconds",
			Help:    "Time from S3's event to the commit of the landing that it told of, by S3's clock and ours.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400},
		}),
	}
	reg.MustRegister(m.received, m.messages, m.records, m.verdicts, m.deleted, m.receiveErrors, m.deleteErrors,
		m.retries, m.isolations, m.heartbeats, m.inFlight, m.batchLandings, m.landSeconds, m.lag)
	return m
}
