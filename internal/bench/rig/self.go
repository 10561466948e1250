package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// Self is this program in another process, with other arguments, which serves something.
type Self struct {
	PID   int
	Ready string // the line that it printed when it was ready

	end func()
}

// StartSelf starts this program with arguments and waits for the line that says that it is ready. It ends when its input
// does (see [UntilOrphaned]), so that none is left whatever happens to this one.
func StartSelf(ctx context.Context, args ...string) (*Self, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// It outlives ctx, for the requests of what is being ended.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self, args...)
	cmd.Env, cmd.Stderr = Environment(), os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process, which ends it
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &Self{PID: cmd.Process.Pid, end: func() {
		_ = input.Close()
		_ = cmd.Wait() // how it ended matters to nobody: while it was needed, its absence was noticed
	}}
	stop := context.AfterFunc(ctx, func() { _ = input.Close() })
	defer stop()
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		_, drainErr := io.Copy(io.Discard, output)
		s.end()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%s %s did not start: %w", self, args[0], errors.Join(err, drainErr))
	}
	s.Ready = strings.TrimSpace(line)
	return s, nil
}

// Stop ends it.
func (s *Self) Stop() { s.end() }

// UntilOrphaned returns a context that ends when standard input does: then whoever started this process has ended,
// however that came.
func UntilOrphaned(ctx context.Context) (context.Context, context.CancelFunc) {
	// It is not what is measured: let it collect garbage seldom, on processors that it shares with what is.
	debug.SetGCPercent(400)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx, cancel
}

// Slow waits before each answer.
type Slow struct {
	http.Handler
	By time.Duration
}

// ServeHTTP implements [http.Handler].
func (s *Slow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(s.By)
	s.Handler.ServeHTTP(w, r)
}
