package postgres_test

import (
	"testing"

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
