// Command mutants shows that the tests bite. It breaks the code in one way after another, each in a copy of the tree, and
// expects a test to fail. Each way breaks one of the safety rules (R1 to R10, see docs/design.md), and the list says
// which test stands guard over it. A mutant that survives shows a hole in the tests, not in the code.
//
//	go run ./internal/mutants            # make mutants
//	go run ./internal/mutants -list
//	go run ./internal/mutants -only purge-at-once -v
//
// It must be run within the repository, and changes nothing there. It needs what the tests need. It exits with status 1
// when a mutant survived, and when it could not be tried: a text that is no longer in the code, a mutant that does not
// compile, a test that fails without it or is not there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	var (
		only     = flags.String("only", "", "try the mutants with these names only, separated by commas")
		list     = flags.Bool("list", false, "print the list and do nothing")
		parallel = flags.Int("parallel", 2, "how many to try at a time, each in a copy of the tree of its own")
		verbose  = flags.Bool("v", false, "print what the tests said")
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *parallel < 1 {
		return fmt.Errorf("-parallel is %d: must be at least 1", *parallel)
	}
	chosen, err := choose(mutants(), *only)
	if err != nil {
		return err
	}
	if *list {
		for _, m := range chosen {
			fmt.Fprintf(out, "%-34s %-3s %s\n", m.name, m.rule, m.breaks)
		}
		return nil
	}
	return try(ctx, chosen, *parallel, report{out: out, verbose: *verbose})
}

// choose returns the mutants with the names given, or all.
func choose(all []mutant, names string) ([]mutant, error) {
	if names == "" {
		return all, nil
	}
	var chosen []mutant
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(m mutant) bool { return m.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no mutant is called %q: -list prints their names", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// report tells of the mutants as they are done with.
type report struct {
	out     io.Writer
	verbose bool
}

func (r report) baseline(s suite, took time.Duration) {
	fmt.Fprintf(r.out, "passes as it stands: %s (%.1f s)\n", s.pkg, took.Seconds())
}

func (r report) mutant(m mutant, o outcome) {
	if r.verbose && o.output != "" {
		fmt.Fprintf(r.out, "--- %s: %s\n%s\n", m.name, m.breaks, o.output)
	}
	says := "SURVIVED " + m.test.String()
	switch {
	case o.err != nil:
		says = "NOT TRIED: " + o.err.Error()
	case o.caughtBy != "":
		says = "caught by " + strings.TrimPrefix(m.test.pkg, "./") + " " + o.caughtBy
	}
	fmt.Fprintf(r.out, "%-34s %-3s %s (%.1f s)\n", m.name, m.rule, says, o.took.Seconds())
}

// total prints the closing line, and is an error unless all were caught.
func (r report) total(outcomes []outcome, took time.Duration) error {
	caught, errs := 0, 0
	for _, o := range outcomes {
		switch {
		case o.err != nil:
			errs++
		case o.caughtBy != "":
			caught++
		}
	}
	fmt.Fprintf(r.out, "%.0f seconds\nmutants=%d caught=%d\n", took.Seconds(), len(outcomes), caught)
	switch survived := len(outcomes) - caught - errs; {
	case errs > 0:
		return fmt.Errorf("%d could not be tried, %d survived", errs, survived)
	case survived > 0:
		return fmt.Errorf("%d survived", survived)
	}
	return nil
}
