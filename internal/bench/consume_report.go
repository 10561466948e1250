package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

func took(u usage) time.Duration { return u.took }

// report prints what was measured, and returns the lines of the table.
func (c *consumption) report(out io.Writer, peers []peer) ([]line, error) {
	n, many := c.config.count, c.many()
	fmt.Fprintf(out, "\none process, %d pollers, %d writers; Postgres %s\n", c.config.pollers, c.config.writers, c.db.Version)
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "median of runs\truns\tmessages\tstranded\tseconds\tfastest\tslowest\tmessages/s\tits, SQS's and Postgres's share of the processors\treceives\tdeletes\tpeak memory\t")
	for _, name := range []string{oursPlain, bareCalls, bareRows, oursMixed, oursDelayed, callsDelayed} {
		writeUsage(table, name, c.results[name])
	}
	for _, p := range peers {
		if p.skipped == "" {
			writeUsage(table, p.name, p.runs)
		}
	}
	if err := table.Flush(); err != nil {
		return nil, err
	}
	skipped := skippedBy(peers)
	for _, l := range skipped {
		fmt.Fprintln(out, l)
	}
	ours, calls, rows := c.median(oursPlain), c.median(bareCalls), c.median(bareRows)
	delayed, delayedCalls := c.median(oursDelayed), c.median(callsDelayed)
	mixed := c.results[oursMixed][0].count
	var told []string
	for _, p := range compared(peers) {
		told = append(told, fmt.Sprintf("%s %.0f/s (×%.1f)", p.name, p.rate(), rate(many, ours)/p.rate()))
	}
	if len(skipped) > 0 {
		told = append(told, "some were skipped")
	}
	return []line{{
		what:      fmt.Sprintf("consume, %d notifications", many),
		coatcheck: fmt.Sprintf("%.0f/s", rate(many, ours)),
		limit:     fmt.Sprintf("%.0f/s: receive and delete %.2f s + UPDATE %.2f s", rate(many, calls+rows), calls.Seconds(), rows.Seconds()),
		ratio:     c.paired(func(ours, calls, rows usage) float64 { return float64(calls.took+rows.took) / float64(ours.took) }), aim: "0.90", peers: strings.Join(told, "; "), spread: c.spread(oursPlain, many),
	}, {
		what:      "consume, processor time a notification, of every process",
		coatcheck: fmt.Sprintf("%.0f µs", c.processor(oursPlain)),
		limit:     fmt.Sprintf("%.0f µs: the same parts", c.processor(bareCalls)+c.processor(bareRows)),
		ratio: c.paired(func(ours, calls, rows usage) float64 {
			return (processorEach(calls) + processorEach(rows)) / processorEach(ours)
		}),
		spread: c.processorSpread(oursPlain),
	}, {
		what:      "consume, each call 10 ms longer",
		coatcheck: fmt.Sprintf("%.0f/s", rate(n, delayed)),
		limit:     fmt.Sprintf("%.0f/s: receive and delete", rate(n, delayedCalls)),
		ratio:     c.pairedRates(oursDelayed, callsDelayed), aim: "0.95", spread: c.spread(oursDelayed, n),
	}, {
		// By messages and not by media: whoever sends a tenth of them twice has a tenth more of them handled.
		what:      fmt.Sprintf("consume, %d messages about %d media: 10 %% doubled, 10 %% displaced", mixed, many),
		coatcheck: fmt.Sprintf("%.0f messages/s (%.0f media/s)", rate(mixed, c.median(oursMixed)), rate(many, c.median(oursMixed))),
		limit:     fmt.Sprintf("%.0f messages/s: %d messages about as many media, in order", rate(many, ours), many),
		ratio:     c.mixedRatio(), aim: "0.90", spread: c.spread(oursMixed, mixed),
	}}, nil
}

func rate(n int, in time.Duration) float64 { return float64(n) / in.Seconds() }

func (c *consumption) median(name string) time.Duration {
	return rig.Median(rig.Ordered(c.results[name], took))
}

// paired is the median of what the plain turns come to.
func (c *consumption) paired(of func(ours, calls, rows usage) float64) float64 {
	ours, calls, rows := c.results[oursPlain], c.results[bareCalls], c.results[bareRows]
	return rig.PairedMedian(len(ours), func(i int) float64 { return of(ours[i], calls[i], rows[i]) })
}

// pairedRates is the median of what the turns of two come to, in messages a second of the one for each of the other.
func (c *consumption) pairedRates(of, to string) float64 {
	return rig.PairedMedian(len(c.results[of]), func(i int) float64 { return c.results[of][i].rate() / c.results[to][i].rate() })
}

// mixedRatio is the median of what the mixed turns come to, each beside the mean of the plain ones of its round.
func (c *consumption) mixedRatio() float64 {
	mixed, plain := c.results[oursMixed], c.results[oursPlain]
	return rig.PairedMedian(len(mixed), func(i int) float64 {
		var took time.Duration
		count := 0
		for _, u := range plain[i*plainTurns : (i+1)*plainTurns] {
			took, count = took+u.took, count+u.count
		}
		return mixed[i].rate() / rate(count, took)
	})
}

func (c *consumption) spread(name string, n int) string {
	all := rig.Ordered(c.results[name], took)
	return fmt.Sprintf("%.0f to %.0f/s", rate(n, all[len(all)-1]), rate(n, all[0]))
}

// processor is the median of the processor time that a notification took in all, in microseconds: beside the time of the
// clock it shows what a busy machine hides, and what a part that waits for the disk leaves unused.
func (c *consumption) processor(name string) float64 {
	return rig.Median(rig.Ordered(c.results[name], processorEach))
}

func (c *consumption) processorSpread(name string) string {
	all := rig.Ordered(c.results[name], processorEach)
	return fmt.Sprintf("%.0f to %.0f µs", all[0], all[len(all)-1])
}

func processorEach(u usage) float64 { return each(u.own+u.aws+u.postgres, u.count) }

func writeUsage(w io.Writer, name string, runs []usage) {
	walls := rig.Ordered(runs, took)
	share := func(of func(usage) time.Duration) float64 {
		return rig.Median(rig.Ordered(runs, func(u usage) float64 { return rig.Share(of(u), u.took) }))
	}
	fmt.Fprintf(w, "%s\t%d\t%d\t%.0f\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f + %.0f + %.0f %%\t%d\t%d\t%.1f MB\t\n", name, len(runs), runs[0].count,
		rig.Median(rig.Ordered(runs, func(u usage) float64 { return float64(u.stranded) })),
		rig.Median(walls).Seconds(), walls[0].Seconds(), walls[len(walls)-1].Seconds(), rig.Median(rig.Ordered(runs, usage.rate)),
		share(func(u usage) time.Duration { return u.own }), share(func(u usage) time.Duration { return u.aws }),
		share(func(u usage) time.Duration { return u.postgres }), runs[0].calls.Receives, runs[0].calls.Deletes,
		float64(rig.Median(rig.Ordered(runs, func(u usage) int64 { return u.peak })))/1e6)
}
