package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// holdWrites makes everything that changes media wait until release is called.
func holdWrites(t *testing.T, f *fixture) (release func()) {
	t.Helper()
	db, err := postgres.Open(f.url, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), `LOCK TABLE coatcheck.media IN SHARE MODE`); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
}

// occupied is called after each of several calls, the i-th, has been sent. It returns when the first two wait for holdWrites, each by
// a statement of its own; the others wait for those.
func (f *fixture) occupied(t *testing.T, i int) {
	t.Helper()
	if i < 2 {
		f.awaitLocks(t, i+1)
	}
}

// await waits until so many calls wait for the two statements that are under way.
func (f *fixture) await(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); f.Waiting() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d calls wait, want %d", f.Waiting(), n)
		}
	}
}

// TestInsertsAreGathered: calls that come while others are under way share a statement.
func TestInsertsAreGathered(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	release := holdWrites(t, f)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := f.Create(t.Context(), []*media.Media{draft(), draft()}); err != nil {
				t.Error(err)
			}
		})
		f.occupied(t, i)
	}
	f.await(t, 18)
	release()
	wg.Wait()
	db, err := postgres.Open(f.url, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var rows, statements int
	if err := db.QueryRowContext(t.Context(), `SELECT count(*), count(DISTINCT xmin::text) FROM coatcheck.media`).Scan(&rows, &statements); err != nil {
		t.Fatal(err)
	}
	if rows != 40 || statements != 3 {
		t.Errorf("%d statements have inserted %d rows, want 3 and 40", statements, rows)
	}
}

// TestGatheredInsertsAreAnsweredApart: what Postgres refuses of one call does not keep the others out (R9).
func TestGatheredInsertsAreAnsweredApart(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	release := holdWrites(t, f)
	const calls = 40
	var (
		wg     sync.WaitGroup
		errs   [calls]error
		drafts [calls][]*media.Media
	)
	for i := range calls {
		drafts[i] = []*media.Media{draft(), draft(func(m *media.Media) { m.Metadata = map[string]string{"n": fmt.Sprint(i)} })}
		if i%10 == 7 {
			drafts[i][1].Tenant = "" // which a CHECK refuses
		}
		wg.Go(func() { _, errs[i] = f.Create(t.Context(), drafts[i]) })
		f.occupied(t, i)
	}
	f.await(t, calls-2)
	release()
	wg.Wait()
	for i := range calls {
		if bad := i%10 == 7; bad != (errs[i] != nil) {
			t.Errorf("call %d: %v", i, errs[i])
		}
		for _, d := range drafts[i] {
			m, err := f.Get(t.Context(), alice, d.ID)
			if refused := i%10 == 7; refused != (err != nil) {
				t.Errorf("call %d: reading its media: %v", i, err)
			} else if err == nil && (m.State != media.StatePending || m.Key != d.Key || m.Metadata["n"] != d.Metadata["n"] || string(m.ChecksumSHA256) != string(d.ChecksumSHA256)) {
				t.Errorf("call %d: it is stored as %+v", i, m)
			}
		}
	}
}

// TestInsertIsNotWaitedFor longer than the caller wants, and goes on without it.
func TestInsertIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	release := holdWrites(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	drafts := make([]*media.Media, 10)
	impatient := make(chan error, len(drafts))
	for i := range drafts {
		drafts[i] = draft()
		wg.Go(func() {
			_, err := f.Create(ctx, drafts[i:i+1])
			impatient <- err
		})
		f.occupied(t, i)
	}
	f.await(t, len(drafts)-2)
	cancel()
	wg.Wait()
	for range drafts {
		if err := <-impatient; !errors.Is(err, context.Canceled) && !strings.Contains(fmt.Sprint(err), "cancel") {
			t.Errorf("it ended with %v", err)
		}
	}
	release()
	f.create(t) // and those that come later are served
	if _, err := f.Create(ctx, []*media.Media{draft()}); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that is over before it begins: %v", err)
	}
}
