package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

const (
	// sweepBatch is how many media are in a batch of coatcheck's, sweepBatches how many batches it works on at a time, and
	// sweepHeads how many HEADs it has under way.
	sweepBatch, sweepBatches, sweepHeads = 1000, 2, 64
)

// The classes of expired media.
const (
	unclaimed     = "unclaimed"
	neverUploaded = "never_uploaded"
)

// sweeps is the benchmark of `coatcheck sweep` over expired media: from rows that are due to tombstones, and objects that
// are gone. It does not pay for how long a process takes to start, which is what a sweep of nothing takes.
type sweeps struct {
	*site
	next  int // the number of the first media of the next turn
	times map[swept][]time.Duration
}

// swept is what takes some time: a class, or nothing, swept by somebody at an endpoint.
type swept struct {
	class   string
	bare    bool // not by coatcheck, but by the calls alone
	delayed bool
}

// measureSweep measures both classes, and how long it takes to find what is due.
func measureSweep(ctx context.Context, s *site, out io.Writer) ([]line, error) {
	if _, err := s.postgres(ctx); err != nil {
		return nil, err
	}
	if _, err := s.emulator(ctx); err != nil {
		return nil, err
	}
	f := &sweeps{site: s, next: s.config.size, times: map[swept][]time.Duration{}}
	for range s.config.runs {
		for _, endpoint := range []string{s.aws.plain, s.aws.delayed} {
			delayed := endpoint == s.aws.delayed
			took, err := s.sweep(ctx, endpoint)
			if err != nil {
				return nil, err
			}
			nothing := swept{delayed: delayed}
			f.times[nothing] = append(f.times[nothing], took)
			for _, class := range []string{unclaimed, neverUploaded} {
				ours := func([]uuid.UUID) (time.Duration, error) { return s.sweep(ctx, endpoint) }
				if err := f.turn(ctx, swept{class: class, delayed: delayed}, ours); err != nil {
					return nil, err
				}
				if delayed {
					err = f.turnOfCalls(ctx, class)
				} else {
					err = f.turn(ctx, swept{class: class, bare: true}, func(ids []uuid.UUID) (time.Duration, error) { return f.sweepBarely(ctx, class, ids) })
				}
				if err != nil {
					return nil, err
				}
			}
		}
	}
	found, err := s.measureFind(ctx)
	if err != nil {
		return nil, err
	}
	return append(f.report(out), found...), nil
}

// sweep runs `coatcheck sweep` once, with S3 at an endpoint, and returns how long it took from beginning to end.
func (s *site) sweep(ctx context.Context, endpoint string) (time.Duration, error) {
	program, err := filepath.Abs(s.config.coatcheck)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "sweep", "--log-level", "warn")
	cmd.Env = rig.Environment(append(rig.Credentials(), append(s.environment(), "COATCHECK_AWS_ENDPOINT="+endpoint)...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process, which ends it
	began := time.Now()
	output, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("coatcheck sweep: %w\n%s", err, rig.Tail(string(output), 20))
	}
	return time.Since(began), nil
}

// take returns the ids of the next media.
func (f *sweeps) take() []uuid.UUID {
	ids := make([]uuid.UUID, f.config.count)
	for i := range ids {
		ids[i] = rig.ID(f.next + i)
	}
	f.next += len(ids)
	return ids
}

// turn makes media that are due, lets somebody sweep them, looks at what became of them, and removes them.
func (f *sweeps) turn(ctx context.Context, what swept, sweep func([]uuid.UUID) (time.Duration, error)) error {
	ids, class := f.take(), what.class
	return f.db.With(ctx, func(db *pgx.Conn) error {
		if err := f.plant(ctx, db, class, ids); err != nil {
			return err
		}
		took, err := sweep(ids)
		if err != nil {
			return err
		}
		tag, err := db.Exec(ctx, `DELETE FROM coatcheck.media WHERE id >= $1 AND id <= $2 AND state = 'deleted' AND reason = $3`, ids[0], ids[len(ids)-1], class)
		if err == nil && tag.RowsAffected() != int64(len(ids)) {
			err = fmt.Errorf("%d of %d media are DELETED as %s", tag.RowsAffected(), len(ids), class)
		}
		for _, id := range []uuid.UUID{ids[0], ids[len(ids)-1]} {
			if there, headErr := f.aws.has(ctx, id); there || headErr != nil {
				err = errors.Join(err, headErr, fmt.Errorf("the object of media %s is there still, or that is not known", id))
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		f.took(what, took)
		return nil
	})
}

func (f *sweeps) took(what swept, took time.Duration) {
	f.times[what] = append(f.times[what], took)
	fmt.Fprintf(os.Stderr, "sweep, %s: %d in %.2f s\n", what, f.config.count, took.Seconds())
}

// String implements [fmt.Stringer].
func (w swept) String() string {
	who := "coatcheck"
	if w.bare {
		who = "bare calls"
	}
	if w.delayed {
		who += ", +10 ms"
	}
	return w.class + ", " + who
}

func (f *sweeps) plant(ctx context.Context, db *pgx.Conn, class string, ids []uuid.UUID) error {
	due := time.Now().Add(-time.Minute)
	if class == unclaimed {
		if err := f.aws.store(ctx, ids); err != nil {
			return err
		}
		if err := rig.InsertUploaded(ctx, db, ids, due); err != nil {
			return err
		}
		return tidy(ctx, db)
	}
	return plantPendingDue(ctx, db, ids, due)
}

func plantPendingDue(ctx context.Context, db *pgx.Conn, ids []uuid.UUID, due time.Time) error {
	if err := rig.InsertPending(ctx, db, ids); err != nil {
		return err
	}
	if _, err := db.Exec(ctx, `UPDATE coatcheck.media SET due_at = $1 WHERE state = 'pending'`, due); err != nil {
		return err
	}
	return tidy(ctx, db)
}

func (f *sweeps) report(out io.Writer) []line {
	n := f.config.count
	for _, delayed := range []bool{false, true} {
		fmt.Fprintf(out, "\na sweep of nothing takes %.0f ms%s, which is taken off coatcheck's times", milliseconds(f.nothing(delayed)), longer(delayed))
	}
	fmt.Fprintf(out, "; Postgres %s\n", f.db.Version)
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "expired media and who sweeps them\tmedia\tseconds\tfastest\tslowest\tmedia/s\t")
	var lines []line
	for _, delayed := range []bool{false, true} {
		for _, class := range []string{unclaimed, neverUploaded} {
			for _, bare := range []bool{false, true} {
				what := swept{class, bare, delayed}
				all := f.ordered(what)
				fmt.Fprintf(table, "%s\t%d\t%.2f\t%.2f\t%.2f\t%.0f\t\n", what, n, rig.Median(all).Seconds(), all[0].Seconds(),
					all[len(all)-1].Seconds(), rate(n, rig.Median(all)))
			}
			lines = append(lines, f.line(class, delayed))
		}
	}
	_ = table.Flush()
	return lines
}

// line holds a sweep against its parts, one after another; and where the calls are longer against the slower of those parts
// and of the calls alone: the processors have no less to do.
func (f *sweeps) line(class string, delayed bool) line {
	n, ours := f.config.count, f.ordered(swept{class: class, delayed: delayed})
	parts := f.ordered(swept{class: class, bare: true})
	limit, told := rig.Median(parts), bareSweep(class)
	took, bare, calls := f.times[swept{class: class, delayed: delayed}], f.times[swept{class: class, bare: true}], f.times[swept{class, true, true}]
	if delayed {
		alone := rig.Median(f.ordered(swept{class, true, true}))
		limit = max(limit, alone)
		told = fmt.Sprintf("the slower of the calls to S3 alone %.0f/s, and of the parts without delay %.0f/s", rate(n, alone), rate(n, rig.Median(parts)))
	}
	return line{
		what:      fmt.Sprintf("sweep, %d %s%s", n, strings.ReplaceAll(class, "_", " "), longer(delayed)),
		coatcheck: fmt.Sprintf("%.0f/s", rate(n, rig.Median(ours))),
		limit:     fmt.Sprintf("%.0f/s: %s", rate(n, limit), told),
		ratio: rig.PairedMedian(len(took), func(i int) float64 {
			least := bare[i]
			if delayed {
				least = max(least, calls[i])
			}
			return float64(least) / float64(took[i]-f.nothing(delayed))
		}), aim: "0.80",
		spread: fmt.Sprintf("%.0f to %.0f/s", rate(n, ours[len(ours)-1]), rate(n, ours[0])),
	}
}

func longer(delayed bool) string {
	if delayed {
		return ", each call 10 ms longer"
	}
	return ""
}

func (f *sweeps) nothing(delayed bool) time.Duration {
	return rig.Median(rig.Ordered(f.times[swept{delayed: delayed}], itself))
}

// ordered are the times of a sweep, without what a process takes to start.
func (f *sweeps) ordered(what swept) []time.Duration {
	return rig.Ordered(f.times[what], func(d time.Duration) time.Duration {
		if !what.bare {
			d -= f.nothing(what.delayed)
		}
		return d
	})
}
