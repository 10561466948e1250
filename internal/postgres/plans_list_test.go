package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/internal/media"
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
