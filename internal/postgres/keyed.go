package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/media"
)

// upload names an upload by its owner's idempotency key.
type upload struct{ tenant, owner, key string }

func (r *row) upload() upload { return upload{r.Tenant, r.Owner, r.IdempotencyKey} }

// errFreed means that a row which stood in the way of an insert was gone (cancelled, swept) when it was looked for: its
// key is free, and the transaction is to be done again.
var errFreed = errors.New("it changed too often")

// createKeyed inserts rows of which some have idempotency keys, replaces those whose key is in use by what is stored
// under it, and returns how many were inserted.
func (s *Store) createKeyed(ctx context.Context, rows []*row, now time.Time) (inserted int, err error) {
	for range 5 {
		err = s.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) (err error) {
			inserted, err = s.createOrFind(ctx, tx, rows, now)
			return err
		})
		if !errors.Is(err, errFreed) {
			return inserted, err
		}
	}
	return 0, fmt.Errorf("finding the media of an idempotency key: %w", err)
}

// createOrFind inserts first and locks what it found in the way afterwards. Whoever inserts a key that another
// transaction is inserting or changing waits for that one, so keys are inserted in one order; existing rows are locked
// in the order of their ids, as everywhere; and nothing is inserted while existing rows are locked. So no two
// transactions wait for each other in a circle.
func (s *Store) createOrFind(ctx context.Context, tx bun.Tx, rows []*row, now time.Time) (inserted int, err error) {
	ordered := slices.SortedStableFunc(slices.Values(rows), func(a, b *row) int { return strings.Compare(a.IdempotencyKey, b.IdempotencyKey) })
	var ids []uuid.UUID
	err = tx.NewInsert().Model(&ordered).
		On("CONFLICT (tenant, owner, idempotency_key) WHERE idempotency_key IS NOT NULL AND state IN ('pending', 'uploaded', 'confirmed') DO NOTHING").
		Returning("id").Scan(ctx, &ids)
	if err != nil {
		return 0, unusable(fmt.Errorf("inserting media: %w", err))
	}
	isNew := make(map[uuid.UUID]bool, len(ids))
	for _, id := range ids {
		isNew[id] = true
	}
	var inUse []upload
	for _, r := range rows {
		if !isNew[r.ID] {
			inUse = append(inUse, r.upload())
		}
	}
	if len(inUse) == 0 {
		return len(ids), nil
	}
	found, err := lockUploads(ctx, tx, inUse)
	if err != nil {
		return 0, err
	}
	var (
		extended []*row
		results  = make([]*row, len(rows))
		refused  = &media.BatchError{Items: make([]*media.Error, len(rows))}
		failed   = false
	)
	for i, r := range rows {
		was := found[r.upload()]
		if was == nil {
			if !isNew[r.ID] {
				return 0, errFreed
			}
			continue
		}
		if results[i] = was; isNew[r.ID] {
			continue
		}
		if refused.Items[i] = sameUpload(was, r); refused.Items[i] != nil {
			failed = true
		}
		if was.State == media.StatePending {
			was.URLExpiresAt = latest(was.URLExpiresAt, r.URLExpiresAt)
			was.DueAt = latest(was.DueAt, now.Add(s.windows.Upload))
			if !slices.Contains(extended, was) {
				was.Revision++
				extended = append(extended, was)
			}
		}
	}
	if failed {
		return 0, refused
	}
	if len(extended) > 0 {
		if _, err := tx.NewUpdate().Model(&extended).Column("url_expires_at", "due_at", "revision").Bulk().Exec(ctx); err != nil {
			return 0, fmt.Errorf("extending uploads: %w", err)
		}
	}
	for i, was := range results {
		if was != nil {
			*rows[i] = *was
		}
	}
	return len(ids), nil
}

// lockUploads reads the live rows of idempotency keys, and holds their locks until the transaction ends.
func lockUploads(ctx context.Context, tx bun.Tx, uploads []upload) (map[upload]*row, error) {
	var keys struct {
		Tenants []string `bun:"tenants,array"`
		Owners  []string `bun:"owners,array"`
		Keys    []string `bun:"keys,array"`
	}
	for _, u := range uploads {
		keys.Tenants, keys.Owners, keys.Keys = append(keys.Tenants, u.tenant), append(keys.Owners, u.owner), append(keys.Keys, u.key)
	}
	var rows []row
	err := tx.NewSelect().Model(&rows).
		Where("(m.tenant, m.owner, m.idempotency_key) IN (SELECT * FROM unnest(?tenants::text[], ?owners::text[], ?keys::text[]))", keys).
		Where("m.idempotency_key IS NOT NULL AND m.state IN ('pending', 'uploaded', 'confirmed')").
		OrderExpr("m.id").For("UPDATE").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding the media of idempotency keys: %w", err)
	}
	found := make(map[upload]*row, len(rows))
	for i := range rows {
		found[rows[i].upload()] = &rows[i]
	}
	return found, nil
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
