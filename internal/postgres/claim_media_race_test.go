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

// TestClaimCommitsWithTheRest: the claim and the product's own row are there together or not at all; a rollback leaves
// the media as it was, and a sweep takes it.
func TestClaimCommitsWithTheRest(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	product := f.product(t, alice.Tenant)
	admin := f.connect(t, f.url)
	do(t, admin, "CREATE TABLE public.post (id bigint PRIMARY KEY)")
	do(t, admin, "GRANT SELECT, INSERT ON public.post TO "+product.Config().User)
	posts := func() (n int) {
		if err := admin.QueryRow(t.Context(), "SELECT count(*) FROM public.post").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	save := func(m *media.Media, end string) {
		t.Helper()
		do(t, product, "BEGIN")
		do(t, product, "INSERT INTO public.post VALUES (1)")
		if n, err := claimMedia(t, product, "post/1", m.ID); err != nil || n != 1 {
			t.Fatalf("%d, %v", n, err)
		}
		if got := f.get(t, m.ID); text(got) != text(m) || posts() != 0 {
			t.Errorf("before the %s others see %s", end, text(got))
		}
		if _, err := product.Exec(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	m := f.bring(t, media.StateUploaded)
	save(m, "ROLLBACK")
	if got := f.get(t, m.ID); text(got) != text(m) || posts() != 0 {
		t.Errorf("after the rollback it is %s", text(got))
	}
	save(m, "COMMIT")
	if got := f.get(t, m.ID); got.State != media.StateConfirmed || got.Claim != "post/1" || posts() != 1 {
		t.Errorf("after the commit it is %s", text(got))
	}
	rolledBack := f.bring(t, media.StateUploaded)
	do(t, admin, "DELETE FROM public.post")
	save(rolledBack, "ROLLBACK")
	f.Advance(windows.Claim)
	if n, err := f.expireClaims(t.Context(), 10); err != nil || n != 1 {
		t.Errorf("%d were swept, %v", n, err)
	}
	if got := f.get(t, rolledBack.ID); got.State != media.StateDeleting || got.Reason != media.ReasonUnclaimed {
		t.Errorf("what was rolled back is %s", text(got))
	}
	if got := f.get(t, m.ID); got.State != media.StateConfirmed {
		t.Errorf("what was committed is %s (R1)", text(got))
	}
	// A release that is rolled back did not happen either.
	do(t, product, "BEGIN")
	if n, err := releaseMedia(t, product, "post/1", m.ID); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	do(t, product, "ROLLBACK")
	if got := f.get(t, m.ID); got.State != media.StateConfirmed {
		t.Errorf("after the release was rolled back it is %s", text(got))
	}
}

// TestClaimInSavepoints: a savepoint undoes a claim or a refusal alone, and the rest commits.
func TestClaimInSavepoints(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	product := f.product(t, alice.Tenant)
	kept, undone, pending := f.bring(t, media.StateUploaded), f.bring(t, media.StateUploaded), f.bring(t, media.StatePending)
	do(t, product, "BEGIN")
	if n, err := claimMedia(t, product, "post/1", kept.ID); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	do(t, product, "SAVEPOINT s")
	if n, err := claimMedia(t, product, "post/1", undone.ID); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	do(t, product, "ROLLBACK TO SAVEPOINT s")
	_, err := claimMedia(t, product, "post/1", undone.ID, pending.ID)
	refusedAs(t, err, notLanded)
	do(t, product, "ROLLBACK TO SAVEPOINT s")
	// What was refused or undone is not locked any more: a landing does not wait for the product's commit.
	if v := f.land(t, pending, media.SourceNotification); v != media.VerdictLanded {
		t.Error(v)
	}
	if n, err := claimMedia(t, product, "post/1", pending.ID); err != nil || n != 1 {
		t.Errorf("once it has landed: %d, %v", n, err)
	}
	do(t, product, "COMMIT")
	for m, want := range map[*media.Media]media.State{
		kept: media.StateConfirmed, pending: media.StateConfirmed, undone: media.StateUploaded,
	} {
		if got := f.get(t, m.ID); got.State != want {
			t.Errorf("it is %s, want %s", got.State, want)
		}
	}
}

// TestClaimOfALostSession: a product that dies before its commit has claimed nothing (R10).
func TestClaimOfALostSession(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	product := f.product(t, alice.Tenant)
	m := f.bring(t, media.StateUploaded)
	do(t, product, "BEGIN")
	if n, err := claimMedia(t, product, "post/1", m.ID); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	f.Advance(windows.Claim)
	if n, err := f.expireClaims(t.Context(), 10); err != nil || n != 0 {
		t.Fatalf("%d were swept, %v", n, err)
	}
	do(t, f.connect(t, f.url), "SELECT pg_terminate_backend($1, 30000)", product.PgConn().PID())
	if got := f.get(t, m.ID); text(got) != text(m) {
		t.Errorf("it is %s", text(got))
	}
	if n, err := f.expireClaims(t.Context(), 10); err != nil || n != 1 {
		t.Errorf("%d were swept, %v", n, err)
	}
}

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

// TestLongClaimingTransaction: while a product keeps its transaction open, the API's confirmation and a landing of the
// same media wait, those of other media do not, and then each gets its answer.
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
			landed, landErr = f.Land(t.Context(), media.SourceNotification, []media.Landing{landing(m)})
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
