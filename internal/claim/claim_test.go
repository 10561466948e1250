package claim_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/claim"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// meanwhile is a bucket without objects, in which something happens while it is asked for one.
type meanwhile func()

func (f meanwhile) Head(context.Context, string) (media.Object, bool, error) {
	f()
	return media.Object{}, false, nil
}

// TestWhatHappensWhileS3IsAsked is in the answer: whoever is told that a media has not landed would upload it again.
func TestWhatHappensWhileS3IsAsked(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(pgtest.New(t), 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	windows := media.Windows{Upload: time.Hour, Claim: time.Hour, Tombstone: time.Hour}
	store := postgres.NewStore(db, windows, time.Now, postgres.NewMetrics(prometheus.NewRegistry()))
	alice := media.Scope{Tenant: "acme", Owner: "alice"}
	for name, test := range map[string]struct {
		happens func(context.Context, uuid.UUID) error
		refusal media.Code // empty: it is confirmed
	}{
		"nothing": {func(context.Context, uuid.UUID) error { return nil }, media.CodeNotLanded},
		"cancelled": {func(ctx context.Context, id uuid.UUID) error {
			_, err := store.Discard(ctx, alice, id, media.EventCancel, "")
			return err
		}, media.CodeGone},
		"landed": {func(ctx context.Context, id uuid.UUID) error {
			_, err := store.Land(ctx, media.SourceNotification, []media.Landing{{MediaID: id, SizeBytes: 5, ETag: "e"}})
			return err
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := uuid.Must(uuid.NewV7())
			_, err := store.Create(t.Context(), []*media.Media{{
				ID: id, Tenant: alice.Tenant, Owner: alice.Owner, Key: "media/" + id.String(), ContentType: "text/plain",
				SizeBytes: 5, URLExpiresAt: time.Now().Add(time.Minute),
			}})
			if err != nil {
				t.Fatal(err)
			}
			claimer := claim.New(store, meanwhile(func() {
				if err := test.happens(t.Context(), id); err != nil {
					t.Error(err)
				}
			}))
			_, err = claimer.Confirm(t.Context(), alice, []media.Claim{{MediaID: id, Claim: "post/1"}})
			var refusal media.Code
			if batch, ok := errors.AsType[*media.BatchError](err); ok {
				refusal = batch.Items[0].Code
			} else if err != nil {
				t.Fatal(err)
			}
			if refusal != test.refusal {
				t.Errorf("refused with %q, want %q", refusal, test.refusal)
			}
		})
	}
}
