package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/media"
)

// planTenants and planOwners are how many there are in the table that plans are made for. One tenant has a tenth of the
// rows, the others share the rest, and each owner has as many as any other.
const planTenants, planOwners = 100, 1000

// fill inserts CONFIRMED rows and as many of each other state as told, three in five of which are due. The others are
// the newest, as they are in life: an upload is claimed or gone within two days.
func fill(t *testing.T, db *bun.DB, confirmed, each int, now time.Time) {
	t.Helper()
	const insert = `
INSERT INTO coatcheck.media (id, tenant, owner, key, state, reason, content_type, size_bytes, checksum_sha256, file_name,
	idempotency_key, created_at, url_expires_at, landed_at, landed_by, etag, sequencer, claim, confirmed_at, deleting_at,
	deleted_at, due_at)
SELECT id, 'tenant-' || CASE WHEN n % 10 = 0 THEN 0 ELSE n % ?tenants END, 'owner-' || n % ?owners, 'media/' || right(id::text, 2) || '/' || id, ?state,
	CASE WHEN ?state IN ('deleting', 'deleted') THEN 'unclaimed' END, 'image/jpeg', 100000 + n % 100000, sha256(id::text::bytea),
	'IMG_' || n || '.jpg', CASE WHEN n % 2 = 0 THEN 'key-' || id END, created, created + interval '5 min',
	CASE WHEN ?state <> 'pending' THEN created + interval '10 s' END, CASE WHEN ?state <> 'pending' THEN 'notification' END,
	CASE WHEN ?state <> 'pending' THEN md5(n::text) END, CASE WHEN ?state <> 'pending' THEN upper(lpad(to_hex(n), 40, '0')) END,
	CASE WHEN ?state = 'confirmed' THEN 'post/' || n END, CASE WHEN ?state = 'confirmed' THEN created + interval '1 min' END,
	CASE WHEN ?state IN ('deleting', 'deleted') THEN created + interval '1 h' END, CASE WHEN ?state = 'deleted' THEN created + interval '1 h' END,
	CASE WHEN ?state <> 'confirmed' THEN ?now::timestamptz + (n % 5 - 3) * interval '1 h' + n * interval '1 ms' END
FROM (
	SELECT n, created, (lpad(to_hex((extract(epoch FROM created) * 1000)::bigint), 12, '0') || '7' || substr(md5(n || ?state), 1, 3) || 'a' || substr(md5(n || ?state), 4, 15))::uuid AS id
	FROM (SELECT n, ?begin::timestamptz + n * interval '10 ms' AS created FROM generate_series(1, ?rows) AS n) AS numbered
) AS rows`
	begin := now.Add(-30 * 24 * time.Hour)
	for _, part := range []struct {
		state media.State
		rows  int
	}{{media.StateConfirmed, confirmed}, {media.StatePending, each}, {media.StateUploaded, each}, {media.StateDeleting, each}, {media.StateDeleted, each}} {
		args := struct {
			State   media.State `bun:"state"`
			Rows    int         `bun:"rows"`
			Begin   time.Time   `bun:"begin"`
			Now     time.Time   `bun:"now"`
			Tenants int         `bun:"tenants"`
			Owners  int         `bun:"owners"`
		}{part.state, part.rows, begin, now, planTenants, planOwners}
		if _, err := db.NewRaw(insert, args).Exec(t.Context()); err != nil {
			t.Fatalf("filling in %s: %v", part.state, err)
		}
		begin = now.Add(-24 * time.Hour)
	}
	tidy(t, db)
}

// tidy does at once what autovacuum does in time.
func tidy(t *testing.T, db *bun.DB) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), "VACUUM (ANALYZE) coatcheck.media"); err != nil {
		t.Fatal(err)
	}
}

// take returns media of a state, spread over the table, as far as a landing, a claim or the end of a lease needs them.
func take(t *testing.T, db *bun.DB, state media.State, n int, where ...string) []*media.Media {
	t.Helper()
	var rows []struct {
		ID        uuid.UUID
		Key       string
		Revision  int64
		SizeBytes int64
	}
	err := db.NewRaw(`SELECT id, key, revision, size_bytes FROM coatcheck.media WHERE ? ORDER BY md5(id::text) LIMIT ?`,
		bun.Safe(strings.Join(append(where, "state = '"+string(state)+"'"), " AND ")), n).Scan(t.Context(), &rows)
	if err != nil || len(rows) < n {
		t.Fatalf("taking %d %s media, got %d: %v", n, state, len(rows), err)
	}
	ms := make([]*media.Media, n)
	for i, r := range rows {
		ms[i] = &media.Media{ID: r.ID, Key: r.Key, Revision: r.Revision, SizeBytes: r.SizeBytes}
	}
	return ms
}
