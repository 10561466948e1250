package postgres_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

const lease = 5 * time.Minute

func ids(ms []*media.Media) []uuid.UUID {
	got := make([]uuid.UUID, len(ms))
	for i, m := range ms {
		got[i] = m.ID
	}
	slices.SortFunc(got, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return got
}

// TestLeasePending: what is due is taken once, longest due first, and is due again when the lease is over.
func TestLeasePending(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	ctx := t.Context()
	first := f.create(t)
	f.Advance(time.Minute)
	second := f.create(t)
	for _, state := range media.States[1:] {
		f.bring(t, state)
	}
	f.Advance(windows.Upload - 2*time.Minute)
	if ms, err := f.LeasePending(ctx, 10, lease); err != nil || len(ms) != 0 {
		t.Fatalf("before the window is over: %v, %v", ids(ms), err)
	}
	f.Advance(time.Minute) // to the microsecond at which the first is due
	ms, err := f.LeasePending(ctx, 10, lease)
	if err != nil || len(ms) != 1 || ms[0].ID != first.ID {
		t.Fatalf("got %v, %v, want %s", ids(ms), err, first.ID)
	}
	if text(ms[0]) != text(f.get(t, first.ID)) || ms[0].Revision != first.Revision+1 || !ms[0].DueAt.Equal(f.Now().Add(lease)) || ms[0].Attempts != 0 {
		t.Errorf("leased %s", text(ms[0]))
	}
	f.Advance(time.Minute)
	if ms, err := f.LeasePending(ctx, 10, lease); err != nil || len(ms) != 1 || ms[0].ID != second.ID {
		t.Errorf("while the first is leased: %v, %v", ids(ms), err)
	}
	f.Advance(lease)
	if ms, err := f.LeasePending(ctx, 1, lease); err != nil || len(ms) != 1 || ms[0].ID != first.ID {
		t.Errorf("when the leases are over: %v, %v", ids(ms), err)
	}
	if ms, err := f.LeasePending(ctx, 10, lease); err != nil || len(ms) != 1 || ms[0].ID != second.ID {
		t.Errorf("and beyond the limit: %v, %v", ids(ms), err)
	}
}

// TestLeasesAreDisjoint: any number of sweeps take what is due between them, each row once, whatever they collide on.
func TestLeasesAreDisjoint(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	drafts := make([]*media.Media, 1000)
	for i := range drafts {
		drafts[i] = draft()
	}
	if _, err := f.Create(t.Context(), drafts); err != nil {
		t.Fatal(err)
	}
	f.Advance(windows.Upload)
	var mu sync.Mutex
	var taken []*media.Media
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for {
				ms, err := f.LeasePending(t.Context(), 37, lease)
				if err != nil {
					t.Error(err)
				}
				if len(ms) > 37 {
					t.Errorf("%d rows, the limit is 37", len(ms))
				}
				if len(ms) == 0 {
					return
				}
				mu.Lock()
				taken = append(taken, ms...)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	// A sweep that finds only rows which others are just taking goes home; what it left is due at the next one.
	if n := len(slices.Compact(ids(taken))); n != len(taken) || n < 900 {
		t.Errorf("%d leases of %d media, of which %d were due", len(taken), n, len(drafts))
	}
}

// TestWhatWasLeasedMayChange: between the lease and what the sweep then does, anything may happen to the row.
func TestWhatWasLeasedMayChange(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		from    media.State
		happens func(*testing.T, *fixture, *media.Media)
		want    media.State
		reason  media.Reason
	}{
		"pending, URL renewed": {media.StatePending, func(t *testing.T, f *fixture, m *media.Media) {
			if _, err := f.Create(t.Context(), []*media.Media{same(m)}); err != nil {
				t.Fatal(err)
			}
		}, media.StatePending, ""},
		"pending, landed": {media.StatePending, func(t *testing.T, f *fixture, m *media.Media) {
			f.land(t, m, media.SourceNotification)
		}, media.StateUploaded, ""},
		"pending, landed and confirmed": {media.StatePending, func(t *testing.T, f *fixture, m *media.Media) {
			f.move(t, m, media.StateConfirmed)
		}, media.StateConfirmed, ""},
		"pending, cancelled": {media.StatePending, func(t *testing.T, f *fixture, m *media.Media) {
			f.move(t, m, media.StateDeleting)
		}, media.StateDeleting, media.ReasonCancelled},
		"pending, lease over and taken by another": {media.StatePending, func(t *testing.T, f *fixture, m *media.Media) {
			f.Advance(lease)
			if ms, err := f.LeasePending(t.Context(), 10, lease); err != nil || len(ms) != 1 {
				t.Fatal(ms, err)
			}
		}, media.StatePending, ""},
		"deleting, landed once more": {media.StateDeleting, func(t *testing.T, f *fixture, m *media.Media) {
			if v := f.land(t, m, media.SourceNotification); v != media.VerdictDeleting {
				t.Fatal(v)
			}
		}, media.StateDeleting, media.ReasonCancelled},
		"deleting, taken by another": {media.StateDeleting, func(t *testing.T, f *fixture, m *media.Media) {
			f.Advance(lease)
			if ms, err := f.LeaseDeleting(t.Context(), 10, lease); err != nil || len(ms) != 1 {
				t.Fatal(ms, err)
			}
		}, media.StateDeleting, media.ReasonCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newStore(t)
			m := f.create(t, keyed("k"))
			f.move(t, m, test.from)
			f.Advance(windows.Upload)
			take, finish := f.LeasePending, f.expireUploads
			if test.from == media.StateDeleting {
				take, finish = f.LeaseDeleting, f.finishDeleting
			}
			leased, err := take(t.Context(), 10, lease)
			if err != nil || len(leased) != 1 {
				t.Fatal(leased, err)
			}
			test.happens(t, f, m)
			between := f.get(t, m.ID)
			if n, err := finish(t.Context(), leased); err != nil || n != 0 {
				t.Errorf("%d rows, %v", n, err)
			}
			leased[0].LastError, leased[0].DueAt = "AccessDenied", f.Now().Add(time.Hour)
			if err := f.RetryDeleting(t.Context(), leased); err != nil {
				t.Error(err)
			}
			got := f.get(t, m.ID)
			if got.State != test.want || got.Reason != test.reason || text(got) != text(between) {
				t.Errorf("it is\n%s, before\n%s", text(got), text(between))
			}
			if name == "deleting, landed once more" && !got.DueAt.Equal(f.Now()) {
				t.Errorf("it is due at %s, want at once: the object may have come after the deletion (R2)", got.DueAt)
			}
		})
	}
}

// TestDeleting goes the whole way: attempts are counted, errors kept, a landing begins the count anew, and the tombstone
// lasts until no PUT can come any more.
func TestDeleting(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	ctx := t.Context()
	m := f.create(t, func(m *media.Media) { m.URLExpiresAt = f.Now().Add(10 * time.Hour) })
	if _, err := f.Discard(ctx, alice, m.ID, media.EventCancel, ""); err != nil {
		t.Fatal(err)
	}
	take := func() *media.Media {
		t.Helper()
		ms, err := f.LeaseDeleting(ctx, 10, lease)
		if err != nil || len(ms) != 1 {
			t.Fatalf("leased %v, %v", ids(ms), err)
		}
		return ms[0]
	}
	for attempt := 1; attempt <= 3; attempt++ {
		got := take()
		if got.Attempts != attempt {
			t.Errorf("attempt %d is counted as %d", attempt, got.Attempts)
		}
		got.LastError, got.DueAt = "SlowDown: please", f.Now().Add(time.Minute)
		if err := f.RetryDeleting(ctx, []*media.Media{got}); err != nil {
			t.Fatal(err)
		}
		if after := f.get(t, m.ID); after.LastError != "SlowDown: please" || !after.DueAt.Equal(got.DueAt) || after.Attempts != attempt {
			t.Errorf("after attempt %d: %s", attempt, text(after))
		}
		if ms, err := f.LeaseDeleting(ctx, 10, lease); err != nil || len(ms) != 0 {
			t.Errorf("it was taken before its time: %v, %v", ids(ms), err)
		}
		f.Advance(time.Minute)
	}
	f.land(t, m, media.SourceNotification)
	got := take()
	if got.Attempts != 1 {
		t.Errorf("after a landing the attempt is counted as %d", got.Attempts)
	}
	if n, err := f.finishDeleting(ctx, []*media.Media{got}); err != nil || n != 1 {
		t.Fatalf("%d rows, %v", n, err)
	}
	tombstone := f.get(t, m.ID)
	until := m.URLExpiresAt.Add(windows.Tombstone) // the URL outlives the deletion
	if tombstone.State != media.StateDeleted || tombstone.LastError != "" || tombstone.Reason != media.ReasonCancelled ||
		!tombstone.DeletedAt.Equal(f.Now()) || !tombstone.DueAt.Equal(until) {
		t.Errorf("the tombstone is %s, want due at %s", text(tombstone), until)
	}
	f.Advance(until.Sub(f.Now()) - time.Microsecond)
	if n, err := f.purge(ctx, 10); err != nil || n != 0 {
		t.Errorf("too early: %d rows, %v", n, err)
	}
	f.Advance(time.Microsecond)
	if n, err := f.purge(ctx, 10); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
	if v := f.land(t, m, media.SourceNotification); v != media.VerdictUnknown {
		t.Errorf("verdict %s", v)
	}
	if n := f.count(t, "coatcheck_media_purged_total"); n != 1 {
		t.Errorf("counted %v", n)
	}
}

// expireUploads and expireClaims expire, and return how many.
func (f *fixture) expireUploads(ctx context.Context, ms []*media.Media) (int, error) {
	expired, err := f.ExpireUploads(ctx, ms, lease)
	return len(expired), err
}

func (f *fixture) expireClaims(ctx context.Context, limit int) (int, error) {
	expired, err := f.ExpireClaims(ctx, limit, lease)
	return len(expired), err
}

// purge forgets up to limit tombstones that are due, as a sweep does.
func (f *fixture) purge(ctx context.Context, limit int) (int, error) {
	ms, err := f.LeaseDeleted(ctx, limit, time.Minute)
	if err != nil {
		return 0, err
	}
	return f.Purge(ctx, ms)
}

// TestPurgeIsFenced: a late landing between the last deletion and the purge keeps the tombstone.
func TestPurgeIsFenced(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	m := f.bring(t, media.StateDeleted)
	f.Advance(10 * windows.Tombstone)
	ms, err := f.LeaseDeleted(t.Context(), 10, time.Minute)
	if err != nil || len(ms) != 1 {
		t.Fatalf("%v, %v", ids(ms), err)
	}
	if v := f.land(t, m, media.SourceNotification, func(l *media.Landing) { l.Sequencer = seq("ff") }); v != media.VerdictLate {
		t.Fatalf("verdict %s", v)
	}
	if n, err := f.Purge(t.Context(), ms); err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
	if got := f.get(t, m.ID); got.State != media.StateDeleting || got.Reason != media.ReasonLate {
		t.Errorf("it is %s", text(got))
	}
}

// TestPurgeTakesOnlyTombstones, whatever else is overdue, and no more than it may.
func TestPurgeTakesOnlyTombstones(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	var keep []*media.Media
	for _, state := range media.States[:4] {
		keep = append(keep, f.bring(t, state))
	}
	for range 5 {
		f.bring(t, media.StateDeleted)
	}
	f.Advance(10 * windows.Tombstone)
	for _, want := range []int{3, 2, 0} {
		if n, err := f.purge(t.Context(), 3); err != nil || n != want {
			t.Errorf("%d rows, %v, want %d", n, err, want)
		}
	}
	for _, m := range keep {
		f.get(t, m.ID)
	}
}

// TestExpireClaims takes what was due, up to the limit, and nothing that is confirmed (R1).
func TestExpireClaims(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	confirmed := f.bring(t, media.StateConfirmed)
	for range 5 {
		f.bring(t, media.StateUploaded)
	}
	f.Advance(windows.Claim - time.Microsecond)
	if n, err := f.expireClaims(t.Context(), 3); err != nil || n != 0 {
		t.Errorf("too early: %d rows, %v", n, err)
	}
	f.Advance(time.Microsecond)
	for _, want := range []int{3, 2, 0} {
		if n, err := f.expireClaims(t.Context(), 3); err != nil || n != want {
			t.Errorf("%d rows, %v, want %d", n, err, want)
		}
	}
	if got := f.get(t, confirmed.ID); text(got) != text(confirmed) {
		t.Errorf("it is %s", text(got))
	}
	if n := f.count(t, "coatcheck_media_entered_total", "unclaimed", "deleting"); n != 5 {
		t.Errorf("counted %v", n)
	}
}

// TestNothingToDo: an empty batch is no statement at all.
func TestNothingToDo(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	if n, err := f.expireUploads(t.Context(), nil); n != 0 || err != nil {
		t.Error(n, err)
	}
	if n, err := f.finishDeleting(t.Context(), nil); n != 0 || err != nil {
		t.Error(n, err)
	}
	if err := f.RetryDeleting(t.Context(), nil); err != nil {
		t.Error(err)
	}
	for _, limit := range []int{0, -1} {
		f.bring(t, media.StatePending)
		f.Advance(windows.Upload)
		if ms, err := f.LeasePending(t.Context(), limit, lease); len(ms) != 0 || err == nil && limit < 0 {
			t.Errorf("limit %d: %v, %v", limit, ids(ms), err)
		}
	}
}

// TestDue pages through what a sweep would take, without taking it.
func TestDue(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	want := map[uuid.UUID]bool{}
	for i := range 7 {
		if i%3 == 0 {
			f.Advance(time.Second) // some are due at the same time
		}
		want[f.bring(t, media.StateUploaded).ID] = true
	}
	f.bring(t, media.StateConfirmed)
	f.Advance(windows.Claim)
	f.bring(t, media.StateUploaded) // not due yet
	var after *media.Media
	for pages := 0; ; pages++ {
		ms, err := f.Due(t.Context(), media.StateUploaded, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(ms) == 0 {
			if pages != 4 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		for _, m := range ms {
			if !want[m.ID] {
				t.Errorf("media %s was not due, or is there twice", m.ID)
			}
			delete(want, m.ID)
			if after != nil && m.DueAt.Before(after.DueAt) {
				t.Errorf("%s is due before %s", m.ID, after.ID)
			}
			after = m
		}
	}
	if len(want) > 0 {
		t.Errorf("not there: %v", want)
	}
	if n, err := f.expireClaims(t.Context(), 10); err != nil || n != 7 {
		t.Errorf("%d rows were still due, %v", n, err)
	}
}
