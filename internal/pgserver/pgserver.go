package pgserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// MinMajor is the oldest major version of Postgres that is used.
	MinMajor = 14

	superuser = "postgres"
	// With no TCP port the number only names the socket's file. It is in every URL, because PGPORT in a person's
	// environment would otherwise win.
	port = 5432

	defaultMaxConnections = 100

	// startLimit leaves room for crash recovery of a large data folder.
	startLimit = 2 * time.Minute
	// fastLimit is how long a fast shutdown may take before an immediate one is asked for, and immediateLimit how
	// long that may take before the process is killed.
	fastLimit      = 15 * time.Second
	immediateLimit = 5 * time.Second
)

// ErrInUse is returned by [Start] when another live process uses the same data folder.
var ErrInUse = errors.New("the data folder is in use")

// Config says which Postgres to run and how. The zero value runs a temporary, fast and forgetful one.
type Config struct {
	// Dir is the folder for data, logs and locks, made when missing and kept between runs. Empty: a temporary one,
	// removed by Stop; unless Durable is set or TMPDIR says where to put it, it lies in memory if that has room.
	Dir string
	// DatabaseURL names a server that is already running. When it is set, nothing is started and nothing is stopped.
	DatabaseURL string
	// BinDir is the folder that holds initdb and postgres. Empty: find an installed Postgres, or download one.
	BinDir string
	// Durable makes a committed transaction survive a power cut. Without it fsync, synchronous_commit and
	// full_page_writes are off: several times quicker, and good only for data that may be lost.
	Durable bool
	// MaxConnections is the server's limit; 0 means 100.
	MaxConnections int
	// Logger receives what was chosen and how long it took, at debug level. Nil: nothing is logged. What Postgres
	// itself logs goes to postgres.log in Dir.
	Logger *slog.Logger
	// Progress is told before a step that can take long: a download. Nil: nobody is.
	Progress func(format string, args ...any)
}

// Server is a running Postgres, or a handle for one that somebody else runs. Its methods may be called from several
// goroutines at once.
type Server struct {
	cfg      Config
	external string
	bin      binaries
	as       runAs
	folder   *folder

	mu      sync.Mutex
	proc    *process
	stopped bool
}

// Start returns a running Postgres that accepts connections. Cancelling ctx abandons the start; it does not stop a
// server that was started. The error says what to do where something can be done: [ErrInUse] when another live
// process uses the folder, others when no Postgres can be had, when the folder was made by another major version,
// or when the user that Postgres must run as cannot reach it.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.DatabaseURL != "" {
		return connectExternal(ctx, cfg)
	}
	dir, err := dataFolder(cfg)
	if err != nil {
		return nil, err
	}
	as, err := chooseRunAs(ctx, dir)
	if err != nil {
		if cfg.Dir == "" {
			err = errors.Join(err, os.RemoveAll(dir))
		}
		return nil, err
	}
	return startAs(ctx, cfg, dir, as)
}

// startAs is Start once it is known as whom and where.
func startAs(ctx context.Context, cfg Config, dir string, as runAs) (_ *Server, err error) {
	begun := time.Now()
	temporary := cfg.Dir == ""
	f, err := openFolder(ctx, dir, temporary, as)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, as: as, folder: f}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if s.bin, err = chooseBinaries(ctx, cfg, f, as); err != nil {
		return nil, err
	}
	if err := s.initdb(ctx); err != nil {
		return nil, err
	}
	if err := s.launch(ctx); err != nil {
		return nil, err
	}
	cfg.Logger.DebugContext(ctx, "postgres is running", "version", s.bin.version, "bin", s.bin.dir, "dir", f.dir,
		"as", as.name, "socket", f.socketDir, "took", time.Since(begun))
	return s, nil
}

func (c Config) withDefaults() (Config, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Progress == nil {
		c.Progress = func(string, ...any) {}
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = defaultMaxConnections
	}
	if c.BinDir != "" {
		abs, err := filepath.Abs(c.BinDir)
		if err != nil {
			return c, fmt.Errorf("finding the folder of Postgres's programs: %w", err)
		}
		c.BinDir = abs
	}
	return c, nil
}

// Stop shuts the server down, rolling back what is in progress, and waits until it is gone. If ctx ends first or
// the shutdown takes longer than 15 seconds, the server is made to stop at once and the error says so; nothing that
// was committed to a durable server is lost by that. Stopping twice, or stopping a handle for somebody else's
// server, does nothing.
func (s *Server) Stop(ctx context.Context) error {
	if s.external != "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	return errors.Join(s.proc.shutDown(ctx), s.folder.close())
}

// Restart shuts the server down and starts it again on the same data and the same URL: every connection breaks, and
// for a moment none can be made. It is for tests of what its clients do then.
func (s *Server) Restart(ctx context.Context) error {
	return s.again(ctx, func(p *process) error { return p.shutDown(ctx) })
}

// Crash kills the server without warning and starts it again, which makes it recover from its log. What was in progress
// is gone. What was committed is there if the server is Durable, or if the session that committed had
// synchronous_commit on; otherwise the last of it may be lost.
func (s *Server) Crash(ctx context.Context) error {
	return s.again(ctx, func(p *process) error { return p.kill() })
}

func (s *Server) again(ctx context.Context, end func(*process) error) error {
	if s.external != "" {
		return errors.New("restarting postgres: it was not started here")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errors.New("restarting postgres: it was stopped")
	}
	if err := end(s.proc); err != nil {
		return err
	}
	return s.launch(ctx)
}

// Exited is closed when the server's process has ended, by Stop or by itself. After Restart or Crash ask again. For
// somebody else's server it is nil, which never becomes ready.
func (s *Server) Exited() <-chan struct{} {
	if s.external != "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc.exited
}
