package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// verifyReconciled is an error unless reconcile has found what was planted.
func verifyReconciled(ctx context.Context, url string, n population) error {
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	var mended, rows int
	err = db.QueryRow(ctx, `SELECT count(*) FILTER (WHERE landed_by = 'reconcile'), count(*) FROM coatcheck.media`).Scan(&mended, &rows)
	if err != nil {
		return fmt.Errorf("looking at what was reconciled: %w", err)
	}
	if mended != n.lost() {
		return fmt.Errorf("reconcile has mended %d lost notifications, and %d were planted", mended, n.lost())
	}
	if rows != n.rows() {
		return fmt.Errorf("there are %d rows, and %d were planted: a run with --policy report has removed or added some", rows, n.rows())
	}
	return verifyFindings(ctx, db, n)
}

// verifyFindings is an error unless exactly the planted strays and missing objects were recorded.
func verifyFindings(ctx context.Context, db *pgx.Conn, n population) error {
	var strays, missing int
	err := db.QueryRow(ctx, `SELECT (SELECT count(*) FROM coatcheck.stray), (SELECT count(*) FROM coatcheck.missing)`).Scan(&strays, &missing)
	if err != nil {
		return fmt.Errorf("looking at what was found: %w", err)
	}
	if strays != n.strays() || missing != n.missing() {
		return fmt.Errorf("reconcile has found %d strays and %d missing objects, and %d and %d were planted", strays, missing, n.strays(), n.missing())
	}
	return nil
}

// forgetFindings removes what earlier runs have noted, so that the next finds it as if for the first time.
func forgetFindings(ctx context.Context, db *pgx.Conn) error {
	_, err := db.Exec(ctx, `TRUNCATE coatcheck.stray, coatcheck.missing, coatcheck.reconciliation CASCADE`)
	return err
}
