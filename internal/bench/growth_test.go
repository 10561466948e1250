package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

func TestTableSizes(t *testing.T) {
	t.Parallel()
	for size, want := range map[int][]int{
		500: {500}, 1000: {1000}, 1001: {1000, 1001}, 1_000_000: {1000, 10_000, 100_000, 1_000_000},
		10_000_000: {1000, 10_000, 100_000, 1_000_000, 10_000_000},
	} {
		if got := tableSizes(size); !slices.Equal(got, want) {
			t.Errorf("up to %d: %v, want %v", size, got, want)
		}
	}
}

func tableOf(size int, each time.Duration, memory int64) *growing {
	table := &growing{size: size, expenses: map[work][]bill{}, rest: map[role][]int64{}, full: map[role][]int64{}}
	for _, of := range works {
		for _, factor := range []time.Duration{1, 9, 2} { // the median is two
			table.expenses[of] = append(table.expenses[of], bill{n: 100, took: time.Second, own: 50 * factor * each, postgres: 30 * factor * each, aws: 20 * factor * each})
		}
	}
	for _, of := range roles {
		table.rest[of], table.full[of] = []int64{40e6}, []int64{memory, 9 * memory, memory}
	}
	return table
}

func crowdOf(rates map[int]int) *consumption {
	c := &consumption{results: map[string][]usage{}}
	for processes, rate := range rates {
		for _, delayed := range []bool{false, true} {
			c.results[crowdName(processes, delayed)] = []usage{{count: rate, took: time.Second}}
		}
	}
	return c
}

// TestGrowthReport: the ratios are those of the medians, the main one is of the rates of four processes and of one, and
// what has become more is below one. The memory is drawn.
func TestGrowthReport(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "made", "memory.svg")
	g := &growth{
		site: &site{config: config{memoryPlot: path}, db: &rig.Postgres{}}, consumed: crowdOf(map[int]int{1: 1000, 2: 1500, 4: 1800}),
		tables: []*growing{tableOf(1000, 10*time.Microsecond, 50e6), tableOf(10_000, 16*time.Microsecond, 80e6), tableOf(100_000, 20*time.Microsecond, 100e6)},
	}
	var out strings.Builder
	lines, err := g.report(&out)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(lines[0].what, "growth: notifications") {
		t.Errorf("the main line is %q", lines[0].what)
	}
	for begins, ratio := range map[string]float64{
		"growth: notifications, by 1, 2 and 4 consumer processes":    1.8,
		"growth: processor time of a notification, with 100000 rows": 0.5,
		"growth: processor time of a reconciled object, with 100000": 0.8,
		"growth: memory of the api with 100000 rows":                 0.5,
		"growth: memory of the reconciler with 100000 rows":          0.8,
	} {
		i := slices.IndexFunc(lines, func(l line) bool { return strings.HasPrefix(l.what, begins) })
		if i < 0 || lines[i].ratio < ratio-1e-6 || lines[i].ratio > ratio+1e-6 {
			t.Errorf("%s: want the ratio %.2f in %+v", begins, ratio, lines)
		}
	}
	if !strings.Contains(out.String(), "40 / 100 MB") {
		t.Errorf("the memory is not told in\n%s", &out)
	}
	svg, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(svg), "sweeper, at rest") {
		t.Errorf("%v in %s", err, svg)
	}
}
