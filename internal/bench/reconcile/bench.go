package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// bench is the whole of it.
func bench(ctx context.Context, c config, out io.Writer) error {
	fmt.Fprintln(out, rig.Machine())
	if len(c.sizes) > 0 {
		return peaks(ctx, c, out)
	}
	s, err := openSite(ctx, c, c.objects)
	if err == nil {
		err = s.contest(ctx, c, out)
	}
	return errors.Join(err, s.close())
}

// peaks tells how much memory reconcile needs for each size.
func peaks(ctx context.Context, c config, out io.Writer) error {
	var told []string
	for _, n := range c.sizes {
		s, err := openSite(ctx, c, n)
		var m sample
		if err == nil {
			m, err = s.run(ctx, c, "reconcile")
		}
		if err = errors.Join(err, s.close()); err != nil {
			return err
		}
		fmt.Fprintf(out, "%d objects: %s, %.1f s\n", n, megabytes(m.peak), m.wall.Seconds())
		told = append(told, fmt.Sprintf("%d:%.0f", n, float64(m.peak)/1e6))
	}
	_, err := fmt.Fprintf(out, "peak_mb_by_size=%s\n", strings.Join(told, ","))
	return err
}

// contest lets the contenders take turns, so that what changes on the machine meanwhile meets them all. The first round
// is not counted: it warms caches, and what reconcile mends in it is mended.
func (s *site) contest(ctx context.Context, c config, out io.Writer) error {
	results := map[string][]sample{}
	for round := range c.runs + 1 {
		for _, name := range s.contenders(c) {
			m, err := s.run(ctx, c, name)
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "round %d of %d: %s took %.2f s\n", round, c.runs, name, m.wall.Seconds())
			if round > 0 {
				results[name] = append(results[name], m)
			} else if name == "reconcile" {
				fmt.Fprintf(out, "\nreconcile's first run said:\n%s\n", rig.Tail(m.output, 20))
			}
		}
	}
	return report(out, s, c, results)
}

// contenders are those that were asked for. The emulator wants signatures, which fetch does not make.
func (s *site) contenders(c config) []string {
	var names []string
	for _, name := range contenders {
		if slices.Contains(c.only, name) && (name != "fetch" || s.kind == "pages") {
			names = append(names, name)
		}
	}
	return names
}

// run lets a contender run once, and expects the right outcome.
func (s *site) run(ctx context.Context, c config, name string) (sample, error) {
	self, err := os.Executable()
	if err != nil {
		return sample{}, err
	}
	l := listing{endpoint: s.endpoint, shards: c.shards, concurrency: c.concurrency}
	args := append([]string{name}, l.arguments()...)
	switch name {
	case "reconcile":
		m, err := s.measure(ctx, c.limit, c.coatcheck, "reconcile", "--no-dry-run", "--stray-policy", "report",
			"--concurrency", fmt.Sprint(c.concurrency), "--output", "table")
		if err == nil {
			err = verifyReconciled(ctx, s.database, s.objects)
		}
		return m, err
	case "compare":
		m, err := s.measure(ctx, c.limit, self, append(args, "-database", s.database, "-dir", s.dir)...)
		return m, expect(err, name, m.output, fmt.Sprintf("differences=%d\n", s.objects.strays()+s.objects.missing()))
	case "list":
		if c.profile != "" {
			args = append(args, "-profile", c.profile)
		}
	}
	m, err := s.measure(ctx, c.limit, self, args...)
	return m, expect(err, name, m.output, fmt.Sprintf("keys=%d\n", s.objects))
}

func expect(err error, name, got, want string) error {
	if err == nil && got != want {
		err = fmt.Errorf("%s found %q, want %q", name, got, want)
	}
	return err
}
