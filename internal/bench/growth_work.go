package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/bench/pages"
	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// bill is what a turn of some work took.
type bill struct {
	n                  int
	took               time.Duration
	own, postgres, aws time.Duration // processor time
}

// each is the processor time of one piece, of every process but the client's, in microseconds. It is told of, and not
// the time of the clock, because it is what grows with the work, on a busy machine too.
func (b bill) each() float64 { return each(b.own+b.postgres+b.aws, b.n) }

// turn lets every role do its work at full load, and then every role rest. The reconciler rests because it has just
// been at work.
func (t *growing) turn(ctx context.Context) error {
	for _, do := range []func(context.Context) error{t.consume, t.call, t.sweepAll, t.reconcile, t.restAll} {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pieces is how much a turn of work is. Sweeping and calls take longer than notifications do.
func (t *growing) pieces() int { return max(t.config.count/3, 100) }

func (t *growing) take(n int) []uuid.UUID {
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = rig.ID(t.next + i)
	}
	t.next += n
	return ids
}

// billed measures what is done by a process of the product, Postgres, and the server that stands in for AWS.
func (t *growing) billed(of work, pid, aws, n int, do func() error) error {
	pids := []int{pid, t.db.PID, aws}
	before, began := processorTimes(pids), time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", of, err)
	}
	took, after := time.Since(began), processorTimes(pids)
	t.note(of, bill{n: n, took: took, own: after[0] - before[0], postgres: after[1] - before[1], aws: after[2] - before[2]})
	return nil
}

func (t *growing) note(of work, b bill) {
	t.expenses[of] = append(t.expenses[of], b)
	fmt.Fprintf(os.Stderr, "%s, %d rows: %d in %.2f s, %.1f µs of processor time each\n", of, t.size, b.n, b.took.Seconds(), b.each())
}

// peak takes note of what a process has had of memory at most.
func (t *growing) peak(of role, pid int) error {
	m, err := rig.MemoryOf(pid)
	t.full[of] = append(t.full[of], m.Peak)
	return err
}

func (t *growing) consume(ctx context.Context) error {
	t.consumed.next = t.next
	t.next += t.config.count
	if err := t.consumed.run(ctx, oursPlain, t.consumed.ours(t.aws.plain), t.config.count, false); err != nil {
		return err
	}
	all := t.consumed.results[oursPlain]
	u := all[len(all)-1]
	t.note(notifying, bill{n: u.count, took: u.took, own: u.own, postgres: u.postgres, aws: u.aws})
	t.full[consumerRole] = append(t.full[consumerRole], u.peak)
	return nil
}

// fullClients is how many call at a time for the API to be under full load.
const fullClients = 256

func (t *growing) call(ctx context.Context) (err error) {
	api, stop, err := t.serve(string(apiRole), nil, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return t.db.With(ctx, func(db *pgx.Conn) error {
		from, n := firstSince(time.Now()), t.pieces()
		if _, err := drive(ctx, fullClients, 4*fullClients, api.create); err != nil { // until all is warm
			return err
		}
		if err := t.billed(creating, api.pid, t.aws.pid, n, func() error {
			_, err := drive(ctx, fullClients, n, api.create)
			return err
		}); err != nil {
			return err
		}
		if err := removeCreated(ctx, db, from, n+4*fullClients); err != nil {
			return err
		}
		f := &confirmation{site: t.site, batch: 1, ids: t.take(n)}
		if err := rig.InsertUploaded(ctx, db, f.ids, never); err != nil {
			return err
		}
		if err := tidy(ctx, db); err != nil {
			return err
		}
		if err := t.billed(confirming, api.pid, t.aws.pid, n, func() error {
			_, err := drive(ctx, fullClients, n, f.confirm(api))
			return err
		}); err != nil {
			return err
		}
		return errors.Join(f.remove(ctx, db, n), t.peak(apiRole, api.pid))
	})
}

// sweepAll sweeps media that are due, all at the same time, when the process has begun and waits for them.
func (t *growing) sweepAll(ctx context.Context) (err error) {
	ids := t.take(t.pieces())
	if err := t.aws.store(ctx, ids); err != nil {
		return err
	}
	return t.db.With(ctx, func(db *pgx.Conn) (err error) {
		if err := rig.InsertUploaded(ctx, db, ids, never); err != nil {
			return err
		}
		if err := tidy(ctx, db); err != nil {
			return err
		}
		sweeper, stop, err := t.serve(string(sweeperRole), []string{"--sweep-interval", "1s"}, nil)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		first, last := ids[0], ids[len(ids)-1]
		if _, err := db.Exec(ctx, `UPDATE coatcheck.media SET due_at = now() - interval '1 minute' WHERE id >= $1 AND id <= $2`, first, last); err != nil {
			return err
		}
		if err := t.billed(sweeping, sweeper.pid, t.aws.pid, len(ids), func() error {
			return t.until(ctx, db, `SELECT count(*) = $3 FROM coatcheck.media
				WHERE id >= $1 AND id <= $2 AND state = 'deleted' AND reason = 'unclaimed'`, first, last, len(ids))
		}); err != nil {
			return err
		}
		if err := t.peak(sweeperRole, sweeper.pid); err != nil {
			return err
		}
		_, err = db.Exec(ctx, `DELETE FROM coatcheck.media WHERE id >= $1 AND id <= $2`, first, last)
		return err
	})
}

// until asks, seldom enough to disturb nobody, until the answer is yes.
func (t *growing) until(ctx context.Context, db *pgx.Conn, question string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, t.config.limit)
	defer cancel()
	for {
		var yes bool
		if err := db.QueryRow(ctx, question, args...).Scan(&yes); err != nil || yes {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// reconcile holds as many objects as there are rows against them, once.
func (t *growing) reconcile(ctx context.Context) error {
	if err := t.forgetReconciliations(ctx); err != nil {
		return err
	}
	return t.db.With(ctx, func(db *pgx.Conn) (err error) {
		if err := tidy(ctx, db); err != nil {
			return err
		}
		// An interval this short makes it look at once; what comes after the first run is not looked at.
		reconciler, stop, err := t.serve(string(reconcilerRole), []string{"--reconcile-interval", "1s"}, []string{"COATCHECK_AWS_ENDPOINT=" + t.s3.Ready})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		if err := t.billed(reconciling, reconciler.pid, t.s3.PID, t.size, func() error {
			return t.until(ctx, db, `SELECT EXISTS (SELECT FROM coatcheck.reconciliation WHERE outcome = 'finished')`)
		}); err != nil {
			return err
		}
		return t.peak(reconcilerRole, reconciler.pid)
	})
}

func (t *growing) forgetReconciliations(ctx context.Context) error {
	return t.db.With(ctx, func(db *pgx.Conn) error {
		_, err := db.Exec(ctx, `TRUNCATE coatcheck.reconciliation CASCADE`)
		return err
	})
}

// restTime is how long a process has had nothing to do when its memory is looked at.
const restTime = 3 * time.Second

// restAll lets a process of each role wait for something to do.
func (t *growing) restAll(ctx context.Context) (err error) {
	pids := map[role]int{}
	for _, r := range roles {
		process, stop, err := t.serve(string(r), nil, []string{"COATCHECK_QUEUE_URL=" + t.consumed.queueURL})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		pids[r] = process.pid
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(restTime):
	}
	for r, pid := range pids {
		m, memoryErr := rig.MemoryOf(pid)
		t.rest[r], err = append(t.rest[r], m.Resident), errors.Join(err, memoryErr)
	}
	return err
}

// servePages is a process that makes up a bucket. See package pages.
func servePages(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("serve-pages", flag.ContinueOnError)
	objects := flags.Int("objects", 0, "objects in the bucket")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, cancel := rig.UntilOrphaned(ctx)
	defer cancel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: pages.New(*objects), ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if _, err := fmt.Fprintln(out, "http://"+listener.Addr().String()); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
