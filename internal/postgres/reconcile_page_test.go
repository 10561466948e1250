package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// TestRows: what a run reads of a media is what the media says.
func TestRows(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	want := map[string]reconcile.Row{}
	add := func(id uuid.UUID, overwritten bool) {
		m := f.get(t, id)
		want[m.Key] = reconcile.Row{
			ID: m.ID, Key: m.Key, State: m.State, SizeBytes: m.SizeBytes, ETag: m.ETag, VersionID: m.VersionID, LandedAt: m.LandedAt,
			LandedBy: m.LandedBy, Overwritten: overwritten, Revision: m.Revision,
		}
	}
	long := func(m *media.Media) { m.Key, m.SizeBytes = "media/"+strings.Repeat("ü", 400), 1<<40 }
	pending, odd := f.create(t), f.create(t, long)
	uploaded, confirmed := f.create(t), f.create(t)
	f.Advance(1234567 * time.Microsecond)
	f.land(t, uploaded, media.SourceReconcile, func(l *media.Landing) { l.VersionID = "v1" })
	f.land(t, confirmed, media.SourceNotification)
	if _, err := f.Confirm(t.Context(), alice, claims("post/1", confirmed)); err != nil {
		t.Fatal(err)
	}
	f.land(t, confirmed, media.SourceNotification, func(l *media.Landing) { l.ETag, l.Sequencer = "e2", seq("02") })
	add(pending.ID, false)
	add(odd.ID, false)
	add(uploaded.ID, false)
	add(confirmed.ID, true)

	for _, limit := range []int{1, 3, 100} {
		got := rows(t, f, reconcile.Range{Prefix: "media/"}, limit)
		if len(got) != len(want) || !slices.IsSortedFunc(got, func(a, b reconcile.Row) int { return strings.Compare(a.Key, b.Key) }) {
			t.Fatalf("%d rows in pages of %d: %+v", len(got), limit, got)
		}
		for _, r := range got {
			if w := want[r.Key]; !r.LandedAt.Equal(w.LandedAt) {
				t.Errorf("landed at %v, want %v", r.LandedAt, w.LandedAt)
			} else if r.LandedAt = w.LandedAt; r != w {
				t.Errorf("%+v, want %+v", r, w)
			}
		}
	}
	if got := rows(t, f, reconcile.Range{Prefix: "media/", After: pending.Key, Until: odd.Key}, 100); slices.ContainsFunc(got, func(r reconcile.Row) bool { return r.Key <= pending.Key }) ||
		got[len(got)-1].Key != odd.Key {
		t.Errorf("the range has %+v", got)
	}
	if got, err := f.Rows(t.Context(), reconcile.Range{Prefix: "media/"}, odd.Key+"\x00\xff", 100); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if got := rows(t, f, reconcile.Range{Prefix: "other/"}, 100); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// rows reads all rows of a range in pages of a size.
func rows(t *testing.T, f *fixture, r reconcile.Range, limit int) (all []reconcile.Row) {
	t.Helper()
	for after := r.After; ; {
		page, err := f.Rows(t.Context(), r, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if len(page) < limit {
			return all
		}
		after = page[len(page)-1].Key
	}
}

// TestRowsReturnsItsConnection to the pool, whatever became of it: there are eight.
func TestRowsReturnsItsConnection(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	f.create(t)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := f.Rows(ctx, reconcile.Range{}, "", 10); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if _, err := f.Rows(t.Context(), reconcile.Range{Prefix: "\x00"}, "", 10); err == nil || !postgres.Refused(err) {
			t.Fatalf("%v", err)
		}
		if got, err := f.Rows(t.Context(), reconcile.Range{}, "", 10); err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
	}
}

// TestRowsWhenTheBackendIsKilled fails once at most, and then reads with another connection.
func TestRowsWhenTheBackendIsKilled(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	f.create(t)
	if _, err := f.Rows(t.Context(), reconcile.Range{}, "", 10); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), f.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Rows(t.Context(), reconcile.Range{}, "", 10); err != nil && !postgres.Transient(err) {
		t.Errorf("%v", err)
	}
	if got, err := f.Rows(t.Context(), reconcile.Range{}, "", 10); err != nil || len(got) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestRowsPlan: a page is read in the order of the index, also of a range of which Postgres expects less than a page.
// Otherwise each page would cost as much as the rest of its range.
func TestRowsPlan(t *testing.T) {
	t.Parallel()
	f, _, _ := planStore(t, 50_000, 1000)
	conn, err := pgx.Connect(t.Context(), f.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "SET plan_cache_mode = force_generic_plan"); err != nil { // as Open does
		t.Fatal(err)
	}
	for _, until := range []string{"media/01", "media/08", "media/80", "media/\U0010FFFF"} {
		for _, limit := range []string{"100", "2000"} {
			result := conn.PgConn().ExecParams(t.Context(), "EXPLAIN (COSTS OFF) "+postgres.RowsSQL,
				[][]byte{[]byte("media/"), []byte("media/00"), []byte(until), []byte(limit)}, nil, nil, nil).Read()
			if result.Err != nil {
				t.Fatal(result.Err)
			}
			var plan strings.Builder
			for _, line := range result.Rows {
				fmt.Fprintln(&plan, string(line[0]))
			}
			if !strings.Contains(plan.String(), "Index Scan using media_key_key") || strings.Contains(plan.String(), "Sort") {
				t.Errorf("up to %s:\n%s", until, &plan)
			}
		}
	}
}
