package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/coatcheck/coatcheck/internal/bench/plot"
	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// report prints what was measured, draws the memory, and returns the lines of the table, the main one first.
func (g *growth) report(out io.Writer) ([]line, error) {
	lines := []line{g.crowdLine(false), g.crowdLine(true)}
	smallest, largest := g.tables[0], g.tables[len(g.tables)-1]
	// A reconciliation goes over the whole table. In the smallest, what a run takes whatever it finds would hide what an
	// object takes, and it is over before its memory is what a longer one has: what matters is whether that goes on growing.
	next := g.tables[max(len(g.tables)-2, 0)]
	for _, of := range works {
		before := smallest
		if of == reconciling {
			before = next
		}
		lines = append(lines, expenseLine(of, before, largest))
	}
	for _, of := range roles {
		before := smallest
		if of == reconcilerRole {
			before = next
		}
		lines = append(lines, memoryLine(of, before, largest))
	}
	if err := g.write(out); err != nil {
		return nil, err
	}
	return lines, drawMemory(g.config.memoryPlot, g.tables)
}

// grown is how a figure that should stay as it is has done so: 1 when it has, and less when it has become more.
func grown[T ~int64 | ~float64](before, after T) float64 { return float64(before) / float64(after) }

func (g *growth) crowdRate(processes int, delayed bool) float64 {
	return rig.Median(rig.Ordered(g.consumed.results[crowdName(processes, delayed)], usage.rate))
}

func (g *growth) crowdLine(delayed bool) line {
	var told []string
	for _, n := range crowds {
		told = append(told, fmt.Sprintf("%.0f", g.crowdRate(n, delayed)))
	}
	one, most := crowds[0], crowds[len(crowds)-1]
	all := rig.Ordered(g.consumed.results[crowdName(most, delayed)], usage.rate)
	l := line{
		what:      "growth: notifications, by 1, 2 and 4 consumer processes together",
		coatcheck: strings.Join(told, ", ") + "/s", limit: told[0] + "/s: by one", aim: "not below 1",
		ratio: g.crowdRate(most, delayed) / g.crowdRate(one, delayed), spread: fmt.Sprintf("%.0f to %.0f/s by %d", all[0], all[len(all)-1], most),
	}
	if delayed {
		l.what, l.aim = l.what+", each call 10 ms longer", "above 1"
	}
	return l
}

func (t *growing) expense(of work) float64 {
	return rig.Median(rig.Ordered(t.expenses[of], bill.each))
}

func expenseLine(of work, before, after *growing) line {
	all := rig.Ordered(after.expenses[of], bill.each)
	return line{
		what:      fmt.Sprintf("growth: processor time of %s, with %d rows", of, after.size),
		coatcheck: fmt.Sprintf("%.1f µs", after.expense(of)),
		limit:     fmt.Sprintf("%.1f µs: with %d", before.expense(of), before.size),
		ratio:     grown(before.expense(of), after.expense(of)), aim: "0.80",
		spread: fmt.Sprintf("%.1f to %.1f µs", all[0], all[len(all)-1]),
	}
}

func medianMemory(samples []int64) int64 {
	return rig.Median(rig.Ordered(samples, func(n int64) int64 { return n }))
}

func megabytes(n int64) float64 { return float64(n) / 1e6 }

func memoryLine(of role, before, after *growing) line {
	least, most := medianMemory(before.full[of]), medianMemory(after.full[of])
	all := rig.Ordered(after.full[of], func(n int64) int64 { return n })
	return line{
		what:      fmt.Sprintf("growth: memory of the %s with %d rows, at rest / peak under full load", of, after.size),
		coatcheck: fmt.Sprintf("%.0f / %.0f MB", megabytes(medianMemory(after.rest[of])), megabytes(most)),
		limit:     fmt.Sprintf("%.0f / %.0f MB: with %d", megabytes(medianMemory(before.rest[of])), megabytes(least), before.size),
		ratio:     grown(least, most), aim: "0.80", spread: fmt.Sprintf("%.0f to %.0f MB", megabytes(all[0]), megabytes(all[len(all)-1])),
	}
}

func (g *growth) write(out io.Writer) error {
	fmt.Fprintf(out, "\nµs of processor time for each, of coatcheck + Postgres + S3 and SQS; pieces a second; Postgres %s\n", g.db.Version)
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "rows\t")
	for _, of := range works {
		fmt.Fprintf(table, "%s\t", of)
		if of.timed() {
			fmt.Fprint(table, "pieces/s\t")
		}
	}
	fmt.Fprintln(table)
	for _, t := range g.tables {
		fmt.Fprintf(table, "%d\t", t.size)
		for _, of := range works {
			fmt.Fprintf(table, "%.1f\t", t.expense(of))
			if of.timed() {
				fmt.Fprintf(table, "%.0f\t", rig.Median(rig.Ordered(t.expenses[of], func(b bill) float64 { return rate(b.n, b.took) })))
			}
		}
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nresident memory of a process with one role, at rest / peak under full load")
	table = tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "rows\t")
	for _, of := range roles {
		fmt.Fprintf(table, "%s\t", of)
	}
	fmt.Fprintln(table)
	for _, t := range g.tables {
		fmt.Fprintf(table, "%d\t", t.size)
		for _, of := range roles {
			fmt.Fprintf(table, "%.0f / %.0f MB\t", megabytes(medianMemory(t.rest[of])), megabytes(medianMemory(t.full[of])))
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

// drawMemory draws memory against size.
func drawMemory(path string, tables []*growing) error {
	chart := plot.Chart{Title: "Resident memory of a process, by its role", XLabel: "rows in the table", YLabel: "megabytes"}
	for _, of := range roles {
		full, rest := plot.Line{Name: string(of) + ", full load"}, plot.Line{Name: string(of) + ", at rest", Dashed: true}
		for _, t := range tables {
			full.Points = append(full.Points, plot.Point{X: float64(t.size), Y: megabytes(medianMemory(t.full[of]))})
			rest.Points = append(rest.Points, plot.Point{X: float64(t.size), Y: megabytes(medianMemory(t.rest[of]))})
		}
		chart.Lines = append(chart.Lines, full, rest)
	}
	return draw(path, chart)
}

// draw writes a chart to a file.
func draw(path string, chart plot.Chart) error {
	var svg strings.Builder
	if err := chart.WriteSVG(&svg); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(svg.String()), 0o644)
}
