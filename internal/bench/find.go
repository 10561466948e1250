package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

const (
	// fewRows is how many CONFIRMED media the smaller table has.
	fewRows = 10_000
	// finds is how often the next candidates are looked for in each table.
	finds = 31
	// looks is how often in a row; their median is one time. A VACUUM, which reads all of a large table, has just been, and the
	// first look after it takes longer.
	looks = 7
	// dueRows is how many media are due each time: more than are taken, and yet few in either table.
	dueRows = 2 * sweepBatch
)

// search is how long a table took: to find what is due, and to lease it.
type search struct{ found, leased time.Duration }

// measureFind measures how long it takes to find and to lease the next 1,000 media that are due, in a table with few
// CONFIRMED media and in the one with as many as was asked for.
func (s *site) measureFind(ctx context.Context) (_ []line, err error) {
	small, drop, err := s.db.Another(ctx, "few")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	if err := plant(ctx, small, fewRows); err != nil {
		return nil, err
	}
	var few, many []search
	if err := s.withDue(ctx, small, fewRows, func(inFew finder) error {
		return s.withDue(ctx, s.db, s.config.size, func(inMany finder) error {
			for i := range finds + 1 {
				a, err := inFew(ctx)
				if err != nil {
					return err
				}
				b, err := inMany(ctx)
				if err != nil {
					return err
				}
				if i > 0 { // the first has opened the connection
					few, many = append(few, a), append(many, b)
				}
			}
			return nil
		})
	}); err != nil {
		return nil, err
	}
	return []line{
		s.findLine("finding", few, many, func(a search) time.Duration { return a.found }),
		s.findLine("leasing", few, many, func(a search) time.Duration { return a.leased }),
	}, nil
}

func (s *site) findLine(what string, inFew, inMany []search, of func(search) time.Duration) line {
	few, many := rig.Ordered(inFew, of), rig.Ordered(inMany, of)
	fmt.Fprintf(os.Stderr, "%s %d that are due: %.1f ms among %d, %.1f ms among %d\n", what, sweepBatch,
		milliseconds(rig.Median(few)), fewRows, milliseconds(rig.Median(many)), s.config.size)
	return line{
		what:      fmt.Sprintf("sweep: %s the next %d, with %d CONFIRMED", what, sweepBatch, s.config.size),
		coatcheck: fmt.Sprintf("%.1f ms", milliseconds(rig.Median(many))),
		limit:     fmt.Sprintf("%.1f ms: with %d", milliseconds(rig.Median(few)), fewRows),
		ratio:     rig.PairedMedian(len(inMany), func(i int) float64 { return float64(of(inFew[i])) / float64(of(inMany[i])) }), aim: "0.90",
		spread: fmt.Sprintf("%.1f to %.1f ms", milliseconds(many[0]), milliseconds(many[len(many)-1])),
	}
}

func itself(d time.Duration) time.Duration { return d }

// dueAgain makes due what was leased before.
func dueAgain(ctx context.Context, db *pgx.Conn) error {
	if _, err := db.Exec(ctx, `UPDATE coatcheck.media SET due_at = now() - interval '1 minute' WHERE state = 'pending'`); err != nil {
		return err
	}
	_, err := db.Exec(ctx, `VACUUM coatcheck.media`)
	return err
}

// finder finds the next candidates, leases them, and returns how long each took.
type finder func(context.Context) (search, error)

// withDue lends a finder of media that are due in a table with so many others.
func (s *site) withDue(ctx context.Context, p *rig.Postgres, size int, use func(finder) error) (err error) {
	ids := make([]uuid.UUID, dueRows)
	for i := range ids {
		ids[i] = rig.ID(size + i)
	}
	if err := p.With(ctx, func(db *pgx.Conn) error { return plantPendingDue(ctx, db, ids, time.Now().Add(-time.Minute)) }); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, p.With(ctx, func(db *pgx.Conn) error {
			_, err := db.Exec(ctx, `DELETE FROM coatcheck.media WHERE state = 'pending'`)
			return err
		}))
	}()
	db, err := postgres.Open(p.URL, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	day := 24 * time.Hour
	store := postgres.NewStore(db, media.Windows{Upload: day, Claim: day, Tombstone: day}, time.Now, postgres.NewMetrics(prometheus.NewRegistry()))
	return use(func(ctx context.Context) (search, error) {
		if err := p.With(ctx, func(db *pgx.Conn) error { return dueAgain(ctx, db) }); err != nil {
			return search{}, err
		}
		var found []time.Duration
		for range looks {
			began := time.Now()
			due, err := store.Due(ctx, media.StatePending, nil, sweepBatch)
			if err == nil && len(due) != sweepBatch {
				err = fmt.Errorf("%d media are due instead of %d", len(due), sweepBatch)
			}
			if err != nil {
				return search{}, err
			}
			found = append(found, time.Since(began))
		}
		began := time.Now()
		leased, err := store.LeasePending(ctx, sweepBatch, time.Hour)
		took := search{rig.Median(rig.Ordered(found, itself)), time.Since(began)}
		if err == nil && len(leased) != sweepBatch {
			err = fmt.Errorf("%d media are leased instead of %d", len(leased), sweepBatch)
		}
		return took, err
	})
}
