package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// TestProductCanDoNothingElse: whoever may claim may not read or write any table, nor call any other function.
func TestProductCanDoNothingElse(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	product := f.product(t, alice.Tenant)
	m := f.bring(t, media.StateUploaded)
	admin := f.connect(t, f.url)

	var tables, functions []string
	lists := `SELECT array(SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'coatcheck'::regnamespace AND relkind IN ('r', 'v', 'm', 'p')),
		array(SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'coatcheck'::regnamespace)`
	if err := admin.QueryRow(t.Context(), lists).Scan(&tables, &functions); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		for _, statement := range []string{
			"SELECT FROM %s", "SELECT FROM %s FOR UPDATE", "DELETE FROM %s", "TRUNCATE %s", "INSERT INTO %s DEFAULT VALUES", "DROP TABLE %s",
		} {
			_, err := product.Exec(t.Context(), fmt.Sprintf(statement, table))
			refusedAs(t, err, notAllowed)
		}
	}
	_, err := product.Exec(t.Context(), "UPDATE coatcheck.media SET claim = 'mine'")
	refusedAs(t, err, notAllowed)
	_, err = product.Exec(t.Context(), "CREATE TABLE coatcheck.mine ()")
	refusedAs(t, err, notAllowed)

	var may []string
	for _, function := range functions {
		var mayCall, anybody bool
		err := product.QueryRow(t.Context(), `SELECT has_function_privilege($1::text, 'execute'), has_function_privilege('public', $1::text, 'execute')`, function).Scan(&mayCall, &anybody)
		if err != nil {
			t.Fatal(err)
		}
		if mayCall {
			may = append(may, function)
		}
		if anybody {
			t.Errorf("anybody may call %s", function)
		}
	}
	if len(may) != 3 || len(functions) < 9 || len(tables) < 3 {
		t.Errorf("of %v it may call %v; tables %v", functions, may, tables)
	}
	if n, err := claimMedia(t, product, "post/1", m.ID); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	do(t, admin, "SELECT coatcheck.revoke_claims(rolname, 'acme') FROM pg_roles WHERE rolname = $1", product.Config().User)
	do(t, admin, "SELECT coatcheck.revoke_claims(rolname, 'acme') FROM pg_roles WHERE rolname = $1", product.Config().User)
	_, err = claimMedia(t, product, "post/1", m.ID)
	refusedAs(t, err, notAllowed)
}

// TestProductSeesItsTenantsOnly is R9 in SQL: another tenant's media is answered as what does not exist is, to the
// letter, and not waited for.
func TestProductSeesItsTenantsOnly(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	stranger := f.product(t, "globex", "ACME", "acm_")
	answer := func(id uuid.UUID) string {
		var b strings.Builder
		for _, call := range []func(*testing.T, querier, string, ...uuid.UUID) (int, error){claimMedia, releaseMedia} {
			_, err := call(t, stranger, "post/1", id)
			pg := refusedAs(t, err, notFound)
			fmt.Fprintf(&b, "%+v", *pg)
		}
		return strings.ReplaceAll(b.String(), id.String(), "ID")
	}
	want := answer(draft().ID)
	for _, state := range media.States {
		m := f.bring(t, state)
		holder, err := f.connect(t, f.url).Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		do(t, holder, "SELECT FROM coatcheck.media WHERE id = $1 FOR UPDATE", m.ID)
		do(t, stranger, "SET lock_timeout = '10s'") // would be another SQLSTATE
		if got := answer(m.ID); got != want {
			t.Errorf("%s: told %s, of what does not exist %s", state, got, want)
		}
		if err := holder.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after := f.get(t, m.ID); text(after) != text(m) {
			t.Errorf("a stranger made it %s", text(after))
		}
	}
}

// TestClaimForAnOwner: with an owner named, another owner's media is answered as what does not exist is.
func TestClaimForAnOwner(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	product := f.product(t, alice.Tenant)
	m, bobs := f.bring(t, media.StateUploaded), f.create(t, func(m *media.Media) { m.Owner = "bob" })
	f.land(t, bobs, media.SourceNotification)
	claim := func(owner any, ids ...uuid.UUID) (n int, err error) {
		err = product.QueryRow(t.Context(), "SELECT coatcheck.claim_media($1, 'post/1', $2)", ids, owner).Scan(&n)
		return n, err
	}
	for _, owner := range []string{"bob", "Alice", "alic%", " "} {
		_, err := claim(owner, m.ID)
		got := refusedAs(t, err, notFound)
		nothing := draft().ID
		_, err = claim(owner, nothing)
		if want := refusedAs(t, err, notFound); got.Message != strings.ReplaceAll(want.Message, nothing.String(), m.ID.String()) {
			t.Errorf("%q is told %q, of what does not exist %q", owner, got.Message, want.Message)
		}
	}
	for _, owner := range []any{nil, ""} { // would be every owner
		_, err := claim(owner, m.ID)
		refusedAs(t, err, invalidClaim)
	}
	_, err := claim("alice", m.ID, bobs.ID)
	if pg := refusedAs(t, err, notFound); pg.Detail != bobs.ID.String()+" not_found" {
		t.Error(pg.Detail)
	}
	if got := f.get(t, m.ID); got.State != media.StateUploaded {
		t.Errorf("it is %s", got.State)
	}
	if n, err := claim("alice", m.ID); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := claimMedia(t, product, "post/1", m.ID, bobs.ID); err != nil || n != 1 {
		t.Errorf("for every owner: %d, %v", n, err)
	}
}

// TestWhoClaims: a session claims for the tenants of its role, of the roles it inherits from, and, once it is switched
// to another role, for those of that one only.
func TestWhoClaims(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	admin := f.connect(t, f.url)
	of := map[string]uuid.UUID{}
	for _, tenant := range []string{"acme", "globex"} {
		m := f.create(t, func(m *media.Media) { m.Tenant = tenant })
		f.land(t, m, media.SourceNotification)
		of[tenant] = m.ID
	}
	// What the session may do is seen by what it may claim; each claim is taken back.
	may := func(conn *pgx.Conn) string {
		t.Helper()
		var can []string
		for _, tenant := range []string{"acme", "globex"} {
			tx, err := conn.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = claimMedia(t, tx, "post/1", of[tenant])
			if pg, ok := errors.AsType[*pgconn.PgError](err); err == nil {
				can = append(can, tenant)
			} else if !ok || pg.Code != notFound && pg.Code != notAllowed {
				t.Fatal(err)
			}
			if err := tx.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return strings.Join(can, " ")
	}
	check := func(what string, conn *pgx.Conn, want string) {
		t.Helper()
		if got := may(conn); got != want {
			t.Errorf("%s may claim for %q, want %q", what, got, want)
		}
	}

	acme, acmeConn := f.role(t, "NOINHERIT")
	globex, globexConn := f.role(t, "")
	do(t, admin, "SELECT coatcheck.grant_claims($1, 'acme')", acme)
	do(t, admin, "SELECT coatcheck.grant_claims($1, 'globex')", globex)
	check("acme", acmeConn, "acme")
	check("globex", globexConn, "globex")

	// Logins that come and go, as members of one role.
	login, loginConn := f.role(t, "IN ROLE "+acme)
	check("a member", loginConn, "acme")
	do(t, admin, "GRANT "+globex+" TO "+login)
	check("a member of both", loginConn, "acme globex")
	do(t, loginConn, "SET ROLE "+globex)
	check("switched to globex", loginConn, "globex")
	do(t, loginConn, "SET ROLE "+acme)
	check("switched to acme", loginConn, "acme")
	do(t, loginConn, "RESET ROLE")
	check("switched back", loginConn, "acme globex")

	// A member that does not inherit has nothing until it switches, as with every other privilege.
	name, noInherit := f.role(t, "NOINHERIT IN ROLE "+globex)
	check("a member that does not inherit", noInherit, "")
	do(t, admin, "SELECT coatcheck.grant_claims($1, 'acme')", name)
	check("with claims of its own", noInherit, "acme")
	do(t, noInherit, "SET ROLE "+globex)
	check("once it is switched", noInherit, "globex")

	// A superuser is a member of every role; switched, it is the product.
	check("a superuser", admin, "acme globex")
	do(t, admin, "SET ROLE "+acme)
	check("a superuser switched to acme", admin, "acme")
	do(t, admin, "RESET ROLE")

	// A function of the product's own that runs as its owner does not lend the owner's tenants.
	do(t, admin, `CREATE FUNCTION public.save(id uuid) RETURNS integer LANGUAGE sql SECURITY DEFINER AS $$ SELECT coatcheck.claim_media(ARRAY[id], 'post/1') $$`)
	do(t, admin, "ALTER FUNCTION public.save OWNER TO "+acme)
	_, nobody := f.role(t, "")
	var n int
	err := nobody.QueryRow(t.Context(), "SELECT public.save($1)", of["acme"]).Scan(&n)
	if pg := refusedAs(t, err, notAllowed); !strings.Contains(pg.Hint, "grant_claims") {
		t.Errorf("the hint is %q", pg.Hint)
	}
	if err := acmeConn.QueryRow(t.Context(), "SELECT public.save($1)", of["acme"]).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}

	// One tenant of two is taken back; then the rest.
	do(t, admin, "SELECT coatcheck.grant_claims($1, 'acme')", globex)
	do(t, admin, "SELECT coatcheck.revoke_claims($1, 'globex')", globex)
	_, err = claimMedia(t, globexConn, "post/1", of["globex"])
	refusedAs(t, err, notFound)
	if n, err := claimMedia(t, globexConn, "post/1", of["acme"]); err != nil || n != 0 {
		t.Errorf("%d, %v", n, err)
	}
	do(t, admin, "SELECT coatcheck.revoke_claims($1, 'acme')", globex)
	_, err = claimMedia(t, globexConn, "post/1", of["acme"])
	refusedAs(t, err, notAllowed)
	do(t, admin, "SELECT coatcheck.revoke_claims('no_such_role', 'acme')")
	for _, everybody := range []string{"public", "no_such_role"} {
		_, err = admin.Exec(t.Context(), "SELECT coatcheck.grant_claims($1, 'acme')", everybody)
		refusedAs(t, err, "42704")
	}
}

// TestProductCannotMislead: what a session sets up for itself does not change what the functions look at.
func TestProductCannotMislead(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	f.product(t, alice.Tenant) // there is such a role, and it is another's
	m := f.bring(t, media.StateUploaded)
	stranger := f.product(t, "globex")
	for _, statement := range []string{
		"CREATE TEMP TABLE pg_roles AS SELECT c.rolname, (SELECT oid FROM pg_roles WHERE rolname = session_user) AS oid FROM pg_roles AS c",
		"CREATE TEMP TABLE media (id uuid, tenant text)",
		"CREATE FUNCTION pg_temp.pg_has_role(name, oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
		"CREATE FUNCTION pg_temp.statement_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz'",
		"SET search_path = pg_temp, pg_catalog",
		"SET standard_conforming_strings = off",
	} {
		do(t, stranger, statement)
	}
	_, err := claimMedia(t, stranger, "post/1", m.ID)
	refusedAs(t, err, notFound)
	_, err = claimMedia(t, stranger, "post\n1", m.ID)
	refusedAs(t, err, invalidClaim)
	for _, role := range []string{"postgres", "pg_read_all_data"} {
		if _, err := stranger.Exec(t.Context(), "SELECT set_config('role', $1, false)", role); err == nil {
			t.Errorf("it may call itself %s", role)
		}
	}
}

// TestClaimsNeedNoSuperuser: a role that owns a database, and may not create roles, applies the migrations and lets a
// product claim.
func TestClaimsNeedNoSuperuser(t *testing.T) {
	t.Parallel()
	f := &fixture{url: pgtest.Empty(t)}
	admin := f.connect(t, f.url)
	owner, _ := f.role(t, "NOSUPERUSER NOCREATEROLE NOCREATEDB")
	product, _ := f.role(t, "")
	var database string
	if err := admin.QueryRow(t.Context(), "SELECT current_database()").Scan(&database); err != nil {
		t.Fatal(err)
	}
	do(t, admin, fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s", pgx.Identifier{database}.Sanitize(), owner))
	as := func(role string) *pgx.Conn {
		conn := f.connect(t, f.url)
		do(t, conn, "SET SESSION AUTHORIZATION "+role)
		return conn
	}
	db, err := postgres.Open(f.url, 1) // one connection, so that it stays the owner's
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "SET SESSION AUTHORIZATION "+owner); err != nil {
		t.Fatal(err)
	}
	m, err := postgres.NewMigrator(t.Context(), db.DB)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	do(t, as(owner), "SELECT coatcheck.grant_claims($1, 'acme')", product)
	_, err = claimMedia(t, as(product), "post/1", draft().ID)
	refusedAs(t, err, notFound)
}
