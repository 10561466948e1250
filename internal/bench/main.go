// Command bench measures coatcheck beside what bounds it and beside what one would use instead.
//
//	make bench                          # every figure
//	make bench ONLY=consume             # one of them
//	make bench ONLY=consume SIZE=100000 COUNT=10000 RUNS=1   # a quick look
//
// Postgres, the emulated S3 and SQS, and every contender are processes of their own on this machine. Postgres is
// durable. Contenders take turns, so that what changes on the machine meanwhile meets them all, and what is told are
// medians, with the fastest and the slowest run as their spread. A ratio is the median of the turns' ratios.
//
// A figure's limit is what nobody could do better on the same machine: the times of the bare parts of the work, each
// measured alone in the same run, added up, because the parts share the processors. Where a network is in the way, as on
// AWS, the figure is taken once more with 10 ms added to every call, and the limit is then the bare calls alone. Calls of
// the API are held against the slower of their two parts instead, which is what bounds them where Postgres has a machine
// of its own; what the parts come to when added up is told beside it.
//
// Each figure closes with a line ratio=…, the ratio of its main line to its limit, and all that were measured are written
// as one Markdown table. A figure is a file here that has its name, and an entry in figures.
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

// parts are the other processes that this program can be.
var parts = map[string]func(context.Context, []string, io.Writer) error{
	"serve-aws":     serveAWS,
	"serve-pages":   servePages,
	"bare-api":      bareAPI,
	"bare-queue":    bareQueue,
	"bare-update":   bareUpdate,
	"bare-receiver": bareReceiver,
	"consumer":      profiledConsumer,
}

// run is the benchmark, or one of the processes that it consists of.
func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 {
		if part, ok := parts[args[0]]; ok {
			return part(ctx, args[1:], out)
		}
	}
	c, err := parse(args)
	if err != nil {
		return err
	}
	if c.profile != "" {
		return profileConsumer(ctx, c)
	}
	return bench(ctx, c, out)
}
