package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// contender is a program that handles messages until it is told to end.
type contender struct {
	name    string
	program string
	args    []string
	env     []string
	copies  int // processes at a time; none given is one
	gate    int // receives that must be under way before time begins and any is answered
}

// usage is what a run has taken.
type usage struct {
	count, stranded    int // messages, and those that were received and then lost
	took               time.Duration
	own, aws, postgres time.Duration // processor time, user and system
	peak               int64         // of the process that had most
	calls              calls
	output             string
}

// rate is in messages a second.
func (u usage) rate() float64 { return float64(u.count-u.stranded) / u.took.Seconds() }

// endLimit is how long a process that was told to end may take for that.
const endLimit = 20 * time.Second

// worker is one process of a contender.
type worker struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	peak           int64
	err            error // of its end
}

// start starts as many processes as the contender has. Each tells ended of its end.
func (c contender) start(ended chan<- *worker) ([]*worker, error) {
	var workers []*worker
	for range max(c.copies, 1) {
		w := &worker{cmd: exec.Command(c.program, c.args...)}
		w.cmd.Env = rig.Environment(append(rig.Credentials(), c.env...)...)
		w.cmd.Stdout, w.cmd.Stderr = &w.stdout, &w.stderr
		w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process, which ends it
		if err := w.cmd.Start(); err != nil {
			return workers, err
		}
		workers = append(workers, w)
		go func() {
			w.peak, w.err = rig.Watch(w.cmd)
			ended <- w
		}()
	}
	return workers, nil
}

// end tells workers to end, and expects that so many that have not yet do so of their own accord.
func end(workers []*worker, left int, ended <-chan *worker) error {
	signalled := func(how os.Signal) {
		for _, w := range workers {
			_ = w.cmd.Process.Signal(how)
		}
	}
	signalled(syscall.SIGTERM)
	var errs []error
	overdue := time.After(endLimit)
	for left > 0 {
		select {
		case w := <-ended:
			left--
			var exit *exec.ExitError
			if w.err != nil && !(errors.As(w.err, &exit) && !exit.Exited()) { // by the signal is well
				errs = append(errs, fmt.Errorf("%w\n%s", w.err, rig.Tail(w.stderr.String(), 20)))
			}
		case <-overdue:
			signalled(syscall.SIGKILL)
			errs = append(errs, errors.New("it does not end"))
		}
	}
	return errors.Join(errs...)
}

// runUntil runs a contender, tells it to end when done returns, and expects that it does so of its own accord.
func (s *site) runUntil(ctx context.Context, c contender, done func(context.Context) error) (usage, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.limit)
	defer cancel()
	if _, err := s.aws.calls(c.gate); err != nil { // sets the clock back
		return usage{}, err
	}
	awsBefore, _ := rig.ProcessorTime(s.aws.pid)
	postgresBefore, _ := rig.ProcessorTime(s.db.PID)
	ended := make(chan *worker, max(c.copies, 1))
	workers, err := c.start(ended)
	if err != nil {
		return usage{}, errors.Join(fmt.Errorf("%s: %w", c.name, err), end(workers, len(workers), ended))
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	waited := make(chan error, 1)
	go func() { waited <- done(waiting) }()

	var u usage
	select {
	case err = <-waited:
	case early := <-ended:
		stop()
		<-waited
		return usage{}, errors.Join(fmt.Errorf("%s has ended early: %w\n%s", c.name, early.err, rig.Tail(early.stderr.String(), 20)),
			end(workers, len(workers)-1, ended))
	}
	awsAfter, _ := rig.ProcessorTime(s.aws.pid)
	postgresAfter, _ := rig.ProcessorTime(s.db.PID)
	seen, callsErr := s.aws.calls(0)
	if err = errors.Join(err, callsErr, end(workers, len(workers), ended)); err != nil {
		return usage{}, fmt.Errorf("%s: %w\n%s", c.name, err, rig.Tail(workers[0].stderr.String(), 20))
	}
	for _, w := range workers {
		u.own += w.cmd.ProcessState.UserTime() + w.cmd.ProcessState.SystemTime()
		u.peak = max(u.peak, w.peak)
		u.output += w.stdout.String()
	}
	u.aws, u.postgres = awsAfter-awsBefore, postgresAfter-postgresBefore
	u.calls, u.took = seen, seen.Took
	return u, nil
}

// consumerProcess is coatcheck with the consumer's role alone.
func (s *site) consumerProcess(endpoint, queueURL string) contender {
	c := s.config
	program, _ := filepath.Abs(c.coatcheck)
	return contender{
		name: "coatcheck", program: program,
		args: []string{"serve", "--roles", "consumer", "--listen", "127.0.0.1:0", "--log-level", "warn",
			"--pollers", fmt.Sprint(c.pollers), "--writers", fmt.Sprint(c.writers), "--wait-time", "1s"},
		env: []string{"COATCHECK_DATABASE_URL=" + s.db.URL, "COATCHECK_BUCKET=" + rig.Bucket, "COATCHECK_KEY_PREFIX=" + rig.Prefix,
			"COATCHECK_AWS_ENDPOINT=" + endpoint, "COATCHECK_QUEUE_URL=" + queueURL},
	}
}
