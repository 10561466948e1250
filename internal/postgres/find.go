package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// FindByID returns the media with an id, of whatever tenant; nil: there is none.
func (s *Store) FindByID(ctx context.Context, id uuid.UUID) (*media.Record, error) {
	found, err := s.find(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("m.id = ?", id) }, 1)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// fewKeys is how many media may have a beginning of a key in common for all of them to be looked at. When there are more,
// the newest are found by looking at the newest of all.
const fewKeys = 10_000

// FindByKey returns up to limit media, of whatever tenant, whose keys begin with a text, with ids below before unless it is
// zero, newest first. How many there are decides how they are found: Postgres's guess at that may be wrong by so much that it
// reads the whole table.
func (s *Store) FindByKey(ctx context.Context, prefix string, before uuid.UUID, limit int) ([]media.Record, error) {
	if !storable(prefix) {
		return nil, nil
	}
	until := prefix + "\U0010FFFF"
	var n int
	err := s.db.NewRaw(`SELECT count(*) FROM (SELECT FROM coatcheck.media WHERE key >= ? AND key <= ? ORDER BY key LIMIT ?) AS few`,
		prefix, until, fewKeys+1).Scan(ctx, &n)
	if err != nil {
		return nil, unusable(fmt.Errorf("counting media by key: %w", err))
	}
	return s.find(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		if before != (uuid.UUID{}) {
			q = q.Where("m.id < ?", before)
		}
		if n > fewKeys {
			return q.Where("starts_with(m.key || '', ?)", prefix) // not by the index of keys
		}
		return q.Where("m.id IN (WITH few AS MATERIALIZED (SELECT id FROM coatcheck.media WHERE key >= ? AND key <= ?) SELECT id FROM few)", prefix, until)
	}, limit)
}

func (s *Store) find(ctx context.Context, where func(*bun.SelectQuery) *bun.SelectQuery, limit int) ([]media.Record, error) {
	if limit <= 0 { // bun would take it for no limit at all
		return nil, nil
	}
	var rows []row
	if err := where(s.db.NewSelect().Model(&rows)).OrderExpr("m.id DESC").Limit(int64(limit)).Scan(ctx); err != nil {
		return nil, unusable(fmt.Errorf("finding media: %w", err))
	}
	if len(rows) == 0 {
		return nil, nil
	}
	ids := make([]uuid.UUID, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	var missed []struct {
		MediaID     uuid.UUID
		FirstSeenAt time.Time
	}
	if err := s.db.NewRaw(`SELECT media_id, first_seen_at FROM coatcheck.missing WHERE media_id IN (?)`, bun.List(ids)).Scan(ctx, &missed); err != nil {
		return nil, fmt.Errorf("finding what is missing: %w", err)
	}
	since := make(map[uuid.UUID]time.Time, len(missed))
	for _, m := range missed {
		since[m.MediaID] = m.FirstSeenAt
	}
	found := make([]media.Record, len(rows))
	for i := range rows {
		found[i].Media = rows[i].media()
		if st := rows[i].State; st == media.StateUploaded || st == media.StateConfirmed { // nobody misses the others
			found[i].MissingSince = since[rows[i].ID]
		}
	}
	return found, nil
}

// StrayAt returns the stray with a key that was not removed; nil: there is none.
func (s *Store) StrayAt(ctx context.Context, key string) (*reconcile.Stray, error) {
	if !storable(key) {
		return nil, nil
	}
	r := new(strayRow)
	err := s.db.NewSelect().Model(r).Where("s.key = ? AND s.removed_at IS NULL", key).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, unusable(fmt.Errorf("finding a stray: %w", err))
	}
	stray := r.stray()
	return &stray, nil
}
