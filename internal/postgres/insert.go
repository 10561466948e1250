package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	// maxInserts is how many statements of an [inserter] run at a time. More leave fewer rows for each to gather.
	maxInserts = 2
	// maxGathered is how many rows a statement gathers at most; a single call may bring more.
	maxGathered = 500
	// insertLimit bounds a statement, which is nobody's alone, so that no caller's context ends it.
	insertLimit = 30 * time.Second
)

// inserter gathers the rows that are to be inserted at the same time into one statement: what comes while statements are
// under way is inserted by the next. So nobody waits for others to come, and the more calls there are the less each costs.
type inserter struct {
	insert func(ctx context.Context, rows []*row) error

	mu      sync.Mutex
	waiting []*insertion
	running int
}

// insertion is the rows of one call, all or none of which are inserted.
type insertion struct {
	rows []*row
	done chan error
}

// Insert inserts the rows, and returns when that is committed or has failed. When ctx ends before, it is not known which.
func (i *inserter) Insert(ctx context.Context, rows []*row) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	i.mu.Lock()
	if i.running < maxInserts {
		i.running++
		i.mu.Unlock()
		defer i.next()
		return i.insert(ctx, rows) // nobody else is kept waiting by it, or ended with ctx
	}
	mine := &insertion{rows: rows, done: make(chan error, 1)}
	i.waiting = append(i.waiting, mine)
	i.mu.Unlock()
	select {
	case err := <-mine.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// next lets what has come meanwhile follow.
func (i *inserter) next() {
	if batch := i.take(); batch != nil {
		go i.run(batch)
	}
}

// run inserts a batch and what comes meanwhile, until nothing is waiting.
func (i *inserter) run(batch []*insertion) {
	for ; batch != nil; batch = i.take() {
		ctx, cancel := context.WithTimeout(context.Background(), insertLimit)
		i.together(ctx, batch)
		cancel()
	}
}

// take returns what is to be inserted next; when that is nothing, whoever asked is done, and another may begin.
func (i *inserter) take() []*insertion {
	i.mu.Lock()
	defer i.mu.Unlock()
	rows, n := 0, 0
	for ; n < len(i.waiting) && (n == 0 || rows+len(i.waiting[n].rows) <= maxGathered); n++ {
		rows += len(i.waiting[n].rows)
	}
	if n == 0 {
		i.running--
		return nil
	}
	batch := i.waiting[:n:n]
	if i.waiting = i.waiting[n:]; len(i.waiting) == 0 {
		i.waiting = nil // the array, with what was in it, can go
	}
	return batch
}

// together inserts several calls' rows by one statement. When Postgres refuses the data of one of them, each is inserted
// by itself, so that it is refused alone.
func (i *inserter) together(ctx context.Context, batch []*insertion) {
	var rows []*row
	for _, b := range batch {
		rows = append(rows, b.rows...)
	}
	err := i.insert(ctx, rows)
	for _, b := range batch {
		if len(batch) > 1 && Refused(err) {
			b.done <- i.insert(ctx, b.rows)
			continue
		}
		b.done <- err
	}
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

// insertPending inserts new PENDING rows without idempotency keys by one statement, whose arguments go in binary form.
func (s *Store) insertPending(ctx context.Context, rows []*row) error {
	n := len(rows)
	var (
		ids                                 = make([]uuid.UUID, n)
		tenants, owners, keys, types, names = make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		sizes                               = make([]int64, n)
		checksums                           = make([][]byte, n)
		metadatas                           = make([]*string, n)
		created, expires, due               = make([]time.Time, n), make([]time.Time, n), make([]time.Time, n)
	)
	for i, r := range rows {
		ids[i], tenants[i], owners[i], keys[i], types[i], names[i] = r.ID, r.Tenant, r.Owner, r.Key, r.ContentType, r.FileName
		sizes[i], checksums[i] = r.SizeBytes, r.ChecksumSHA256
		created[i], expires[i], due[i] = r.CreatedAt, r.URLExpiresAt, r.DueAt
		text, err := r.Metadata.text()
		if err != nil {
			return err
		}
		metadatas[i] = text
	}
	err := s.withPgx(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, insertSQL, pgx.QueryExecModeCacheDescribe, ids, tenants, owners, keys, types, sizes, checksums, names, metadatas, created, expires, due)
		return err
	})
	if err != nil {
		return unusable(fmt.Errorf("inserting media: %w", err))
	}
	return nil
}
