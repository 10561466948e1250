package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/overview"
)

// Backlog is a Prometheus collector of what is not CONFIRMED, read from the index of what is due, so that it costs
// nothing for each CONFIRMED row. Its answer is kept for up to 10 s: several who ask do not ask Postgres more often.
type Backlog struct {
	logger *slog.Logger
	kept   kept[[]overview.Backlog]
}

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
	ask := func(ctx context.Context, now time.Time) ([]overview.Backlog, error) { return askBacklog(ctx, db, now) }
	return &Backlog{logger: logger, kept: kept[[]overview.Backlog]{now: now, least: overview.Every, most: 10 * time.Second, ask: ask}}
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
	rows, err := b.Read()
	if err != nil {
		b.logger.Warn("reading the backlog for metrics", "error", err)
		return
	}
	for _, r := range rows {
		ch <- prometheus.MustNewConstMetric(backlogMedia, prometheus.GaugeValue, float64(r.Media), string(r.State))
		ch <- prometheus.MustNewConstMetric(backlogOverdue, prometheus.GaugeValue, float64(r.Overdue), string(r.State))
		ch <- prometheus.MustNewConstMetric(backlogOldest, prometheus.GaugeValue, r.Oldest.Seconds(), string(r.State))
	}
}

// Read returns the same numbers, for each state but CONFIRMED.
func (b *Backlog) Read() ([]overview.Backlog, error) { return b.kept.get() }

func askBacklog(ctx context.Context, db *bun.DB, now time.Time) ([]overview.Backlog, error) {
	var rows []struct {
		State   media.State
		Media   int64
		Overdue int64
		Oldest  float64 // seconds
	}
	err := db.NewRaw(`SELECT s.state, count(m.due_at) AS media,
			count(m.due_at) FILTER (WHERE m.due_at <= ?0) AS overdue,
			coalesce(extract(epoch FROM ?0 - min(m.due_at) FILTER (WHERE m.due_at <= ?0)), 0)::float8 AS oldest
		FROM unnest(ARRAY['pending', 'uploaded', 'deleting', 'deleted']) WITH ORDINALITY AS s (state, n)
		LEFT JOIN coatcheck.media AS m ON m.state = s.state AND m.due_at IS NOT NULL
		GROUP BY s.state ORDER BY min(s.n)`, now).Scan(ctx, &rows)
	if err != nil {
		return nil, unusable(fmt.Errorf("reading the backlog: %w", err))
	}
	backlog := make([]overview.Backlog, len(rows))
	for i, r := range rows {
		backlog[i] = overview.Backlog{State: r.State, Media: r.Media, Overdue: r.Overdue, Oldest: time.Duration(r.Oldest * float64(time.Second))}
	}
	return backlog, nil
}
