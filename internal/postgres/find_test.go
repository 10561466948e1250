package postgres_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

func foundIDs(t *testing.T, found []media.Record, err error) []uuid.UUID {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]uuid.UUID, len(found))
	for i, r := range found {
		ids[i] = r.ID
	}
	return ids
}

// TestFind finds media of any tenant, newest first, page by page, whether few or many keys begin alike.
func TestFind(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	mine := f.bring(t, media.StateConfirmed)
	theirs := f.create(t, func(m *media.Media) { m.Tenant = "globex" })
	for _, m := range []*media.Media{mine, theirs} {
		r, err := f.FindByID(t.Context(), m.ID)
		if err != nil || r == nil || r.Key != m.Key || !r.MissingSince.IsZero() {
			t.Errorf("by id: %+v, %v", r, err)
		}
		for _, prefix := range []string{m.Key, m.Key[:len(m.Key)-1], m.Key[:len(m.Key)-20]} {
			found, err := f.FindByKey(t.Context(), prefix, uuid.UUID{}, 10)
			if got := foundIDs(t, found, err); !slices.Equal(got, []uuid.UUID{m.ID}) {
				t.Errorf("by %s: %v", prefix, got)
			}
		}
	}
	for _, nothing := range []string{mine.Key + "x", "media/zz", "%", "med%", "\x00", "\xff\xff\xff"} {
		if found, err := f.FindByKey(t.Context(), nothing, uuid.UUID{}, 10); err != nil || len(found) != 0 {
			t.Errorf("by %q: %v, %v", nothing, found, err)
		}
	}
	if r, err := f.FindByID(t.Context(), uuid.New()); err != nil || r != nil {
		t.Errorf("by an unknown id: %v, %v", r, err)
	}

	_, shard := f.begun(t, reconcile.SourceListing)
	f.checkpoint(t, shard, reconcile.Batch{
		Position: "media/z", Missing: []reconcile.Row{{ID: mine.ID, Key: mine.Key, Revision: mine.Revision}},
		Strays: []reconcile.Stray{{Key: "media/stray", SizeBytes: 3, ETag: "e", LastModified: f.Now()}},
	})
	if r, err := f.FindByID(t.Context(), mine.ID); err != nil || !r.MissingSince.Equal(f.Now()) {
		t.Errorf("it is missing: %+v, %v", r, err)
	}
	if stray, err := f.StrayAt(t.Context(), "media/stray"); err != nil || stray == nil || stray.SizeBytes != 3 {
		t.Errorf("the stray: %+v, %v", stray, err)
	}
	if stray, err := f.StrayAt(t.Context(), "media/str"); err != nil || stray != nil {
		t.Errorf("no stray: %+v, %v", stray, err)
	}

	pages := func() (all []uuid.UUID) {
		t.Helper()
		for before := (uuid.UUID{}); ; before = all[len(all)-1] {
			found, err := f.FindByKey(t.Context(), "media/", before, 4000)
			page := foundIDs(t, found, err)
			if len(page) == 0 {
				return all
			}
			all = append(all, page...)
		}
	}
	want := []uuid.UUID{mine.ID, theirs.ID}
	for range 2 { // few, and then many
		slices.SortFunc(want, func(a, b uuid.UUID) int { return slices.Compare(b[:], a[:]) })
		if got := pages(); !slices.Equal(got, want) {
			t.Errorf("found %d media, want %d", len(got), len(want))
		}
		for len(want) < 10_500 {
			ms := make([]*media.Media, 500)
			for i := range ms {
				ms[i] = draft()
				want = append(want, ms[i].ID)
			}
			if _, err := f.Create(t.Context(), ms); err != nil {
				t.Fatal(err)
			}
		}
	}
}
