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

// orderly fails the test on every error but a refusal, and on deadlocks above all.
func orderly(t *testing.T, err error) {
	t.Helper()
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "40P01" {
		t.Errorf("deadlock: %s", pg.Detail)
	} else if err != nil && !refusal(err) {
		t.Error(err)
	}
}
