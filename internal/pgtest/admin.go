package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/coatcheck/coatcheck/internal/pgserver"
)

// admin creates and drops databases on one server.
type admin struct {
	server   *pgserver.Server
	db       *sql.DB
	strategy string // how CREATE DATABASE copies

	template    sync.Once
	templateErr error
}

func newAdmin(ctx context.Context, server *pgserver.Server, own bool) (*admin, error) {
	db, err := sql.Open("pgx", server.URL(""))
	if err != nil {
		return nil, fmt.Errorf("opening the server: %w", err)
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	a := &admin{server: server, db: db}
	var version int
	if err := db.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return nil, errors.Join(fmt.Errorf("reading the server's version: %w", err), db.Close())
	}
	// Copying files wants a checkpoint, which is cheap only where nothing is synced to a disk: then it takes half as
	// long as going through the log. Before version 15 there was no choice.
	if own && version >= 150000 {
		a.strategy = " STRATEGY file_copy"
	}
	return a, nil
}

func (a *admin) create(t testing.TB, migrated bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stepLimit)
	defer cancel()
	template := "template0"
	if migrated {
		template = templateName()
		a.template.Do(func() { a.templateErr = a.makeTemplate(ctx, template) })
		if a.templateErr != nil {
			t.Fatalf("making the template database: %v", a.templateErr)
		}
	}
	name := databaseName(t.Name())
	if _, err := a.db.ExecContext(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template)+a.strategy); err != nil {
		t.Fatalf("creating a database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stepLimit)
		defer cancel()
		if _, err := a.db.ExecContext(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)"); err != nil {
			t.Errorf("dropping the test's database: %v", err)
		}
	})
	return a.server.URL(name)
}

func quote(identifier string) string { return `"` + strings.ReplaceAll(identifier, `"`, `""`) + `"` }
