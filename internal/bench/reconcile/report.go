package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// titles are the contenders' names in the table.
var titles = map[string]string{
	"reconcile": "coatcheck reconcile",
	"list":      "bare listing",
	"compare":   "list, COPY, sort, comm",
	"fetch":     "bare HTTP GET",
}

// report prints a table of medians, and the closing line.
func report(out io.Writer, s *site, c config, results map[string][]sample) error {
	fmt.Fprintf(out, "\n%d objects, %d rows; S3: %s, latency %s; Postgres %s, durable\n"+
		"%d ranges listed at a time; the bare listing has %d\n",
		s.objects, s.objects.rows(), s.kind, c.latency, s.version, c.concurrency, c.shards)
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "median of runs\truns\tseconds\tfastest\tslowest\tobjects/s\town CPU s\tS3's\tPostgres's\tpeak memory\t")
	for _, name := range contenders {
		samples := results[name]
		if len(samples) == 0 {
			continue
		}
		walls := rig.Ordered(samples, func(m sample) time.Duration { return m.wall })
		fmt.Fprintf(table, "%s\t%d\t%.2f\t%.2f\t%.2f\t%.0f\t%.2f\t%.2f\t%.2f\t%s\t\n", titles[name], len(samples),
			rig.Median(walls).Seconds(), walls[0].Seconds(), walls[len(walls)-1].Seconds(), rate(s.objects, samples),
			rig.Median(rig.Ordered(samples, func(m sample) time.Duration { return m.own })).Seconds(),
			rig.Median(rig.Ordered(samples, func(m sample) time.Duration { return m.s3 })).Seconds(),
			rig.Median(rig.Ordered(samples, func(m sample) time.Duration { return m.postgres })).Seconds(),
			megabytes(medianPeak(samples)))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	ours, bare := rate(s.objects, results["reconcile"]), rate(s.objects, results["list"])
	_, err := fmt.Fprintf(out, "\nobjects_per_s=%.0f list_only_per_s=%.0f ratio=%.3f peak_mb=%.0f sort_comm_per_s=%.0f\n",
		ours, bare, ours/max(bare, 1), float64(medianPeak(results["reconcile"]))/1e6, rate(s.objects, results["compare"]))
	return err
}

// rate is in objects a second, 0 without samples.
func rate(n population, samples []sample) float64 {
	if len(samples) == 0 {
		return 0
	}
	return float64(n) / rig.Median(rig.Ordered(samples, func(m sample) time.Duration { return m.wall })).Seconds()
}

// medianPeak is the median of the samples' peaks in bytes, 0 without samples.
func medianPeak(samples []sample) int64 {
	if len(samples) == 0 {
		return 0
	}
	return rig.Median(rig.Ordered(samples, func(m sample) int64 { return m.peak }))
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
