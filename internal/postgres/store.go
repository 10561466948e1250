package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Store keeps media. It is safe for concurrent use, by any number of processes.
type Store struct {
	db       *bun.DB
	windows  media.Windows
	now      func() time.Time
	metrics  *Metrics
	inserts  gatherer[insertion]
	confirms gatherer[*confirmation]
	notAll   atomic.Int32 // see notAllFor
	// unprepared says that what is between here and Postgres does not keep prepared statements.
	unprepared atomic.Bool
	announcer  *announcer
}

// NewStore returns a store that gives new rows these windows. now is the only clock that it asks; each statement and
// transaction asks it once.
func NewStore(db *bun.DB, windows media.Windows, now func() time.Time, metrics *Metrics) *Store {
	s := &Store{db: db, windows: windows, now: now, metrics: metrics}
	s.inserts.together = s.insertTogether
	s.confirms.together = s.confirmTogether
	s.announcer = &announcer{send: s.announce, done: metrics.announcements}
	return s
}

// time returns the present with the precision that Postgres keeps.
func (s *Store) time() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// Ping answers nil when the database can be reached and its schema is there.
func (s *Store) Ping(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, "SELECT 1 FROM coatcheck.media LIMIT 0"); err != nil {
		return unusable(fmt.Errorf("asking the database: %w", err))
	}
	return nil
}

// Get returns one media, or a [media.CodeNotFound] error when the scope has none with this id.
func (s *Store) Get(ctx context.Context, scope media.Scope, id uuid.UUID) (*media.Media, error) {
	r := new(row)
	q := s.db.NewSelect().Model(r).Where("m.id = ?", id)
	if err := scopedByID(q, scope).Scan(ctx); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return nil, media.NotFound(id)
		}
		return nil, fmt.Errorf("reading media: %w", err)
	}
	return r.media(), nil
}

// scopedByID asks for what is within the scope, in a query that names ids, which are to be looked up one by one: of a tenant
// that is newer than its statistics Postgres expects one row, and would rather read all of them by the tenant's index. It has
// no index of an expression. A scope whose names cannot be stored must not come to mean another (R9).
func scopedByID(q *bun.SelectQuery, scope media.Scope) *bun.SelectQuery {
	if !storable(scope.Tenant) || !storable(scope.Owner) {
		return q.Where("FALSE")
	}
	q = q.Where("m.tenant || '' = ?", scope.Tenant)
	if scope.Owner != "" {
		q = q.Where("m.owner || '' = ?", scope.Owner)
	}
	return q
}

// List returns the scope's media, newest first; none when the page has no size.
func (s *Store) List(ctx context.Context, scope media.Scope, page media.Page) ([]*media.Media, error) {
	if page.Limit <= 0 { // bun would take it for no limit at all
		return nil, nil
	}
	var rows []row
	q := newest(s.db.NewSelect().Model(&rows), scope, page.Before).Limit(int64(page.Limit))
	switch page.State {
	case "":
	case media.StateConfirmed:
		// Nearly all are: as Postgres cannot know of an expression, which it takes to be true of half of the rows.
		q = q.Where("coalesce(m.state = ?, FALSE)", page.State)
	default:
		// The second is always true of them, and lets the index of what is due serve the query.
		q = q.Where("m.state = ?", page.State).Where("m.due_at IS NOT NULL")
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("listing media: %w", err)
	}
	return allMedia(rows), nil
}

// newest asks for what is within the scope and older than before, as one range of the index that has them in this order,
// by comparing whole rows. Asked for the tenant and the owner, each by itself, Postgres takes the two for independent: it
// expects few media of an owner whose tenant is one of many, and reads and sorts all that there are for one page.
func newest(q *bun.SelectQuery, scope media.Scope, before uuid.UUID) *bun.SelectQuery {
	if !storable(scope.Tenant) || !storable(scope.Owner) {
		return q.Where("FALSE")
	}
	last := before
	if before == (uuid.UUID{}) {
		last = uuid.Max
	} else {
		q = q.Where("m.id <> ?", before) // and not < above: of the first tenant by name Postgres would expect nothing
	}
	if scope.Owner == "" {
		return q.Where("(m.tenant, m.id) >= (?, ?)", scope.Tenant, uuid.Nil).Where("(m.tenant, m.id) <= (?, ?)", scope.Tenant, last).
			OrderExpr("m.tenant DESC, m.id DESC")
	}
	return q.Where("(m.owner, m.tenant, m.id) >= (?, ?, ?)", scope.Owner, scope.Tenant, uuid.Nil).
		Where("(m.owner, m.tenant, m.id) <= (?, ?, ?)", scope.Owner, scope.Tenant, last).
		OrderExpr("m.owner DESC, m.tenant DESC, m.id DESC")
}

// BindBucket takes note of which bucket and prefix this database speaks of, the first time, and is an error when they are
// not what was noted: whoever goes on would delete in the wrong place.
func (s *Store) BindBucket(ctx context.Context, bucket, prefix string) error {
	if _, err := s.db.NewRaw(`INSERT INTO coatcheck.deployment (bucket, key_prefix) VALUES (?, ?)
		ON CONFLICT DO NOTHING`, bucket, prefix).Exec(ctx); err != nil {
		return unusable(fmt.Errorf("binding the bucket: %w", err))
	}
	_, err := s.CheckBucket(ctx, bucket, prefix)
	return err
}

// CheckBucket is the same without taking note: it reports whether anything was noted before.
func (s *Store) CheckBucket(ctx context.Context, bucket, prefix string) (bound bool, err error) {
	var was struct{ Bucket, KeyPrefix string }
	err = s.db.NewRaw(`SELECT bucket, key_prefix FROM coatcheck.deployment`).Scan(ctx, &was)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, unusable(fmt.Errorf("reading which bucket this database belongs to: %w", err))
	}
	if was.Bucket != bucket || was.KeyPrefix != prefix {
		return true, fmt.Errorf("this database belongs to bucket %q with key prefix %q, and the settings say bucket %q with key prefix %q: "+
			"correct --bucket and --key-prefix, or use another database", was.Bucket, was.KeyPrefix, bucket, prefix)
	}
	return true, nil
}
