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

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

const (
	// sweepBatch is how many media coatcheck sweeps at a time, and sweepHeads how many HEADs of them it has under way.
	sweepBatch, sweepHeads = 1000, 32

	bareExpireSQL = `
	UPDATE coatcheck.media SET state = 'deleting', reason = $2, deleting_at = $3, due_at = $3, revision = revision + 1
	WHERE id = ANY ($1::uuid[])`
	bareFinishSQL = `
	UPDATE coatcheck.media SET state = 'deleted', deleted_at = $2, due_at = $3, revision = revision + 1
	WHERE id = ANY ($1::uuid[])`
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
	next       int // the number of the first media of the next turn
	nothing    []time.Duration
	ours, bare map[string][]time.Duration // by class
}

// measureSweep measures both classes, and how long it takes to find what is due.
func measureSweep(ctx context.Context, s *site, out io.Writer) ([]line, error) {
	if _, err := s.postgres(ctx); err != nil {
		return nil, err
	}
	if _, err := s.emulator(ctx); err != nil {
		return nil, err
	}
	f := &sweeps{site: s, next: s.config.size, ours: map[string][]time.Duration{}, bare: map[string][]time.Duration{}}
	for range s.config.runs {
		took, err := s.sweep(ctx)
		if err != nil {
			return nil, err
		}
		f.nothing = append(f.nothing, took)
		for _, class := range []string{unclaimed, neverUploaded} {
			if err := f.turn(ctx, "coatcheck", class, f.ours, func([]uuid.UUID) (time.Duration, error) { return s.sweep(ctx) }); err != nil {
				return nil, err
			}
			if err := f.turn(ctx, "bare calls", class, f.bare, func(ids []uuid.UUID) (time.Duration, error) {
				return f.sweepBarely(ctx, class, ids)
			}); err != nil {
				return nil, err
			}
		}
	}
	found, err := s.measureFind(ctx)
	if err != nil {
		return nil, err
	}
	return append(f.report(out), found...), nil
}

// sweep runs `coatcheck sweep` once, and returns how long it took from beginning to end.
func (s *site) sweep(ctx context.Context) (time.Duration, error) {
	program, err := filepath.Abs(s.config.coatcheck)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "sweep", "--log-level", "warn")
	cmd.Env = rig.Environment(append(rig.Credentials(), s.environment()...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process, which ends it
	began := time.Now()
	output, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("coatcheck sweep: %w\n%s", err, rig.Tail(string(output), 20))
	}
	return time.Since(began), nil
}

// turn makes media that are due, lets somebody sweep them, looks at what became of them, and removes them.
func (f *sweeps) turn(ctx context.Context, who, class string, results map[string][]time.Duration, sweep func([]uuid.UUID) (time.Duration, error)) error {
	ids := make([]uuid.UUID, f.config.count)
	for i := range ids {
		ids[i] = rig.ID(f.next + i)
	}
	f.next += len(ids)
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
			return fmt.Errorf("%s: %w", who, err)
		}
		results[class] = append(results[class], took)
		fmt.Fprintf(os.Stderr, "sweep, %s, %s: %d in %.2f s\n", class, who, len(ids), took.Seconds())
		return nil
	})
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

// store stores the objects of media.
func (a *awsServer) store(ctx context.Context, ids []uuid.UUID) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, id := range ids {
		group.Go(func() error {
			_, err := a.s3.PutObject(ctx, &s3.PutObjectInput{
				Bucket: aws.String(rig.Bucket), Key: aws.String(rig.Keys.Key(id)), Body: strings.NewReader(rig.Body), ContentType: aws.String(rig.ContentType),
			})
			return err
		})
	}
	return group.Wait()
}

// has reports whether the object of a media is there.
func (a *awsServer) has(ctx context.Context, id uuid.UUID) (bool, error) {
	_, err := a.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(rig.Bucket), Key: aws.String(rig.Keys.Key(id))})
	if _, ok := errors.AsType[*types.NotFound](err); ok {
		return false, nil
	}
	return err == nil, err
}

// sweepBarely makes the calls and the statements that a sweep cannot do without, one after another, and judges nothing.
func (f *sweeps) sweepBarely(ctx context.Context, class string, ids []uuid.UUID) (took time.Duration, err error) {
	err = f.db.With(ctx, func(db *pgx.Conn) error {
		began := time.Now()
		for from := 0; from < len(ids); from += sweepBatch {
			batch := ids[from:min(from+sweepBatch, len(ids))]
			if class == neverUploaded {
				group, within := errgroup.WithContext(ctx)
				group.SetLimit(sweepHeads)
				for _, id := range batch {
					group.Go(func() error { _, err := f.aws.has(within, id); return err })
				}
				if err := group.Wait(); err != nil {
					return err
				}
			}
			now := time.Now()
			if _, err := db.Exec(ctx, bareExpireSQL, batch, class, now); err != nil {
				return err
			}
			if err := f.aws.deleteAll(ctx, batch); err != nil {
				return err
			}
			if _, err := db.Exec(ctx, bareFinishSQL, batch, now, now.Add(7*24*time.Hour)); err != nil {
				return err
			}
		}
		took = time.Since(began)
		return nil
	})
	return took, err
}

// deleteAll deletes the objects of media by one call.
func (a *awsServer) deleteAll(ctx context.Context, ids []uuid.UUID) error {
	objects := make([]types.ObjectIdentifier, len(ids))
	for i, id := range ids {
		objects[i].Key = aws.String(rig.Keys.Key(id))
	}
	out, err := a.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: aws.String(rig.Bucket), Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(false)}})
	if err == nil && len(out.Deleted) != len(ids) {
		err = fmt.Errorf("%d of %d objects were deleted", len(out.Deleted), len(ids))
	}
	return err
}

func (f *sweeps) report(out io.Writer) []line {
	n := f.config.count
	nothing := rig.Median(rig.Ordered(f.nothing, itself))
	fmt.Fprintf(out, "\na sweep of nothing takes %.0f ms, which is taken off coatcheck's times; Postgres %s\n", milliseconds(nothing), f.db.Version)
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "expired media\twho\tmedia\tseconds\tfastest\tslowest\tmedia/s\t")
	var lines []line
	for _, class := range []string{unclaimed, neverUploaded} {
		ours, bare := rig.Ordered(f.ours[class], func(d time.Duration) time.Duration { return d - nothing }), rig.Ordered(f.bare[class], itself)
		for i, all := range [][]time.Duration{ours, bare} {
			fmt.Fprintf(table, "%s\t%s\t%d\t%.2f\t%.2f\t%.2f\t%.0f\t\n", class, []string{"coatcheck", "bare calls"}[i], n, rig.Median(all).Seconds(),
				all[0].Seconds(), all[len(all)-1].Seconds(), rate(n, rig.Median(all)))
		}
		calls := "DeleteObjects and two UPDATEs"
		if class == neverUploaded {
			calls = "HEADs, " + calls
		}
		lines = append(lines, line{
			what: fmt.Sprintf("sweep, %d %s", n, strings.ReplaceAll(class, "_", " ")), coatcheck: fmt.Sprintf("%.0f/s", rate(n, rig.Median(ours))),
			limit: fmt.Sprintf("%.0f/s: %s", rate(n, rig.Median(bare)), calls),
			ratio: float64(rig.Median(bare)) / float64(rig.Median(ours)), aim: "0.80",
			spread: fmt.Sprintf("%.0f to %.0f/s", rate(n, ours[len(ours)-1]), rate(n, ours[0])),
		})
	}
	_ = table.Flush()
	return lines
}
