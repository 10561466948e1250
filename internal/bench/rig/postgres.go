package rig

import (
	"context"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/pgserver"
)

// Postgres is a durable server on this machine.
type Postgres struct {
	URL     string
	Version string
	PID     int // of the process whose children all others of the server are; 0 where that cannot be told

	server *pgserver.Server
}

// StartPostgres starts a server with its data in a folder, of which an earlier one may have left some.
func StartPostgres(ctx context.Context, dir string) (*Postgres, error) {
	server, err := pgserver.Start(ctx, pgserver.Config{
		Dir: PostgresDir(dir), Durable: true,
		Progress: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) },
	})
	if err != nil {
		return nil, err
	}
	p := &Postgres{URL: server.URL(""), server: server}
	return p, p.identify(ctx)
}

func (p *Postgres) identify(ctx context.Context) error {
	return p.With(ctx, func(db *pgx.Conn) error {
		p.Version = db.PgConn().ParameterStatus("server_version")
		backend, _ := readStat(int(db.PgConn().PID())) // which only Linux can tell
		p.PID = backend.parent
		return nil
	})
}

// Set changes settings of the server, name=value each, for good, and starts it anew.
func (p *Postgres) Set(ctx context.Context, settings ...string) error {
	err := p.With(ctx, func(db *pgx.Conn) error {
		for _, s := range settings {
			if _, err := db.Exec(ctx, "ALTER SYSTEM SET "+s); err != nil {
				return fmt.Errorf("setting %s: %w", s, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := p.server.Restart(ctx); err != nil {
		return err
	}
	return p.identify(ctx)
}

// With lends a connection.
func (p *Postgres) With(ctx context.Context, use func(*pgx.Conn) error) error {
	db, err := pgx.Connect(ctx, p.URL)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	return use(db)
}

// Stop ends the server.
func (p *Postgres) Stop(ctx context.Context) error { return p.server.Stop(context.WithoutCancel(ctx)) }

// Another returns another database of the same server, which is new and empty, and what removes it.
func (p *Postgres) Another(ctx context.Context, name string) (*Postgres, func() error, error) {
	exec := func(ctx context.Context, statements ...string) error {
		return p.With(ctx, func(db *pgx.Conn) error {
			for _, sql := range statements {
				if _, err := db.Exec(ctx, sql+pgx.Identifier{name}.Sanitize()); err != nil {
					return fmt.Errorf("%s%s: %w", sql, name, err)
				}
			}
			return nil
		})
	}
	const drop = "DROP DATABASE IF EXISTS "
	if err := exec(ctx, drop, "CREATE DATABASE "); err != nil { // an earlier run may have been ended
		return nil, nil, err
	}
	another := &Postgres{URL: p.server.URL(name), Version: p.Version, PID: p.PID, server: p.server}
	return another, func() error { return exec(context.WithoutCancel(ctx), drop) }, nil
}
