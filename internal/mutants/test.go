package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

const (
	// testLimit is the tests' own: a mutant that makes them hang is caught by it.
	testLimit = 120 * time.Second
	// buildLimit is for a build from nothing, on a machine that does other things too.
	buildLimit = 10 * time.Minute
	// endLimit is how long a test has to clean up after it was told to end.
	endLimit = 15 * time.Second
)

// test builds and runs the tests. The outcome's error says that they could not be: the tree does not compile, or there
// are no such tests, or they ended without a test that failed.
func (t tree) test(ctx context.Context, s suite) (o outcome) {
	began := time.Now()
	defer func() { o.took = time.Since(began) }()
	binary := filepath.Join(t.root, "mutants.test")
	// Our own packages are built anew in each copy, since their folder counts to the build cache; all others are there.
	if out, err := command(ctx, buildLimit, t.root, "go", "test", "-c", "-o", binary, s.pkg); err != nil {
		return outcome{err: fmt.Errorf("it does not compile: %w\n%s", err, out)}
	}
	defer os.Remove(binary)
	out, err := command(ctx, testLimit+2*endLimit, filepath.Join(t.root, s.pkg), binary,
		"-test.run", "^("+s.run+")$", "-test.timeout", testLimit.String(), "-test.failfast", "-test.v")
	o.output = string(out)
	switch missing := notRun(o.output, s.run); {
	case ctx.Err() != nil:
		o.err = ctx.Err()
	case err == nil && len(missing) > 0:
		o.err = fmt.Errorf("%s has no test %s", s.pkg, strings.Join(missing, ", "))
	case err == nil:
	case trouble.MatchString(o.output):
		o.err = fmt.Errorf("%s had no database to run on\n%s", s, tail(o.output))
	default:
		if o.caughtBy = failing(o.output); o.caughtBy == "" {
			o.err = fmt.Errorf("%s ended without a test that failed: %w\n%s", s, err, tail(o.output))
		}
	}
	return o
}

// command runs a program for as long as the limit, and returns what it said.
func command(ctx context.Context, limit time.Duration, dir, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it may have servers to stop
	cmd.WaitDelay = endLimit
	err := cmd.Run()
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	return out.Bytes(), err
}

var (
	began  = regexp.MustCompile(`(?m)^=== RUN\s+(\S+)$`)
	failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
	hung   = regexp.MustCompile(`(?m)^panic: test timed out after .*\n(?:\s*running tests:\n\s*(\S+))?`)
	// trouble is what package pgtest says when there is no database to be had: that catches nothing.
	trouble = regexp.MustCompile(`(starting a Postgres for the tests?|making the template database|creating a database|migrating the test's database): `)
	crashed = regexp.MustCompile(`(?m)^(?:panic|fatal error): `)
)

// notRun returns the tests that did not begin.
func notRun(output, run string) (missing []string) {
	ran := map[string]bool{}
	for _, m := range began.FindAllStringSubmatch(output, -1) {
		ran[m[1]] = true
	}
	for name := range strings.SplitSeq(run, "|") {
		if !ran[name] {
			missing = append(missing, name)
		}
	}
	return missing
}

// failing returns the test that failed first: by its name, which may have a part of it in it; and whether it hung or
// crashed. It is empty when none is told of.
func failing(output string) string {
	if m := hung.FindStringSubmatch(output); m != nil {
		return m[1] + " (hung)"
	}
	names := failed.FindAllStringSubmatch(output, -1)
	if len(names) == 0 {
		if crashed.MatchString(output) {
			return "a crash"
		}
		return ""
	}
	// A test is told of before its parts: the first part tells more.
	if len(names) > 1 && strings.HasPrefix(names[1][1], names[0][1]+"/") {
		return names[1][1]
	}
	return names[0][1]
}

// tail returns the end of what a test said.
func tail(output string) string {
	const limit = 2000
	return output[max(0, len(output)-limit):]
}
