package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// outcome is what became of a mutant. Without an error and a test that caught it, it survived.
type outcome struct {
	caughtBy string
	output   string // of the test
	took     time.Duration
	err      error // it could not be tried
}

// try holds each mutant against its tests, several at a time, after it has seen the tests pass without any.
func try(ctx context.Context, ms []mutant, parallel int, r report) (err error) {
	began := time.Now()
	if err := check(ms); err != nil {
		return err
	}
	root, files, err := repository(ctx)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return fmt.Errorf("making room for copies: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	trees := make([]tree, min(parallel, len(ms)))
	for i := range trees {
		if trees[i], err = copyTree(root, files, filepath.Join(temp, fmt.Sprint(i))); err != nil {
			return err
		}
	}
	for _, m := range ms { // before anything is built: a list that has rotted is to be known at once
		restore, err := trees[0].apply(m.edits)
		if err != nil {
			return fmt.Errorf("mutant %s: %w", m.name, err)
		}
		if err := restore(); err != nil {
			return fmt.Errorf("taking back mutant %s: %w", m.name, err)
		}
	}

	unmutated := suites(ms)
	passed := make([]outcome, len(unmutated))
	share(trees, len(unmutated), func(t tree, i int) {
		passed[i] = t.test(ctx, unmutated[i])
	}, func(i int) {
		r.baseline(unmutated[i], passed[i].took)
	})
	for i, o := range passed {
		if o.err != nil || o.caughtBy != "" {
			return errors.Join(fmt.Errorf("%s does not pass as it stands: %s\n%s", unmutated[i].pkg, o.caughtBy, o.output), o.err)
		}
	}

	outcomes := make([]outcome, len(ms))
	share(trees, len(ms), func(t tree, i int) {
		outcomes[i] = t.hold(ctx, ms[i])
	}, func(i int) {
		r.mutant(ms[i], outcomes[i])
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return r.total(outcomes, time.Since(began))
}

// share does n things, one at a time in each tree, and tells of each when it is done, one at a time.
func share(trees []tree, n int, do func(tree, int), done func(int)) {
	next := make(chan int)
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	for _, t := range trees {
		wg.Go(func() {
			for i := range next {
				do(t, i)
				mu.Lock()
				done(i)
				mu.Unlock()
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// hold applies a mutant, holds it against its tests, and takes it back.
func (t tree) hold(ctx context.Context, m mutant) outcome {
	restore, err := t.apply(m.edits)
	if err != nil {
		return outcome{err: err}
	}
	o := t.test(ctx, m.test)
	o.err = errors.Join(o.err, restore())
	return o
}
