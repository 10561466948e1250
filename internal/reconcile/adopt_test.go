package reconcile_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

func claims(all ...reconcile.Adoption) iter.Seq2[reconcile.Adoption, error] {
	return func(yield func(reconcile.Adoption, error) bool) {
		for _, a := range all {
			if !yield(a, nil) {
				return
			}
		}
	}
}

func (w *world) stage(prefix string, trial bool, all ...reconcile.Adoption) {
	w.t.Helper()
	for i := range all {
		all[i].Tenant, all[i].Owner = alice.Tenant, alice.Owner
	}
	n, err := w.store.StageAdoption(w.t.Context(), prefix, trial, claims(all...))
	if err != nil || n != int64(len(all)) {
		w.t.Fatalf("staged %d of %d, error %v", n, len(all), err)
	}
}

func adopting(prefix string) func(*parts) {
	return with(func(s *reconcile.Settings) { s.Adopt, s.AdoptPrefix = true, prefix })
}

// TestAdopt brings a bucket under management that has been in use for years.
func TestAdopt(t *testing.T) {
	t.Parallel()
	for name, versioned := range map[string]bool{"plain": false, "versioned": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{versioned: versioned})
			mine := w.confirmed(2)
			old := []string{"uploads/2023/01/cat.jpg", "uploads/2023/dog with a ball.png", "uploads/ünï/日本.txt", "uploads/empty"}
			for _, k := range old[:3] {
				w.put(k, content(k))
			}
			w.put(old[3], nil)
			created := w.Now()
			orphans := []string{"uploads/2023/01/orphan.jpg", "uploads/z"}
			for _, k := range orphans {
				w.put(k, []byte("orphan"))
			}
			w.put("beside/uploads", nil)
			w.Advance(time.Hour)
			list := []reconcile.Adoption{
				{Key: old[0], Claim: "post/1"}, {Key: old[1], Claim: "post/2"}, {Key: old[2], Claim: "post/3"}, {Key: old[3], Claim: "post/4"},
				{Key: "uploads/dangling", Claim: "post/5"},
			}
			want := reconcile.Counts{reconcile.CountExplained: 2, reconcile.CountAdopted: 4, reconcile.CountStrays: 2}

			// A trial leaves no trace.
			w.stage("uploads/", true, list...)
			trial := w.reconcile(adopting("uploads/"), dryRun)
			w.want(trial, want)
			if prefixes, err := w.store.AdoptedPrefixes(t.Context()); err != nil || len(prefixes) > 0 || len(w.strays()) > 0 {
				t.Errorf("a trial left prefixes %v and strays %v, error %v", prefixes, w.strays(), err)
			}
			if kinds := w.findings(trial); kinds[orphans[0]] != reconcile.KindStray || len(kinds) != 2 {
				t.Errorf("the trial found %v", kinds)
			}

			w.stage("uploads/", false, list...)
			run := w.reconcile(adopting("uploads/"))
			w.want(run, want)
			if kinds := w.findings(run); kinds["uploads/dangling"] != reconcile.KindNotAdopted || len(kinds) != 1 {
				t.Errorf("it found %v", kinds)
			}
			listed, err := w.store.List(t.Context(), alice, media.Page{Limit: 100})
			if err != nil || len(listed) != 6 {
				t.Fatalf("there are %d media, error %v", len(listed), err)
			}
			for _, m := range listed {
				if !strings.HasPrefix(m.Key, "uploads/") {
					continue
				}
				size := int64(len(content(m.Key)))
				if m.Key == old[3] {
					size = 0
				}
				if m.State != media.StateConfirmed || !strings.HasPrefix(m.Claim, "post/") || m.SizeBytes != size || m.ETag == "" ||
					m.ContentType != "text/plain" || !m.CreatedAt.Equal(created) || (m.VersionID != "") != versioned {
					t.Errorf("it was adopted as %+v", m)
				}
				if sec, _ := m.ID.Time().UnixTime(); m.ID.Version() != 7 || sec != created.Unix() {
					t.Errorf("the id %s does not tell when it was created", m.ID)
				}
			}

			// From then on it is looked after like all others, and the orphans go.
			w.Advance(grace)
			w.want(w.reconcile(policy(reconcile.PolicyDelete)), reconcile.Counts{
				reconcile.CountExplained: 6, reconcile.CountStrays: 2, reconcile.CountRemoved: 2,
			})
			held := w.held()
			for _, k := range append(old, mine[0].Key, mine[1].Key, "beside/uploads") {
				if !held[k] {
					t.Errorf("%s is gone", k)
				}
			}
			if held[orphans[0]] || held[orphans[1]] {
				t.Errorf("orphans are left: %v", held)
			}
			// And released, it is swept.
			for _, m := range listed {
				if m.Key == old[0] {
					if _, err := w.store.Discard(t.Context(), alice, m.ID, media.EventRelease, m.Claim); err != nil {
						t.Fatal(err)
					}
				}
			}
			w.sweep()
			if w.held()[old[0]] {
				t.Error("what was adopted and released is still there")
			}

			// Once more with the same list changes nothing.
			w.stage("uploads/", false, list...)
			again := w.reconcile(adopting("uploads/"))
			w.want(again, reconcile.Counts{reconcile.CountExplained: 5})
			if kinds := w.findings(again); kinds["uploads/dangling"] != reconcile.KindNotAdopted || kinds[old[0]] != reconcile.KindNotAdopted || len(kinds) != 2 {
				t.Errorf("it found %v", kinds)
			}
		})
	}
}

// TestAdoptAfterTheDatabaseWasLost: the rows of a bucket whose keys coatcheck has minted get the ids that they had.
func TestAdoptAfterTheDatabaseWasLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ms := w.confirmed(3)
	if _, err := w.db.ExecContext(t.Context(), `DELETE FROM coatcheck.media`); err != nil {
		t.Fatal(err)
	}
	w.stage("media/", false, reconcile.Adoption{Key: ms[0].Key, Claim: "post/1"}, reconcile.Adoption{Key: ms[1].Key, Claim: "post/1"})
	w.want(w.reconcile(adopting("media/")), reconcile.Counts{reconcile.CountAdopted: 2, reconcile.CountStrays: 1})
	for _, m := range ms[:2] {
		if got := w.get(m); got.State != media.StateConfirmed || got.Key != m.Key {
			t.Errorf("it is %+v", got)
		}
	}
}

// endsAtSecond is a store that cannot be reached when a run is ended for the first time.
type endsAtSecond struct {
	reconcile.Store
	tried bool
}

func (s *endsAtSecond) EndRun(ctx context.Context, run *reconcile.Run, o reconcile.Outcome, e string) (bool, error) {
	if !s.tried {
		s.tried = true
		return false, errors.New("the connection is gone")
	}
	return s.Store.EndRun(ctx, run, o, e)
}

// TestAdoptionIsClosedOnce: whoever closes an adoption again, after a fault or beside another process, finds nothing twice
// and forgets nothing of what was found (R10).
func TestAdoptionIsClosedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	held := w.confirmed(1)[0]
	w.stage("media/", false, reconcile.Adoption{Key: held.Key, Claim: "post/2"}, reconcile.Adoption{Key: "media/gone", Claim: "post/3"})
	run := w.reconcile(adopting("media/"), func(p *parts) { p.store = &endsAtSecond{Store: p.store} })
	check := func() {
		t.Helper()
		if kinds := w.findings(run); len(kinds) != 2 || kinds[held.Key] != reconcile.KindNotAdopted || kinds["media/gone"] != reconcile.KindNotAdopted {
			t.Errorf("it found %v", kinds)
		}
	}
	check()
	// One that was as slow as this does not take the next list for its own.
	w.stage("media/", false, reconcile.Adoption{Key: "media/next", Claim: "post/4"})
	if err := w.store.CloseAdoption(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	check()
}

// TestAdoptTheWholeBucket passes over what is in quarantine.
func TestAdoptTheWholeBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	mine := w.confirmed(2)
	stored := w.Now()
	w.put("a", nil)
	w.put("b/c", nil)
	w.put("coatcheck-quarantine/media/x", nil)
	w.stage("", false, reconcile.Adoption{Key: "a", Claim: "post/1"})
	w.want(w.reconcile(adopting("")), reconcile.Counts{reconcile.CountExplained: 2, reconcile.CountAdopted: 1, reconcile.CountStrays: 1})
	w.Advance(grace)
	w.want(w.reconcile(policy(reconcile.PolicyQuarantine)), reconcile.Counts{reconcile.CountExplained: 3, reconcile.CountStrays: 1, reconcile.CountRemoved: 1})
	held := w.held()
	if !held[quarantined(stored, "b/c")] || !held["coatcheck-quarantine/media/x"] || !held["a"] || !held[mine[0].Key] || held["b/c"] {
		t.Errorf("the bucket holds %v", held)
	}
}

// TestStageAdoption refuses lists that contradict themselves, and while a run may use the one before.
func TestStageAdoption(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	a := reconcile.Adoption{Key: "x/1", Claim: "post/1", Tenant: "acme", Owner: "alice"}
	if _, err := w.store.StageAdoption(t.Context(), "x/", false, claims(a, a)); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a key that occurs twice: %v", err)
	}
	b := a
	b.Key = "x/\xff"
	if _, err := w.store.StageAdoption(t.Context(), "x/", false, claims(a, b)); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("a key that Postgres cannot hold: %v", err)
	}
	if prefixes, err := w.store.AdoptedPrefixes(t.Context()); err != nil || len(prefixes) > 0 {
		t.Errorf("a refused list has brought %v under management, error %v", prefixes, err)
	}
	r := w.reconciler()
	if _, err := r.Begin(t.Context(), settingsOf()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.StageAdoption(t.Context(), "x/", false, claims(a)); err == nil || !strings.Contains(err.Error(), "under way") {
		t.Errorf("while a run is under way: %v", err)
	}
	if _, err := r.Begin(t.Context(), settingsOf()); err != reconcile.ErrActive {
		t.Errorf("a second run at a time: %v", err)
	}
}
