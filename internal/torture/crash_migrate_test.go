package torture

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/migrations"
)

// crashCatalogue describes all that is in the schema: relations with their columns, indexes, constraints, functions, and
// what is applied.
const crashCatalogue = `
SELECT coalesce(string_agg(line, E'\n' ORDER BY line), '') FROM (
	SELECT format('%s.%s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)) AS line
	FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
	WHERE c.relnamespace = to_regnamespace('coatcheck') AND c.relkind IN ('r', 'v')
	UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'coatcheck'
	UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = to_regnamespace('coatcheck')
	UNION ALL SELECT pg_get_functiondef(oid) || ' ' || proacl::text FROM pg_proc WHERE pronamespace = to_regnamespace('coatcheck')
) AS lines`

// crashSchema is what `coatcheck migrate` has made of a database so far.
func crashSchema(t testing.TB, databaseURL string) (catalogue string, applied int) {
	t.Helper()
	db, err := postgres.Open(crashOwn(databaseURL), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.NewRaw(crashCatalogue).Scan(context.Background(), &catalogue); err != nil {
		t.Fatal(err)
	}
	var there bool
	if err := db.NewRaw("SELECT to_regclass('coatcheck.schema_version') IS NOT NULL").Scan(context.Background(), &there); err != nil {
		t.Fatal(err)
	}
	if there {
		err = db.NewRaw("SELECT count(*) FROM coatcheck.schema_version WHERE is_applied AND version_id > 0").Scan(context.Background(), &applied)
	}
	if err != nil {
		t.Fatal(err)
	}
	return catalogue, applied
}

// crashWanted is the schema as the migrations make it of a database from which nothing took them.
var crashWanted struct {
	once      sync.Once
	catalogue string
}

// crashMigrate creates the schema from nothing. Whenever the process is killed, what status says is what is there, and
// the next run makes of it what a run that is not killed does.
func crashMigrate(t *testing.T, watch *crashWatch) {
	t.Helper()
	empty := pgtest.Empty(t)
	w := newCrashWorld(t, empty, watch, false)
	c := w.start(true, "migrate", "up")
	if !c.done(crashLimit) {
		t.Fatalf("migrate up does not end within %s", crashLimit)
	}
	names, err := migrations.FS.ReadDir(".")
	w.must(err)
	if watch.killedThe(c) {
		w.quiet()
		watch.leave()
		_, applied := crashSchema(t, empty)
		if status := w.migrate("status"); strings.Count(status, "\n") != len(names) || strings.Count(status, "not applied") != len(names)-applied {
			violated(t, "R10: %d migrations are applied, and status says\n%s", applied, status)
		}
		w.migrate("up")
	} else if c.err != nil {
		t.Fatalf("migrate up: %v", c.err)
	}
	watch.leave()
	if status := w.migrate("status"); strings.Contains(status, "not applied") {
		violated(t, "R10: after migrate up the status is\n%s", status)
	}
	crashWanted.once.Do(func() { crashWanted.catalogue, _ = crashSchema(t, pgtest.New(t)) })
	if got, applied := crashSchema(t, empty); got != crashWanted.catalogue || applied != len(names) {
		violated(t, "R10: %d of %d migrations are applied, and the schema is\n%s\nwant\n%s", applied, len(names), got, crashWanted.catalogue)
	}
}

// migrate runs a subcommand that has to succeed, and returns what it printed.
func (w *crashWorld) migrate(command string) string {
	w.t.Helper()
	c := w.start(false, "migrate", command)
	if !c.done(crashLimit) || c.err != nil {
		violated(w.t, "R10: migrate %s: %v\n%s", command, c.err, c.logged())
	}
	return c.out.String()
}
