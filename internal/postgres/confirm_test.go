package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// uploaded is media that are UPLOADED.
func uploaded(t *testing.T, f *fixture, n int) []*media.Media {
	t.Helper()
	ms := make([]*media.Media, n)
	for i := range ms {
		ms[i] = f.create(t)
		f.land(t, ms[i], media.SourceNotification)
	}
	return ms
}

// TestConfirmsAreGathered: calls that come while others are under way share a statement, and each is answered for itself.
// One whose row somebody else holds, as a product's own transaction may for long, keeps nobody waiting but itself.
func TestConfirmsAreGathered(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	const n = 40
	ms := uploaded(t, f, n+1)
	pending, other := f.create(t), f.create(t)
	held := open(t, f.url)
	tx, err := held.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), `SELECT 1 FROM coatcheck.media WHERE id = ? FOR UPDATE`, ms[30].ID); err != nil {
		t.Fatal(err)
	}
	release := holdWrites(t, f)

	calls := make([][]media.Claim, 0, n+3)
	for _, m := range ms[:n] {
		calls = append(calls, claims("post/1", m))
	}
	calls = append(calls,
		claims("post/2", pending),
		claims("post/3", other, ms[n]), // the first of which has not landed
		claims("post/1", ms[20]))       // once more
	calls[33] = nil // is in the call before: a batch
	calls[32] = claims("post/1", ms[32], ms[33])
	errs := make([]error, len(calls))
	var others, waiting sync.WaitGroup
	for i, c := range calls {
		group := &others
		if i == 30 {
			group = &waiting
		}
		group.Go(func() {
			var got []*media.Media
			if got, errs[i] = f.Confirm(t.Context(), alice, c); errs[i] == nil {
				for k, m := range got {
					if m.ID != c[k].MediaID || m.State != media.StateConfirmed || m.Claim != c[k].Claim {
						t.Errorf("call %d, media %d is answered by %+v", i, k, m)
					}
				}
			}
		})
		f.occupied(t, i)
	}
	f.await(t, n) // but for the empty one, and the two that are under way
	release()
	others.Wait()
	var statements int
	if err := held.QueryRowContext(t.Context(), `SELECT count(DISTINCT xmin::text) FROM coatcheck.media WHERE state = 'confirmed'`).Scan(&statements); err != nil {
		t.Fatal(err)
	}
	if statements > 3 {
		t.Errorf("%d statements have confirmed them, want 3", statements)
	}
	if m := f.get(t, ms[30].ID); m.State != media.StateUploaded {
		t.Errorf("the one that is held is %s", m.State)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	waiting.Wait()
	for i, err := range errs {
		if refused := i == n || i == n+1; refused != (err != nil) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if batch, ok := errors.AsType[*media.BatchError](errs[n+1]); !ok || batch.Items[0] == nil || batch.Items[0].Code != media.CodeNotLanded || batch.Items[1] != nil {
		t.Errorf("the batch is refused with %v", errs[n+1])
	}
	if m := f.get(t, ms[n].ID); m.State != media.StateUploaded {
		t.Errorf("of the batch that is refused one is %s", m.State)
	}
}

// another is a store on one connection to a database URL.
func (f *fixture) another(t *testing.T, databaseURL string) (*postgres.Store, *bun.DB) {
	t.Helper()
	db, err := postgres.Open(databaseURL, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return postgres.NewStore(db, windows, f.Now, postgres.NewMetrics(prometheus.NewRegistry())), db
}

// TestWithoutPreparedStatements: a pooler that hands connections from one to another loses them.
func TestWithoutPreparedStatements(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	store, db := f.another(t, f.url)
	var ids []uuid.UUID
	for range 3 {
		m := draft()
		if _, err := store.Create(t.Context(), []*media.Media{m}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.ID)
		if _, err := db.ExecContext(t.Context(), "DEALLOCATE ALL"); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range ids {
		if m := f.get(t, id); m.State != media.StatePending || m.Revision != 1 {
			t.Errorf("%+v", m)
		}
	}
}

// TestAbandonedCallsAreCounted: what a shared statement does for calls whose callers have gone is counted and announced, too.
func TestAbandonedCallsAreCounted(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	const n, underWay = 10, 2
	ms := uploaded(t, f, n)
	f.Announced(t.Context())
	announced := f.count(t, "coatcheck_announcements_total", "unheard")
	release := holdWrites(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var patient, impatient sync.WaitGroup
	for _, m := range ms[:underWay] {
		patient.Go(func() {
			if _, err := f.Confirm(t.Context(), alice, claims("post/1", m)); err != nil {
				t.Error(err)
			}
		})
	}
	conn := f.connect(t, f.url)
	for waits := 0; waits < underWay; time.Sleep(time.Millisecond) {
		if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'coatcheck.media'::regclass`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range ms[underWay:] {
		impatient.Go(func() {
			if _, err := f.Confirm(ctx, alice, claims("post/1", m)); !errors.Is(err, context.Canceled) {
				t.Errorf("one that gave up was told %v", err)
			}
		})
	}
	f.await(t, n-underWay)
	cancel()
	impatient.Wait()
	release()
	patient.Wait()
	for f.get(t, ms[n-1].ID).State != media.StateConfirmed {
		time.Sleep(time.Millisecond)
	}
	eventually := time.Now().Add(10 * time.Second)
	for f.count(t, "coatcheck_media_entered_total", "", "confirmed") < n && time.Now().Before(eventually) {
		time.Sleep(time.Millisecond)
	}
	f.Announced(t.Context())
	if got := f.count(t, "coatcheck_media_entered_total", "", "confirmed"); got != n {
		t.Errorf("%d are CONFIRMED, %v are counted", n, got)
	}
	if got := f.count(t, "coatcheck_announcements_total", "unheard") - announced; got != n {
		t.Errorf("%d are CONFIRMED, %v were announced", n, got)
	}
}
