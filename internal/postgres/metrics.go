package postgres

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Metrics counts changes of state, each once, after its commit.
type Metrics struct {
	landings      *prometheus.CounterVec
	states        *prometheus.CounterVec
	purged        prometheus.Counter
	announcements *prometheus.CounterVec
}

// NewMetrics registers the store's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		landings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coatcheck_landings_total",
			Help: "Landings recorded, by how they were learnt and what they did.",
		}, []string{"source", "verdict"}),
		states: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coatcheck_media_entered_total",
			Help: "Media that entered a state, with the reason for which they are deleted.",
		}, []string{"state", "reason"}),
		purged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coatcheck_media_purged_total",
			Help: "Tombstones forgotten.",
		}),
		announcements: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coatcheck_announcements_total",
			Help: "Changes of media that were announced to those who watch: sent; unheard, when nobody watched; dropped, when Postgres did not answer or could not keep up.",
		}, []string{"result"}),
	}
	reg.MustRegister(m.landings, m.states, m.purged, m.announcements)
	for _, result := range []string{"sent", "unheard", "dropped"} { // a series that begins with its first does not show as an increase
		m.announcements.WithLabelValues(result)
	}
	return m
}

func (m *Metrics) entered(state media.State, reason media.Reason, n int) {
	if n > 0 {
		m.states.WithLabelValues(string(state), string(reason)).Add(float64(n))
	}
}

func (m *Metrics) landed(source media.Source, results []media.Landed) {
	verdicts := map[media.Verdict]int{}
	for _, r := range results {
		verdicts[r.Verdict]++
	}
	for verdict, n := range verdicts {
		m.landings.WithLabelValues(string(source), string(verdict)).Add(float64(n))
	}
	m.entered(media.StateUploaded, "", verdicts[media.VerdictLanded])
	m.entered(media.StateDeleting, media.ReasonRejected, verdicts[media.VerdictRejected])
	m.entered(media.StateDeleting, media.ReasonLate, verdicts[media.VerdictLate])
}
