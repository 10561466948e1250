package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"
)

// config is what the benchmark is told.
type config struct {
	only       []string
	size       int
	count      int
	runs       int
	pollers    int
	writers    int
	seconds    int
	coatcheck  string
	peers      string
	keep       string
	table      string
	plot       string
	memoryPlot string
	profile    string
	limit      time.Duration
}

// defaultCount is that of -count.
const defaultCount = 15_000

func parse(args []string) (config, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	var c config
	only := flags.String("only", "", "figures to measure, separated by spaces: "+strings.Join(figureNames(), " ")+"; all when empty")
	flags.IntVar(&c.size, "size", 1_000_000, "rows in the table before anything is measured")
	flags.IntVar(&c.count, "count", defaultCount, "what one run handles: notifications, calls, rows; twice as many notifications where their calls are not longer")
	flags.IntVar(&c.runs, "runs", 3, "runs of each contender")
	flags.IntVar(&c.pollers, "pollers", 4, "the consumer's pollers, and those of the bare loop")
	flags.IntVar(&c.writers, "writers", 2, "the consumer's writers, and the connections of the bare updates")
	flags.IntVar(&c.seconds, "seconds", 12, "how long each load of the latency lasts")
	flags.StringVar(&c.coatcheck, "coatcheck", "bin/coatcheck", "the program")
	flags.StringVar(&c.peers, "peers", "internal/bench/peers", "folder of the peers; empty to leave them out")
	flags.StringVar(&c.keep, "keep", "", "folder in which the planted database is kept and found again")
	flags.StringVar(&c.table, "table", "bin/bench.md", "file for the table")
	flags.StringVar(&c.plot, "plot", "bin/latency.svg", "file for the plot of latency against load")
	flags.StringVar(&c.memoryPlot, "memory-plot", "bin/memory.svg", "file for the plot of memory against size")
	flags.StringVar(&c.profile, "profile", "", "write what the consumer does to FILE.cpu and FILE.mem, and measure nothing")
	flags.DurationVar(&c.limit, "limit", 5*time.Minute, "longest time for one run")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	c.only = strings.Fields(*only)
	return c, c.check(flags.Args())
}

func (c config) check(rest []string) error {
	for _, name := range c.only {
		if !slices.Contains(figureNames(), name) {
			return fmt.Errorf("-only: %q is none of %s", name, strings.Join(figureNames(), ", "))
		}
	}
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q is not a flag", rest[0])
	case c.size < 1 || c.count < 100 || c.runs < 1 || c.pollers < 1 || c.writers < 1 || c.seconds < 1:
		return errors.New("-size, -runs, -pollers, -writers and -seconds must be at least 1, and -count at least 100")
	}
	return nil
}
