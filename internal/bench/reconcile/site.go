package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/pgserver"
)

// site is the machinery around the runs: a planted database and a filled bucket, each in a process of its own.
type site struct {
	objects  population
	kind     string
	dir      string // for files
	database string
	endpoint string

	postgres, s3 int    // process numbers
	version      string // of Postgres
	closers      []func() error
}

// openSite makes all ready, which takes long. The caller closes it, also after an error.
func openSite(ctx context.Context, c config, n int) (*site, error) {
	s := &site{objects: population(n), kind: c.kind(n)}
	if err := s.makeDir(c.keep); err != nil {
		return s, err
	}
	if err := s.startPostgres(ctx); err != nil {
		return s, err
	}
	if err := plant(ctx, s.database, s.objects); err != nil {
		return s, err
	}
	return s, s.startS3(ctx, c.latency)
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

// makeDir makes the folder for files, which is meant to be on a disk.
func (s *site) makeDir(keep string) error {
	if keep != "" {
		s.dir = filepath.Join(keep, fmt.Sprint(s.objects))
		return os.MkdirAll(s.dir, 0o755)
	}
	parent := os.TempDir()
	if _, err := os.Stat("/var/tmp"); err == nil && os.Getenv("TMPDIR") == "" {
		parent = "/var/tmp" // unlike /tmp never in memory
	}
	var err error
	if s.dir, err = os.MkdirTemp(parent, "coatcheck-bench-"); err != nil {
		return err
	}
	s.closers = append(s.closers, func() error { return os.RemoveAll(s.dir) })
	return os.Chmod(s.dir, 0o755) // Postgres may run as another user
}

func (s *site) startPostgres(ctx context.Context) error {
	server, err := pgserver.Start(ctx, pgserver.Config{
		Dir: filepath.Join(s.dir, "pg"), Durable: true,
		Progress: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) },
	})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, func() error { return server.Stop(context.WithoutCancel(ctx)) })
	s.database = server.URL("")
	db, err := pgx.Connect(ctx, s.database)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	s.version = db.PgConn().ParameterStatus("server_version")
	// All others of the server are children of the one that started this connection's.
	backend, _ := readStat(int(db.PgConn().PID())) // which only Linux can tell
	s.postgres = backend.parent
	return nil
}

// startS3 starts this program as S3. It ends when its input does, so that none is left whatever happens to this one.
func (s *site) startS3(ctx context.Context, latency time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// It outlives ctx, for the requests of what is being ended.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self, "serve",
		"-kind", s.kind, "-objects", fmt.Sprint(s.objects), "-latency", latency.String())
	cmd.Env, cmd.Stderr = environment(nil), os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process, which ends it
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.s3 = cmd.Process.Pid
	s.closers = append(s.closers, func() error {
		_ = input.Close()
		_ = cmd.Wait() // how it ended matters to nobody: while it was needed, its absence was noticed
		return nil
	})
	stop := context.AfterFunc(ctx, func() { _ = input.Close() })
	defer stop()
	line, err := bufio.NewReader(output).ReadString('\n')
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("S3 did not start: %w", errors.Join(err, drained(output)))
	}
	s.endpoint = strings.TrimSpace(line)
	return nil
}

func drained(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// environment is that of a child: the machine's own settings must not reach it.
func environment(more []string) []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "AWS_") && !strings.HasPrefix(name, "COATCHECK_") && !strings.HasPrefix(name, "PG") {
			env = append(env, v)
		}
	}
	return append(env, more...)
}

// machine says what the figures were measured on.
func machine() string {
	return fmt.Sprintf("%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}
