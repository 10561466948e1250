package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// figure is something that is measured.
type figure struct {
	name    string
	measure func(context.Context, *site, io.Writer) ([]line, error)
}

// figures are all of them, in the order in which they are measured.
var figures []figure

func init() { // measure needs parse, which tells the names
	figures = []figure{
		{"consume", measureConsume},
		{"latency", measureLatency},
		{"create", measureCreate},
		{"confirm", measureConfirm},
		{"sweep", measureSweep},
		{"growth", measureGrowth},
		{"cost", measureCost},
	}
}

func figureNames() []string {
	var names []string
	for _, f := range figures {
		names = append(names, f.name)
	}
	return names
}

// line is a line of the table. The first that a figure returns is its main one.
type line struct {
	what      string
	coatcheck string
	limit     string
	ratio     float64 // of coatcheck to its limit: 1 is as good as can be; 0 where there is none
	aim       string  // what the ratio should be
	peers     string
	spread    string // of coatcheck's runs
}

// bench is the whole of it.
func bench(ctx context.Context, c config, out io.Writer) (err error) {
	defer runtime.KeepAlive(make([]byte, heapFloor)) // for the statements and calls that are made here, such as a bare sweep's
	s := &site{config: c}
	defer func() { err = errors.Join(err, s.close()) }()
	began := time.Now()
	table := strings.Builder{}
	fmt.Fprintf(&table, "%s, %s. %d rows; medians of %d runs.\n\n", rig.Machine(), began.UTC().Format(time.DateOnly), c.size, c.runs)
	table.WriteString("| figure | coatcheck | limit | ratio | aim | peers | spread |\n|---|---|---|---|---|---|---|\n")
	for _, f := range figures {
		if len(c.only) > 0 && !slices.Contains(c.only, f.name) {
			continue
		}
		fmt.Fprintf(out, "\n== %s: %s, %d rows\n", f.name, rig.Machine(), c.size)
		began := time.Now()
		lines, err := f.measure(ctx, s, out)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		for _, l := range lines {
			table.WriteString(l.markdown())
		}
		fmt.Fprintf(out, "\n%s took %s\n", f.name, time.Since(began).Round(time.Second))
		fmt.Fprintf(out, "figure=%s ratio=%.3f\n", f.name, lines[0].ratio)
	}
	fmt.Fprintf(out, "\n%s\nmeasured in %s; the table is in %s\n", table.String(), time.Since(began).Round(time.Second), c.table)
	if err := os.MkdirAll(filepath.Dir(c.table), 0o755); err != nil {
		return err
	}
	return os.WriteFile(c.table, []byte(table.String()), 0o644)
}

func (l line) markdown() string {
	ratio := "–"
	if l.ratio != 0 {
		ratio = fmt.Sprintf("%.2f", l.ratio)
	}
	cells := []string{l.what, l.coatcheck, l.limit, ratio, l.aim, l.peers, l.spread}
	for i, cell := range cells {
		if cell == "" {
			cells[i] = "–"
		}
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}
