package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// emulatorLimit is the number of objects up to which the emulator serves: filling it takes two minutes a million.
const emulatorLimit = 1_000_000

// config is what the benchmark is told.
type config struct {
	objects     int
	sizes       []int
	runs        int
	server      string
	latency     time.Duration
	shards      int
	concurrency int
	keep        string
	only        []string
	coatcheck   string
	profile     string
	limit       time.Duration
}

// contenders are what is measured, in the order in which they take turns. "fetch" is no contender: it shows how fast
// the server that makes up pages can be read.
var contenders = []string{"reconcile", "list", "compare", "fetch"}

func parse(args []string) (config, error) {
	flags := flag.NewFlagSet("bench-reconcile", flag.ContinueOnError)
	var c config
	flags.IntVar(&c.objects, "objects", 100_000, "objects in the bucket")
	sizes := flags.String("sizes", "", "numbers of objects, separated by spaces: measure reconcile once at each and tell its peak memory")
	flags.IntVar(&c.runs, "runs", 3, "runs of each contender, after one that is not counted")
	flags.StringVar(&c.server, "server", "", "S3 to use: emulator, or pages; by default pages above 1,000,000 objects")
	flags.DurationVar(&c.latency, "latency", 0, "what S3 waits before each answer; a page of the real one takes 100ms to 300ms")
	flags.IntVar(&c.shards, "shards", 64, "key ranges of the bare listing, at most 256; give it what reconcile uses")
	flags.IntVar(&c.concurrency, "concurrency", 8, "ranges that are listed at a time, by every contender")
	flags.StringVar(&c.keep, "keep", "", "folder in which the planted database is kept and found again")
	only := flags.String("only", strings.Join(contenders, ","), "contenders to measure")
	flags.StringVar(&c.coatcheck, "coatcheck", "bin/coatcheck", "the program")
	flags.StringVar(&c.profile, "profile", "", "file for a processor profile of the last bare listing")
	flags.DurationVar(&c.limit, "limit", 30*time.Minute, "longest time for one run")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	c.only = strings.Split(*only, ",")
	for _, field := range strings.Fields(*sizes) {
		n, err := strconv.Atoi(field)
		if err != nil {
			return c, fmt.Errorf("-sizes: %w", err)
		}
		c.sizes = append(c.sizes, n)
	}
	return c, c.check(flags.Args())
}

func (c config) check(rest []string) error {
	for _, name := range c.only {
		if !slices.Contains(contenders, name) {
			return fmt.Errorf("-only: %q is none of %s", name, strings.Join(contenders, ", "))
		}
	}
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q is not a flag", rest[0])
	case c.objects < 1 || slices.ContainsFunc(c.sizes, func(n int) bool { return n < 1 }):
		return errors.New("there must be at least 1 object")
	case c.runs < 1:
		return errors.New("-runs must be at least 1")
	case c.concurrency < 1:
		return errors.New("-concurrency must be at least 1")
	case c.server != "" && c.server != "emulator" && c.server != "pages":
		return fmt.Errorf("-server: %q is neither emulator nor pages", c.server)
	}
	_, err := keyRanges(c.shards)
	return err
}

// kind is the S3 for n objects.
func (c config) kind(n int) string {
	switch {
	case c.server != "":
		return c.server
	case n > emulatorLimit:
		return "pages"
	}
	return "emulator"
}
