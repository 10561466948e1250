package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// consumption is the benchmark of notifications: from a queue that is full to rows that are UPLOADED and a queue that is
// empty. Time runs from the first receive to the end of the last deletion, as the queue sees it, so that no program pays
// for how long it takes to start.
type consumption struct {
	*site
	sample   *notification
	queueURL string
	next     int // the number of the first media of the next run
	results  map[string][]usage
}

// The names of what takes turns.
const (
	oursPlain    = "coatcheck"
	bareCalls    = "receive and delete"
	bareRows     = "batched UPDATE"
	oursDelayed  = "coatcheck, +10 ms"
	callsDelayed = "receive and delete, +10 ms"
	oursMixed    = "coatcheck, 10 % doubled, 10 % displaced"
)

// measureConsume measures how fast one consumer process is.
func measureConsume(ctx context.Context, s *site, out io.Writer) ([]line, error) {
	c, err := s.consumption(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.ceiling(ctx, out); err != nil {
		return nil, err
	}
	for range s.config.runs {
		if err := c.round(ctx); err != nil {
			return nil, err
		}
	}
	peers, err := c.contest(ctx)
	if err != nil {
		return nil, err
	}
	far, err := c.far(ctx, peers)
	if err != nil {
		return nil, err
	}
	lines, err := c.report(out, peers)
	return append(lines, far...), err
}

func (s *site) consumption(ctx context.Context) (*consumption, error) {
	if _, err := s.postgres(ctx); err != nil {
		return nil, err
	}
	a, err := s.emulator(ctx)
	if err != nil {
		return nil, err
	}
	c := &consumption{site: s, next: s.config.size, results: map[string][]usage{}}
	if c.sample, err = a.notification(ctx); err != nil {
		return nil, err
	}
	c.queueURL, err = a.queue(ctx, "consume")
	return c, err
}

// plainTurns is how many turns each takes in a round without delay, which is told by medians of these pairs.
const plainTurns = 2

// many is how many notifications a turn without delay has. There are 20,000 a second.
func (c *consumption) many() int { return 2 * c.config.count }

// round lets coatcheck and the bare parts take turns.
func (c *consumption) round(ctx context.Context) error {
	type turn struct {
		name      string
		contender func(first int) contender
	}
	plain := []turn{
		{oursPlain, c.ours(c.aws.plain)},
		{bareCalls, c.bareCalls(c.aws.plain, c.config.pollers)},
		{bareRows, c.bareRows(c.many())},
	}
	for _, t := range append(slices.Repeat(plain, plainTurns), turn{oursMixed, c.ours(c.aws.plain)}) {
		if err := c.run(ctx, t.name, t.contender, c.many(), t.name == oursMixed); err != nil {
			return err
		}
	}
	for _, t := range []turn{
		{oursDelayed, c.ours(c.aws.delayed)},
		{callsDelayed, c.bareCalls(c.aws.delayed, c.config.pollers)},
	} {
		if err := c.run(ctx, t.name, t.contender, c.config.count, false); err != nil {
			return err
		}
	}
	return nil
}

func (c *consumption) ours(endpoint string) func(int) contender {
	return func(int) contender { return c.consumerProcess(endpoint, c.queueURL) }
}

func (c *consumption) bareCalls(endpoint string, pollers int) func(int) contender {
	who := contender{name: bareCalls, program: rig.Must(os.Executable()), args: []string{
		"bare-queue", "-endpoint", endpoint, "-queue", c.queueURL, "-pollers", fmt.Sprint(pollers)}}
	return func(int) contender { return who }
}

func (c *consumption) bareRows(n int) func(int) contender {
	return func(first int) contender {
		return contender{name: bareRows, program: rig.Must(os.Executable()), args: []string{
			"bare-update", "-first", fmt.Sprint(first), "-count", fmt.Sprint(n), "-writers", fmt.Sprint(c.config.writers)},
			env: []string{"COATCHECK_DATABASE_URL=" + c.db.URL}}
	}
}

// run makes rows and messages for n media, lets a contender handle them, looks at what it did, and removes the rows. The
// next run gets other media: one that was interrupted must not be mistaken for this.
func (c *consumption) run(ctx context.Context, name string, who func(first int) contender, n int, mixed bool) error {
	first := c.next
	c.next += n
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = rig.ID(first + i)
	}
	ours := strings.HasPrefix(name, "coatcheck")
	rows := name != bareCalls && name != callsDelayed && !strings.HasPrefix(name, "ceiling")
	messages := name != bareRows
	return c.db.With(ctx, func(db *pgx.Conn) error {
		if rows {
			if err := rig.InsertPending(ctx, db, ids); err != nil {
				return err
			}
			if err := tidy(ctx, db); err != nil {
				return err
			}
		}
		count := n // of messages; without any, of rows
		if messages {
			bodies := c.bodies(first, n, mixed)
			count = len(bodies)
			if err := c.aws.send(ctx, c.queueURL, bodies); err != nil {
				return err
			}
		}
		stranded := 0
		u, err := c.runUntil(ctx, who(first), func(ctx context.Context) (err error) {
			if !messages {
				return untilUploaded(ctx, db, ids)
			}
			stranded, err = c.aws.untilSettled(ctx, c.queueURL)
			return err
		})
		if err != nil {
			return err
		}
		if !messages {
			var made time.Duration
			if _, err := fmt.Sscan(u.output, (*int64)(&u.took), (*int64)(&made)); err != nil {
				return err
			}
			u.own -= made
		}
		if ours && stranded > 0 {
			return fmt.Errorf("%s has left %d messages", name, stranded)
		}
		u.count, u.stranded = count, stranded
		if rows {
			if err := removeUploaded(ctx, db, ids, stranded); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		c.results[name] = append(c.results[name], u)
		fmt.Fprintf(os.Stderr, "%s: %d in %.2f s, %.0f/s, %d stranded; µs of processor time each: %.1f own, %.1f SQS, %.1f Postgres\n", name, count,
			u.took.Seconds(), u.rate(), stranded, each(u.own, count), each(u.aws, count), each(u.postgres, count))
		return nil
	})
}

// each is in microseconds.
func each(d time.Duration, n int) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(n) }

// bodies returns the messages about n media. Mixed, every tenth comes twice and every tenth is displaced, each to
// anywhere in the queue.
func (c *consumption) bodies(first, n int, mixed bool) []string {
	order := make([]int, 0, n+n/10)
	for i := range n {
		order = append(order, i)
	}
	if mixed {
		random := rand.New(rand.NewPCG(1, uint64(first)))
		for i := 5; i < n; i += 10 {
			j := random.IntN(n)
			order[i], order[j] = order[j], order[i]
		}
		for i := 0; i < n; i += 10 {
			order = append(order, i)
			j := random.IntN(len(order))
			order[len(order)-1], order[j] = order[j], order[len(order)-1]
		}
	}
	bodies := make([]string, len(order))
	for i, number := range order {
		bodies[i] = c.sample.of(first+number, first+number)
	}
	return bodies
}

func untilUploaded(ctx context.Context, db *pgx.Conn, ids []uuid.UUID) error {
	for {
		n, err := uploaded(ctx, db, ids)
		if err != nil || n == len(ids) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func uploaded(ctx context.Context, db *pgx.Conn, ids []uuid.UUID) (n int, err error) {
	err = db.QueryRow(ctx, `SELECT count(*) FROM coatcheck.media WHERE state = 'uploaded' AND due_at IS NOT NULL
		AND id >= $1 AND id <= $2`, ids[0], ids[len(ids)-1]).Scan(&n)
	return n, err
}

// removeUploaded expects that all of the media are UPLOADED but for so many, and removes them.
func removeUploaded(ctx context.Context, db *pgx.Conn, ids []uuid.UUID, stranded int) error {
	n, err := uploaded(ctx, db, ids)
	if err == nil && (n < len(ids)-stranded || n > len(ids)) {
		err = fmt.Errorf("%d of %d media are UPLOADED", n, len(ids))
	}
	if err != nil {
		return err
	}
	_, err = db.Exec(ctx, `DELETE FROM coatcheck.media WHERE id >= $1 AND id <= $2`, ids[0], ids[len(ids)-1])
	return err
}

// ceiling shows that the queue is not what is measured: what the emulator does in one second of processor time, and what
// it gives to a bare loop.
func (c *consumption) ceiling(ctx context.Context, out io.Writer) error {
	fmt.Fprintf(out, "\nthe emulated SQS by itself:\n")
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "bare pollers\tmessages/s\tmessages per second of its processor\t")
	for _, pollers := range []int{1, c.config.pollers, 4 * c.config.pollers} {
		name := fmt.Sprintf("ceiling %d", pollers)
		if err := c.run(ctx, name, c.bareCalls(c.aws.plain, pollers), c.config.count, false); err != nil {
			return err
		}
		u := c.results[name][0]
		fmt.Fprintf(table, "%d\t%.0f\t%.0f\t\n", pollers, float64(c.config.count)/u.took.Seconds(), float64(c.config.count)/u.aws.Seconds())
	}
	return table.Flush()
}
