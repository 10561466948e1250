package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// compare is a process that does what a shell script would: it lists the bucket to a file, dumps the keys of the rows
// to another, sorts both and counts the lines of comm -3. Both sides go on at the same time. It learns which objects
// have no row and which rows no object, and nothing of states, sizes and lost notifications.
func compare(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	var l listing
	l.flags(flags)
	database := flags.String("database", "", "URL of the database")
	dir := flags.String("dir", "", "folder for the files")
	if err := flags.Parse(args); err != nil {
		return err
	}
	work, err := os.MkdirTemp(*dir, "compare-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()

	objects, rows := filepath.Join(work, "objects"), filepath.Join(work, "rows")
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := writeFile(objects, func(w io.Writer) error { return l.keysTo(groupCtx, w) }); err != nil {
			return err
		}
		return sortFile(groupCtx, objects)
	})
	group.Go(func() error {
		if err := writeFile(rows, func(w io.Writer) error { return dumpKeys(groupCtx, *database, w) }); err != nil {
			return err
		}
		return sortFile(groupCtx, rows)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	n, err := differences(ctx, objects, rows)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "differences=%d\n", n)
	return err
}

func writeFile(path string, fill func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(file, 1<<20)
	return errors.Join(fill(w), w.Flush(), file.Close())
}

// keysTo writes every key of the bucket, one a line.
func (l listing) keysTo(ctx context.Context, w io.Writer) error {
	var mu sync.Mutex
	_, err := l.all(ctx, func(page []types.Object) error {
		var lines bytes.Buffer
		for i := range page {
			lines.WriteString(*page[i].Key)
			lines.WriteByte('\n')
		}
		mu.Lock()
		defer mu.Unlock()
		_, err := lines.WriteTo(w)
		return err
	})
	return err
}

func dumpKeys(ctx context.Context, database string, w io.Writer) error {
	db, err := pgx.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	_, err = db.PgConn().CopyTo(ctx, w, `COPY (SELECT key FROM coatcheck.media) TO STDOUT`)
	return err
}

func sortFile(ctx context.Context, path string) error {
	if out, err := inByteOrder(ctx, "sort", "-T", filepath.Dir(path), "-o", path, path).CombinedOutput(); err != nil {
		return fmt.Errorf("sort: %w: %s", err, out)
	}
	return nil
}

func differences(ctx context.Context, a, b string) (int, error) {
	cmd := inByteOrder(ctx, "comm", "-3", a, b)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return bytes.Count(out, []byte("\n")), err
}

func inByteOrder(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	return cmd
}
