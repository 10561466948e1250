package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

func TestTransient(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("connection reset by peer"), true},
		{context.DeadlineExceeded, true},
		{sql.ErrNoRows, false},
		{media.Invalid("claim", "claim.text", "x"), false},
		{&media.BatchError{}, false},
		{&pgconn.PgError{Code: "40001"}, true},  // serialization_failure
		{&pgconn.PgError{Code: "40P01"}, true},  // deadlock_detected
		{&pgconn.PgError{Code: "53300"}, true},  // too_many_connections
		{&pgconn.PgError{Code: "55P03"}, true},  // lock_not_available
		{&pgconn.PgError{Code: "57014"}, true},  // query_canceled
		{&pgconn.PgError{Code: "57P01"}, true},  // admin_shutdown
		{&pgconn.PgError{Code: "57P03"}, true},  // cannot_connect_now
		{&pgconn.PgError{Code: "25006"}, true},  // read_only_sql_transaction: a server that is being replaced
		{&pgconn.PgError{Code: "58030"}, true},  // io_error
		{&pgconn.PgError{Code: "22021"}, false}, // character_not_in_repertoire
		{&pgconn.PgError{Code: "23514"}, false}, // check_violation
		{&pgconn.PgError{Code: "42601"}, false}, // syntax_error
		{&pgconn.PgError{Code: "42P01"}, false}, // undefined_table
		{&pgconn.PgError{Code: "54000"}, false}, // program_limit_exceeded
		{&pgconn.PgError{Code: ""}, false},
	} {
		for _, err := range []error{test.err, fmt.Errorf("recording landings: %w", test.err)} {
			if test.err != nil && postgres.Transient(err) != test.want {
				t.Errorf("%v: %t, want %t", err, !test.want, test.want)
			}
		}
	}
	if postgres.Transient(nil) {
		t.Error("no error is transient")
	}
}

// TestKilledBackend: a statement whose backend is killed under it fails for now, and nothing of it is done (R10).
func TestKilledBackend(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	m := f.create(t)
	conn, err := pgx.Connect(t.Context(), f.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT FROM coatcheck.media WHERE id = $1 FOR UPDATE", m.ID); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := f.Land(t.Context(), media.SourceNotification, []media.Landing{landing(m)})
		done <- err
	}()
	killed := 0
	for deadline := time.Now().Add(30 * time.Second); killed == 0 && time.Now().Before(deadline); {
		err := tx.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND pg_stat_clear_snapshot() IS NOT NULL`).Scan(&killed)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err == nil || !postgres.Transient(err) {
		t.Errorf("killed %d, and got %v", killed, err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := f.get(t, m.ID); got.State != media.StatePending {
		t.Errorf("it is %s", got.State)
	}
	if v := f.land(t, m, media.SourceNotification); v != media.VerdictLanded {
		t.Errorf("again: verdict %s", v)
	}
}

// TestRestartedServer: while Postgres restarts or recovers from a crash, every failure is one that passes; afterwards
// the same pool works again, and what was answered as done is there.
func TestRestartedServer(t *testing.T) {
	t.Parallel()
	server, url := pgtest.Private(t)
	// The tests' servers answer before a commit has left the process; one that is killed would lose it.
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(fmt.Sprintf("host=%s port=%d user=%s dbname=%s synchronous_commit=on", config.Host, config.Port, config.User, config.Database), 4)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	store := postgres.NewStore(db, windows, time.Now, postgres.NewMetrics(prometheus.NewRegistry()))
	ctx := t.Context()
	for _, test := range []struct {
		name    string
		disturb func(context.Context) error
	}{{"restart", server.Restart}, {"crash", server.Crash}} { // the restart also writes the migrations to disk
		name, disturb := test.name, test.disturb
		over := make(chan struct{})
		var created, failed []*media.Media
		worked := make(chan struct{})
		go func() {
			defer close(worked)
			for after := 0; after < 5; {
				select {
				case <-over:
					after++
				default:
				}
				d := draft()
				_, err := store.Create(ctx, []*media.Media{d})
				if err == nil {
					created = append(created, d)
					continue
				}
				failed = append(failed, d)
				if !postgres.Transient(err) {
					t.Errorf("%s: %v is not taken to pass", name, err)
				}
				time.Sleep(time.Millisecond)
			}
		}()
		if err := disturb(ctx); err != nil {
			t.Error(err)
		}
		close(over)
		<-worked
		if len(created) == 0 {
			t.Errorf("%s: nothing was created", name)
		}
		for _, d := range created {
			if _, err := store.Get(ctx, alice, d.ID); err != nil {
				t.Errorf("%s: media %s was created, and then: %v", name, d.ID, err)
			}
		}
		t.Logf("%s: %d created, %d failed", name, len(created), len(failed))
	}
}

// TestDatabaseURLIsNotRepeated: it may hold a password.
func TestDatabaseURLIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"postgres://u:hunter2@host:port/db", "postgres://u:hunter2@%zz/", "host=x password=hunter2 port=abc"} {
		_, err := postgres.Open(url, 1)
		if err == nil {
			t.Errorf("%q was opened", url)
		} else if got := fmt.Sprintf("%+v", err); strings.Contains(got, "hunter2") {
			t.Errorf("the error tells the password: %s", got)
		}
	}
}

// TestRefused: only what is wrong with the data counts against a message.
func TestRefused(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]bool{
		"22021": true, "23514": true, "42P01": false, "3F000": false, "28P01": false, "40P01": false, "57P01": false,
	} {
		if got := postgres.Refused(fmt.Errorf("landing: %w", &pgconn.PgError{Code: state})); got != want {
			t.Errorf("%s: %t, want %t", state, got, want)
		}
	}
	if !postgres.Refused(media.Invalid("etag", "etag.form", "is not text")) || postgres.Refused(io.ErrUnexpectedEOF) || postgres.Refused(nil) {
		t.Error("what is not Postgres's own is judged wrongly")
	}
}
