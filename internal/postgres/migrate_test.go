package postgres_test

import (
	"database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

func open(t *testing.T, url string) *bun.DB {
	t.Helper()
	db, err := postgres.Open(url, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func migrator(t *testing.T, db *sql.DB) *postgres.Migrator {
	t.Helper()
	m, err := postgres.NewMigrator(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// schema is every table, index and constraint of ours.
func schema(t *testing.T, db *sql.DB) string {
	t.Helper()
	var text string
	err := db.QueryRowContext(t.Context(), `SELECT coalesce(string_agg(line, E'\n' ORDER BY line), '') FROM (
			SELECT indexdef AS line FROM pg_indexes WHERE schemaname = 'coatcheck' AND tablename <> 'schema_version'
			UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'coatcheck'::regnamespace AND conrelid <> 'coatcheck.schema_version'::regclass
			UNION ALL SELECT table_name || '.' || column_name || ' ' || data_type FROM information_schema.columns WHERE table_schema = 'coatcheck' AND table_name <> 'schema_version'
		) AS lines`).Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestMigrate goes up, all the way down, and up again, and is then as it was.
func TestMigrate(t *testing.T) {
	t.Parallel()
	db := open(t, pgtest.Empty(t)).DB
	ctx := t.Context()
	m := migrator(t, db)
	status := func(applied int) []postgres.Migration {
		t.Helper()
		ms, err := m.Status(ctx)
		if err != nil || len(ms) == 0 {
			t.Fatal(ms, err)
		}
		for i, s := range ms {
			if s.Version != int64(i+1) || !strings.HasSuffix(s.Name, ".sql") || s.AppliedAt.IsZero() == (i < applied) {
				t.Errorf("with %d applied, number %d is %+v", applied, i, s)
			}
			if i < applied && time.Since(s.AppliedAt).Abs() > time.Hour {
				t.Errorf("applied at %s", s.AppliedAt)
			}
		}
		return ms
	}
	n := len(status(0))
	up, err := m.Up(ctx)
	if err != nil || len(up) != n || up[0].Version != 1 {
		t.Fatalf("up: %v, %v", up, err)
	}
	status(n)
	first := schema(t, db)
	if again, err := m.Up(ctx); err != nil || len(again) != 0 {
		t.Errorf("up again: %v, %v", again, err)
	}
	for i := n; i > 0; i-- {
		down, err := m.Down(ctx)
		if err != nil || len(down) != 1 || down[0].Version != int64(i) {
			t.Fatalf("down from %d: %v, %v", i, down, err)
		}
		status(i - 1)
	}
	if left := schema(t, db); left != "" {
		t.Errorf("after all are taken back there is still\n%s", left)
	}
	if down, err := m.Down(ctx); err != nil || len(down) != 0 {
		t.Errorf("down from nothing: %v, %v", down, err)
	}
	if up, err := m.Up(ctx); err != nil || len(up) != n {
		t.Fatalf("up: %v, %v", up, err)
	}
	if second := schema(t, db); second != first {
		t.Errorf("the second time it is\n%s\nthe first time it was\n%s", second, first)
	}
}

// TestMigrateAtOnce: processes that start together on an empty database do it once between them (R10).
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	var mu sync.Mutex
	applied := 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			db, err := postgres.Open(url, 2)
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close()
			m, err := postgres.NewMigrator(t.Context(), db.DB)
			if err != nil {
				t.Error(err)
				return
			}
			up, err := m.Up(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			applied += len(up)
		})
	}
	wg.Wait()
	db := open(t, url)
	all, err := migrator(t, db.DB).Status(t.Context())
	if err != nil || applied != len(all) {
		t.Errorf("%d migrations were applied, there are %d, %v", applied, len(all), err)
	}
	if err := postgres.CheckSchema(t.Context(), db); err != nil {
		t.Error(err)
	}
}

// TestMigrationWaitsForAnother, which may be one of an older binary: what the lock is called cannot change (R10).
func TestMigrationWaitsForAnother(t *testing.T) {
	t.Parallel()
	const schemaLock = 0x636f6174
	db := open(t, pgtest.Empty(t)).DB
	m := migrator(t, db)
	another, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer another.Close()
	if _, err := another.ExecContext(t.Context(), "SELECT pg_advisory_lock($1)", schemaLock); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := m.Up(t.Context())
		done <- err
	}()
	for asked := false; !asked; {
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		case <-time.After(time.Millisecond):
		}
		err := another.QueryRowContext(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%pg_try_advisory_lock%')`).Scan(&asked)
		if err != nil {
			t.Fatal(err)
		}
	}
	if left := schema(t, db); left != "" {
		t.Errorf("it has begun:\n%s", left)
	}
	if _, err := another.ExecContext(t.Context(), "SELECT pg_advisory_unlock($1)", schemaLock); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestSchemaIsMissing: whoever starts before the migrations is told what to do, and so is whoever is behind.
func TestSchemaIsMissing(t *testing.T) {
	t.Parallel()
	db := open(t, pgtest.Empty(t))
	store := postgres.NewStore(db, windows, time.Now, postgres.NewMetrics(prometheus.NewRegistry()))
	for name, err := range map[string]error{
		"ping": store.Ping(t.Context()), "bind": store.BindBucket(t.Context(), "b", ""), "check": postgres.CheckSchema(t.Context(), db),
	} {
		if err == nil || !strings.Contains(err.Error(), "coatcheck migrate up") || postgres.Transient(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := migrator(t, db.DB)
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := m.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := postgres.CheckSchema(t.Context(), db); err == nil || !strings.Contains(err.Error(), "coatcheck migrate up") {
		t.Errorf("one version behind: %v", err)
	}
	if _, err := db.ExecContext(t.Context(), "DROP FUNCTION IF EXISTS coatcheck.land_pending"); err != nil { // as some versions behind
		t.Fatal(err)
	}
	_, err := store.Land(t.Context(), media.SourceNotification, []media.Landing{landing(draft())})
	if err == nil || !strings.Contains(err.Error(), "coatcheck migrate up") || postgres.Refused(err) {
		t.Errorf("landing, some versions behind: %v", err)
	}
}

// TestMigratorNeedsNoRightToCreateSchemas once there is one: whoever only asks for the status may be anybody.
func TestMigratorNeedsNoRightToCreateSchemas(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	db, err := postgres.Open(url, 1) // one connection, so that the role stays
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	role := "reader_" + strings.ReplaceAll(strings.ToLower(t.Name()), "/", "_")
	for _, statement := range []string{
		"CREATE ROLE " + role, "GRANT USAGE ON SCHEMA coatcheck TO " + role, "GRANT SELECT ON ALL TABLES IN SCHEMA coatcheck TO " + role, "SET ROLE " + role,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		for _, statement := range []string{"RESET ROLE", "DROP OWNED BY " + role, "DROP ROLE " + role} {
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Error(err)
			}
		}
	}()
	if _, err := postgres.NewMigrator(t.Context(), db.DB); err != nil {
		t.Error(err)
	}
	if err := postgres.CheckSchema(t.Context(), db); err != nil {
		t.Error(err)
	}
}
