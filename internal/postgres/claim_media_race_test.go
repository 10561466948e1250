package postgres_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/coatcheck/coatcheck/internal/media"
)

// TestClaimMediaMeetsASweep is R1 in both orders: a sweep passes over what an open transaction has claimed, and a claim
// that waits for a sweep is told that the media is gone.
func TestClaimMediaMeetsASweep(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	product := f.product(t, alice.Tenant)
	first := f.bring(t, media.StateUploaded)
	do(t, product, "BEGIN")
	if n, err := claimMedia(t, product, "post/1", first.ID); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	f.Advance(windows.Claim)
	sweep := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // it must not wait
		defer cancel()
		if n, err := f.expireClaims(ctx, 10); err != nil || n != 0 {
			t.Errorf("%d were swept, %v", n, err)
		}
	}
	sweep()
	do(t, product, "COMMIT")
	sweep()
	if got := f.get(t, first.ID); got.State != media.StateConfirmed {
		t.Errorf("it is %s", text(got))
	}

	second := f.bring(t, media.StateUploaded)
	const isSwept = `state = 'deleting', reason = 'unclaimed', deleting_at = now(), due_at = now()`
	err := f.meet(t, second, isSwept, func() error {
		_, err := claimMedia(t, product, "post/1", second.ID)
		return err
	})
	if pg := refusedAs(t, err, gone); pg.Detail != second.ID.String()+" gone unclaimed" {
		t.Errorf("the detail is %q", pg.Detail)
	}
}

// TestClaimMediaMeetsAChange: a claim that waited for a row is judged by what the row became.
func TestClaimMediaMeetsAChange(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	product := f.product(t, alice.Tenant)
	for _, test := range []struct {
		name   string
		from   media.State
		change string
		claim  string
		code   string
		state  media.State
	}{
		{"landed", media.StatePending, becomesUploaded, "post/1", "", media.StateConfirmed},
		{"confirmed by another", media.StateUploaded, becomesConfirmed, "post/1", claimConflict, media.StateConfirmed},
		{"confirmed by the same", media.StateUploaded, becomesConfirmed, "post/9", "", media.StateConfirmed},
		{"cancelled", media.StateUploaded, becomesCancelled, "post/1", gone, media.StateDeleting},
		{"deleted", media.StateDeleting, becomesDeleted, "post/1", gone, media.StateDeleted},
		{"of another tenant", media.StateUploaded, "tenant = 'globex'", "post/1", notFound, ""},
	} {
		m := f.bring(t, test.from)
		err := f.meet(t, m, test.change, func() error {
			_, err := claimMedia(t, product, test.claim, m.ID)
			return err
		})
		if test.code != "" {
			refusedAs(t, err, test.code)
		} else if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if test.state != "" {
			if got := f.get(t, m.ID); got.State != test.state {
				t.Errorf("%s: it is %s", test.name, text(got))
			}
		}
	}
	m := f.bring(t, media.StateUploaded)
	err := f.meet(t, m, becomesConfirmed, func() error {
		n, err := releaseMedia(t, product, "post/9", m.ID)
		if err == nil && n != 1 {
			t.Errorf("released %d", n)
		}
		return err
	})
	if err != nil {
		t.Errorf("a release that waited for the claim: %v", err)
	}
	// In the stricter isolations a row that changed since the transaction began is Postgres's own refusal, to be retried.
	m = f.bring(t, media.StateUploaded)
	do(t, product, "BEGIN ISOLATION LEVEL REPEATABLE READ")
	do(t, product, "SELECT 1")
	f.land(t, m, media.SourceNotification, func(l *media.Landing) { l.Sequencer = seq("02") })
	_, err = claimMedia(t, product, "post/1", m.ID)
	refusedAs(t, err, "40001")
	do(t, product, "ROLLBACK")
	if n, err := claimMedia(t, product, "post/1", m.ID); err != nil || n != 1 {
		t.Errorf("again: %d, %v", n, err)
	}
}

// TestLongClaimingTransaction: while a product keeps its transaction open, the API's confirmation of the same media and a landing
// that a sweep found wait, a notification's is held, those of other media do not, and then each gets its answer.
func TestLongClaimingTransaction(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	product := f.product(t, alice.Tenant)
	for _, end := range []string{"COMMIT", "ROLLBACK"} {
		m, other := f.bring(t, media.StateUploaded), f.bring(t, media.StateUploaded)
		do(t, product, "BEGIN")
		if n, err := claimMedia(t, product, "post/1", m.ID); err != nil || n != 1 {
			t.Fatalf("%d, %v", n, err)
		}
		var (
			wg       sync.WaitGroup
			finished atomic.Bool
			landed   []media.Landed
			landErr  error
			apiErr   error
		)
		wg.Go(func() {
			landed, landErr = f.Land(t.Context(), media.SourceSweep, []media.Landing{landing(m)})
			finished.Store(true)
		})
		wg.Go(func() {
			_, apiErr = f.Confirm(t.Context(), alice, claims("post/2", m))
			finished.Store(true)
		})
		f.waiting(t, 2)
		if _, err := f.Confirm(t.Context(), alice, claims("post/2", other)); err != nil {
			t.Error(err)
		}
		if told, err := f.Land(t.Context(), media.SourceNotification, []media.Landing{landing(m)}); err != nil || told[0].Verdict != media.VerdictHeld {
			t.Errorf("a notification: %v, %v", told, err)
		}
		if finished.Load() {
			t.Error("one did not wait")
		}
		do(t, product, end)
		wg.Wait()
		if landErr != nil || len(landed) != 1 || landed[0].Verdict != media.VerdictDuplicate {
			t.Errorf("%s: landed %v, %v", end, landed, landErr)
		}
		if end == "COMMIT" && !refusedWith(apiErr, 0, media.CodeClaimConflict) || end == "ROLLBACK" && apiErr != nil {
			t.Errorf("%s: the API's confirmation: %v", end, apiErr)
		}
	}
}

// waiting waits until n sessions of the database wait for locks.
func (f *fixture) waiting(t *testing.T, n int) {
	t.Helper()
	conn := f.connect(t, f.url)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		var waits int
		err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waits)
		if err != nil {
			t.Fatal(err)
		}
		if waits >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d sessions wait, want %d", waits, n)
		}
	}
}

// TestClaimMediaDoesNotDeadlock: products claim and release in SQL, in any order of ids, while the API confirms and
// releases, notifications arrive and a sweep passes. No two of them wait for each other in a circle, and nothing that
// is held is swept.
func TestClaimMediaDoesNotDeadlock(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	const n = 30
	var (
		mu  sync.Mutex
		ms  []*media.Media
		did [3]atomic.Int64 // claimed, rolled back, refused
	)
	fresh := func() {
		batch := make([]*media.Media, n)
		for i := range batch {
			batch[i] = draft()
		}
		_, err := f.Create(t.Context(), batch)
		orderly(t, err)
		var landings []media.Landing
		for _, m := range batch[:n-n/10] { // the rest by a notification below
			landings = append(landings, landing(m))
		}
		_, err = f.Land(t.Context(), media.SourceNotification, landings)
		orderly(t, err)
		mu.Lock()
		defer mu.Unlock()
		ms = append(batch, ms...)[:n+len(ms)/2] // some are old
	}
	fresh()
	some := func() []*media.Media {
		mu.Lock()
		defer mu.Unlock()
		chosen := make([]*media.Media, 8)
		for i, at := range rand.Perm(len(ms))[:len(chosen)] {
			chosen[i] = ms[at]
		}
		return chosen
	}
	stop := time.Now().Add(2 * time.Second)
	var wg sync.WaitGroup
	until := func(step func()) {
		wg.Go(func() {
			for time.Now().Before(stop) && !t.Failed() {
				step()
			}
		})
	}
	for range 3 {
		product := f.product(t, alice.Tenant)
		until(func() {
			chosen := some()
			asked := make([]uuid.UUID, len(chosen))
			for i, m := range chosen {
				asked[i] = m.ID
			}
			tx, err := product.Begin(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			call := claimMedia
			if rand.IntN(4) == 0 {
				call = releaseMedia
			}
			_, err = call(t, tx, "post/1", asked[:1+rand.IntN(4)]...)
			switch pg, _ := errors.AsType[*pgconn.PgError](err); {
			case err == nil && rand.IntN(4) > 0:
				orderly(t, tx.Commit(t.Context()))
				did[0].Add(1)
				return
			case err == nil:
				did[1].Add(1)
			case pg != nil && pg.Code[:2] == "MC":
				did[2].Add(1)
			default:
				orderly(t, err)
			}
			orderly(t, tx.Rollback(t.Context()))
		})
	}
	for range 2 {
		until(func() {
			chosen := some()
			_, err := f.Confirm(t.Context(), alice, claims("post/1", chosen[:2]...))
			orderly(t, err)
			_, err = f.Discard(t.Context(), alice, chosen[0].ID, media.EventRelease, "post/1")
			orderly(t, err)
		})
		until(func() {
			var landings []media.Landing
			for _, m := range some() {
				landings = append(landings, landing(m))
			}
			_, err := f.Land(t.Context(), media.SourceNotification, landings)
			orderly(t, err)
		})
	}
	until(func() {
		fresh()
		f.Advance(windows.Claim / 20)
		_, err := f.expireClaims(t.Context(), 10)
		orderly(t, err)
		time.Sleep(5 * time.Millisecond)
	})
	wg.Wait()
	t.Logf("%d calls committed, %d rolled back, %d refused", did[0].Load(), did[1].Load(), did[2].Load())
	if did[0].Load() == 0 || did[1].Load() == 0 || did[2].Load() == 0 {
		t.Error("something never happened")
	}
	var wrong int
	err := f.connect(t, f.url).QueryRow(t.Context(), `SELECT count(*) FROM coatcheck.media WHERE claim IS NOT NULL AND reason = 'unclaimed'`).Scan(&wrong)
	if err != nil || wrong != 0 {
		t.Errorf("%d media were claimed and then swept as unclaimed, %v (R1)", wrong, err)
	}
}
