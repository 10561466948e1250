package watch

import "github.com/prometheus/client_golang/prometheus"

// Metrics tells of watches.
type Metrics struct {
	watches prometheus.Gauge
	media   prometheus.Gauge
	listens prometheus.Counter
	reads   prometheus.Counter
	found   prometheus.Counter
}

// NewMetrics registers the hub's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		watches: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "coatcheck_watches", Help: "Streams of WatchUpload that this process serves; at 10,000 it refuses more.",
		}),
		media: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "coatcheck_watched_media", Help: "Media that they watch.",
		}),
		listens: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coatcheck_watch_listens_total", Help: "Connections on which this process began to listen for changes. More than now and then means that they are lost.",
		}),
		reads: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coatcheck_watch_reads_total", Help: "Statements by which changes of watched media were read.",
		}),
		found: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coatcheck_watch_found_total",
			Help: "Changes of watched media that no announcement had told of when they were looked for, seconds later: of announcements that were lost or on their way.",
		}),
	}
	reg.MustRegister(m.watches, m.media, m.listens, m.reads, m.found)
	return m
}
