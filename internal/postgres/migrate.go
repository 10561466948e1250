package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/migrations"
)

// schemaLock is the advisory lock under which migrations run, so that any number of processes may start at once: "coat" in
// ASCII. The schema is created under another: who waits for that has a transaction open, for whose end an index that is built
// CONCURRENTLY would wait, and both for ever.
const schemaLock, createLock = 0x636f6174, 0x636f6175

// Migrator moves the schema of one database between versions. A migration and the record that it ran are one transaction: a
// process killed in the middle leaves the version before. One that builds an index beside what goes on cannot be; it begins
// by removing what a killed process has left of it.
type Migrator struct {
	provider *goose.Provider
}

// Migration is one version of the schema.
type Migration struct {
	Version   int64
	Name      string
	AppliedAt time.Time // zero when it has not been applied
}

// NewMigrator returns a migrator for the database. It creates the schema "coatcheck" when there is none.
func NewMigrator(ctx context.Context, db *sql.DB) (*Migrator, error) {
	if err := createSchema(ctx, db); err != nil {
		return nil, fmt.Errorf("creating schema coatcheck: %w", err)
	}
	store, err := database.NewStore(database.DialectPostgres, "coatcheck.schema_version")
	if err != nil {
		return nil, fmt.Errorf("preparing migrations: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(schemaLock), lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, fmt.Errorf("preparing migrations: %w", err)
	}
	provider, err := goose.NewProvider("", db, migrations.FS, goose.WithStore(store), goose.WithSessionLocker(locker))
	if err != nil {
		return nil, fmt.Errorf("preparing migrations: %w", err)
	}
	return &Migrator{provider: provider}, nil
}

// createSchema exists because CREATE SCHEMA IF NOT EXISTS is not safe against itself: two at once can both find
// nothing, and the second fails on the catalogue's unique index. It also asks for the right to create schemas where there
// is nothing to create.
func createSchema(ctx context.Context, db *sql.DB) error {
	var exists bool
	err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'coatcheck')").Scan(&exists)
	if err != nil || exists {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", createLock); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS coatcheck"); err != nil {
		return err
	}
	return tx.Commit()
}

// Up applies every migration that has not been, and returns them.
func (m *Migrator) Up(ctx context.Context) ([]Migration, error) {
	results, err := m.provider.Up(ctx)
	return migrated(results), err
}

// Down takes the newest applied migration back, with the data in what it made, and returns it; none when none is
// applied.
func (m *Migrator) Down(ctx context.Context) ([]Migration, error) {
	result, err := m.provider.Down(ctx)
	if errors.Is(err, goose.ErrNoNextVersion) {
		return nil, nil
	}
	if result == nil {
		return nil, err
	}
	return migrated([]*goose.MigrationResult{result}), err
}

func migrated(results []*goose.MigrationResult) []Migration {
	var ms []Migration
	for _, r := range results {
		if r.Error == nil {
			ms = append(ms, Migration{Version: r.Source.Version, Name: r.Source.Path})
		}
	}
	return ms
}

// Status returns every migration that this binary knows, oldest first.
func (m *Migrator) Status(ctx context.Context) ([]Migration, error) {
	statuses, err := m.provider.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the schema's version: %w", err)
	}
	ms := make([]Migration, len(statuses))
	for i, s := range statuses {
		ms[i] = Migration{Version: s.Source.Version, Name: s.Source.Path, AppliedAt: s.AppliedAt}
	}
	return ms, nil
}

// MigrateUp opens the database, applies every migration, and closes it again.
func MigrateUp(ctx context.Context, databaseURL string) error {
	db, err := Open(databaseURL, 2)
	if err != nil {
		return err
	}
	defer db.Close()
	m, err := NewMigrator(ctx, db.DB)
	if err != nil {
		return err
	}
	_, err = m.Up(ctx)
	return err
}

// CheckSchema is an error when the database's schema is not the one that this binary was built for, or newer: then
// migrations are to be run first. A newer one is fine, because migrations are safe while older binaries run.
func CheckSchema(ctx context.Context, db *bun.DB) error {
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil || len(names) == 0 {
		return fmt.Errorf("reading the embedded migrations: %w", err)
	}
	want, err := goose.NumericComponent(names[len(names)-1])
	if err != nil {
		return fmt.Errorf("reading the embedded migrations: %w", err)
	}
	var have int64
	err = db.NewRaw(`SELECT coalesce(max(version_id), 0) FROM coatcheck.schema_version WHERE is_applied`).Scan(ctx, &have)
	if err != nil {
		return unusable(fmt.Errorf("reading the schema's version: %w", err))
	}
	if have < want {
		return fmt.Errorf("the database's schema is at version %d, this binary needs %d: run `coatcheck migrate up` first", have, want)
	}
	return nil
}
