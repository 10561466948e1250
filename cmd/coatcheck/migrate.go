package main

import (
	"context"
	"fmt"
	"time"

	"github.com/coatcheck/coatcheck/internal/postgres"
)

type migrateCommand struct {
	Up     migrateUp     `cmd:"" help:"Apply every migration that has not been applied."`
	Down   migrateDown   `cmd:"" help:"Take the newest migration back, with the data in what it made."`
	Status migrateStatus `cmd:"" help:"List the migrations."`
}

type migrateUp struct{ databaseSettings }

func (c *migrateUp) Run(ctx context.Context, s streams) error {
	return c.with(ctx, func(m *postgres.Migrator) error {
		applied, err := m.Up(ctx)
		for _, a := range applied {
			fmt.Fprintln(s.out, "applied", a.Name)
		}
		if err == nil && len(applied) == 0 {
			fmt.Fprintln(s.out, "nothing to do: the schema is up to date")
		}
		return err
	})
}

type migrateDown struct {
	Yes bool `required:"" help:"Say that the data in what the migration made may be lost."`
	databaseSettings
}

func (c *migrateDown) Run(ctx context.Context, s streams) error {
	return c.with(ctx, func(m *postgres.Migrator) error {
		reverted, err := m.Down(ctx)
		for _, r := range reverted {
			fmt.Fprintln(s.out, "took back", r.Name)
		}
		if err == nil && len(reverted) == 0 {
			fmt.Fprintln(s.out, "nothing to do: no migration is applied")
		}
		return err
	})
}

type migrateStatus struct{ databaseSettings }

func (c *migrateStatus) Run(ctx context.Context, s streams) error {
	return c.with(ctx, func(m *postgres.Migrator) error {
		all, err := m.Status(ctx)
		for _, a := range all {
			when := "not applied"
			if !a.AppliedAt.IsZero() {
				when = "applied " + a.AppliedAt.UTC().Format(time.RFC3339)
			}
			fmt.Fprintf(s.out, "%-24s %s\n", a.Name, when)
		}
		return err
	})
}

func (d databaseSettings) with(ctx context.Context, f func(*postgres.Migrator) error) error {
	db, err := postgres.Open(d.DatabaseURL, 2)
	if err != nil {
		return err
	}
	defer db.Close()
	m, err := postgres.NewMigrator(ctx, db.DB)
	if err != nil {
		return err
	}
	return f(m)
}
