package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const pidName = "postmaster.pid"

// process is a running child. Its exit is noticed and collected whether or not anybody waits.
type process struct {
	pid    int
	exited chan struct{}
	err    error // of the exit; read it after exited is closed
}

// start starts a command that ends with this process, by the means this system has.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The parent-death signal comes when the thread that forked ends, so the thread is kept for as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		bindToParent(cmd.SysProcAttr)
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		release, err := guard(p.pid)
		if err != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			started <- err
			return
		}
		started <- nil
		p.err = cmd.Wait()
		release()
		close(p.exited)
	}()
	return p, <-started
}

// within waits for the exit; false means that it did not come in time or that ctx ended.
func (p *process) within(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case <-p.exited:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.exited: // and its number may be another's
	default:
		_ = syscall.Kill(p.pid, s)
	}
}

// shutDown asks for a fast shutdown, then an immediate one, then kills.
func (p *process) shutDown(ctx context.Context) error {
	p.signal(syscall.SIGINT)
	if p.within(ctx, fastLimit) {
		return nil
	}
	p.signal(syscall.SIGQUIT)
	if p.within(context.WithoutCancel(ctx), immediateLimit) {
		return errors.New("stopping postgres: a fast shutdown took too long, so it was made to stop at once")
	}
	return errors.Join(errors.New("stopping postgres: it did not react, so it was killed"), p.kill())
}

func (p *process) kill() error {
	select {
	case <-p.exited:
	default:
		_ = syscall.Kill(-p.pid, syscall.SIGKILL) // with its group, for initdb's children
	}
	if !p.within(context.Background(), immediateLimit) {
		return fmt.Errorf("killing postgres: process %d does not end", p.pid)
	}
	return nil
}

// initdb makes the data folder if there is none. It is made under another name first, so that one which was
// interrupted is not taken for a whole one.
func (s *Server) initdb(ctx context.Context) error {
	if made, err := s.folder.major(); err != nil || made != 0 {
		return err
	}
	fresh := s.folder.path(freshName)
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	if err := s.as.give(fresh); err != nil {
		return err
	}
	args := []string{"--pgdata=" + fresh, "--username=" + superuser, "--encoding=UTF8", "--locale=C",
		"--auth-local=trust", "--auth-host=reject"}
	if !s.cfg.Durable {
		args = append(args, "--no-sync")
	}
	err := s.logged(ctx, filepath.Join(s.bin.dir, "initdb"), args, func(p *process) error {
		select {
		case <-p.exited:
			return p.err
		case <-ctx.Done():
			return errors.Join(ctx.Err(), p.kill())
		}
	})
	if err != nil {
		return fmt.Errorf("making a database cluster with %s: %w", filepath.Join(s.bin.dir, "initdb"), err)
	}
	if err := os.Rename(fresh, s.folder.path(dataName)); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	return nil
}

// launch starts the server on the folder and waits until it accepts connections.
func (s *Server) launch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	// After a crash other processes of Postgres outlive the first one for a moment.
	if err := s.folder.endOrphan(ctx); err != nil {
		return err
	}
	err := s.logged(ctx, filepath.Join(s.bin.dir, "postgres"), s.arguments(), func(p *process) error {
		err := s.ready(ctx, p)
		if err != nil {
			return errors.Join(err, p.kill())
		}
		s.proc = p
		return nil
	})
	if err != nil {
		return fmt.Errorf("starting postgres: %w", err)
	}
	return nil
}

func (s *Server) arguments() []string {
	settings := []string{
		"listen_addresses=",
		"unix_socket_directories=" + quoteListItem(s.folder.socketDir),
		"unix_socket_permissions=0700",
		"port=" + strconv.Itoa(port),
		"max_connections=" + strconv.Itoa(s.cfg.MaxConnections),
		"timezone=UTC", "log_timezone=UTC",
		"logging_collector=off", "log_destination=stderr",
	}
	if !s.cfg.Durable {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off",
			"wal_level=minimal", "max_wal_senders=0")
	}
	if s.folder.temporary {
		settings = append(settings, "min_wal_size=32MB", "max_wal_size=256MB") // of memory, perhaps
	}
	args := []string{"-D", s.folder.path(dataName)}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	return args
}

// quoteListItem protects commas and spaces in a setting that is a list.
func quoteListItem(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// ready waits until the server says in postmaster.pid that it is ready, and connects once.
func (s *Server) ready(ctx context.Context, p *process) error {
	for {
		lines := s.folder.postmasterLines()
		if len(lines) >= 8 && lines[0] == strconv.Itoa(p.pid) && strings.TrimSpace(lines[7]) == "ready" {
			_, err := ping(ctx, s.URL(""))
			return err
		}
		select {
		case <-p.exited:
			return fmt.Errorf("it ended at once: %w", p.err)
		case <-ctx.Done():
			return fmt.Errorf("waiting until it is ready: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// postmasterLines returns the lines of postmaster.pid, none when there is no such file. The first is the process
// number, the eighth the status.
func (f *folder) postmasterLines() []string {
	text, err := os.ReadFile(filepath.Join(f.path(dataName), pidName))
	if err != nil {
		return nil
	}
	return strings.Split(string(text), "\n")
}

func (f *folder) postmasterPID() int {
	lines := f.postmasterLines()
	if len(lines) == 0 {
		return 0
	}
	// A server in single-user mode writes its number negated.
	pid, _ := strconv.Atoi(strings.TrimPrefix(lines[0], "-"))
	return pid
}

// logged starts a program of Postgres that writes to postgres.log and inherits postgres.lock, and hands it to use.
// When use fails, the error ends with what the program wrote.
func (s *Server) logged(ctx context.Context, name string, args []string, use func(*process) error) error {
	inherited, err := lock(s.folder.path(postgresLockName))
	if err != nil {
		return fmt.Errorf("taking the server's lock: %w", err)
	}
	defer inherited.Close()
	log, err := openLog(s.folder.path(logName))
	if err != nil {
		return err
	}
	defer log.Close()
	if err := errors.Join(s.as.give(inherited.Name()), s.as.give(log.Name())); err != nil {
		return err
	}
	before, err := log.Seek(0, 2)
	if err != nil {
		return fmt.Errorf("opening the server's log: %w", err)
	}
	// The program outlives ctx: it ends by Stop.
	cmd := s.as.command(context.WithoutCancel(ctx), name, args...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{inherited}
	p, err := start(cmd)
	if err != nil {
		return err
	}
	if err := use(p); err != nil {
		return fmt.Errorf("%w; it wrote: %s", err, written(log.Name(), before))
	}
	return nil
}
