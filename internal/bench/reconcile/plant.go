package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

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
	told := newProgress("rows planted", last)
	for from := 0; from < last; from += batch {
		to := min(from+batch, last)
		if _, err := db.Exec(ctx, confirmedSQL, pgx.NamedArgs{
			"first": from, "last": to - 1, "objects": int64(n), "every": every, "unconfirmed": []int{strayAt, lostAt},
			"beginning": int64(beginning), "interval": interval, "prefix": prefix,
			"size": len(body), "checksum": checksum(), "etag": etag(),
		}); err != nil {
			return err
		}
		if _, err := db.Exec(ctx, pendingSQL, pendingArgs(lostIDs(n, from, to))); err != nil {
			return err
		}
		told.add(to - from)
	}
	told.end()
	return nil
}

// confirmedSQL inserts the CONFIRMED rows with numbers from @first to @last: of the objects those that are neither stray
// nor lost, and beyond them those that have none. Ids are those of func id.
const confirmedSQL = `
	INSERT INTO coatcheck.media (id, tenant, owner, key, state, content_type, size_bytes, checksum_sha256, file_name,
		created_at, url_expires_at, landed_at, landed_by, etag, sequencer, claim, confirmed_at)
	SELECT id, 'bench', 'user-' || i % 1000, @prefix || right(id::text, 2) || '/' || id, 'confirmed', 'image/jpeg',
		@size, @checksum, 'coat.jpg', created, created + interval '5 minutes',
		created + interval '10 seconds', 'notification', @etag, lpad(upper(to_hex(i)), 40, '0'),
		'post/' || i, created + interval '1 minute'
	FROM (
		SELECT i, to_timestamp(ms / 1000.0) AS created, (lpad(to_hex(ms), 12, '0') ||
			'7' || substr(md5(i::text), 1, 3) || '8' || substr(md5(i::text), 4, 15))::uuid AS id
		FROM generate_series(@first::bigint, @last::bigint) AS i, LATERAL (SELECT @beginning + i * @interval AS ms) AS at
		WHERE i >= @objects OR i % @every <> ALL (@unconfirmed::bigint[])
		OFFSET 0
	) AS numbered`

// pendingSQL inserts rows whose objects have landed unheard. No sweep is to find them first.
const pendingSQL = `
	INSERT INTO coatcheck.media (id, tenant, owner, key, state, content_type, size_bytes, checksum_sha256, file_name,
		created_at, url_expires_at, due_at)
	SELECT id, 'bench', 'user-1', @prefix || right(id::text, 2) || '/' || id, 'pending', 'image/jpeg', @size, @checksum,
		'coat.jpg', created, created + interval '5 minutes', timestamptz '2100-01-01'
	FROM (
		SELECT id, to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) AS created
		FROM unnest(@ids::uuid[]) AS id
	) AS lost`

func pendingArgs(ids []uuid.UUID) pgx.NamedArgs {
	return pgx.NamedArgs{"ids": ids, "prefix": prefix, "size": len(body), "checksum": checksum()}
}

// lostIDs returns the ids of the lost with numbers from from to below to.
func lostIDs(n population, from, to int) []uuid.UUID {
	ids := []uuid.UUID{}
	for i := from; i < min(to, int(n)); i++ {
		if lost(i) {
			ids = append(ids, id(i))
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
	if _, err := db.Exec(ctx, pendingSQL, pendingArgs(ids)); err != nil {
		return fmt.Errorf("losing notifications again: %w", err)
	}
	return nil
}
