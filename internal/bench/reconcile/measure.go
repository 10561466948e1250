package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// endLimit is how long a run that was told to end may take for that.
const endLimit = 15 * time.Second

// sample is one run: a process from its start to its end.
type sample struct {
	wall              time.Duration
	own, s3, postgres time.Duration // processor time, user and system
	peak              int64         // largest resident size in bytes
	output            string
}

// measure runs a program and expects it to succeed.
func (s *site) measure(ctx context.Context, limit time.Duration, program string, args ...string) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = rig.Environment(s.settings()...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endLimit

	s3Before, _ := rig.ProcessorTime(s.s3)
	postgresBefore, _ := rig.ProcessorTime(s.postgres)
	began := time.Now()
	peak, err := rig.Run(cmd)
	if err != nil {
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		return sample{}, fmt.Errorf("%s %s: %w\n%s", program, args[0], err, rig.Tail(stderr.String(), 20))
	}
	m := sample{wall: time.Since(began), output: stdout.String()}
	s3After, _ := rig.ProcessorTime(s.s3)
	postgresAfter, _ := rig.ProcessorTime(s.postgres)
	m.s3, m.postgres = s3After-s3Before, postgresAfter-postgresBefore
	// With the children that it has waited for.
	m.own = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	m.peak = peak
	return m, nil
}

// settings are the program's, by the environment.
func (s *site) settings() []string {
	return append(rig.Credentials(),
		"COATCHECK_DATABASE_URL="+s.database, "COATCHECK_BUCKET="+rig.Bucket, "COATCHECK_KEY_PREFIX="+rig.Prefix,
		"COATCHECK_AWS_ENDPOINT="+s.endpoint)
}
