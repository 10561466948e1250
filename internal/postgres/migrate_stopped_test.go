package postgres_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/migrations"
)

// TestMigrationThatWasStopped: one that is no transaction is stopped after each of its statements, or in the middle of one that
// leaves an index half made, and is whole after it has run again; either way. At every moment there is an index by which an
// owner's media are found, and one for a tenant's (R10).
func TestMigrationThatWasStopped(t *testing.T) {
	t.Parallel()
	for version, file := range map[int64]string{7: "00007_media_by_owner.sql", 8: "00008_media_by_tenant.sql"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			db := open(t, pgtest.Empty(t)).DB
			m := migrator(t, db)
			up := func() {
				t.Helper()
				if err := m.UpTo(t.Context(), version); err != nil {
					t.Fatal(err)
				}
			}
			down := func() {
				t.Helper()
				if ms, err := m.Down(t.Context()); err != nil || ms[0].Version != version {
					t.Fatal(ms, err)
				}
			}
			up()
			after := schema(t, db)
			down()
			before := schema(t, db)
			text, err := migrations.FS.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, text, _ = bytes.Cut(text, []byte("-- +goose Up"))
			ups, downs, ok := strings.Cut(string(text), "-- +goose Down")
			if !ok {
				t.Fatal("it has no two parts")
			}
			execute := func(statement string) {
				t.Helper()
				if _, err := db.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
				var owner, tenant bool
				if err := db.QueryRowContext(t.Context(), `SELECT count(*) FILTER (WHERE indexname LIKE 'media_by_owner%') > 0, count(*) FILTER (WHERE indexname LIKE 'media_by_tenant%') > 0
						FROM pg_indexes WHERE schemaname = 'coatcheck' AND indexdef NOT LIKE '%size_bytes%'`).Scan(&owner, &tenant); err != nil {
					t.Fatal(err)
				}
				if !owner || !tenant {
					t.Errorf("after %s there is an index for owners: %t, for tenants: %t", statement, owner, tenant)
				}
			}
			for name, way := range map[string]struct {
				statements  string
				back, whole func()
				want        string
			}{
				"up":   {ups, down, up, after},
				"down": {downs, up, down, before},
			} {
				statements := strings.Split(strings.TrimSpace(way.statements), ";")
				statements = statements[:len(statements)-1]
				for n := range len(statements) - 1 { // after the last only the record is missing, and the index is built once more
					if schema(t, db) == way.want {
						way.back()
					}
					for i, s := range statements[:n+1] {
						if i == n && strings.Contains(s, "CREATE INDEX") { // what is left when it is stopped here is not an index of this
							s = regexp.MustCompile(`\(.*\)`).ReplaceAllString(s, "(size_bytes)")
						}
						execute(s)
					}
					for _, s := range statements {
						execute(s)
					}
					way.whole()
					if got := schema(t, db); got != way.want {
						t.Errorf("%s, stopped after %q:\n%s\nwant\n%s", name, statements[n], got, way.want)
					}
				}
			}
		})
	}
}

// TestMigrateMeetsALateStart: a process finds no schema, and is slow to create it; meanwhile another has begun to migrate. It
// waits for no transaction of the first, which would wait for it (R10).
func TestMigrateMeetsALateStart(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	begins, goOn := make(chan struct{}, 1), make(chan struct{})
	late := sql.OpenDB(lateConnector{stdlib.GetConnector(*config), begins, goOn})
	defer late.Close()
	lateDone, upDone := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := postgres.NewMigrator(t.Context(), late)
		lateDone <- err
	}()
	<-begins // it has found no schema
	db := open(t, url)
	m := migrator(t, db.DB)
	go func() {
		_, err := m.Up(t.Context())
		upDone <- err
	}()
	for held := false; !held; time.Sleep(time.Millisecond / 2) {
		if err := db.QueryRowContext(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted
				AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`).Scan(&held); err != nil {
			t.Fatal(err)
		}
	}
	close(goOn)
	if err := <-upDone; err != nil {
		t.Errorf("the one that migrates: %v", err)
	}
	if err := <-lateDone; err != nil {
		t.Errorf("the late one: %v", err)
	}
}

// lateConnector makes connections that are slow to begin a transaction.
type lateConnector struct {
	driver.Connector
	begins chan<- struct{}
	goOn   <-chan struct{}
}

func (c lateConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return lateConn{conn.(*stdlib.Conn), c}, nil
}

type lateConn struct {
	*stdlib.Conn
	connector lateConnector
}

func (c lateConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	c.connector.begins <- struct{}{}
	<-c.connector.goOn
	return c.Conn.BeginTx(ctx, o)
}
