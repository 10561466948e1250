package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

type sweepCommand struct {
	DryRun bool `name:"dry-run" help:"Change nothing: print what a sweep would do to each media, and why. S3 is asked (HEAD) for what has not landed."`

	databaseSettings `embed:""`
	bucketSettings   `embed:""`
	windowSettings   `embed:""`
	logSettings      `embed:""`
}

func (c *sweepCommand) Run(ctx context.Context, s streams) error {
	aws, err := awsclient.Load(ctx, awsclient.Config{Region: c.AWSRegion, Endpoint: c.AWSEndpoint})
	if err != nil {
		return err
	}
	p := &program{
		config: programConfig{
			Database: c.databaseSettings, Bucket: c.bucketSettings, Windows: c.windowSettings, Logger: c.logger(s),
		},
		registry: prometheus.NewRegistry(),
	}
	if err := p.open(ctx, aws); err != nil {
		return err
	}
	defer p.close()
	sweeper, err := p.sweeper()
	if err != nil {
		return err
	}
	if c.DryRun {
		return preview(ctx, s, sweeper)
	}
	if err := p.bind(ctx); err != nil {
		return err
	}
	result, err := sweeper.RunOnce(ctx)
	fmt.Fprintln(s.out, summary(result))
	if err == nil && result.HeadErrors+result.DeleteErrors > 0 {
		err = errors.New("S3 refused some of it, which is tried again later; the log tells why")
	}
	return err
}

// preview prints a line for each media as it is found: a long one can be read, piped and stopped.
func preview(ctx context.Context, s streams, sweeper *sweep.Sweeper) error {
	table := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	lines := 0
	result, err := sweeper.Preview(ctx, func(a sweep.Action) error {
		m := a.Media
		if lines == 0 {
			fmt.Fprintln(table, "MEDIA\tSTATE\tCREATED\tBYTES\tWOULD\tBECAUSE")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", m.ID, m.State, m.CreatedAt.UTC().Format(time.RFC3339), m.SizeBytes, a.Verb, a.Why)
		if lines++; lines%100 == 0 {
			return table.Flush()
		}
		return nil
	})
	if flushErr := table.Flush(); err == nil {
		err = flushErr
	}
	fmt.Fprintln(s.out, "dry run, nothing was changed:", summary(result))
	return err
}

// summary is a result in words, such as "unclaimed 2, deleted 2".
func summary(r sweep.Result) string {
	if r.Zero() {
		return "nothing was due"
	}
	var parts []string
	for _, attr := range r.LogValue().Group() {
		parts = append(parts, strings.ReplaceAll(attr.Key, "_", " ")+" "+attr.Value.String())
	}
	return strings.Join(parts, ", ")
}
