package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// growth is the benchmark of what becomes of rates, costs and memory as processes and rows become more.
type growth struct {
	*site
	consumed *consumption
	tables   []*growing // the smallest first; the last is the site's own
}

// growing is a table of so many CONFIRMED media, and what was measured in it.
type growing struct {
	*site
	size     int
	next     int             // the number of the first media of the next turn
	consumed *consumption    // of notifications about this table's media
	s3       *rig.Self       // with as many objects
	expenses map[work][]bill // of every turn
	rest     map[role][]int64
	full     map[role][]int64
}

// work is what a role is given to do, by the piece.
type work string

const (
	notifying   work = "a notification"
	creating    work = "CreateUpload"
	confirming  work = "ConfirmMedia"
	sweeping    work = "a swept media"
	reconciling work = "a reconciled object"
)

var works = []work{notifying, creating, confirming, sweeping, reconciling}

// timed reports whether the clock tells something: a sweeper and a reconciler begin at a time of their own.
func (w work) timed() bool { return w != sweeping && w != reconciling }

// role is what one process of a deployment does.
type role string

const (
	apiRole        role = "api"
	consumerRole   role = "consumer"
	sweeperRole    role = "sweeper"
	reconcilerRole role = "reconciler"
)

var roles = []role{apiRole, consumerRole, sweeperRole, reconcilerRole}

// growthRuns is how often each is measured at most: a table of every size takes its turn each time.
const growthRuns = 3

// measureGrowth measures how fast several consumer processes are together, and what each kind of work costs, and each
// role needs of memory, in tables of a thousand rows up to as many as was asked for.
func measureGrowth(ctx context.Context, s *site, out io.Writer) (_ []line, err error) {
	consumed, err := s.consumption(ctx)
	if err != nil {
		return nil, err
	}
	g := &growth{site: s, consumed: consumed}
	defer func() { err = errors.Join(err, g.close()) }()
	if err := g.plant(ctx); err != nil {
		return nil, err
	}
	for range min(s.config.runs, growthRuns) {
		if err := g.crowd(ctx); err != nil {
			return nil, err
		}
		for _, t := range g.tables {
			if err := t.turn(ctx); err != nil {
				return nil, fmt.Errorf("with %d rows: %w", t.size, err)
			}
		}
	}
	return g.report(out)
}

// crowds are how many consumer processes share a queue.
var crowds = []int{1, 2, 4}

func crowdName(processes int, delayed bool) string {
	if delayed {
		return fmt.Sprintf("coatcheck ×%d, +10 ms", processes)
	}
	return fmt.Sprintf("coatcheck ×%d", processes)
}

// crowd lets one, two and four consumer processes empty a queue. They begin when every poller of each has asked.
func (g *growth) crowd(ctx context.Context) error {
	for _, n := range crowds {
		for _, delayed := range []bool{false, true} {
			endpoint, count := g.aws.plain, 2*g.config.count
			if delayed {
				endpoint, count = g.aws.delayed, g.config.count
			}
			who := g.consumerProcess(endpoint, g.consumed.queueURL)
			who.copies, who.gate = n, n*g.config.pollers
			if err := g.consumed.run(ctx, crowdName(n, delayed), func(int) contender { return who }, count, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// tableSizes are the powers of ten from a thousand to below size, and size.
func tableSizes(size int) []int {
	var sizes []int
	for n := 1000; n < size; n *= 10 {
		sizes = append(sizes, n)
	}
	return append(sizes, size)
}

// plant makes the smaller tables, each in a database of its own, so that they can take turns.
func (g *growth) plant(ctx context.Context) error {
	for _, size := range tableSizes(g.config.size) {
		at := &site{config: g.config, db: g.db, aws: g.aws}
		at.config.size = size
		t := &growing{site: at, size: size, next: size, expenses: map[work][]bill{}, rest: map[role][]int64{}, full: map[role][]int64{}}
		g.tables = append(g.tables, t)
		if size < g.config.size {
			db, drop, err := g.db.Another(ctx, fmt.Sprintf("growth%d", size))
			if err != nil {
				return err
			}
			at.db, at.closers = db, append(at.closers, drop)
			if err := plant(ctx, db, size); err != nil {
				return err
			}
		} else {
			at.closers = append(at.closers, func() error { return t.forgetReconciliations(context.WithoutCancel(ctx)) })
		}
		var err error
		if t.s3, err = rig.StartSelf(ctx, "serve-pages", "-objects", fmt.Sprint(size)); err != nil {
			return err
		}
		at.closers = append(at.closers, func() error { t.s3.Stop(); return nil })
		t.consumed = &consumption{site: at, sample: g.consumed.sample, queueURL: g.consumed.queueURL, results: map[string][]usage{}}
	}
	return nil
}

func (g *growth) close() error {
	var errs []error
	for _, t := range g.tables {
		errs = append(errs, t.close())
	}
	return errors.Join(errs...)
}
