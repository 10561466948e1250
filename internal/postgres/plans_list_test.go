package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// TestListReadsOnePage, however many media an owner has and whatever Postgres knows of tenants: of one of many, of the first
// and the last by name, of the only one, and of one that came after the statistics were taken.
func TestListReadsOnePage(t *testing.T) {
	t.Parallel()
	for _, tenants := range []int{1, 400} {
		t.Run(fmt.Sprint(tenants), func(t *testing.T) {
			t.Parallel()
			f, db, caught := planStore(t, 0, 0)
			const all, limit = 40_000, 10
			insert := func(from, to int) {
				t.Helper()
				for n := from; n < to; n += 400 {
					exec(t, db, fmt.Sprintf(`INSERT INTO coatcheck.media (id, tenant, owner, key, state, content_type, size_bytes, created_at, url_expires_at,
							landed_at, landed_by, claim, confirmed_at)
						SELECT id, 'tenant-' || lpad((n %% %d)::text, 3, '0'), 'owner-' || lpad((n %% %[1]d)::text, 3, '0'), id, 'confirmed', 'image/jpeg', 1, now(), now(),
							now(), 'confirm', 'post/1', now()
						FROM (SELECT n, (lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000')::uuid AS id FROM generate_series(%d, %d) AS n) AS numbered`, tenants, n, n+399))
				}
			}
			insert(0, all)
			tidy(t, db)
			exec(t, db, `INSERT INTO coatcheck.media SELECT (jsonb_populate_record(m, jsonb_build_object('id', right(m.id::text, 12) || left(m.id::text, 8) || '700080000000', 'key', 'new/' || m.key,
				'tenant', 'tenant-new', 'owner', 'new'))).* FROM coatcheck.media AS m ORDER BY m.id LIMIT 4000`)
			scopes := []media.Scope{{Tenant: "tenant-new", Owner: "new"}, {Tenant: "tenant-new"}}
			for _, n := range []int{0, tenants / 2, tenants - 1} {
				scopes = append(scopes, media.Scope{Tenant: fmt.Sprintf("tenant-%03d", n), Owner: fmt.Sprintf("owner-%03d", n)}, media.Scope{Tenant: fmt.Sprintf("tenant-%03d", n)})
			}
			for _, scope := range scopes {
				for _, state := range []media.State{"", media.StateConfirmed} {
					page := media.Page{Limit: limit, State: state}
					for range 3 {
						index := "media_by_owner_and_id"
						if scope.Owner == "" {
							index = "media_by_tenant_and_id"
						}
						name := fmt.Sprintf("%+v, %+v", scope, page)
						p := explain(t, db, caught, sent(name, "", func(ctx context.Context) error { _, err := f.List(ctx, scope, page); return err }, "", index), 1)
						if p.rows != limit || p.buffers > 2*limit+10 || !strings.Contains(p.text, index) {
							t.Errorf("%s: %d rows of %d pages were read:\n%s", name, p.rows, p.buffers, p.text)
						}
						ms, err := f.List(t.Context(), scope, page)
						if err != nil || len(ms) != limit {
							t.Fatalf("%s: %d media, %v", name, len(ms), err)
						}
						page.Before = ms[limit-1].ID
					}
				}
			}
		})
	}
}

// TestListOfWhatIsRare reads an owner's media at most, even where hardly any media is CONFIRMED.
func TestListOfWhatIsRare(t *testing.T) {
	t.Parallel()
	f, db, caught := planStore(t, 10, 15_000)
	exec(t, db, "DELETE FROM coatcheck.media WHERE state NOT IN ('confirmed', 'deleted')")
	tidy(t, db)
	for _, n := range []int{0, planOwners / 2, planOwners - 1} {
		scope := media.Scope{Tenant: fmt.Sprint("tenant-", n%planTenants), Owner: fmt.Sprint("owner-", n)}
		page := media.Page{Limit: 100, State: media.StateConfirmed}
		p := explain(t, db, caught, sent("", "", func(ctx context.Context) error { _, err := f.List(ctx, scope, page); return err }, "", ""), 1)
		if p.buffers > 50 || !strings.Contains(p.text, "media_by_owner_and_id") {
			t.Errorf("%+v:\n%s", scope, p.text)
		}
	}
}

// TestListOfAStateReadsItsTenant, and no other's, though only others have any in that state and Postgres takes the two for
// independent.
func TestListOfAStateReadsItsTenant(t *testing.T) {
	t.Parallel()
	f, db, caught := planStore(t, 0, 0)
	exec(t, db, `INSERT INTO coatcheck.media (id, tenant, owner, key, state, reason, content_type, size_bytes, created_at, url_expires_at, due_at, deleting_at, deleted_at,
			landed_at, landed_by, claim, confirmed_at)
		SELECT id, CASE WHEN n % 10 = 0 THEN 'b' ELSE 'a' END, CASE WHEN n % 10 = 0 THEN 'one' ELSE 'owner-' || n % 1000 END, id,
			CASE WHEN gone THEN 'deleted' ELSE 'confirmed' END, CASE WHEN gone THEN 'released' END, 'image/jpeg', 1, now(), now(),
			CASE WHEN gone THEN '2026-03-01'::timestamptz + n * interval '1 s' END, CASE WHEN gone THEN now() END, CASE WHEN gone THEN now() END, now(), 'confirm', 'x', now()
		FROM (SELECT n, n % 4 = 1 AS gone, (lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000')::uuid AS id FROM generate_series(1, 100000) AS n) AS numbered`)
	tidy(t, db)
	for _, scope := range []media.Scope{{Tenant: "b"}, {Tenant: "b", Owner: "one"}} {
		page := media.Page{Limit: 50, State: media.StateDeleted}
		p := explain(t, db, caught, sent("", "", func(ctx context.Context) error { _, err := f.List(ctx, scope, page); return err }, "", ""), 1)
		if strings.Contains(p.text, "media_pkey") || strings.Contains(p.text, "Seq Scan") {
			t.Errorf("%+v: %d pages were read:\n%s", scope, p.buffers, p.text)
		}
	}
}

// TestClaimsReadWhatTheyClaim, of a tenant that came after the statistics were taken, too.
func TestClaimsReadWhatTheyClaim(t *testing.T) {
	t.Parallel()
	f, db, _ := planStore(t, 20_000, 100)
	exec(t, db, "ALTER TABLE coatcheck.media SET (autovacuum_enabled = false)")
	exec(t, db, `INSERT INTO coatcheck.media (id, tenant, owner, key, state, content_type, size_bytes, created_at, url_expires_at, landed_at, landed_by, due_at)
		SELECT id, 'new', 'o', id, 'uploaded', 'image/jpeg', 1, now(), now(), now(), 'confirm', now() + interval '1 day'
		FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 20000)) AS x`)
	exec(t, db, "INSERT INTO coatcheck.claimer (role_name, tenant) VALUES (current_user, 'new')")
	conn := f.connect(t, f.url)
	for _, n := range []int{1, 10, 100} {
		var ids []uuid.UUID
		for _, m := range take(t, db, media.StateUploaded, n, "tenant = 'new'") {
			ids = append(ids, m.ID)
		}
		for _, call := range []string{"claim_media($1::uuid[], 'post/1', 'o')", "release_media($1::uuid[], 'post/1')"} {
			tx, err := conn.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			read := func() (rows int) {
				t.Helper()
				if err := tx.QueryRow(t.Context(), `SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
					FROM pg_stat_xact_user_tables WHERE relid = 'coatcheck.media'::regclass`).Scan(&rows); err != nil {
					t.Fatal(err)
				}
				return rows
			}
			before := read()
			if _, err := tx.Exec(t.Context(), "SELECT coatcheck."+call, postgres.ToUUIDs(ids)); err != nil {
				t.Fatal(err)
			}
			if rows := read() - before; rows > 10*n {
				t.Errorf("%s of %d has read %d rows", call, n, rows)
			}
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}
