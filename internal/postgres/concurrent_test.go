package postgres_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/coatcheck/coatcheck/internal/media"
)

// TestRetriedBatchesDoNotDeadlock: clients repeat batches whose idempotency keys are not in the order of the media's
// ids, while notifications about the same media arrive and a backend confirms them.
func TestRetriedBatchesDoNotDeadlock(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	const n = 40
	drafts := make([]*media.Media, n)
	for i := range drafts {
		drafts[i] = draft(keyed(fmt.Sprintf("k%02d", n-i))) // the keys fall as the ids rise
	}
	if _, err := f.Create(t.Context(), drafts); err != nil {
		t.Fatal(err)
	}
	var landings []media.Landing
	for _, m := range drafts {
		landings = append(landings, landing(m))
	}
	stop := time.Now().Add(2 * time.Second)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := 0; time.Now().Before(stop); i++ {
				again := make([]*media.Media, n)
				for i, m := range drafts {
					again[i] = same(m)
				}
				_, err := f.Create(t.Context(), again)
				orderly(t, err)
			}
		})
		wg.Go(func() {
			for i := 0; time.Now().Before(stop); i++ {
				batch := make([]media.Landing, n)
				for k, l := range landings { // each time another one, so that every row is changed each time
					l.Sequencer, l.ETag = seq(fmt.Sprintf("%x", i*4+g+2)), fmt.Sprint(g, i)
					batch[k] = l
				}
				_, err := f.Land(t.Context(), media.SourceNotification, batch)
				orderly(t, err)
			}
		})
	}
	wg.Wait()
}

// TestLandingsLockInTheOrderOfIDs: a landing that waits for a row holds none with a higher id, however the rows lie in the
// table, which is small enough to be read as a whole, and whether they are PENDING or not.
func TestLandingsLockInTheOrderOfIDs(t *testing.T) {
	t.Parallel()
	for _, from := range []media.State{media.StatePending, media.StateUploaded} {
		t.Run(string(from), func(t *testing.T) {
			t.Parallel()
			f := newStore(t)
			low, high := draft(), draft()
			for _, m := range []*media.Media{high, low} {
				if _, err := f.Create(t.Context(), []*media.Media{m}); err != nil {
					t.Fatal(err)
				}
				if from == media.StateUploaded {
					f.land(t, m, media.SourceConfirm)
				}
			}
			other := f.connect(t, f.url)
			tx, err := other.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(t.Context(), `SELECT FROM coatcheck.media WHERE id = $1 FOR UPDATE`, low.ID); err != nil {
				t.Fatal(err)
			}
			landed := make(chan error, 1)
			go func() {
				later := func(l *media.Landing) { l.Sequencer, l.ETag = seq("02"), "e2" }
				_, err := f.Land(t.Context(), media.SourceSweep, []media.Landing{landing(high, later), landing(low, later)})
				landed <- err
			}()
			f.waiting(t, 1)
			if _, err := tx.Exec(t.Context(), `SELECT FROM coatcheck.media WHERE id = $1 FOR UPDATE NOWAIT`, high.ID); err != nil {
				t.Errorf("the landing that waits holds the higher one: %v", err)
			}
			if err := errors.Join(tx.Rollback(t.Context()), <-landed); err != nil {
				t.Error(err)
			}
		})
	}
}

// orderly fails the test on every error but a refusal, and on deadlocks above all.
func orderly(t *testing.T, err error) {
	t.Helper()
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "40P01" {
		t.Errorf("deadlock: %s", pg.Detail)
	} else if err != nil && !refusal(err) {
		t.Error(err)
	}
}
