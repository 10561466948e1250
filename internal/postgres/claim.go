package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Confirm claims media, all or none, in one transaction, and returns them in the order given. What is held by the
// same claim already stays as it is. A refusal is a [media.BatchError] that holds each item's own: not found, not
// landed, gone, or claimed by another.
func (s *Store) Confirm(ctx context.Context, scope media.Scope, claims []media.Claim) ([]*media.Media, error) {
	var (
		now       = s.time()
		confirmed = make([]*media.Media, len(claims))
		changed   []*media.Media
	)
	if err := checkClaims(claims); err != nil {
		return nil, err
	}
	if done, err := s.confirmUploaded(ctx, scope, claims, now); done != nil || err != nil {
		return done, err
	}
	err := s.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		ids := make([]uuid.UUID, len(claims))
		for i, c := range claims {
			ids[i] = c.MediaID
		}
		locked, err := lockRows(ctx, tx, scope, ids)
		if err != nil {
			return err
		}
		refused := &media.BatchError{Items: make([]*media.Error, len(claims))}
		failed := false
		for i, c := range claims {
			m, ok := locked[c.MediaID]
			if !ok {
				refused.Items[i], failed = media.NotFound(c.MediaID), true
				continue
			}
			isChange, refusal := m.Confirm(c.Claim, now)
			if refusal != nil {
				refused.Items[i], failed = refusal, true
			}
			if isChange {
				changed = append(changed, m)
			}
			confirmed[i] = m
		}
		if failed {
			return refused
		}
		return saveRows(ctx, tx, changed)
	})
	if err != nil {
		return nil, err
	}
	s.entered(media.StateConfirmed, "", len(changed), idsOf(changed)...)
	return confirmed, nil
}

// confirmUploadedSQL confirms media when all of them are UPLOADED, and none otherwise. That is judged by the locked rows
// alone: m is at first as it was when the statement began, and one that landed since would be left out of a batch.
const confirmUploadedSQL = `
WITH locked AS MATERIALIZED (
	SELECT m.id, m.state, c.claim
	FROM coatcheck.media AS m JOIN unnest(?ids::uuid[], ?claims::text[]) AS c (id, claim) ON c.id = m.id
	WHERE m.tenant || '' = ?tenant AND (?owner = '' OR m.owner || '' = ?owner)
	ORDER BY m.id
	FOR UPDATE OF m
)
UPDATE coatcheck.media AS m
SET state = 'confirmed', claim = l.claim, confirmed_at = ?now, due_at = NULL, revision = m.revision + 1
FROM locked AS l
WHERE m.id = l.id AND (SELECT count(*) FROM locked WHERE state = 'uploaded') = ?n
RETURNING ?columns`

// confirmUploaded is what nearly every confirmation comes to, in one statement: media that are UPLOADED, in the scope and
// claimed by nothing. It returns nil when it is anything else, and has changed nothing then: a transaction judges it.
func (s *Store) confirmUploaded(ctx context.Context, scope media.Scope, claims []media.Claim, now time.Time) ([]*media.Media, error) {
	if !storable(scope.Tenant) || !storable(scope.Owner) {
		return nil, nil
	}
	args := struct {
		IDs     []string    `bun:"ids,array"`
		Claims  []string    `bun:"claims,array"`
		Tenant  string      `bun:"tenant"`
		Owner   string      `bun:"owner"`
		Now     time.Time   `bun:"now"`
		N       int         `bun:"n"`
		Columns schema.Safe `bun:"columns"`
	}{Tenant: scope.Tenant, Owner: scope.Owner, Now: now, N: len(claims), Columns: columns}
	at := make(map[uuid.UUID]int, len(claims))
	for i, c := range claims {
		args.IDs, args.Claims = append(args.IDs, c.MediaID.String()), append(args.Claims, c.Claim)
		at[c.MediaID] = i
	}
	if len(at) != len(claims) {
		return nil, nil // one occurs twice
	}
	var rows []row
	err := s.db.NewRaw(confirmUploadedSQL, args).Scan(ctx, &rows)
	if Refused(err) {
		// One landed while its lock was waited for: Postgres held a row made of the old version against the constraints.
		return nil, nil
	}
	if err != nil {
		return nil, unusable(fmt.Errorf("confirming media: %w", err))
	}
	if len(rows) != len(claims) || len(rows) == 0 {
		return nil, nil
	}
	confirmed := make([]*media.Media, len(claims))
	for i := range rows {
		confirmed[at[rows[i].ID]] = rows[i].media()
	}
	s.entered(media.StateConfirmed, "", len(confirmed), idsOf(confirmed)...)
	return confirmed, nil
}

// Discard applies [media.EventCancel], [media.EventDelete] or [media.EventRelease] to one media and returns it as it
// is then. The claim is asked for by a release only.
func (s *Store) Discard(ctx context.Context, scope media.Scope, id uuid.UUID, e media.Event, claim string) (*media.Media, error) {
	var (
		now     = s.time()
		m       *media.Media
		changed bool
	)
	if refusal := checkText("claim", claim); refusal != nil {
		return nil, refusal
	}
	err := s.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		locked, err := lockRows(ctx, tx, scope, []uuid.UUID{id})
		if err != nil {
			return err
		}
		var ok bool
		if m, ok = locked[id]; !ok {
			return media.NotFound(id)
		}
		var refusal *media.Error
		if changed, refusal = m.Discard(e, claim, now); refusal != nil {
			return refusal
		}
		if !changed {
			return nil
		}
		return saveRows(ctx, tx, []*media.Media{m})
	})
	if err != nil {
		return nil, err
	}
	if changed {
		s.entered(m.State, m.Reason, 1, m.ID)
	}
	return m, nil
}

// lockRows reads the scope's media among ids, and holds their locks until the transaction ends.
func lockRows(ctx context.Context, tx bun.Tx, scope media.Scope, ids []uuid.UUID) (map[uuid.UUID]*media.Media, error) {
	var rows []row
	q := scopedByID(tx.NewSelect().Model(&rows).Where("m.id IN (?)", bun.In(ids)), scope).OrderExpr("m.id").For("UPDATE")
	if err := q.Scan(ctx); err != nil {
		return nil, unusable(fmt.Errorf("locking media: %w", err))
	}
	locked := make(map[uuid.UUID]*media.Media, len(rows))
	for i := range rows {
		locked[rows[i].ID] = rows[i].media()
	}
	return locked, nil
}

// saveRows writes what a decision changes. The transaction holds the locks.
func saveRows(ctx context.Context, tx bun.Tx, ms []*media.Media) error {
	if len(ms) == 0 {
		return nil
	}
	rows := make([]*row, len(ms))
	for i, m := range ms {
		rows[i] = fromMedia(m)
	}
	_, err := tx.NewUpdate().Model(&rows).
		Column("state", "reason", "claim", "confirmed_at", "deleting_at", "due_at", "revision").Bulk().Exec(ctx)
	if err != nil {
		return fmt.Errorf("saving media: %w", err)
	}
	return nil
}
