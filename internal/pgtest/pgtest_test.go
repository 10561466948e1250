package pgtest_test

import (
	"testing"

	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/jackc/pgx/v5"
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

func TestEmptyIsEmpty(t *testing.T) {
	t.Parallel()
	if n := tables(t, connect(t, pgtest.Empty(t))); n != 0 {
		t.Errorf("%d tables, want none", n)
	}
}
