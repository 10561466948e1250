package postgres

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/overview"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// Reconciled is a Prometheus collector of what reconciliations have found and is still so: strays, missing objects, and
// how the newest one that finished came out. It reads all strays, so its answer is kept for a while; nothing of it
// changes quickly.
type Reconciled struct {
	logger *slog.Logger
	kept   kept[*reconciled]
}

type reconciled struct {
	Strays  []strayClass
	Missing float64
	Last    *reconcile.Run // nil: none has finished
}

type strayClass struct {
	Age    string
	Ours   bool
	Strays float64
	Bytes  float64
}

var strayAges = []string{"under_1d", "1d_7d", "7d_30d", "over_30d"}

var (
	reconciledStrays = prometheus.NewDesc("coatcheck_strays",
		"Objects that no media explains and that were not removed, by the time since they were first seen, and by whether their keys can be attributed to coatcheck. As of at most a minute ago.",
		[]string{"age", "ours"}, nil)
	reconciledBytes = prometheus.NewDesc("coatcheck_stray_bytes",
		"Bytes of the objects that coatcheck_strays counts, without versions that are not current.", []string{"age", "ours"}, nil)
	reconciledMissing = prometheus.NewDesc("coatcheck_missing",
		"Media that have landed, are UPLOADED or CONFIRMED, and whose object S3 did not have when a reconciliation looked last.", nil, nil)
	reconciledLast = prometheus.NewDesc("coatcheck_reconcile_last_finished_timestamp_seconds",
		"When the newest reconciliation of the bucket's listing that finished did so, in any process, in Unix time. Absent when none has.", nil, nil)
	reconciledLost = prometheus.NewDesc("coatcheck_reconcile_lost_notifications_share",
		"Of the media that had landed between that reconciliation and the one before, the share that was not learnt from a notification or while confirming, from 0 to 1. Absent when none had landed.", nil, nil)
)

// NewReconciled returns a collector that reads from db.
func NewReconciled(db *bun.DB, now func() time.Time, logger *slog.Logger) *Reconciled {
	ask := func(ctx context.Context, now time.Time) (*reconciled, error) { return askReconciled(ctx, db, now) }
	return &Reconciled{logger: logger, kept: kept[*reconciled]{now: now, least: overview.Every, most: time.Minute, ask: ask}}
}

// Describe implements [prometheus.Collector].
func (r *Reconciled) Describe(ch chan<- *prometheus.Desc) {
	ch <- reconciledStrays
	ch <- reconciledBytes
	ch <- reconciledMissing
	ch <- reconciledLast
	ch <- reconciledLost
}

// Collect implements [prometheus.Collector]. When Postgres does not answer within 5 s it reports nothing rather than
// what is no longer true.
func (r *Reconciled) Collect(ch chan<- prometheus.Metric) {
	found, err := r.kept.get()
	if err != nil {
		r.logger.Warn("reading what reconciliations have found for metrics", "error", err)
		return
	}
	for _, s := range found.Strays {
		ch <- prometheus.MustNewConstMetric(reconciledStrays, prometheus.GaugeValue, s.Strays, s.Age, strconv.FormatBool(s.Ours))
		ch <- prometheus.MustNewConstMetric(reconciledBytes, prometheus.GaugeValue, s.Bytes, s.Age, strconv.FormatBool(s.Ours))
	}
	ch <- prometheus.MustNewConstMetric(reconciledMissing, prometheus.GaugeValue, found.Missing)
	if found.Last == nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(reconciledLast, prometheus.GaugeValue, float64(found.Last.FinishedAt.UnixMilli())/1000)
	counts := found.Last.Counts
	late := counts[reconcile.CountLost] + counts[reconcile.CountLanded] // what was learnt by it or by a sweep
	if all := counts[reconcile.CountLandedSince] + counts[reconcile.CountLanded]; all > 0 {
		ch <- prometheus.MustNewConstMetric(reconciledLost, prometheus.GaugeValue, float64(late)/float64(all))
	}
}

// Found returns how much of it there is.
func (r *Reconciled) Found() (overview.Found, error) {
	found, err := r.kept.get()
	if err != nil {
		return overview.Found{}, err
	}
	total := overview.Found{Missing: int64(found.Missing)}
	for _, s := range found.Strays {
		total.Strays += int64(s.Strays)
		total.StrayBytes += int64(s.Bytes)
	}
	return total, nil
}

func askReconciled(ctx context.Context, db *bun.DB, now time.Time) (*reconciled, error) {
	found := new(reconciled)
	const day = 24 * time.Hour
	err := db.NewRaw(`
		WITH s AS (
			SELECT CASE WHEN first_seen_at > ? THEN ? WHEN first_seen_at > ? THEN ? WHEN first_seen_at > ? THEN ? ELSE ? END AS age,
				ours, count(*) AS strays, sum(size_bytes) AS bytes
			FROM coatcheck.stray WHERE removed_at IS NULL
			GROUP BY 1, 2
		)
		SELECT a.age, o.ours, coalesce(s.strays, 0)::float8 AS strays, coalesce(s.bytes, 0)::float8 AS bytes
		FROM unnest(ARRAY[?]) AS a (age) CROSS JOIN unnest(ARRAY[TRUE, FALSE]) AS o (ours)
		LEFT JOIN s ON s.age = a.age AND s.ours = o.ours`,
		now.Add(-day), strayAges[0], now.Add(-7*day), strayAges[1], now.Add(-30*day), strayAges[2], strayAges[3], bun.List(strayAges),
	).Scan(ctx, &found.Strays)
	if err != nil {
		return nil, err
	}
	err = db.NewRaw(`SELECT count(*)::float8 FROM coatcheck.missing AS x JOIN coatcheck.media AS m ON m.id = x.media_id
		WHERE m.state IN ('uploaded', 'confirmed')`).Scan(ctx, &found.Missing)
	if err != nil {
		return nil, err
	}
	var last []runRow
	err = db.NewSelect().Model(&last).Where("r.outcome = 'finished' AND r.source = 'listing' AND r.started_at <= ?", now).OrderExpr("r.started_at DESC").Limit(1).Scan(ctx)
	if err != nil {
		return nil, err
	}
	if len(last) > 0 {
		found.Last = last[0].run()
	}
	return found, nil
}
