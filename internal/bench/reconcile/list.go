package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/pprof"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// list is a process that lists the bucket and counts the keys.
func list(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("list", flag.ContinueOnError)
	var l listing
	l.flags(flags)
	profile := flags.String("profile", "", "file for a processor profile")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *profile != "" {
		file, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	found, err := l.all(ctx, func([]types.Object) error { return nil })
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "keys=%d\n", found)
	return err
}

func (l *listing) flags(flags *flag.FlagSet) {
	flags.StringVar(&l.endpoint, "endpoint", "", "base URL of S3")
	flags.IntVar(&l.shards, "shards", 64, "key ranges")
	flags.IntVar(&l.concurrency, "concurrency", 8, "ranges at a time")
}

// arguments is the other way round.
func (l listing) arguments() []string {
	return []string{
		"-endpoint", l.endpoint, "-shards", fmt.Sprint(l.shards), "-concurrency", fmt.Sprint(l.concurrency),
	}
}
