package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
}

// usage is what a run has taken.
type usage struct {
	count, stranded    int // messages, and those that were received and then lost
	took               time.Duration
	own, aws, postgres time.Duration // processor time, user and system
	peak               int64
	calls              calls
	output             string
}

// rate is in messages a second.
func (u usage) rate() float64 { return float64(u.count-u.stranded) / u.took.Seconds() }

// endLimit is how long a process that was told to end may take for that.
const endLimit = 20 * time.Second

// runUntil runs a contender, tells it to end when done returns, and expects that it does so of its own accord.
func (s *site) runUntil(ctx context.Context, c contender, done func(context.Context) error) (usage, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.limit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(c.program, c.args...)
	cmd.Env = rig.Environment(append(rig.Credentials(), c.env...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process, which ends it

	if _, err := s.aws.calls(); err != nil { // sets the clock back
		return usage{}, err
	}
	awsBefore, _ := rig.ProcessorTime(s.aws.pid)
	postgresBefore, _ := rig.ProcessorTime(s.db.PID)
	ended := make(chan error, 1)
	var u usage
	go func() {
		var err error
		u.peak, err = rig.Run(cmd)
		ended <- err
	}()
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	waited := make(chan error, 1)
	go func() { waited <- done(waiting) }()

	var err error
	early := false
	select {
	case err = <-waited:
	case err = <-ended:
		early = true
		stop()
		<-waited
	}
	awsAfter, _ := rig.ProcessorTime(s.aws.pid)
	postgresAfter, _ := rig.ProcessorTime(s.db.PID)
	seen, callsErr := s.aws.calls()
	if early {
		return usage{}, fmt.Errorf("%s has ended early: %w\n%s", c.name, err, rig.Tail(stderr.String(), 20))
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case endErr := <-ended:
		var exit *exec.ExitError
		if endErr != nil && !(errors.As(endErr, &exit) && !exit.Exited()) { // by the signal is well
			err = errors.Join(err, endErr)
		}
	case <-time.After(endLimit):
		_ = cmd.Process.Kill()
		err = errors.Join(err, fmt.Errorf("it does not end"), <-ended)
	}
	if err = errors.Join(err, callsErr); err != nil {
		return usage{}, fmt.Errorf("%s: %w\n%s", c.name, err, rig.Tail(stderr.String(), 20))
	}
	u.own = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	u.aws, u.postgres = awsAfter-awsBefore, postgresAfter-postgresBefore
	u.calls, u.took, u.output = seen, seen.Took, stdout.String()
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
