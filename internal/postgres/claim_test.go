package postgres_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

func claims(claim string, ms ...*media.Media) []media.Claim {
	cs := make([]media.Claim, len(ms))
	for i, m := range ms {
		cs[i] = media.Claim{MediaID: m.ID, Claim: claim}
	}
	return cs
}

// TestConfirmBatch: all or none, each item's own answer, in the order given.
func TestConfirmBatch(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	ctx := t.Context()
	var ready []*media.Media
	for range 5 {
		ready = append(ready, f.bring(t, media.StateUploaded))
	}
	ready[0], ready[4] = ready[4], ready[0] // not in the order of ids
	held := f.bring(t, media.StateConfirmed)
	bad := map[media.Code]*media.Media{
		media.CodeNotLanded: f.bring(t, media.StatePending),
		media.CodeGone:      f.bring(t, media.StateDeleting),
		media.CodeNotFound:  draft(),
	}
	for _, expected := range []bool{false, true} {
		for code, m := range bad {
			if !expected {
				f.ExpectAll()
			}
			_, err := f.Confirm(ctx, alice, claims("post/1", ready[0], m, ready[1], held))
			batch, ok := errors.AsType[*media.BatchError](err)
			if !ok {
				t.Fatalf("%s: got %v", code, err)
			}
			for i, item := range batch.Items {
				if refused := item != nil; refused != (i == 1) {
					t.Errorf("%s: item %d: %v", code, i, item)
				}
			}
			if batch.Items[1].Code != code || batch.Items[1].MediaID != m.ID {
				t.Errorf("got %+v, want %s", batch.Items[1], code)
			}
		}
	}
	if _, err := f.Confirm(ctx, alice, claims("post/2", ready[0], held)); !refusedWith(err, 1, media.CodeClaimConflict) {
		t.Errorf("another claim: %v", err)
	}
	for _, m := range ready {
		if got := f.get(t, m.ID); got.State != media.StateUploaded || got.Claim != "" {
			t.Fatalf("a refused batch made it %s", text(got))
		}
	}
	counted := f.count(t, "coatcheck_media_entered_total", "", "confirmed")
	got, err := f.Confirm(ctx, alice, claims("post/1", append(ready, held)...))
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range got {
		if want := append(ready, held)[i]; m.ID != want.ID || text(m) != text(f.get(t, want.ID)) {
			t.Errorf("item %d is %s, want what is stored as %s", i, text(m), want.ID)
		}
		if m.State != media.StateConfirmed || m.Claim != "post/1" || !m.DueAt.IsZero() || !m.ConfirmedAt.Equal(f.Now()) {
			t.Errorf("item %d is %s", i, text(m))
		}
	}
	// The same once more changes nothing and is no error.
	again, err := f.Confirm(ctx, alice, claims("post/1", append(ready, held)...))
	if err != nil || len(again) != 6 || text(again[0]) != text(got[0]) {
		t.Errorf("again: %v, %v", again, err)
	}
	if n := f.count(t, "coatcheck_media_entered_total", "", "confirmed") - counted; n != 5 {
		t.Errorf("%v confirmations were counted, want 5", n)
	}
	if got, err := f.Confirm(ctx, alice, nil); err != nil || len(got) != 0 {
		t.Errorf("an empty batch: %v, %v", got, err)
	}
}

func refusedWith(err error, item int, code media.Code) bool {
	batch, ok := errors.AsType[*media.BatchError](err)
	return ok && batch.Items[item] != nil && batch.Items[item].Code == code
}

// TestConfirmTwiceInOneBatch: by the same claim it is one confirmation, by two it is a conflict.
func TestConfirmTwiceInOneBatch(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	m := f.bring(t, media.StateUploaded)
	two := append(claims("post/1", m), claims("post/2", m)...)
	if _, err := f.Confirm(t.Context(), alice, two); !refusedWith(err, 1, media.CodeClaimConflict) {
		t.Errorf("two claims: %v", err)
	}
	if got := f.get(t, m.ID); got.State != media.StateUploaded {
		t.Fatalf("it is %s", got.State)
	}
	got, err := f.Confirm(t.Context(), alice, claims("post/1", m, m))
	if err != nil || got[0].ID != m.ID || got[1].ID != m.ID {
		t.Fatalf("twice the same: %v, %v", got, err)
	}
	if n := f.count(t, "coatcheck_media_entered_total", "", "confirmed"); n != 1 {
		t.Errorf("counted %v times", n)
	}
}

// TestConfirmOfNothing: a claim that names nothing is refused by the schema, whatever let it through.
func TestConfirmOfNothing(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	m := f.bring(t, media.StateUploaded)
	if _, err := f.Confirm(t.Context(), alice, claims("", m)); err == nil {
		t.Error("an empty claim holds it")
	}
	if got := f.get(t, m.ID); got.State != media.StateUploaded {
		t.Errorf("it is %s", got.State)
	}
}

// TestNobodySeesWhatIsNotTheirs is R9: what another tenant or owner asks is answered exactly as if there were no such
// media, by every method, in every state, and changes nothing.
func TestNobodySeesWhatIsNotTheirs(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	ctx := t.Context()
	strangers := []media.Scope{
		{Tenant: "acme", Owner: "bob"}, {Tenant: "other", Owner: "alice"}, {Tenant: "other"}, {Tenant: "ACME", Owner: "alice"},
		{Tenant: "acme", Owner: "alic%"}, {Tenant: "%"}, {}, {Owner: "alice"}, {Tenant: "acme' OR '1'='1", Owner: "alice"},
		{Tenant: "acme\x00"}, {Tenant: "acme", Owner: "alice\x00"}, {Tenant: "acme", Owner: "alice\xff"},
	}
	for _, state := range media.States {
		m := f.bring(t, state)
		for _, scope := range strangers {
			nothing := draft()
			ask := func(id uuid.UUID) (answers []error) {
				_, err := f.Get(ctx, scope, id)
				answers = append(answers, err)
				for _, e := range []media.Event{media.EventCancel, media.EventDelete, media.EventRelease} {
					_, err := f.Discard(ctx, scope, id, e, "post/1")
					answers = append(answers, err)
				}
				_, err = f.Confirm(ctx, scope, []media.Claim{{MediaID: id, Claim: "post/1"}})
				return append(answers, err)
			}
			for i, err := range ask(m.ID) {
				want := ask(nothing.ID)[i]
				if err == nil || want == nil {
					t.Fatalf("%s, scope %+v, question %d: answered", state, scope, i)
				}
				if got, want := anonymous(err, m.ID), anonymous(want, nothing.ID); !reflect.DeepEqual(got, want) {
					t.Errorf("%s, scope %+v, question %d: told %q, of what does not exist %q", state, scope, i, got, want)
				}
				if !strings.Contains(err.Error(), "not found") {
					t.Errorf("%s, scope %+v, question %d: told %q", state, scope, i, err)
				}
			}
			for _, of := range append([]media.State{""}, media.States...) {
				if ms, err := f.List(ctx, scope, media.Page{Limit: 10, State: of}); err != nil || len(ms) > 0 {
					t.Errorf("scope %+v lists %d media, %v", scope, len(ms), err)
				}
			}
		}
		if after := f.get(t, m.ID); text(after) != text(m) {
			t.Errorf("a stranger made it %s", text(after))
		}
	}
}

// anonymous is all that an error tells, without the id that was asked for.
func anonymous(err error, id uuid.UUID) string {
	var items []*media.Error
	if batch, ok := errors.AsType[*media.BatchError](err); ok {
		items = batch.Items
	} else if e, ok := errors.AsType[*media.Error](err); ok {
		items = []*media.Error{e}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%T %v", err, err)
	for _, e := range items {
		if e != nil {
			fmt.Fprintf(&b, " %+v", *e)
		}
	}
	return strings.ReplaceAll(b.String(), id.String(), "ID")
}

// TestTheBackendSeesEveryOwner: a scope without an owner is the whole tenant.
func TestTheBackendSeesEveryOwner(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	backend := media.Scope{Tenant: "acme"}
	m := f.bring(t, media.StateUploaded)
	if _, err := f.Confirm(t.Context(), backend, claims("post/1", m)); err != nil {
		t.Error(err)
	}
	if got, err := f.Discard(t.Context(), backend, m.ID, media.EventDelete, ""); err != nil || got.State != media.StateDeleting {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestDiscardCountsOnce: what is gone already is counted by whoever made it so.
func TestDiscardCountsOnce(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	m := f.bring(t, media.StateConfirmed)
	for range 3 {
		got, err := f.Discard(t.Context(), alice, m.ID, media.EventRelease, "post/1")
		if err != nil || got.State != media.StateDeleting || got.Reason != media.ReasonReleased || got.Claim != "post/1" {
			t.Fatalf("got %v, %v", got, err)
		}
		if text(got) != text(f.get(t, m.ID)) {
			t.Errorf("returned is not what is stored: %s", text(got))
		}
	}
	if n := f.count(t, "coatcheck_media_entered_total", "released", "deleting"); n != 1 {
		t.Errorf("counted %v times", n)
	}
}
