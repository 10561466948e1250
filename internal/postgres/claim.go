package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Confirm claims media, all or none, in one transaction, and returns them in the order given. What is held by the
// same claim already stays as it is. A refusal is a [media.BatchError] that holds each item's own: not found, not
// landed, gone, or claimed by another.
func (s *Store) Confirm(ctx context.Context, scope media.Scope, claims []media.Claim) ([]*media.Media, error) {
	if err := checkClaims(claims); err != nil {
		return nil, err
	}
	if done, err := s.confirmUploaded(ctx, scope, claims); done != nil || err != nil {
		return done, err
	}
	var (
		now       = s.time()
		confirmed = make([]*media.Media, len(claims))
		changed   []*media.Media
	)
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
	q := scopedByID(tx.NewSelect().Model(&rows).Where("m.id IN (?)", bun.List(ids)), scope).OrderExpr("m.id").For("UPDATE")
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
	res, err := tx.NewUpdate().Model(&rows).
		Column("state", "reason", "claim", "confirmed_at", "deleting_at", "due_at", "revision").Bulk().Exec(ctx)
	if err != nil {
		return fmt.Errorf("saving media: %w", err)
	}
	switch n, err := res.RowsAffected(); {
	case err != nil:
		return fmt.Errorf("saving media: %w", err)
	case n != int64(len(rows)):
		return fmt.Errorf("saving media: %d of %d rows were changed; drop the trigger or policy of coatcheck.media that leaves out others", n, len(rows))
	}
	return nil
}
