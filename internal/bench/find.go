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

// findSQL is how a sweep finds what is due, without the locks, which would leave something behind in the rows (dueSQL in
// internal/postgres).
const findSQL = `
	SELECT id FROM coatcheck.media
	WHERE state = $1 AND due_at <= $2
	ORDER BY due_at
	LIMIT $3`

// search is how long a table took: to find what is due, of both states that time can end, and to lease what was never uploaded.
type search struct{ pending, uploaded, leased time.Duration }

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
		s.findLine("finding the next %d PENDING", few, many, func(a search) time.Duration { return a.pending }),
		s.findLine("finding the next %d UPLOADED", few, many, func(a search) time.Duration { return a.uploaded }),
		s.findLine("leasing the next %d PENDING", few, many, func(a search) time.Duration { return a.leased }),
	}, nil
}

func (s *site) findLine(what string, inFew, inMany []search, of func(search) time.Duration) line {
	few, many := rig.Ordered(inFew, of), rig.Ordered(inMany, of)
	what = fmt.Sprintf(what, sweepBatch)
	fmt.Fprintf(os.Stderr, "%s that are due: %.2f ms among %d, %.2f ms among %d\n", what, milliseconds(rig.Median(few)), fewRows,
		milliseconds(rig.Median(many)), s.config.size)
	return line{
		what:      fmt.Sprintf("sweep: %s, with %d CONFIRMED", what, s.config.size),
		coatcheck: fmt.Sprintf("%.2f ms", milliseconds(rig.Median(many))),
		limit:     fmt.Sprintf("%.2f ms: with %d", milliseconds(rig.Median(few)), fewRows),
		ratio:     rig.PairedMedian(len(inMany), func(i int) float64 { return float64(of(inFew[i])) / float64(of(inMany[i])) }), aim: "0.90",
		spread: fmt.Sprintf("%.2f to %.2f ms", milliseconds(many[0]), milliseconds(many[len(many)-1])),
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
func (s *site) withDue(ctx context.Context, p *rig.Postgres, size int, use func(finder) error) error {
	return p.With(ctx, func(conn *pgx.Conn) (err error) {
		pending, uploaded := make([]uuid.UUID, dueRows), make([]uuid.UUID, dueRows)
		for i := range dueRows {
			pending[i], uploaded[i] = rig.ID(size+i), rig.ID(size+dueRows+i)
		}
		due := time.Now().Add(-time.Minute)
		if err := rig.InsertUploaded(ctx, conn, uploaded, due); err != nil {
			return err
		}
		defer func() {
			_, deleteErr := conn.Exec(context.WithoutCancel(ctx), `DELETE FROM coatcheck.media WHERE state IN ('pending', 'uploaded')`)
			err = errors.Join(err, deleteErr)
		}()
		if err := plantPendingDue(ctx, conn, pending, due); err != nil {
			return err
		}
		db, err := postgres.Open(p.URL, 1)
		if err != nil {
			return err
		}
		defer db.Close()
		day := 24 * time.Hour
		store := postgres.NewStore(db, media.Windows{Upload: day, Claim: day, Tombstone: day}, time.Now, postgres.NewMetrics(prometheus.NewRegistry()))
		return use(func(ctx context.Context) (took search, err error) {
			if err := dueAgain(ctx, conn); err != nil {
				return took, err
			}
			if took.pending, err = find(ctx, conn, media.StatePending); err != nil {
				return took, err
			}
			if took.uploaded, err = find(ctx, conn, media.StateUploaded); err != nil {
				return took, err
			}
			began := time.Now()
			leased, err := store.LeasePending(ctx, sweepBatch, time.Hour)
			took.leased = time.Since(began)
			if err == nil && len(leased) != sweepBatch {
				err = fmt.Errorf("%d media are leased instead of %d", len(leased), sweepBatch)
			}
			return took, err
		})
	})
}

// find returns how long it takes to find what is due in a state.
func find(ctx context.Context, db *pgx.Conn, state media.State) (time.Duration, error) {
	var found []time.Duration
	for range looks {
		began := time.Now()
		tag, err := db.Exec(ctx, findSQL, state, time.Now(), sweepBatch)
		found = append(found, time.Since(began))
		if err == nil && tag.RowsAffected() != sweepBatch {
			err = fmt.Errorf("%d %s media are due instead of %d", tag.RowsAffected(), state, sweepBatch)
		}
		if err != nil {
			return 0, err
		}
	}
	return rig.Median(rig.Ordered(found, itself)), nil
}
