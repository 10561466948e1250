package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// call makes the i-th call of a turn.
type call func(ctx context.Context, i int) error

// caller takes part in a contest of calls.
type caller struct {
	name string
	pid  int // of what it calls; 0 where that is Postgres itself
	// prepare makes ready for n calls, and settle looks at what they did and removes it.
	prepare func(ctx context.Context, db *pgx.Conn, n int) (call, error)
	settle  func(ctx context.Context, db *pgx.Conn, n int) error
}

// driven is what a turn has taken.
type driven struct {
	n                     int
	took                  time.Duration
	each                  []time.Duration // in ascending order
	own, postgres, client time.Duration   // processor time
}

func (d driven) rate() float64 { return float64(d.n) / d.took.Seconds() }

// drive makes n calls, so many at a time, each as soon as another has ended.
func drive(ctx context.Context, clients, n int, do call) (driven, error) {
	d := driven{n: n, each: make([]time.Duration, n)}
	var next atomic.Int64
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for range clients {
		group.Go(func() error {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				at := time.Now()
				if err := do(ctx, i); err != nil {
					return err
				}
				d.each[i] = time.Since(at)
			}
			return nil
		})
	}
	err := group.Wait()
	d.took = time.Since(began)
	slices.Sort(d.each)
	return d, err
}

// clientCounts are how many call at a time; the ratio is told of mainClients, who have mainTurns in each run, of half as many
// calls.
var clientCounts = []int{1, mainClients, 256}

const mainClients, mainTurns = 32, 3

// A turn has so many calls at least, in all and of each client: fewer tell no p99, and with few of each client much of a turn is
// its beginning and its end, when not all of them call. Batches are half as many, since their rows take longer to make than to
// confirm.
const leastCalls, callsEach, batchesEach = 300, 20, 10

// The names of who takes turns in a contest of calls. The first is coatcheck.
const (
	realAPI = "coatcheck"
	idleAPI = "handler that does nothing"
	bareSQL = "the statement by pgx"
)

// callContest lets callers take turns.
type callContest struct {
	*site
	what    string
	aim     string
	calls   int // of a turn; one client makes a tenth of that
	rows    int // of a call
	callers []caller
	conns   *connections
	results map[string]map[int][]driven // by caller and clients
}

func (c *callContest) run(ctx context.Context) error {
	c.results = map[string]map[int][]driven{}
	for _, who := range c.callers {
		c.results[who.name] = map[int][]driven{}
		if err := c.turn(ctx, who, bareConns, min(c.calls, 1000), false); err != nil { // until all is warm, each connection too
			return err
		}
	}
	ofEach := callsEach
	if c.rows > 1 {
		ofEach = batchesEach
	}
	for range c.config.runs {
		for _, clients := range clientCounts {
			n, turns := c.calls, 1
			switch clients {
			case 1:
				n /= 10
			case mainClients:
				n, turns = n/2, mainTurns
			}
			n = max(n, leastCalls, ofEach*clients)
			for _, who := range slices.Repeat(c.callers, turns) {
				if err := c.turn(ctx, who, clients, n, true); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (c *callContest) turn(ctx context.Context, who caller, clients, n int, counts bool) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.limit)
	defer cancel()
	return c.db.With(ctx, func(db *pgx.Conn) error {
		do, err := who.prepare(ctx, db, n)
		if err != nil {
			return err
		}
		if err := tidy(ctx, db); err != nil {
			return err
		}
		c.conns.lend(clients)
		pids := []int{who.pid, c.db.PID}
		before, clientBefore := processorTimes(pids), rig.OwnTime()
		d, err := drive(ctx, clients, n, do)
		if err != nil {
			return fmt.Errorf("%s by %s: %w", c.what, who.name, err)
		}
		clientAfter, after := rig.OwnTime(), processorTimes(pids)
		d.own, d.postgres, d.client = after[0]-before[0], after[1]-before[1], clientAfter-clientBefore
		if err := who.settle(ctx, db, n); err != nil {
			return fmt.Errorf("%s by %s: %w", c.what, who.name, err)
		}
		if !counts {
			return nil
		}
		c.results[who.name][clients] = append(c.results[who.name][clients], d)
		fmt.Fprintf(os.Stderr, "%s, %d at a time, %s: %.0f/s, p50 %.2f ms, p99 %.2f ms\n", c.what, clients, who.name, d.rate(),
			milliseconds(rig.Percentile(d.each, 50)), milliseconds(rig.Percentile(d.each, 99)))
		return nil
	})
}

func processorTimes(pids []int) []time.Duration {
	times := make([]time.Duration, len(pids))
	for i, pid := range pids {
		if pid != 0 {
			times[i], _ = rig.ProcessorTime(pid)
		}
	}
	return times
}

// report prints what was measured, and returns the lines of the table, the main one first.
func (c *callContest) report(out io.Writer) ([]line, error) {
	fmt.Fprintf(out, "\n%s; Postgres %s; as many connections for the bare statement as clients, at most %d; µs of processor time for each call\n", c.what, c.db.Version, bareConns)
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "clients\twho\tcalls\tcalls/s\tslowest\tfastest\tp50\tp99\town CPU\tPostgres's\tthe client's\tof the processors\t")
	var lines []line
	for _, clients := range clientCounts {
		for _, who := range c.callers {
			all := c.results[who.name][clients]
			rates := rig.Ordered(all, driven.rate)
			cpu := func(of func(driven) time.Duration) float64 {
				return rig.Median(rig.Ordered(all, func(d driven) float64 { return each(of(d), d.n) }))
			}
			share := func(of func(driven) time.Duration) float64 {
				return rig.Median(rig.Ordered(all, func(d driven) float64 { return rig.Share(of(d), d.took) }))
			}
			own, postgres, client := func(d driven) time.Duration { return d.own }, func(d driven) time.Duration { return d.postgres },
				func(d driven) time.Duration { return d.client }
			fmt.Fprintf(table, "%d\t%s\t%d\t%.0f\t%.0f\t%.0f\t%.2f ms\t%.2f ms\t%.0f\t%.0f\t%.0f\t%.0f + %.0f + %.0f %%\t\n", clients, who.name, all[0].n,
				rig.Median(rates), rates[0], rates[len(rates)-1], medianOf(all, 50), medianOf(all, 99),
				cpu(own), cpu(postgres), cpu(client), share(own), share(postgres), share(client))
		}
		l := c.line(clients)
		if clients == mainClients {
			lines = append([]line{l}, lines...)
			continue
		}
		lines = append(lines, l)
	}
	return lines, table.Flush()
}

// medianOf is the median of a percentile of the turns, in milliseconds.
func medianOf(all []driven, p float64) float64 {
	return milliseconds(rig.Median(rig.Ordered(all, func(d driven) time.Duration { return rig.Percentile(d.each, p) })))
}

func (c *callContest) line(clients int) line {
	told := func(name string) string {
		all := c.results[name][clients]
		text := fmt.Sprintf("%.0f/s", c.median(name, clients))
		if c.rows > 1 {
			text += fmt.Sprintf(" (%.0f media/s)", c.median(name, clients)*float64(c.rows))
		}
		return text + fmt.Sprintf(", p50 / p99 %.1f / %.1f ms", medianOf(all, 50), medianOf(all, 99))
	}
	rates := rig.Ordered(c.results[realAPI][clients], driven.rate)
	// Both share the processors with each other where a call needs both: then nobody could do better than this.
	both := 1 / (1/c.median(idleAPI, clients) + 1/c.median(bareSQL, clients))
	l := line{
		what: fmt.Sprintf("%s, %d at a time", c.what, clients), coatcheck: told(realAPI),
		limit: fmt.Sprintf("the slower of: %s %s; %s %s (added up: %.0f/s)", idleAPI, told(idleAPI), bareSQL, told(bareSQL), both),
		ratio: c.ratio(clients), spread: fmt.Sprintf("%.0f to %.0f/s", rates[0], rates[len(rates)-1]),
	}
	if clients == mainClients {
		l.aim = c.aim
	}
	return l
}

// ratio is to the slower of the two, turn by turn.
func (c *callContest) ratio(clients int) float64 {
	real, idle, bare := c.results[realAPI][clients], c.results[idleAPI][clients], c.results[bareSQL][clients]
	return rig.PairedMedian(len(real), func(i int) float64 { return real[i].rate() / min(idle[i].rate(), bare[i].rate()) })
}

func (c *callContest) median(name string, clients int) float64 {
	return rig.Median(rig.Ordered(c.results[name][clients], driven.rate))
}

// bareConns is how many connections the bare statements get at most: Postgres's own limit is 100.
const bareConns = 64

// connections are what bare statements take turns on.
type connections struct {
	all  []*pgx.Conn
	free chan *pgx.Conn
}

// connect opens as many as are ever lent.
func (s *site) connect(ctx context.Context) (*connections, error) {
	c := &connections{free: make(chan *pgx.Conn, bareConns)}
	for range bareConns {
		conn, err := pgx.Connect(ctx, s.db.URL)
		if err != nil {
			c.close(ctx)
			return nil, err
		}
		c.all = append(c.all, conn)
	}
	return c, nil
}

func (c *connections) close(ctx context.Context) {
	for _, conn := range c.all {
		_ = conn.Close(context.WithoutCancel(ctx))
	}
}

// lend lets so many clients have a connection each, as far as there are as many. One client that went round all of them
// would find every one, and Postgres's process behind it, as cold as it left it.
func (c *connections) lend(clients int) {
	for len(c.free) > 0 {
		<-c.free
	}
	for _, conn := range c.all[:min(clients, len(c.all))] {
		c.free <- conn
	}
}

// one executes a statement that must change so many rows.
func (c *connections) one(ctx context.Context, rows int, sql string, args ...any) error {
	conn := <-c.free
	defer func() { c.free <- conn }()
	tag, err := conn.Exec(ctx, sql, args...)
	if err == nil && tag.RowsAffected() != int64(rows) {
		err = fmt.Errorf("%d rows instead of %d", tag.RowsAffected(), rows)
	}
	return err
}
