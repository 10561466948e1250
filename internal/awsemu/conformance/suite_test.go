package conformance

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// TestMain lets more checks run at a time than there are cores: most of them wait for a timeout of the server.
func TestMain(m *testing.M) {
	flag.Parse()
	explicit := false
	flag.Visit(func(f *flag.Flag) { explicit = explicit || f.Name == "test.parallel" })
	if !explicit {
		if err := flag.Set("test.parallel", "24"); err != nil {
			fmt.Fprintln(os.Stderr, "raising the parallelism:", err)
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}

// check is one thing that coatcheck relies on.
type check struct {
	name string
	run  func(e *env)
}

// groups are all the checks, in the order in which README.md speaks of them.
var groups = []struct {
	name   string
	checks []check
}{
	{"presigned", presignedChecks},
	{"presigned-get", presignedGetChecks},
	{"auth", authChecks},
	{"object", objectChecks},
	{"copy", copyChecks},
	{"list", listChecks},
	{"delete", deleteChecks},
	{"versions", versionChecks},
	{"multipart", multipartChecks},
	{"cors", corsChecks},
	{"sqs", sqsChecks},
	{"sqs-redrive", redriveChecks},
	{"sqs-batch", sqsBatchChecks},
	{"notify", notifyChecks},
	{"notify-filter", notifyFilterChecks},
}

// TestConformance runs every check against the target. A failure that knownDifferences does not list fails the test,
// and so does a listed difference that is none any more.
func TestConformance(t *testing.T) {
	t.Parallel()
	tg := newTarget(t)
	known := knownDifferences[tg.name]
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range g.checks {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					judge(t, tg, c, known[g.name+"/"+c.name])
				})
			}
		})
	}
}

// judge runs the check and compares its outcome with what is expected of the target: reason is empty when the check
// has to pass, else it says why it does not.
func judge(t *testing.T, tg *target, c check, reason string) {
	t.Helper()
	e := &env{T: t, target: tg}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				e.Errorf("panic: %v", p)
			}
		}()
		c.run(e)
	}()
	<-done
	failures := strings.Join(e.failures, "\n")
	switch {
	case reason == "" && failures != "":
		t.Error(failures)
	case reason != "" && failures == "":
		t.Errorf("listed as a difference of %s (%s), but it passes: take it out of the table", tg.name, reason)
	case reason != "":
		t.Logf("known difference of %s: %s\n%s", tg.name, reason, failures)
	}
}

// env is what a check works with: the target's clients, and a testing.T whose failures are collected instead of
// failing the test at once, since a known difference has to fail.
type env struct {
	*testing.T
	*target

	mu       sync.Mutex
	failures []string
}

// Errorf records a failure.
func (e *env) Errorf(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failures = append(e.failures, fmt.Sprintf(format, args...))
}

// Fatalf records a failure and ends the check. Only the check's own goroutine may call it.
func (e *env) Fatalf(format string, args ...any) {
	e.Errorf(format, args...)
	runtime.Goexit()
}

// Error, Fatal, Fail and FailNow of testing.T would escape the collecting.
func (e *env) Error(args ...any) { e.Errorf("%s", fmt.Sprint(args...)) }
func (e *env) Fatal(args ...any) { e.Fatalf("%s", fmt.Sprint(args...)) }
func (e *env) Fail()             { e.Errorf("failed") }
func (e *env) FailNow()          { e.Fatalf("failed") }

// must ends the check when err is not nil.
func (e *env) must(err error, doing string) {
	if err != nil {
		e.Fatalf("%s: %v", doing, err)
	}
}
