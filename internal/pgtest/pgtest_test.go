package pgtest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

func tables(t *testing.T, conn *pgx.Conn) (n int) {
	t.Helper()
	err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'coatcheck'").Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNewIsMigratedAndItsOwn(t *testing.T) {
	t.Parallel()
	for range 8 {
		t.Run("clone", func(t *testing.T) {
			t.Parallel()
			conn := connect(t, pgtest.New(t))
			if tables(t, conn) == 0 {
				t.Error("no tables: the migrations are missing")
			}
			// In a database that another test shares, the second of these would fail.
			if _, err := conn.Exec(t.Context(), "CREATE TABLE coatcheck.only_here ()"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDatabaseIsDroppedWithTheTest(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("uses one", func(t *testing.T) {
		conn := connect(t, pgtest.New(t))
		name = conn.Config().Database
		// A connection that the test forgot does not keep it alive.
		forgotten, err := pgx.ConnectConfig(context.Background(), conn.Config())
		if err != nil {
			t.Fatal(err)
		}
		_ = forgotten
	})
	var there bool
	conn := connect(t, pgtest.Server(t).URL(""))
	if err := conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil {
		t.Fatal(err)
	}
	if there {
		t.Errorf("%s is still there", name)
	}
}

func TestPrivateServerCanCrash(t *testing.T) {
	t.Parallel()
	server, url := pgtest.Private(t)
	conn := connect(t, url)
	if tables(t, conn) == 0 {
		t.Error("no tables: the migrations are missing")
	}
	if err := server.Crash(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("the connection outlived the crash")
	}
	if tables(t, connect(t, url)) == 0 {
		t.Error("the server came back without its tables")
	}
}

func BenchmarkNew(b *testing.B) {
	pgtest.New(b) // the server and the template are made once
	for b.Loop() {
		pgtest.New(b)
	}
}

func TestEmptyIsEmpty(t *testing.T) {
	t.Parallel()
	if n := tables(t, connect(t, pgtest.Empty(t))); n != 0 {
		t.Errorf("%d tables, want none", n)
	}
}
