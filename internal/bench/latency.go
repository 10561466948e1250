package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/bench/plot"
	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// latencies is the benchmark of the time from the end of a PUT, as its client sees it, to the commit that makes its
// media UPLOADED; beside the same from PUT to a bare receiver, which is the queue's own delay. PUTs come when they are
// due, whatever becomes of earlier ones.
//
// The time of the commit is Postgres's own (track_commit_timestamp), by the clock of the same machine: nobody has to ask
// for it meanwhile, so that nothing is disturbed, and no time between two questions blurs it. Postgres takes it just
// before it writes the commit to the disk; so the time of a whole commit, measured alone, is added to every latency.
type latencies struct {
	*site
	queueURL string
	next     int
	commit   time.Duration // of one row, from the statement to the answer
}

// load is so many uploads a second, and what became of them.
type load struct {
	rate          int
	main          bool            // it has a line in the table
	ours, alone   []time.Duration // in ascending order
	puts          []time.Duration
	late          time.Duration // how much later than due a PUT has begun at most
	awsCPU, dbCPU time.Duration
	ownCPU        time.Duration
}

// turns is how often coatcheck and the bare receiver alternate at a main load.
const turns = 2

// measureLatency measures the way from PUT to UPLOADED at several loads.
func measureLatency(ctx context.Context, s *site, out io.Writer) ([]line, error) {
	l, err := s.latencies(ctx)
	if err != nil {
		return nil, err
	}
	loads := []*load{{rate: 1, main: true}, {rate: 10}, {rate: 100, main: true}, {rate: 300}, {rate: 1000, main: true}, {rate: 2000}}
	for _, at := range loads {
		n, lasts := 1, time.Duration(s.config.seconds)*time.Second/4
		if at.main {
			n, lasts = turns, time.Duration(s.config.seconds)*time.Second/turns
		}
		for range n {
			if err := errors.Join(l.ours(ctx, at, lasts), l.alone(ctx, at, lasts)); err != nil {
				return nil, fmt.Errorf("at %d/s: %w", at.rate, err)
			}
		}
		slices.Sort(at.ours)
		slices.Sort(at.alone)
		slices.Sort(at.puts)
	}
	if err := l.report(out, loads); err != nil {
		return nil, err
	}
	var lines []line
	for i := len(loads) - 1; i >= 0; i-- {
		if at := loads[i]; at.main {
			lines = append(lines, at.line())
		}
	}
	return lines, nil
}

func (s *site) latencies(ctx context.Context) (*latencies, error) {
	if _, err := s.postgres(ctx); err != nil {
		return nil, err
	}
	a, err := s.emulator(ctx)
	if err != nil {
		return nil, err
	}
	l := &latencies{site: s, next: 10 * s.config.size} // beyond every other figure's
	if l.queueURL, err = a.queue(ctx, "latency"); err != nil {
		return nil, err
	}
	if err := a.notify(ctx, l.queueURL); err != nil {
		return nil, err
	}
	l.commit, err = s.commitTime(ctx)
	return l, err
}

// commitTime is how long a statement takes that changes one row, from end to end: the median.
func (s *site) commitTime(ctx context.Context) (time.Duration, error) {
	var all []time.Duration
	err := s.db.With(ctx, func(db *pgx.Conn) error {
		if _, err := db.Exec(ctx, `CREATE TABLE IF NOT EXISTS public.scratch (n bigint)`); err != nil {
			return err
		}
		for i := range 300 {
			began := time.Now()
			if _, err := db.Exec(ctx, `INSERT INTO public.scratch VALUES ($1)`, i); err != nil {
				return err
			}
			all = append(all, time.Since(began))
		}
		return nil
	})
	slices.Sort(all)
	return rig.Median(all), err
}

// ours uploads while coatcheck consumes.
func (l *latencies) ours(ctx context.Context, at *load, lasts time.Duration) error {
	ids := l.ids(at, lasts)
	return l.db.With(ctx, func(db *pgx.Conn) error {
		if err := rig.InsertPending(ctx, db, ids); err != nil {
			return err
		}
		if err := tidy(ctx, db); err != nil {
			return err
		}
		done, u, err := l.upload(ctx, at, ids, l.consumerProcess(l.aws.plain, l.queueURL))
		if err != nil {
			return err
		}
		at.ownCPU, at.awsCPU, at.dbCPU = at.ownCPU+u.own, at.awsCPU+u.aws, at.dbCPU+u.postgres
		rows, err := db.Query(ctx, `SELECT id, pg_xact_commit_timestamp(xmin) FROM coatcheck.media
			WHERE state = 'uploaded' AND id >= $1 AND id <= $2`, ids[0], ids[len(ids)-1])
		if err != nil {
			return err
		}
		var id uuid.UUID
		var committed time.Time
		if _, err := pgx.ForEachRow(rows, []any{&id, &committed}, func() error {
			if put, ok := done[id]; ok {
				at.ours = append(at.ours, committed.Sub(put)+l.commit)
			}
			return nil
		}); err != nil {
			return err
		}
		return removeUploaded(ctx, db, ids, 0)
	})
}

// alone uploads while nobody does more than receive and delete.
func (l *latencies) alone(ctx context.Context, at *load, lasts time.Duration) error {
	ids := l.ids(at, lasts)
	done, u, err := l.upload(ctx, at, ids, contender{name: "bare receiver", program: rig.Must(os.Executable()), args: []string{
		"bare-receiver", "-endpoint", l.aws.plain, "-queue", l.queueURL, "-pollers", fmt.Sprint(l.config.pollers)}})
	if err != nil {
		return err
	}
	received, err := parseReceived(u.output)
	for id, when := range received {
		if put, ok := done[id]; ok {
			at.alone = append(at.alone, when.Sub(put))
		}
	}
	return err
}

func (l *latencies) ids(at *load, lasts time.Duration) []uuid.UUID {
	n := warmUps + max(1, int(float64(at.rate)*lasts.Seconds()))
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = rig.ID(l.next + i)
	}
	l.next += n
	return ids
}

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }

// percentiles tells those of which there are samples enough: a p99 wants a hundred, a p99.9 a thousand.
func percentiles(all []time.Duration) string {
	if len(all) == 0 {
		return "nothing"
	}
	var told []string
	for _, p := range percentilesOf(len(all)) {
		told = append(told, fmt.Sprintf("%.1f", milliseconds(rig.Percentile(all, p))))
	}
	return strings.Join(told, " / ") + " ms"
}

// percentilesOf are the percentiles that so many samples tell.
func percentilesOf(n int) []float64 {
	switch {
	case n < 100:
		return []float64{50}
	case n < 1000:
		return []float64{50, 99}
	}
	return []float64{50, 99, 99.9}
}

func (l *load) line() line {
	told := percentilesOf(len(l.ours))
	last := told[min(len(told)-1, 1)] // p99, where there is one
	ours, alone := rig.Percentile(l.ours, last), rig.Percentile(l.alone, last)
	of := line{
		what:      fmt.Sprintf("latency at %d/s: %s of %d", l.rate, percentileNames(told), len(l.ours)),
		coatcheck: percentiles(l.ours),
		limit:     percentiles(l.alone) + ": PUT to a bare receiver",
		ratio:     float64(alone) / float64(ours),
		spread:    fmt.Sprintf("%.1f to %.1f ms", milliseconds(l.ours[0]), milliseconds(l.ours[len(l.ours)-1])),
	}
	if last == 99 {
		of.aim = fmt.Sprintf("p99 at most 10 ms more, is %.1f ms", milliseconds(ours-alone))
	}
	return of
}

func percentileNames(all []float64) string {
	var names []string
	for _, p := range all {
		names = append(names, fmt.Sprintf("p%g", p))
	}
	return strings.Join(names, " / ")
}

func (l *latencies) report(out io.Writer, loads []*load) error {
	fmt.Fprintf(out, "\nfrom the end of a PUT to its commit; a commit of one row takes %.2f ms, which is in them\n", milliseconds(l.commit))
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "uploads/s\tof\tp50, p99, p99.9\tthe queue's own delay\tPUT itself\tbegun late by\tcoatcheck's CPU s\tS3's, SQS's\tPostgres's\t")
	for _, at := range loads {
		fmt.Fprintf(table, "%d\t%d\t%s\t%s\t%s\t%.1f ms\t%.2f\t%.2f\t%.2f\t\n", at.rate, len(at.ours), percentiles(at.ours), percentiles(at.alone),
			percentiles(at.puts), milliseconds(at.late), at.ownCPU.Seconds(), at.awsCPU.Seconds(), at.dbCPU.Seconds())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return drawLatency(l.config.plot, loads)
}

// drawLatency draws latency against load.
func drawLatency(path string, loads []*load) error {
	chart := plot.Chart{
		Title: "From the end of a PUT to UPLOADED, committed", XLabel: "uploads a second", YLabel: "milliseconds (0.01 stands for less, too)",
	}
	for _, p := range []float64{50, 99, 99.9} {
		ours, alone := plot.Line{Name: fmt.Sprintf("coatcheck, p%g", p)}, plot.Line{Name: fmt.Sprintf("the queue alone, p%g", p), Dashed: true}
		for _, at := range loads {
			if !slices.Contains(percentilesOf(min(len(at.ours), len(at.alone))), p) {
				continue
			}
			// What arrives before its sender has the answer has no place on a logarithmic axis.
			ours.Points = append(ours.Points, plot.Point{X: float64(at.rate), Y: max(0.01, milliseconds(rig.Percentile(at.ours, p)))})
			alone.Points = append(alone.Points, plot.Point{X: float64(at.rate), Y: max(0.01, milliseconds(rig.Percentile(at.alone, p)))})
		}
		chart.Lines = append(chart.Lines, ours, alone)
	}
	return draw(path, chart)
}
