package postgres

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// MediaByID implements [reconcile.Store].
func (s *Store) MediaByID(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]*media.Media, error) {
	known := make(map[uuid.UUID]*media.Media, len(ids))
	if len(ids) == 0 {
		return known, nil
	}
	var rows []row
	if err := s.db.NewSelect().Model(&rows).Where("m.id IN (?)", bun.List(ids)).Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading media: %w", err)
	}
	for i := range rows {
		known[rows[i].ID] = rows[i].media()
	}
	return known, nil
}

// Strays returns a page of strays; of those that a run has seen, when it names one.
func (s *Store) Strays(ctx context.Context, p reconcile.StrayPage) ([]reconcile.Stray, error) {
	if p.Limit <= 0 {
		return nil, nil
	}
	var rows []strayRow
	q := s.db.NewSelect().Model(&rows).Where("s.key > ?", p.After).Where("(s.removed_at IS NOT NULL) = ?", p.Removed).
		OrderExpr("s.key").Limit(int64(p.Limit))
	if p.Run != (uuid.UUID{}) {
		q = q.Where("s.last_run = ?", p.Run)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, unusable(fmt.Errorf("listing strays: %w", err))
	}
	return allStrays(rows), nil
}

// Missing returns up to limit media that have landed, are wanted, and whose object S3 did not have when a run looked last,
// by id above after; of a run, when it is not zero.
func (s *Store) Missing(ctx context.Context, run, after uuid.UUID, limit int) ([]reconcile.Missing, error) {
	if limit <= 0 {
		return nil, nil
	}
	var found []struct {
		row         `bun:",extend"`
		FirstSeenAt sql.NullTime `bun:"first_seen_at"`
		LastSeenAt  sql.NullTime `bun:"last_seen_at"`
		LastRun     uuid.UUID    `bun:"last_run"`
	}
	err := s.db.NewRaw(`SELECT ?, x.first_seen_at, x.last_seen_at, x.last_run
		FROM coatcheck.missing AS x JOIN coatcheck.media AS m ON m.id = x.media_id
		WHERE x.media_id > ? AND m.state IN ('uploaded', 'confirmed') AND (? = ? OR x.last_run = ?)
		ORDER BY x.media_id LIMIT ?`, columns, after, run, uuid.UUID{}, run, limit).Scan(ctx, &found)
	if err != nil {
		return nil, unusable(fmt.Errorf("listing missing objects: %w", err))
	}
	all := make([]reconcile.Missing, len(found))
	for i := range found {
		f := &found[i]
		all[i] = reconcile.Missing{Media: f.media(), FirstSeenAt: f.FirstSeenAt.Time, LastSeenAt: f.LastSeenAt.Time, LastRun: f.LastRun}
	}
	return all, nil
}

// Findings returns up to limit findings of a run, in the order in which they were recorded, after the one with this
// number, and the number of the last of them.
func (s *Store) Findings(ctx context.Context, run uuid.UUID, after int64, limit int) (findings []reconcile.Finding, last int64, err error) {
	var rows []findingRow
	err = s.db.NewSelect().Model(&rows).Where("f.run_id = ? AND f.id > ?", run, after).OrderExpr("f.id").Limit(int64(limit)).Scan(ctx)
	if err != nil {
		return nil, after, unusable(fmt.Errorf("listing findings: %w", err))
	}
	last = after
	for _, r := range rows {
		f := reconcile.Finding{Kind: r.Kind, Key: r.Key, SizeBytes: -1, Detail: r.Detail, FoundAt: r.FoundAt}
		if r.MediaID != nil {
			f.MediaID = *r.MediaID
		}
		if r.SizeBytes != nil {
			f.SizeBytes = *r.SizeBytes
		}
		findings, last = append(findings, f), r.ID
	}
	return findings, last, nil
}
