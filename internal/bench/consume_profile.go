package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/bench/rig"
	"github.com/coatcheck/coatcheck/internal/consumer"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/internal/queue"
)

// profileConsumer lets a consumer that takes note of what it does consume once.
func profileConsumer(ctx context.Context, config config) (err error) {
	s := &site{config: config}
	defer func() { err = errors.Join(err, s.close()) }()
	c, err := s.consumption(ctx)
	if err != nil {
		return err
	}
	return c.run(ctx, "coatcheck, profiled", func(int) contender {
		return contender{name: "consumer", program: rig.Must(os.Executable()), args: []string{"consumer", "-endpoint", s.aws.plain,
			"-queue", c.queueURL, "-pollers", fmt.Sprint(config.pollers), "-writers", fmt.Sprint(config.writers), "-profile", config.profile},
			env: []string{"COATCHECK_DATABASE_URL=" + s.db.URL}}
	}, config.count, false)
}

// profiledConsumer is a process that does what `coatcheck serve --roles consumer` does, and takes note of what it does
// with its time and its memory. Its times are not told.
func profiledConsumer(ctx context.Context, args []string, _ io.Writer) error {
	flags := flag.NewFlagSet("consumer", flag.ContinueOnError)
	prefix := flags.String("profile", "bin/consumer", "where the profiles are written, without .cpu and .mem")
	pollers := flags.Int("pollers", 4, "pollers")
	writers := flags.Int("writers", 2, "writers")
	endpoint := flags.String("endpoint", "", "base URL of SQS")
	queueURL := flags.String("queue", "", "URL of the queue")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg, err := clientConfig(ctx, *endpoint)
	if err != nil {
		return err
	}
	db, err := postgres.Open(os.Getenv("COATCHECK_DATABASE_URL"), 16)
	if err != nil {
		return err
	}
	defer db.Close()
	registry := prometheus.NewRegistry()
	windows := media.Windows{Upload: 24 * time.Hour, Claim: 24 * time.Hour, Tombstone: 168 * time.Hour}
	settings := consumer.DefaultConfig()
	settings.Bucket, settings.Keys, settings.WaitTime = rig.Bucket, rig.Keys, time.Second
	settings.Pollers, settings.Writers, settings.Deleters = *pollers, *writers, *pollers
	c, err := consumer.New(settings, consumer.Parts{
		Queue:  queue.New(awsclient.SQS(cfg), *queueURL, queue.DefaultRetry),
		Lander: postgres.NewStore(db, windows, time.Now, postgres.NewMetrics(registry)),
		Log:    slog.New(slog.DiscardHandler), Metrics: consumer.NewMetrics(registry),
		Transient: func(err error) bool { return !postgres.Refused(err) },
	})
	if err != nil {
		return err
	}
	cpu, err := os.Create(*prefix + ".cpu")
	if err != nil {
		return err
	}
	defer cpu.Close()
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return err
	}
	defer runtime.KeepAlive(make([]byte, heapFloor))
	err = c.Run(ctx)
	pprof.StopCPUProfile()
	memory, memoryErr := os.Create(*prefix + ".mem")
	if memoryErr == nil {
		defer memory.Close()
		memoryErr = pprof.Lookup("allocs").WriteTo(memory, 0)
	}
	if err == nil {
		err = memoryErr
	}
	return err
}
