package postgres_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"
)

// fewRows is the small table with which the large one is compared.
const fewRows = 10_000

// otherRows is how many rows there are of each state but CONFIRMED, in both.
const otherRows = 2_500

// sweepBatch is the sweep's default.
const sweepBatch = 1000

var plansHead = "" +
	"# Query plans\n\n" +
	"Made by\n\n" +
	"```\ngo test ./internal/postgres -run TestQueryPlans -query-plans docs/query-plans.md -rows %d\n```\n\n" +
	"on " + time.Now().UTC().Format(time.DateOnly) + ". Do not edit it. A quick variant of the same test runs with all others and fails\n" +
	"when a statement scans the table or loses its index.\n\n" +
	"What a sweep costs must not grow with the number of CONFIRMED rows. The tables here have %s and %s of them, and both\n" +
	"have %s rows that are not CONFIRMED, a quarter in each other state, three in five of them due. There are %d tenants,\n" +
	"one with a tenth of all rows, and %d owners. Rows were inserted by `generate_series`, followed by `VACUUM (ANALYZE)`,\n" +
	"and so was every measurement: autovacuum (at 2 %% of the table) does the same later and in small pieces. Statements are\n" +
	"those that the store sends, literals and all, so that every one is planned for its own arguments. Each was run in a\n" +
	"transaction that was rolled back; the second run is shown, with every page in memory.\n\n" +
	"%s, %d cores, fsync %s, synchronous_commit %s, shared_buffers %s, data folder in memory or in the page cache: read the\n" +
	"buffers (8-KiB pages touched) as the measure, and the times as what is left when no disk waits.\n\n"

// writePlans makes the plans at few and at many rows, and writes the document.
func writePlans(t *testing.T) {
	few, statements, _ := makePlans(t, fewRows)
	many, _, db := makePlans(t, *plansRows)
	setting := func(name string) (value string) {
		if err := db.NewRaw("SELECT current_setting(?)", name).Scan(t.Context(), &value); err != nil {
			t.Fatal(err)
		}
		return value
	}
	var b strings.Builder
	version, _, _ := strings.Cut(setting("server_version"), " ")
	fmt.Fprintf(&b, plansHead, *plansRows, thousands(fewRows), thousands(*plansRows), thousands(4*otherRows), planTenants, planOwners,
		"Postgres "+version, runtime.NumCPU(), setting("fsync"), setting("synchronous_commit"), setting("shared_buffers"))
	b.WriteString("## Summary\n\n### Finding what is due\n\n" +
		"The part of a sweep's statement that finds and locks its candidates, for batches of 1,000. At most it is a page to\n" +
		"read and one to lock for each: it depends on how rows that are due together lie together, and in a small table\n" +
		"Postgres may read all that is due in the order of its pages. It does not depend on what is CONFIRMED, which\n" +
		"`media_due` has no entry for.\n\n")
	fmt.Fprintf(&b, "| statement | buffers at %[1]s | at %[2]s | ms at %[1]s | at %[2]s |\n|---|---:|---:|---:|---:|\n", thousands(fewRows), thousands(*plansRows))
	for i, s := range statements {
		if few[i].foundBuffers > 0 {
			fmt.Fprintf(&b, "| %s | %s | %s | %.1f | %.1f |\n", s.name, thousands(few[i].foundBuffers), thousands(many[i].foundBuffers), few[i].foundDuration, many[i].foundDuration)
		}
	}
	b.WriteString("\n### Whole statements\n\n\"Rows\" is the most that any step of the plan read. What grows a little is the depth of the other indexes, of which\n" +
		"each row that changes its state or due time gets new entries; in the small table Postgres may also scan the whole of\n" +
		"it, which is cheaper than a thousand look-ups by id.\n\n")
	fmt.Fprintf(&b, "| statement | asked by | rows | buffers at %[1]s | at %[2]s | ms at %[1]s | at %[2]s |\n|---|---|---:|---:|---:|---:|---:|\n", thousands(fewRows), thousands(*plansRows))
	for i, s := range statements {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %.1f | %.1f |\n", s.name, s.when, thousands(many[i].rows),
			thousands(few[i].buffers), thousands(many[i].buffers), few[i].milliseconds, many[i].milliseconds)
	}
	b.WriteString("\n" + measureWrites(t, db) + "\n## Plans\n")
	for i, s := range statements {
		fmt.Fprintf(&b, "\n### %s\n\nAt %s CONFIRMED rows:\n\n```\n%s```\n\n<details><summary>At %s</summary>\n\n```\n%s```\n\n</details>\n",
			s.name, thousands(*plansRows), many[i].text, thousands(fewRows), few[i].text)
	}
	if err := os.WriteFile(fromRoot(t, *plansFile), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func makePlans(t *testing.T, rows int) ([]plan, []statement, *bun.DB) {
	t.Helper()
	f, db, caught := planStore(t, rows, otherRows)
	all := statements(t, f, db, sweepBatch)
	plans := make([]plan, len(all))
	for i, s := range all {
		plans[i] = explain(t, db, caught, s, 2)
		if rows >= 1_000_000 {
			checkPlan(t, s, plans[i])
		}
	}
	return plans, all, db
}

// fromRoot returns the path of a file that is named from the module's root: tests run in their package's folder.
func fromRoot(t *testing.T, name string) string {
	t.Helper()
	if filepath.IsAbs(name) {
		return name
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, name)
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("there is no go.mod above this folder")
		}
	}
}

// thousands writes a number with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
