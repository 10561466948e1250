package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/coatcheck/coatcheck/internal/media"
)

// leaseSQL takes what is due by making it due later: no lock is held while S3 is asked, another sweep takes other
// rows, and what a killed process had taken is due again when its lease ends. Whoever changes the row meanwhile raises
// its revision, and what the sweep then does to it is not done.
var leaseSQL = `
WITH due AS MATERIALIZED (` + dueSQL + `)
UPDATE coatcheck.media AS m
SET due_at = $4, attempts = m.attempts + $5, revision = m.revision + 1
WHERE m.id = ANY (ARRAY (SELECT id FROM due))
RETURNING ` + string(columns)

// dueSQL is an array where it is used, and not joined: of how many it takes Postgres knows nothing, and of many it would
// rather read the whole table.
const dueSQL = `
	SELECT id FROM coatcheck.media
	WHERE state = $1 AND due_at <= $2
	ORDER BY due_at
	LIMIT $3
	FOR UPDATE SKIP LOCKED
`

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
	ms, err := s.media(ctx, leaseSQL, state, now, limit, now.Add(lease), attempt)
	if err != nil {
		return nil, unusable(fmt.Errorf("leasing %s media: %w", state, err))
	}
	return ms, nil
}

// media runs a statement that returns the columns of media.
func (s *Store) media(ctx context.Context, sql string, args ...any) (ms []*media.Media, err error) {
	r := newReader()
	_, err = s.query(ctx, sql, func(answer scanner) error {
		m, err := r.read(answer)
		ms = append(ms, m)
		return err
	}, args...)
	return ms, err
}

// What is made DELETING is leased by whoever made it so, for its first attempt: taking it once more would cost as much
// again.
var expireUploadsSQL = `
WITH leased AS MATERIALIZED (` + stillLeased + `)
UPDATE coatcheck.media AS m
SET state = 'deleting', reason = 'never_uploaded', deleting_at = $3, due_at = $4, attempts = 1, revision = m.revision + 1
FROM leased WHERE m.id = leased.id AND m.state = 'pending'
RETURNING ` + string(columns)

// stillLeased locks the leased rows that nobody has changed, in the order of ids.
const stillLeased = `
	SELECT m.id FROM coatcheck.media AS m
	JOIN unnest($1::uuid[], $2::bigint[]) AS l (id, revision) ON m.id = l.id AND m.revision = l.revision
	ORDER BY m.id
	FOR UPDATE OF m
`

// leased are the first arguments of a statement about leased media.
func leased(ms []*media.Media, args ...any) []any {
	ids, revisions := make(uuids, len(ms)), make([]int64, len(ms))
	for i, m := range ms {
		ids[i], revisions[i] = toUUID(m.ID), m.Revision
	}
	return append([]any{ids, revisions}, args...)
}

// ExpireUploads makes leased PENDING media DELETING as never uploaded, and returns those that still were as leased, leased
// for their first attempt. The caller has asked S3 for each, and found nothing.
func (s *Store) ExpireUploads(ctx context.Context, ms []*media.Media, lease time.Duration) ([]*media.Media, error) {
	if len(ms) == 0 {
		return nil, nil
	}
	now := s.time()
	expired, err := s.media(ctx, expireUploadsSQL, leased(ms, now, now.Add(lease))...)
	if err != nil {
		return nil, unusable(fmt.Errorf("expiring uploads: %w", err))
	}
	s.entered(media.StateDeleting, media.ReasonNeverUploaded, len(expired), idsOf(expired)...)
	return expired, nil
}

var expireClaimsSQL = `
WITH due AS MATERIALIZED (` + dueSQL + `)
UPDATE coatcheck.media AS m
SET state = 'deleting', reason = 'unclaimed', deleting_at = $2, due_at = $4, attempts = 1, revision = m.revision + 1
WHERE m.id = ANY (ARRAY (SELECT id FROM due))
RETURNING ` + string(columns)

// ExpireClaims makes UPLOADED media whose claim window is over DELETING as unclaimed, up to limit, and returns them, leased
// for their first attempt. A confirmation that holds a row's lock keeps it (R1).
func (s *Store) ExpireClaims(ctx context.Context, limit int, lease time.Duration) ([]*media.Media, error) {
	now := s.time()
	expired, err := s.media(ctx, expireClaimsSQL, media.StateUploaded, now, limit, now.Add(lease))
	if err != nil {
		return nil, unusable(fmt.Errorf("expiring claims: %w", err))
	}
	s.entered(media.StateDeleting, media.ReasonUnclaimed, len(expired), idsOf(expired)...)
	return expired, nil
}

const finishSQL = `
WITH leased AS MATERIALIZED (` + stillLeased + `)
UPDATE coatcheck.media AS m
SET state = 'deleted', deleted_at = $3, last_error = NULL, revision = m.revision + 1,
	due_at = greatest($3, m.url_expires_at) + make_interval(secs => $4)
FROM leased WHERE m.id = leased.id AND m.state = 'deleting'
RETURNING m.id`

// FinishDeleting makes leased DELETING media DELETED, whose objects S3 has confirmed to be gone, and returns those of ms that
// still were as leased. The others have had a landing meanwhile, and are due again.
func (s *Store) FinishDeleting(ctx context.Context, ms []*media.Media) (finished []*media.Media, err error) {
	if len(ms) == 0 {
		return nil, nil
	}
	byID := make(map[uuid.UUID]*media.Media, len(ms))
	for _, m := range ms {
		byID[m.ID] = m
	}
	_, err = s.query(ctx, finishSQL, func(answer scanner) error {
		var id pgtype.UUID
		err := answer.Scan(&id)
		finished = append(finished, byID[id.Bytes])
		return err
	}, leased(ms, s.time(), s.windows.Tombstone.Seconds())...)
	if err != nil {
		return nil, unusable(fmt.Errorf("recording deletions: %w", err))
	}
	s.entered(media.StateDeleted, "", len(finished), idsOf(finished)...)
	return finished, nil
}

// retrySQL has what each row is to hold next to the lock on it: joined later, Postgres would look through all of them for
// each row.
const retrySQL = `
WITH leased AS MATERIALIZED (
	SELECT m.id, l.due_at, l.error FROM coatcheck.media AS m
	JOIN unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::text[]) AS l (id, revision, due_at, error)
		ON m.id = l.id AND m.revision = l.revision
	ORDER BY m.id
	FOR UPDATE OF m
)
UPDATE coatcheck.media AS m
SET due_at = leased.due_at, last_error = leased.error, revision = m.revision + 1
FROM leased WHERE m.id = leased.id AND m.state IN ('deleting', 'deleted')`

// RetryDeleting records why leased DELETING media and tombstones could not be deleted (LastError), and when to try again (DueAt).
func (s *Store) RetryDeleting(ctx context.Context, ms []*media.Media) error {
	dueAts, texts := make([]time.Time, len(ms)), make([]string, len(ms))
	for i, m := range ms {
		dueAts[i], texts[i] = m.DueAt, strings.ReplaceAll(strings.ToValidUTF8(m.LastError, ""), "\x00", "")
	}
	if _, err := s.change(ctx, retrySQL, ms, dueAts, texts); err != nil {
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
	n, err := s.change(ctx, purgeSQL, ms)
	if err != nil {
		return 0, fmt.Errorf("purging tombstones: %w", err)
	}
	s.metrics.purged.Add(float64(n))
	return n, nil
}

// change runs a statement about leased media, and returns how many it changed.
func (s *Store) change(ctx context.Context, sql string, ms []*media.Media, args ...any) (int, error) {
	if len(ms) == 0 {
		return 0, nil
	}
	n, err := s.query(ctx, sql, nil, leased(ms, args...)...)
	return n, unusable(err)
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
