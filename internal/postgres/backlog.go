package postgres

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Backlog is a Prometheus collector of what is not CONFIRMED, read from the index of what is due, so that it costs
// nothing for each CONFIRMED row. Its answer is kept for a while: several scrapers do not ask Postgres more often.
type Backlog struct {
	db     *bun.DB
	now    func() time.Time
	logger *slog.Logger

	mu     sync.Mutex
	readAt time.Time
	last   []backlogRow
}

type backlogRow struct {
	State   media.State
	Media   float64
	Overdue float64
	Oldest  float64 // seconds since the oldest overdue one was due
}

const backlogMaxAge = 10 * time.Second

var (
	backlogMedia = prometheus.NewDesc("coatcheck_media",
		"Media in a state, as of at most 10 s ago. CONFIRMED is not counted: its number has no bound.", []string{"state"}, nil)
	backlogOverdue = prometheus.NewDesc("coatcheck_media_overdue",
		"Media in a state whose window is over or whose attempt is due, and which a sweep has not taken yet.", []string{"state"}, nil)
	backlogOldest = prometheus.NewDesc("coatcheck_media_overdue_seconds",
		"For how long the longest overdue media of a state has been due.", []string{"state"}, nil)
)

// NewBacklog returns a collector that reads from db.
func NewBacklog(db *bun.DB, now func() time.Time, logger *slog.Logger) *Backlog {
	return &Backlog{db: db, now: now, logger: logger}
}

// Describe implements [prometheus.Collector].
func (b *Backlog) Describe(ch chan<- *prometheus.Desc) {
	ch <- backlogMedia
	ch <- backlogOverdue
	ch <- backlogOldest
}

// Collect implements [prometheus.Collector]. When Postgres does not answer within 5 s it reports nothing rather than
// what is no longer true.
func (b *Backlog) Collect(ch chan<- prometheus.Metric) {
	for _, r := range b.read() {
		ch <- prometheus.MustNewConstMetric(backlogMedia, prometheus.GaugeValue, r.Media, string(r.State))
		ch <- prometheus.MustNewConstMetric(backlogOverdue, prometheus.GaugeValue, r.Overdue, string(r.State))
		ch <- prometheus.MustNewConstMetric(backlogOldest, prometheus.GaugeValue, r.Oldest, string(r.State))
	}
}

func (b *Backlog) read() []backlogRow {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now().UTC()
	if now.Sub(b.readAt) < backlogMaxAge && !now.Before(b.readAt) {
		return b.last
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var rows []backlogRow
	err := b.db.NewRaw(`SELECT s.state, count(m.due_at)::float8 AS media,
			count(m.due_at) FILTER (WHERE m.due_at <= ?0)::float8 AS overdue,
			coalesce(extract(epoch FROM ?0 - min(m.due_at) FILTER (WHERE m.due_at <= ?0)), 0)::float8 AS oldest
		FROM unnest(ARRAY['pending', 'uploaded', 'deleting', 'deleted']) AS s (state)
		LEFT JOIN coatcheck.media AS m ON m.state = s.state AND m.due_at IS NOT NULL
		GROUP BY s.state`, now).Scan(ctx, &rows)
	if err != nil {
		b.logger.Warn("reading the backlog for metrics", "error", err)
		rows = nil
	}
	b.readAt, b.last = now, rows
	return rows
}
