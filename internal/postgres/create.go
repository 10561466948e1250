package postgres

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Create inserts PENDING media, all or none, and returns them as they are stored, in the order given. A media whose
// idempotency key is that of a live one of the same owner is not inserted: the live one is returned, and while it is
// PENDING its upload window begins anew, since its caller is about to get a fresh URL. When that one was declared
// differently the error is [media.CodeIdempotencyMismatch]; in a batch it is a [media.BatchError].
func (s *Store) Create(ctx context.Context, ms []*media.Media) ([]*media.Media, error) {
	now := s.time()
	rows := make([]*row, len(ms))
	keyed := false
	for i, m := range ms {
		r := fromMedia(m)
		r.State, r.Revision = media.StatePending, 1
		r.CreatedAt, r.DueAt = now, now.Add(s.windows.Upload)
		rows[i] = r
		keyed = keyed || r.IdempotencyKey != ""
	}
	if !keyed {
		if _, err := s.db.NewInsert().Model(&rows).Exec(ctx); err != nil {
			return nil, unusable(fmt.Errorf("inserting media: %w", err))
		}
		s.metrics.entered(media.StatePending, "", len(rows))
		return stored(rows), nil
	}
	inserted := 0
	err := s.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) (err error) {
		inserted, err = s.createKeyed(ctx, tx, rows, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.metrics.entered(media.StatePending, "", inserted)
	return stored(rows), nil
}

func stored(rows []*row) []*media.Media {
	ms := make([]*media.Media, len(rows))
	for i, r := range rows {
		ms[i] = r.media()
	}
	return ms
}

// createKeyed inserts one row after another, in the order of their keys: whoever inserts a key that another
// transaction is inserting waits for it, and one order keeps the waiting from going in a circle.
func (s *Store) createKeyed(ctx context.Context, tx bun.Tx, rows []*row, now time.Time) (inserted int, err error) {
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(rows[a].IdempotencyKey, rows[b].IdempotencyKey) })
	refused := &media.BatchError{Items: make([]*media.Error, len(rows))}
	failed := false
	for _, i := range order {
		isNew, err := s.createOrFind(ctx, tx, rows[i], now)
		if refusal, ok := errors.AsType[*media.Error](err); ok {
			refused.Items[i], failed = refusal, true
			continue
		}
		if err != nil {
			return 0, err
		}
		if isNew {
			inserted++
		}
	}
	if failed {
		return 0, refused
	}
	return inserted, nil
}

// createOrFind inserts the row, or replaces what it holds with the live row of the same idempotency key.
func (s *Store) createOrFind(ctx context.Context, tx bun.Tx, r *row, now time.Time) (isNew bool, err error) {
	// The row that stands in the way can go (be cancelled, be swept) between the two statements; then the key is free.
	for range 5 {
		result, err := tx.NewInsert().Model(r).
			On("CONFLICT (tenant, owner, idempotency_key) WHERE idempotency_key IS NOT NULL AND state IN ('pending', 'uploaded', 'confirmed') DO NOTHING").
			Exec(ctx)
		if err != nil {
			return false, unusable(fmt.Errorf("inserting media: %w", err))
		}
		if n, err := result.RowsAffected(); err != nil || n == 1 {
			return true, err
		}
		was := new(row)
		err = tx.NewSelect().Model(was).
			Where("m.tenant = ? AND m.owner = ? AND m.idempotency_key = ?", r.Tenant, r.Owner, r.IdempotencyKey).
			Where("m.state IN ('pending', 'uploaded', 'confirmed')").For("UPDATE").Scan(ctx)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("finding the media of an idempotency key: %w", err)
		}
		if refusal := sameUpload(was, r); refusal != nil {
			return false, refusal
		}
		if was.State == media.StatePending {
			was.URLExpiresAt = latest(was.URLExpiresAt, r.URLExpiresAt)
			was.DueAt = latest(was.DueAt, now.Add(s.windows.Upload))
			was.Revision++
			if _, err := tx.NewUpdate().Model(was).Column("url_expires_at", "due_at", "revision").WherePK().Exec(ctx); err != nil {
				return false, fmt.Errorf("extending an upload: %w", err)
			}
		}
		*r = *was
		return false, nil
	}
	return false, errors.New("finding the media of an idempotency key: it changed too often")
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sameUpload compares what an idempotency key was used for with what it is used for now.
func sameUpload(was, r *row) *media.Error {
	field := ""
	switch {
	case was.ContentType != r.ContentType:
		field = "content_type"
	case was.SizeBytes != r.SizeBytes:
		field = "size_bytes"
	case !bytes.Equal(was.ChecksumSHA256, r.ChecksumSHA256):
		field = "checksum_sha256"
	case was.FileName != r.FileName:
		field = "file_name"
	case !maps.Equal(was.Metadata, r.Metadata):
		field = "metadata"
	default:
		return nil
	}
	return &media.Error{
		Code: media.CodeIdempotencyMismatch, Field: "idempotency_key", Rule: "idempotency_key.mismatch", MediaID: was.ID,
		Message: fmt.Sprintf("idempotency_key: was used for media %s with another %s; use a new key for another upload", was.ID, field),
	}
}
