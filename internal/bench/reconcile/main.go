// Command reconcile measures `coatcheck reconcile` against a bare listing of the same bucket, and against what one
// would otherwise do: list the bucket to a file, dump the keys to another, sort both and compare.
//
//	make bench-reconcile
//	make bench-reconcile OBJECTS=1000000 RUNS=5
//	make bench-reconcile OBJECTS=10000000 KEEP=/var/tmp/bench    # plants once, and measures it again next time
//	make bench-reconcile SIZES="100000 1000000 10000000"         # peak memory by size
//
// Postgres and S3 are processes of their own on this machine, and so is every run, so that what is told of a run's
// memory and processor time is its own. Postgres is durable. S3 is the emulator (package awsemu), filled by signed
// PUTs; above a million objects it is a server that makes up the pages of a listing (see pages). Neither has S3's
// latency, so that what is compared is the work: with -latency it is waiting.
//
// It closes with one line, of medians:
//
//	objects_per_s=… list_only_per_s=… ratio=… peak_mb=… sort_comm_per_s=…
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the benchmark, or one of the processes that it consists of.
func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 {
		switch rest := args[1:]; args[0] {
		case "serve":
			return serve(ctx, rest, out)
		case "list":
			return list(ctx, rest, out)
		case "compare":
			return compare(ctx, rest, out)
		case "fetch":
			return fetch(ctx, rest, out)
		}
	}
	c, err := parse(args)
	if err != nil {
		return err
	}
	return bench(ctx, c, out)
}
