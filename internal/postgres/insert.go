package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
)

// insertion is the rows of one call, all or none of which are inserted.
type insertion []*row

func (i insertion) size() int { return len(i) }

// insertTogether inserts several calls' rows by one statement.
func (s *Store) insertTogether(ctx context.Context, calls []insertion) error {
	rows := []*row(calls[0])
	if len(calls) > 1 {
		rows = slices.Concat(calls...)
	}
	if err := s.insertPending(ctx, rows); err != nil {
		return err
	}
	s.metrics.entered(media.StatePending, "", len(rows)) // here, since a caller may have gone
	return nil
}

// insertSQL names the columns of a PENDING media that have no default.
const insertSQL = `
INSERT INTO coatcheck.media (id, tenant, owner, key, state, content_type, size_bytes, checksum_sha256, file_name, metadata,
	created_at, url_expires_at, due_at)
SELECT id, tenant, owner, key, 'pending', content_type, size_bytes, checksum_sha256, file_name, metadata::jsonb,
	created_at, url_expires_at, due_at
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bytea[], $8::text[], $9::text[],
	$10::timestamptz[], $11::timestamptz[], $12::timestamptz[])
	AS r (id, tenant, owner, key, content_type, size_bytes, checksum_sha256, file_name, metadata, created_at, url_expires_at, due_at)`

// insertPending inserts new PENDING rows without idempotency keys by one statement.
func (s *Store) insertPending(ctx context.Context, rows []*row) error {
	n := len(rows)
	var (
		ids                                 = make(uuids, 0, n)
		tenants, owners, keys, types, names = make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		sizes                               = make([]int64, n)
		checksums                           = make([][]byte, n)
		metadatas                           = make([]*string, n)
		created, expires, due               = make([]time.Time, n), make([]time.Time, n), make([]time.Time, n)
	)
	for i, r := range rows {
		ids = append(ids, toUUID(r.ID))
		tenants[i], owners[i], keys[i], types[i], names[i] = r.Tenant, r.Owner, r.Key, r.ContentType, r.FileName
		sizes[i], checksums[i] = r.SizeBytes, r.ChecksumSHA256
		created[i], expires[i], due[i] = r.CreatedAt, r.URLExpiresAt, r.DueAt
		text, err := r.Metadata.text()
		if err != nil {
			return err
		}
		metadatas[i] = text
	}
	_, err := s.query(ctx, insertSQL, nil, ids, tenants, owners, keys, types, sizes, checksums, names, metadatas, created, expires, due)
	if err != nil {
		return unusable(fmt.Errorf("inserting media: %w", err))
	}
	return nil
}
