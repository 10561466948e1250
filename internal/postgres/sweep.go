package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun/schema"

	"github.com/coatcheck/coatcheck/internal/media"
)

// leaseSQL takes what is due by making it due later: no lock is held while S3 is asked, another sweep takes other
// rows, and what a killed process had taken is due again when its lease ends. Whoever changes the row meanwhile raises
// its revision, and what the sweep then does to it is not done.
const leaseSQL = `
WITH due AS MATERIALIZED (
	SELECT id FROM coatcheck.media
	WHERE state = ?state AND due_at <= ?now
	ORDER BY due_at
	LIMIT ?limit
	FOR UPDATE SKIP LOCKED
)
UPDATE coatcheck.media AS m
SET due_at = ?until, attempts = m.attempts + ?attempt, revision = m.revision + 1
FROM due WHERE m.id = due.id
RETURNING ?columns`

type leaseArgs struct {
	State   media.State `bun:"state"`
	Now     time.Time   `bun:"now"`
	Until   time.Time   `bun:"until"`
	Limit   int         `bun:"limit"`
	Attempt int         `bun:"attempt"`
	Columns schema.Safe `bun:"columns"`
}

// LeasePending takes PENDING media whose upload window is over, up to limit, for as long as the lease.
func (s *Store) LeasePending(ctx context.Context, limit int, lease time.Duration) ([]*media.Media, error) {
	return s.lease(ctx, media.StatePending, limit, lease, 0)
}

// LeaseDeleting takes DELETING media whose next attempt is due, up to limit, for as long as the lease, and counts the
// attempt.
func (s *Store) LeaseDeleting(ctx context.Context, limit int, lease time.Duration) ([]*media.Media, error) {
	return s.lease(ctx, media.StateDeleting, limit, lease, 1)
}

// LeaseDeleted takes tombstones that are to be forgotten, up to limit, for as long as the lease. The caller deletes their
// objects once more: a PUT that ended late, and whose notification was lost, left one.
func (s *Store) LeaseDeleted(ctx context.Context, limit int, lease time.Duration) ([]*media.Media, error) {
	return s.lease(ctx, media.StateDeleted, limit, lease, 1)
}

func (s *Store) lease(ctx context.Context, state media.State, limit int, lease time.Duration, attempt int) ([]*media.Media, error) {
	now := s.time()
	var rows []row
	err := s.db.NewRaw(leaseSQL, leaseArgs{
		State: state, Now: now, Until: now.Add(lease), Limit: limit, Attempt: attempt, Columns: columns,
	}).Scan(ctx, &rows)
	if err != nil {
		return nil, unusable(fmt.Errorf("leasing %s media: %w", state, err))
	}
	return allMedia(rows), nil
}

const expireUploadsSQL = `
WITH leased AS MATERIALIZED (` + stillLeased + `)
UPDATE coatcheck.media AS m
SET state = 'deleting', reason = 'never_uploaded', deleting_at = ?now, due_at = ?now, revision = m.revision + 1
FROM leased WHERE m.id = leased.id AND m.state = 'pending'`

// stillLeased locks the leased rows that nobody has changed, in the order of ids.
const stillLeased = `
	SELECT m.id FROM coatcheck.media AS m
	JOIN unnest(?ids::uuid[], ?revisions::bigint[]) AS l (id, revision) ON m.id = l.id AND m.revision = l.revision
	ORDER BY m.id
	FOR UPDATE OF m
`

type leasedArgs struct {
	IDs       []string    `bun:"ids,array"`
	Revisions []int64     `bun:"revisions,array"`
	Errors    []string    `bun:"errors,array"`
	DueAts    []time.Time `bun:"due_ats,array"`
	Now       time.Time   `bun:"now"`
	Tombstone float64     `bun:"tombstone"` // seconds
}

func leased(ms []*media.Media, now time.Time) leasedArgs {
	args := leasedArgs{Now: now}
	for _, m := range ms {
		args.IDs = append(args.IDs, m.ID.String())
		args.Revisions = append(args.Revisions, m.Revision)
	}
	return args
}

// ExpireUploads makes leased PENDING media DELETING as never uploaded, and returns how many still were as leased. The
// caller has asked S3 for each, and found nothing.
func (s *Store) ExpireUploads(ctx context.Context, ms []*media.Media) (int, error) {
	n, err := s.exec(ctx, expireUploadsSQL, leased(ms, s.time()), len(ms))
	if err != nil {
		return 0, fmt.Errorf("expiring uploads: %w", err)
	}
	s.entered(media.StateDeleting, media.ReasonNeverUploaded, n, idsOf(ms)...)
	return n, nil
}

const expireClaimsSQL = `
WITH due AS MATERIALIZED (
	SELECT id FROM coatcheck.media
	WHERE state = 'uploaded' AND due_at <= ?now
	ORDER BY due_at
	LIMIT ?limit
	FOR UPDATE SKIP LOCKED
)
UPDATE coatcheck.media AS m
SET state = 'deleting', reason = 'unclaimed', deleting_at = ?now, due_at = ?now, revision = m.revision + 1
FROM due WHERE m.id = due.id`

// ExpireClaims makes UPLOADED media whose claim window is over DELETING as unclaimed, up to limit, and returns how
// many. A confirmation that holds a row's lock keeps it (R1).
func (s *Store) ExpireClaims(ctx context.Context, limit int) (int, error) {
	ids, err := s.change(ctx, expireClaimsSQL, leaseArgs{Now: s.time(), Limit: limit}, limit)
	if err != nil {
		return 0, fmt.Errorf("expiring claims: %w", err)
	}
	s.entered(media.StateDeleting, media.ReasonUnclaimed, len(ids), ids...)
	return len(ids), nil
}

const finishSQL = `
WITH leased AS MATERIALIZED (` + stillLeased + `)
UPDATE coatcheck.media AS m
SET state = 'deleted', deleted_at = ?now, last_error = NULL, revision = m.revision + 1,
	due_at = greatest(?now, m.url_expires_at) + make_interval(secs => ?tombstone)
FROM leased WHERE m.id = leased.id AND m.state = 'deleting'`

// FinishDeleting makes leased DELETING media DELETED, whose objects S3 has confirmed to be gone, and returns how many
// still were as leased. The others have had a landing meanwhile, and are due again.
func (s *Store) FinishDeleting(ctx context.Context, ms []*media.Media) (int, error) {
	args := leased(ms, s.time())
	args.Tombstone = s.windows.Tombstone.Seconds()
	n, err := s.exec(ctx, finishSQL, args, len(ms))
	if err != nil {
		return 0, fmt.Errorf("recording deletions: %w", err)
	}
	s.entered(media.StateDeleted, "", n, idsOf(ms)...)
	return n, nil
}

const retrySQL = `
WITH leased AS MATERIALIZED (` + stillLeased + `)
UPDATE coatcheck.media AS m
SET due_at = f.due_at, last_error = f.error, revision = m.revision + 1
FROM leased JOIN unnest(?ids::uuid[], ?due_ats::timestamptz[], ?errors::text[]) AS f (id, due_at, error) USING (id)
WHERE m.id = leased.id AND m.state IN ('deleting', 'deleted')`

// RetryDeleting records why leased DELETING media and tombstones could not be deleted (LastError), and when to try again (DueAt).
func (s *Store) RetryDeleting(ctx context.Context, ms []*media.Media) error {
	args := leased(ms, s.time())
	for _, m := range ms {
		args.Errors = append(args.Errors, m.LastError)
		args.DueAts = append(args.DueAts, m.DueAt.UTC())
	}
	if _, err := s.exec(ctx, retrySQL, args, len(ms)); err != nil {
		return fmt.Errorf("recording failed deletions: %w", err)
	}
	return nil
}

const purgeSQL = `
WITH leased AS MATERIALIZED (` + stillLeased + `)
DELETE FROM coatcheck.media AS m USING leased WHERE m.id = leased.id AND m.state = 'deleted'`

// Purge forgets leased tombstones, and returns how many still were as leased. The others have had a late landing
// meanwhile, and are DELETING.
func (s *Store) Purge(ctx context.Context, ms []*media.Media) (int, error) {
	n, err := s.exec(ctx, purgeSQL, leased(ms, s.time()), len(ms))
	if err != nil {
		return 0, fmt.Errorf("purging tombstones: %w", err)
	}
	s.metrics.purged.Add(float64(n))
	return n, nil
}

// exec runs a statement that changes at most limit rows, and returns how many it did.
func (s *Store) exec(ctx context.Context, query string, args any, limit int) (int, error) {
	if limit == 0 {
		return 0, nil
	}
	result, err := s.db.NewRaw(query, args).Exec(ctx)
	if err != nil {
		return 0, unusable(err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// change is exec for a statement on coatcheck.media AS m, and returns which rows it changed.
func (s *Store) change(ctx context.Context, query string, args any, limit int) (ids []uuid.UUID, err error) {
	if limit == 0 {
		return nil, nil
	}
	if err := s.db.NewRaw(query+" RETURNING m.id", args).Scan(ctx, &ids); err != nil {
		return nil, unusable(err)
	}
	return ids, nil
}

// Due returns up to limit media in a state that a sweep would take now, after the one named by its due time and id
// (zero: from the first), in that order. It changes nothing.
func (s *Store) Due(ctx context.Context, state media.State, after *media.Media, limit int) ([]*media.Media, error) {
	if limit <= 0 { // bun would take it for no limit at all
		return nil, nil
	}
	var rows []row
	q := s.db.NewSelect().Model(&rows).Where("m.state = ? AND m.due_at <= ?", state, s.time()).
		OrderExpr("m.due_at, m.id").Limit(int64(limit))
	if after != nil {
		q = q.Where("(m.due_at, m.id) > (?, ?)", after.DueAt, after.ID)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, unusable(fmt.Errorf("reading what is due: %w", err))
	}
	return allMedia(rows), nil
}
