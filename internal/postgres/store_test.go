package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

// TestList pages through the media of a scope and of no other (R9), newest first, in every state and in one.
func TestList(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	bob := media.Scope{Tenant: "acme", Owner: "bob"}
	// Others whose names come just before and just after.
	around := []media.Scope{{Tenant: "acme", Owner: "alic"}, {Tenant: "acme", Owner: "alicez"}, {Tenant: "acm", Owner: "alice"}, {Tenant: "acmez", Owner: "alice"}}
	all := map[media.Scope][]uuid.UUID{}
	byState := map[media.State][]uuid.UUID{}
	for range 3 {
		for _, state := range media.States {
			m := f.bring(t, state)
			all[alice] = append(all[alice], m.ID)
			byState[state] = append(byState[state], m.ID)
			all[media.Scope{Tenant: "acme"}] = append(all[media.Scope{Tenant: "acme"}], m.ID)
		}
		m := f.create(t, func(m *media.Media) { m.Owner = bob.Owner })
		all[bob] = append(all[bob], m.ID)
		all[media.Scope{Tenant: "acme"}] = append(all[media.Scope{Tenant: "acme"}], m.ID)
		f.create(t, func(m *media.Media) { m.Tenant = "other" })
		for _, scope := range around {
			m := f.create(t, func(m *media.Media) { m.Tenant, m.Owner = scope.Tenant, scope.Owner })
			all[scope] = append(all[scope], m.ID)
			if scope.Tenant == "acme" {
				all[media.Scope{Tenant: "acme"}] = append(all[media.Scope{Tenant: "acme"}], m.ID)
			}
		}
	}
	check := func(name string, scope media.Scope, state media.State, want []uuid.UUID) {
		t.Helper()
		slices.Reverse(want)
		for _, limit := range []int{1, 2, 7, 100} {
			var got []uuid.UUID
			page := media.Page{State: state, Limit: limit}
			for {
				ms, err := f.List(t.Context(), scope, page)
				if err != nil {
					t.Fatal(err)
				}
				if len(ms) > limit {
					t.Errorf("%s: %d media on a page of %d", name, len(ms), limit)
				}
				for _, m := range ms {
					got = append(got, m.ID)
				}
				if len(ms) < limit || len(got) > len(want) {
					break
				}
				page.Before = ms[len(ms)-1].ID
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s by %d: got %v, want %v", name, limit, got, want)
			}
		}
	}
	for scope, want := range all {
		check(scope.Tenant+"/"+scope.Owner, scope, "", want)
	}
	for _, state := range media.States {
		check(string(state), alice, state, byState[state])
	}
	check("nobody", media.Scope{Tenant: "acme", Owner: "carol"}, "", nil)
	for _, limit := range []int{0, -1} {
		if ms, err := f.List(t.Context(), alice, media.Page{Limit: limit}); err != nil || len(ms) > 0 {
			t.Errorf("a page of size %d has %d media, %v", limit, len(ms), err)
		}
		if ms, err := f.Due(t.Context(), media.StateDeleting, nil, limit); err != nil || len(ms) > 0 {
			t.Errorf("of what is due a page of size %d has %d media, %v", limit, len(ms), err)
		}
	}
}

// TestBindBucket: a database speaks of one bucket and prefix, whoever comes first.
func TestBindBucket(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	ctx := t.Context()
	for range 2 {
		if err := f.BindBucket(ctx, "bucket", "media/"); err != nil {
			t.Fatal(err)
		}
	}
	for _, other := range [][2]string{{"other", "media/"}, {"bucket", ""}, {"bucket", "media2/"}, {"Bucket", "media/"}, {"", ""}} {
		err := f.BindBucket(ctx, other[0], other[1])
		if err == nil {
			t.Errorf("bound to %q as well", other)
		} else if !strings.Contains(err.Error(), `"bucket"`) || !strings.Contains(err.Error(), "--bucket") {
			t.Errorf("%q: the error does not tell what to do: %v", other, err)
		}
	}
	if err := f.BindBucket(ctx, "bucket", "media/"); err != nil {
		t.Errorf("the first is not bound any more: %v", err)
	}
}

// TestBindBucketAtOnce: of several processes with different settings, one wins and the others are told.
func TestBindBucketAtOnce(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	errs := make(chan error)
	for i := range 8 {
		go func() { errs <- f.BindBucket(t.Context(), []string{"a", "b"}[i%2], "media/") }()
	}
	refused := 0
	for range 8 {
		if err := <-errs; err != nil {
			refused++
		}
	}
	if refused != 4 {
		t.Errorf("%d of 8 were refused, want the 4 of one bucket", refused)
	}
}
