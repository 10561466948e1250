package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
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
	cmd.Env = environment(s.settings())
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endLimit

	s3Before, _ := processorTime(s.s3)
	postgresBefore, _ := processorTime(s.postgres)
	began := time.Now()
	seen, err := runWatched(cmd)
	if err != nil {
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		return sample{}, fmt.Errorf("%s %s: %w\n%s", program, args[0], err, tail(stderr.String(), 20))
	}
	m := sample{wall: time.Since(began), output: stdout.String()}
	s3After, _ := processorTime(s.s3)
	postgresAfter, _ := processorTime(s.postgres)
	m.s3, m.postgres = s3After-s3Before, postgresAfter-postgresBefore
	// With the children that it has waited for.
	m.own = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	m.peak = max(seen, ownPeak(cmd.ProcessState))
	return m, nil
}

// watchEvery is how often a process is asked for its peak memory, which only grows.
const watchEvery = 10 * time.Millisecond

// runWatched runs a process and returns the last that was seen of its peak memory.
func runWatched(cmd *exec.Cmd) (peak int64, err error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return peak, err
		case <-time.After(watchEvery):
			peak = max(peak, peakOf(cmd.Process.Pid))
		}
	}
}

// ownPeak returns the peak memory of a process that has ended, and of those that it has waited for, as the kernel told
// with its end: exact, but never less than what the process that started it has had (exec_mmap in Linux's fs/exec.c).
// If it is not more, it says nothing, and 0 is returned.
func ownPeak(ended *os.ProcessState) int64 {
	usage, ok := ended.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	peak := int64(usage.Maxrss)
	if runtime.GOOS != "darwin" { // which counts bytes
		peak <<= 10
	}
	if peak <= peakOf(os.Getpid()) {
		return 0
	}
	return peak
}

// settings are the program's, by the environment.
func (s *site) settings() []string {
	return []string{
		"COATCHECK_DATABASE_URL=" + s.database, "COATCHECK_BUCKET=" + bucket, "COATCHECK_KEY_PREFIX=" + prefix,
		"COATCHECK_AWS_ENDPOINT=" + s.endpoint, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
	}
}

// tail returns the last lines of a text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
