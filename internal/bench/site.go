package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// site is the machinery around the runs. What a figure does not ask for is not made, and what it leaves behind is as it
// found it, for the next one.
type site struct {
	config  config
	dir     string
	db      *rig.Postgres
	aws     *awsServer
	closers []func() error
}

// close ends the processes and removes what is not to be kept.
func (s *site) close() error {
	var errs []error
	for len(s.closers) > 0 {
		last := len(s.closers) - 1
		errs = append(errs, s.closers[last]())
		s.closers = s.closers[:last]
	}
	return errors.Join(errs...)
}

func (s *site) makeDir() error {
	if s.dir != "" {
		return nil
	}
	if s.config.keep != "" {
		s.dir = filepath.Join(s.config.keep, fmt.Sprint(s.config.size))
		return os.MkdirAll(s.dir, 0o755)
	}
	var err error
	if s.dir, err = rig.TempDir(); err != nil {
		return err
	}
	s.closers = append(s.closers, func() error { return os.RemoveAll(s.dir) })
	return nil
}

// settings are Postgres's own. Autovacuum is replaced by a VACUUM between the runs, so that it meets no contender by
// chance; the times of commits are what latency is measured by, and cost every contender the same.
var settings = []string{"autovacuum = off", "track_commit_timestamp = on", "max_wal_size = '4GB'", "shared_buffers = '1GB'"}

// postgres returns a server whose table has as many CONFIRMED rows as was asked for.
func (s *site) postgres(ctx context.Context) (*rig.Postgres, error) {
	if s.db != nil {
		return s.db, nil
	}
	if err := s.makeDir(); err != nil {
		return nil, err
	}
	db, err := rig.StartPostgres(ctx, s.dir)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() error { return db.Stop(ctx) })
	if err := db.Set(ctx, settings...); err != nil {
		return nil, err
	}
	s.db = db
	return db, plant(ctx, db, s.config.size)
}

// plantBatch is how many rows one statement plants.
const plantBatch = 100_000

// plant fills the table, or finds that an earlier run has.
func plant(ctx context.Context, p *rig.Postgres, size int) error {
	if err := postgres.MigrateUp(ctx, p.URL); err != nil {
		return err
	}
	return p.With(ctx, func(db *pgx.Conn) error {
		var have int
		if err := db.QueryRow(ctx, `SELECT count(*) FROM coatcheck.media`).Scan(&have); err != nil {
			return err
		}
		if have != size { // nothing, or a part, or what a run has left that was ended
			if _, err := db.Exec(ctx, `TRUNCATE coatcheck.media`); err != nil {
				return err
			}
			told := rig.NewProgress("rows planted", size)
			for from := 0; from < size; from += plantBatch {
				to := min(from+plantBatch, size)
				if err := rig.InsertConfirmed(ctx, db, from, to, nil); err != nil {
					return err
				}
				told.Add(to - from)
			}
			told.End()
		}
		return tidy(ctx, db)
	})
}

// tidy does what autovacuum and the checkpointer would do sooner or later, so that every run begins with the same.
func tidy(ctx context.Context, db *pgx.Conn) error {
	for _, sql := range []string{`VACUUM (ANALYZE) coatcheck.media`, `CHECKPOINT`} {
		if _, err := db.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}
