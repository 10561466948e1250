package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// batch is how many rows one statement plants.
const batch = 100_000

// plant fills the database with the rows that belong to n objects, or finds that an earlier run has. Rows are inserted
// in the order in which they were created, with every index in place, so that table and indexes are as the product's
// would be.
func plant(ctx context.Context, url string, n population) error {
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	planted, err := alreadyPlanted(ctx, db, n)
	if err != nil {
		return err
	}
	if !planted { // nothing, or a part
		if _, err := db.Exec(ctx, `DROP SCHEMA IF EXISTS coatcheck CASCADE`); err != nil {
			return fmt.Errorf("removing what was planted in part: %w", err)
		}
	}
	if err := postgres.MigrateUp(ctx, url); err != nil {
		return err
	}
	if planted {
		fmt.Fprintln(os.Stderr, "the rows are there from an earlier run")
		return errors.Join(loseAgain(ctx, db, n), forgetFindings(ctx, db))
	}
	if err := plantRows(ctx, db, n); err != nil {
		return fmt.Errorf("planting: %w", err)
	}
	return settle(ctx, db, n)
}

// alreadyPlanted looks for the note that settle leaves.
func alreadyPlanted(ctx context.Context, db *pgx.Conn, n population) (bool, error) {
	_, err := db.Exec(ctx, `CREATE TABLE IF NOT EXISTS public.planted (objects bigint PRIMARY KEY)`)
	if err != nil {
		return false, fmt.Errorf("looking for planted rows: %w", err)
	}
	var planted bool
	err = db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM public.planted WHERE objects = $1)`, int64(n)).Scan(&planted)
	return planted, err
}

func plantRows(ctx context.Context, db *pgx.Conn, n population) error {
	last := int(n) + n.missing()
	told := rig.NewProgress("rows planted", last)
	for from := 0; from < last; from += batch {
		to := min(from+batch, last)
		if err := rig.InsertConfirmed(ctx, db, from, to, unconfirmed(n, from, to)); err != nil {
			return err
		}
		if err := rig.InsertPending(ctx, db, lostIDs(n, from, to)); err != nil {
			return err
		}
		told.Add(to - from)
	}
	told.End()
	return nil
}

// unconfirmed returns the numbers from from to below to of the objects that are stray or lost.
func unconfirmed(n population, from, to int) []int {
	var numbers []int
	for i := from; i < min(to, int(n)); i++ {
		if i%every == strayAt || lost(i) {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

// lostIDs returns the ids of the lost with numbers from from to below to.
func lostIDs(n population, from, to int) []uuid.UUID {
	ids := []uuid.UUID{}
	for i := from; i < min(to, int(n)); i++ {
		if lost(i) {
			ids = append(ids, rig.ID(i))
		}
	}
	return ids
}

// settle does what autovacuum would have done by the time that somebody reconciles, so that it does not do it during
// the runs, and takes note that all is there.
func settle(ctx context.Context, db *pgx.Conn, n population) error {
	for _, sql := range []string{
		`VACUUM (ANALYZE) coatcheck.media`,
		fmt.Sprintf(`INSERT INTO public.planted (objects) VALUES (%d)`, n),
		`CHECKPOINT`,
	} {
		if _, err := db.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// loseAgain makes the rows that an earlier run has mended PENDING again.
func loseAgain(ctx context.Context, db *pgx.Conn, n population) error {
	ids := lostIDs(n, 0, int(n))
	if _, err := db.Exec(ctx, `DELETE FROM coatcheck.media WHERE id = ANY ($1)`, ids); err != nil {
		return fmt.Errorf("losing notifications again: %w", err)
	}
	return rig.InsertPending(ctx, db, ids)
}
