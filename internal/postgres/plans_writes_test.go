package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// writeRows is how many uploads a measurement of writes makes, lands and confirms, in batches of a hundred.
const writeRows = 20_000

// measureWrites tells what the indexes cost: how many uploads a second are inserted, landed and confirmed with all of
// them, and without some. Each is measured several times, in turn, and the best counts: what disturbs
// only slows down.
func measureWrites(t *testing.T, db *bun.DB) string {
	t.Helper()
	var indexes []struct{ Name, Definition, Size string }
	err := db.NewRaw(`SELECT c.relname AS name, pg_get_indexdef(c.oid) AS definition, pg_size_pretty(pg_relation_size(c.oid)) AS size
		FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
		WHERE i.indrelid = 'coatcheck.media'::regclass ORDER BY pg_relation_size(c.oid) DESC`).Scan(t.Context(), &indexes)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("## What the indexes cost\n\n| index | size |\n|---|---:|\n")
	definitions := map[string]string{}
	for _, i := range indexes {
		definitions[i.Name] = i.Definition
		fmt.Fprintf(&b, "| `%s` | %s |\n", i.Name, i.Size)
	}
	const dropKey, addKey = "ALTER TABLE coatcheck.media DROP CONSTRAINT media_key_key", "ALTER TABLE coatcheck.media ADD CONSTRAINT media_key_key UNIQUE (key)"
	drop := func(index string) string { return "DROP INDEX coatcheck." + index }
	byTenant, byOwner := definitions["media_by_tenant_and_id"], definitions["media_by_owner_and_id"]
	variants := []struct {
		name       string
		drop, make []string
	}{
		{"all", nil, nil},
		{"without `media_by_tenant_and_id`", []string{drop("media_by_tenant_and_id")}, []string{byTenant}},
		{"without `media_by_owner_and_id`", []string{drop("media_by_owner_and_id")}, []string{byOwner}},
		{"without `media_key_key`", []string{dropKey}, []string{addKey}},
		{"without these three", []string{drop("media_by_tenant_and_id"), drop("media_by_owner_and_id"), dropKey}, []string{byTenant, byOwner, addKey}},
	}
	best, wal := make([][3]float64, len(variants)), make([]float64, len(variants))
	for range 5 {
		for i, v := range variants {
			for _, statement := range v.drop {
				exec(t, db, statement)
			}
			exec(t, db, "CHECKPOINT")
			began := walBytes(t, db)
			for k, rate := range writeRates(t, db) {
				best[i][k] = max(best[i][k], rate)
			}
			wal[i] = (walBytes(t, db) - began) / writeRows
			exec(t, db, "DELETE FROM coatcheck.media WHERE tenant = 'writes'")
			for _, statement := range v.make {
				exec(t, db, statement)
			}
			tidy(t, db)
		}
	}
	fmt.Fprintf(&b, "\nUploads a second, in batches of 100 on 2 connections, the client on the same cores; the best of five runs of %s. Other work on the machine shows in\n"+
		"them; what goes to the write-ahead log for one upload, from insert to confirmation, does not depend on it.\n\n", thousands(writeRows))
	b.WriteString("| indexes | insert | land | confirm | log for an upload |\n|---|---:|---:|---:|---:|\n")
	for i, v := range variants {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s bytes |\n", v.name, thousands(int(best[i][0])), thousands(int(best[i][1])),
			thousands(int(best[i][2])), thousands(int(wal[i])))
	}
	return b.String()
}

func exec(t *testing.T, db *bun.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func walBytes(t *testing.T, db *bun.DB) (n float64) {
	t.Helper()
	if err := db.NewRaw("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").Scan(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// writeRates makes uploads, lands and confirms them, and returns how many a second each step did.
func writeRates(t *testing.T, hooked *bun.DB) (rates [3]float64) {
	t.Helper()
	store := postgres.NewStore(bun.NewDB(hooked.DB, hooked.Dialect()), windows, time.Now, postgres.NewMetrics(prometheus.NewRegistry()))
	const batch = 100
	batches := make([][]*media.Media, writeRows/batch)
	for i := range batches {
		for range batch {
			batches[i] = append(batches[i], draft(func(m *media.Media) { m.Tenant, m.Owner = "writes", fmt.Sprint("owner-", i%50) }))
		}
	}
	scope := media.Scope{Tenant: "writes"}
	for k, step := range []func([]*media.Media) error{
		func(ms []*media.Media) error { _, err := store.Create(t.Context(), ms); return err },
		func(ms []*media.Media) error {
			var landings []media.Landing
			for _, m := range ms {
				landings = append(landings, landing(m))
			}
			_, err := store.Land(t.Context(), media.SourceNotification, landings)
			return err
		},
		func(ms []*media.Media) error {
			_, err := store.Confirm(t.Context(), scope, claims("post/1", ms...))
			return err
		},
	} {
		began := time.Now()
		var wg sync.WaitGroup
		for worker := range 2 {
			wg.Go(func() {
				for i := worker; i < len(batches); i += 2 {
					if err := step(batches[i]); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		rates[k] = writeRows / time.Since(began).Seconds()
	}
	return rates
}
