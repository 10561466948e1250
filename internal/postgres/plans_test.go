package postgres_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

var (
	plansFile = flag.String("query-plans", "", "write the query plans to this `file`, named from the module's root")
	plansRows = flag.Int("rows", 1_000_000, "with -query-plans: how many CONFIRMED rows to make plans for")
)

// statement is one thing that the store asks of Postgres.
type statement struct {
	name string
	when string // who asks it, and how often
	// ask calls the store. What the store sends is not executed but explained, unless it is a transaction, of whose
	// statements the one that has the word is explained.
	ask  func(context.Context) error
	word string
	// prepared, instead of ask, runs it with something before its text.
	prepared func(ctx context.Context, conn *pgx.Conn, before string) ([]string, error)
	// index must be in the plan. There is never a scan of the whole table.
	index string
}

// statements returns every statement whose cost could depend on the size of the table, with a batch of each.
func statements(t *testing.T, f *fixture, db *bun.DB, batch int) []statement {
	t.Helper()
	owner := media.Scope{Tenant: "tenant-0", Owner: "owner-0"}
	tenant := media.Scope{Tenant: "tenant-0"}
	events := min(batch, 100)
	var landings []media.Landing
	for _, state := range []media.State{media.StatePending, media.StateConfirmed} {
		for _, m := range take(t, db, state, events/2) {
			landings = append(landings, landing(m))
		}
	}
	claimable := take(t, db, media.StateUploaded, 2*min(batch/10, 100), "tenant = 'tenant-0'")
	toLock, toSave := claimable[:len(claimable)/2], claimable[len(claimable)/2:]
	pending, deleting := take(t, db, media.StatePending, batch), take(t, db, media.StateDeleting, batch)
	retryAt, reasons := make([]time.Time, len(deleting)), make([]string, len(deleting))
	for i := range deleting {
		retryAt[i], reasons[i] = f.Now().Add(time.Minute), "SlowDown"
	}
	due := func(state media.State, more ...any) []any {
		return append([]any{state, f.Now(), batch, f.Now().Add(lease)}, more...)
	}
	var keyedDrafts []*media.Media
	for i := range events {
		keyedDrafts = append(keyedDrafts, draft(keyed(fmt.Sprint("new-", i)), func(m *media.Media) { m.Tenant, m.Owner = owner.Tenant, owner.Owner }))
	}
	one := take(t, db, media.StateConfirmed, 1, "tenant = 'tenant-0'")[0]
	lists := func(scope media.Scope, page media.Page) func(context.Context) error {
		return func(ctx context.Context) error { _, err := f.List(ctx, scope, page); return err }
	}
	var ids []uuid.UUID
	for _, m := range take(t, db, media.StateUploaded, min(batch, 100), "tenant = 'tenant-0'") {
		ids = append(ids, m.ID)
	}
	watched := postgres.ToUUIDs(ids)
	find := func(ctx context.Context) error {
		_, err := f.FindByKey(ctx, one.Key[:len(one.Key)-3], uuid.UUID{}, 100)
		return err
	}
	backlog := postgres.NewBacklog(db, f.Now, slog.New(slog.DiscardHandler))
	return []statement{
		{name: "Sweep: lease PENDING", when: "each sweep, before it asks S3", index: "media_due",
			prepared: prepared(postgres.LeaseSQL, due(media.StatePending, 0))},
		{name: "Sweep: expire uploads", when: "each sweep, after S3 knew nothing of them", index: "media_pkey",
			prepared: prepared(postgres.ExpireUploadsSQL, postgres.Leased(pending, f.Now(), f.Now().Add(lease)))},
		{name: "Sweep: expire claims", when: "each sweep", index: "media_due", prepared: prepared(postgres.ExpireClaimsSQL, due(media.StateUploaded))},
		{name: "Sweep: lease DELETING", when: "each sweep, before DeleteObjects", index: "media_due",
			prepared: prepared(postgres.LeaseSQL, due(media.StateDeleting, 1))},
		{name: "Sweep: record deletions", when: "each sweep, after DeleteObjects", index: "media_pkey",
			prepared: prepared(postgres.FinishSQL, postgres.Leased(deleting, f.Now(), windows.Tombstone.Seconds()))},
		{name: "Sweep: record failed deletions", when: "each sweep, after DeleteObjects", index: "media_pkey",
			prepared: prepared(postgres.RetrySQL, postgres.Leased(deleting, retryAt, reasons))},
		{name: "Sweep: lease tombstones", when: "each sweep", index: "media_due", prepared: prepared(postgres.LeaseSQL, due(media.StateDeleted, 1))},
		{name: "Sweep: purge tombstones", when: "each sweep, after DeleteObjects", index: "media_pkey",
			prepared: prepared(postgres.PurgeSQL, postgres.Leased(take(t, db, media.StateDeleted, batch)))},
		sent("Sweep: dry run, a page", "on demand", func(ctx context.Context) error { _, err := f.Due(ctx, media.StateUploaded, nil, batch); return err }, "", "media_due"),
		sent("Metrics: the backlog", "a scrape, at most every 10 s", func(context.Context) error { testutil.CollectAndCount(backlog); return nil }, "", "media_due"),
		{name: fmt.Sprintf("Land %d events", 2*(events/2)), when: "each batch of the consumer",
			prepared: prepared(f.LandStatement(media.SourceNotification, append(landings, landing(draft())))), index: "media_pkey"}, // a stray's, too
		{name: fmt.Sprintf("Confirm %d that are UPLOADED", len(toSave)), when: "each confirmation",
			prepared: prepared(postgres.ConfirmStatement(tenant, claims("post/1", toSave...), f.Now())), index: "media_pkey"},
		{name: fmt.Sprintf("Confirm a batch of %d, all of them UPLOADED", len(toSave)), when: "each confirmation of several",
			prepared: prepared(postgres.ConfirmAllStatement(tenant, claims("post/1", toSave...), f.Now())), index: "media_pkey"},
		{name: fmt.Sprintf("Confirm %d, for a tenant newer than its statistics", len(toLock)), when: "each confirmation",
			prepared: prepared(postgres.ConfirmStatement(media.Scope{Tenant: "new", Owner: "new"}, claims("post/1", toLock...), f.Now())), index: "media_pkey"},
		sent(fmt.Sprintf("Confirm %d, of which not all are UPLOADED: lock", len(toLock)), "a confirmation that is repeated, or comes too early or too late", func(ctx context.Context) error {
			_, err := f.Confirm(ctx, media.Scope{Tenant: "new", Owner: "new"}, claims("post/1", toLock...))
			return err
		}, `FROM "coatcheck"."media" AS "m"`, "media_pkey"),
		sent(fmt.Sprintf("Create %d with idempotency keys: insert", events), "each creation that has keys", func(ctx context.Context) error { _, err := f.Create(ctx, keyedDrafts); return err }, "INSERT", "media_idempotency"),
		sent(fmt.Sprintf("Create %d with idempotency keys: find", events), "each repetition of it", func(ctx context.Context) error { _, err := f.Create(ctx, keyedDrafts); return err }, "unnest", "media_idempotency"),
		sent("Get", "each question about one media", func(ctx context.Context) error { _, err := f.Get(ctx, tenant, one.ID); return err }, "", "media_pkey"),
		{name: "Watch 100: read", when: "each stream, when it begins", index: "media_pkey", prepared: prepared(postgres.WatchedSQL, []any{watched, tenant.Tenant, ""})},
		{name: "Watch 100: how they stand", when: "every 5 s, of all that are watched", index: "media_pkey", prepared: prepared(postgres.StandingsSQL, []any{watched})},
		sent("Find by the beginning of a key: count", "on demand", find, "AS few", "media_key_key"),
		sent("Find by the beginning of a key", "on demand", find, "few AS MATERIALIZED", "media_key_key"),
		sent("List 100 of an owner", "ListMedia", lists(owner, media.Page{Limit: 100}), "", "media_by_owner_and_id"),
		sent("List 100 of a large tenant", "ListMedia", lists(tenant, media.Page{Limit: 100}), "", ""),
		sent("List 100 of a small tenant", "ListMedia", lists(media.Scope{Tenant: "tenant-7"}, media.Page{Limit: 100}), "", "media_by_tenant_and_id"),
		sent("List 100 CONFIRMED of an owner", "ListMedia", lists(owner, media.Page{Limit: 100, State: media.StateConfirmed}), "", "media_by_owner_and_id"),
		sent("List 100 PENDING of a large tenant", "ListMedia", lists(tenant, media.Page{Limit: 100, State: media.StatePending}), "", ""),
		sent("List 100 PENDING of a small tenant", "ListMedia", lists(media.Scope{Tenant: "tenant-7"}, media.Page{Limit: 100, State: media.StatePending}), "", ""),
		sent("List 100 DELETED of an owner", "ListMedia", lists(owner, media.Page{Limit: 100, State: media.StateDeleted}), "", ""),
	}
}

// sent is a statement that goes through bun.
func sent(name, when string, ask func(context.Context) error, word, index string) statement {
	return statement{name: name, when: when, ask: ask, word: word, index: index}
}

// prepared is a statement that is prepared, which Postgres plans for any arguments (plan_cache_mode).
func prepared(sql string, args []any) func(context.Context, *pgx.Conn, string) ([]string, error) {
	return func(ctx context.Context, conn *pgx.Conn, before string) ([]string, error) {
		const name = "planned"
		if _, err := conn.Prepare(ctx, name, sql); err != nil {
			return nil, err
		}
		var places []string
		for i := range args {
			places = append(places, fmt.Sprint("$", i+1))
		}
		execute := before + "EXECUTE " + name + "(" + strings.Join(places, ", ") + ")"
		rows, err := conn.Query(ctx, execute, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
		if err != nil {
			return nil, err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		return lines, errors.Join(err, conn.Deallocate(ctx, name))
	}
}

// catcher is a hook of bun that keeps what is sent, and may keep it from being executed.
type catcher struct {
	sent []string
	hold bool
}

func (c *catcher) BeforeQuery(ctx context.Context, e *bun.QueryEvent) context.Context {
	c.sent = append(c.sent, e.Query)
	if c.hold {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return ctx
	}
	return ctx
}

func (*catcher) AfterQuery(context.Context, *bun.QueryEvent) {}

// plan is what Postgres did for a statement.
type plan struct {
	text          string
	rows          int // that it read, locked or changed
	buffers       int // 8-KiB pages touched
	foundBuffers  int // of those, to find and lock the candidates, where the statement chooses them itself
	milliseconds  float64
	foundDuration float64
}

// explain makes the store ask and Postgres tell how it answers. Nothing of it stays. The last of several runs
// counts: the pages are in memory then.
func explain(t *testing.T, db *bun.DB, caught *catcher, s statement, runs int) plan {
	t.Helper()
	if s.prepared != nil {
		return explainPrepared(t, db, s, runs)
	}
	caught.sent, caught.hold = nil, s.word == ""
	err := s.ask(t.Context())
	if sent := len(caught.sent); sent == 0 || s.word == "" && sent != 1 {
		t.Fatalf("%s: %d statements were sent, %v", s.name, sent, err)
	}
	caught.hold = false
	query := ""
	for _, q := range caught.sent {
		if strings.Contains(q, s.word) {
			query = q
		}
	}
	if query == "" {
		t.Fatalf("%s: none of %d statements has %q: %v", s.name, len(caught.sent), s.word, err)
	}
	var lines []string
	for range runs {
		if runs > 1 {
			tidy(t, db)
		}
		lines = nil
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.NewRaw("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) "+strings.ReplaceAll(query, "?", `\?`)).Scan(t.Context(), &lines); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
	return parsePlan(lines)
}

func explainPrepared(t *testing.T, db *bun.DB, s statement, runs int) plan {
	t.Helper()
	var lines []string
	for range runs {
		if runs > 1 {
			tidy(t, db)
		}
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		err = conn.Raw(func(driver any) error {
			tx, err := driver.(*stdlib.Conn).Conn().Begin(t.Context())
			if err != nil {
				return err
			}
			defer tx.Rollback(t.Context())
			lines, err = s.prepared(t.Context(), tx.Conn(), "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) ")
			return err
		})
		if err := errors.Join(err, conn.Close()); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
	}
	return parsePlan(lines)
}

var (
	hitsPattern   = regexp.MustCompile(`shared(?: hit=(\d+))?(?: read=(\d+))?`)
	joinedPattern = regexp.MustCompile(`Rows Removed by Join Filter: (\d+)`)
	actualPattern = regexp.MustCompile(`actual time=[\d.]+\.\.([\d.]+) rows=(\d+)`)
)

func parsePlan(lines []string) plan {
	var p plan
	number := func(s string) float64 { f, _ := strconv.ParseFloat(s, 64); return f }
	inDue, counts := false, true
	for _, line := range lines {
		if len(line) > 150 {
			line = line[:130] + " …"
		}
		p.text += line + "\n"
		if m := actualPattern.FindStringSubmatch(line); m != nil {
			if n := int(number(m[2])); n > p.rows {
				p.rows = n
			}
			if inDue && p.foundDuration == 0 {
				p.foundDuration = number(m[1])
			}
		}
		if m := hitsPattern.FindStringSubmatch(line); m != nil && strings.Contains(line, "Buffers:") {
			n := int(number(m[1]) + number(m[2]))
			if counts {
				p.buffers, counts = p.buffers+n, false
			}
			if inDue {
				p.foundBuffers, inDue = n, false
			}
		}
		if strings.HasSuffix(line, "CTE changed") { // the top does not count what it changes
			counts = true
		}
		if strings.HasSuffix(line, "CTE due") {
			inDue = true
		}
		if ms, ok := strings.CutPrefix(line, "Execution Time: "); ok {
			p.milliseconds = number(strings.TrimSuffix(ms, " ms"))
		}
	}
	return p
}

// planStore is a store on a table with that many rows, whose statements are caught.
func planStore(t *testing.T, confirmed, each int) (*fixture, *bun.DB, *catcher) {
	t.Helper()
	url := pgtest.New(t)
	caught := &catcher{}
	db := open(t, url).WithQueryHook(caught)
	c := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	reg := prometheus.NewRegistry()
	f := &fixture{Store: postgres.NewStore(db, windows, c.Now, postgres.NewMetrics(reg)), clock: c, url: url, reg: reg}
	fill(t, db, confirmed, each, c.Now())
	return f, db, caught
}

// TestQueryPlans: every statement is answered from an index, on a table that is large enough for it to matter. With
// -query-plans it writes the document instead.
func TestQueryPlans(t *testing.T) {
	if *plansFile != "" {
		writePlans(t)
		return
	}
	t.Parallel()
	f, db, caught := planStore(t, 50_000, 1000)
	for _, s := range statements(t, f, db, 100) {
		checkPlan(t, s, explain(t, db, caught, s, 1))
	}
}

// TestQueryPlansOfTwoStates: where there are two states Postgres takes half of the table for one of them, and a tenth of
// that for what a statement with a limit takes of it.
func TestQueryPlansOfTwoStates(t *testing.T) {
	t.Parallel()
	f, db, caught := planStore(t, 50_000, 1000)
	all := statements(t, f, db, 100)
	if _, err := db.ExecContext(t.Context(), `DELETE FROM coatcheck.media WHERE state NOT IN ('confirmed', 'uploaded')`); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `VACUUM (ANALYZE) coatcheck.media`); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, s := range all {
		if s.prepared != nil {
			checkPlan(t, s, explain(t, db, caught, s, 1))
			checked++
		}
	}
	if checked < 9 {
		t.Errorf("%d statements were looked at", checked)
	}
}

func checkPlan(t *testing.T, s statement, p plan) {
	t.Helper()
	if strings.Contains(p.text, "Seq Scan on media") || !strings.Contains(p.text, s.index) {
		t.Errorf("%s: want index %q and no scan of the table:\n%s", s.name, s.index, p.text)
	}
	if m := joinedPattern.FindStringSubmatch(p.text); m != nil && len(m[1]) > 3 {
		t.Errorf("%s: it holds every row of a batch against every other:\n%s", s.name, p.text)
	}
}
