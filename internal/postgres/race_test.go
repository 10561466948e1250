package postgres_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// meet makes a statement of ours begin, wait for a row that another transaction holds, and go on once that one has
// changed the row: its snapshot is from before the change.
func (f *fixture) meet(t *testing.T, m *media.Media, change string, ours func() error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, f.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after Commit it does nothing
	if _, err := tx.Exec(ctx, "SELECT FROM coatcheck.media WHERE id = $1 FOR UPDATE", m.ID); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- ours() }()
	for waits := false; !waits; {
		select {
		case err := <-done:
			t.Fatalf("it did not wait for the row: %v", err)
		case <-time.After(time.Millisecond):
		}
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waits)
		if err != nil {
			t.Fatal(err)
		}
		// Within a transaction the view is read once unless it is told to forget.
		if _, err := tx.Exec(ctx, "SELECT pg_stat_clear_snapshot()"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tx.Exec(ctx, "UPDATE coatcheck.media SET revision = revision + 1, "+change+" WHERE id = $1", m.ID); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	return <-done
}

// What another transaction made of the row meanwhile.
const (
	becomesUploaded  = `state = 'uploaded', landed_at = now(), landed_by = 'confirm', etag = 'e1', due_at = now() + interval '1 h'`
	becomesConfirmed = `state = 'confirmed', landed_at = now(), landed_by = 'confirm', etag = 'e1', claim = 'post/9', confirmed_at = now(), due_at = NULL`
	becomesCancelled = `state = 'deleting', reason = 'cancelled', deleting_at = now(), due_at = now()`
	becomesDeleted   = `state = 'deleted', reason = 'cancelled', deleting_at = now(), deleted_at = now(), due_at = now() + interval '1 day'`
)

// TestLandingMeetsAChange: a landing that waited for a row is judged by what the row became, and never fails for what
// it was: neither half of the two changes is lost.
func TestLandingMeetsAChange(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	first := func(m *media.Media) media.Landing { return landing(m) }
	other := func(m *media.Media) media.Landing {
		return landing(m, func(l *media.Landing) { l.Sequencer, l.ETag = seq("02"), "e2" })
	}
	wrong := func(m *media.Media) media.Landing {
		return landing(m, func(l *media.Landing) { l.SizeBytes = 7 })
	}
	for _, test := range []struct {
		name   string
		from   media.State
		change string
		lands  func(*media.Media) media.Landing
		want   media.Verdict
		state  media.State
	}{
		{"a HEAD told it first", media.StatePending, becomesUploaded, first, media.VerdictDuplicate, media.StateUploaded},
		{"another PUT came first", media.StatePending, becomesUploaded, other, media.VerdictReplaced, media.StateUploaded},
		{"of another size", media.StatePending, becomesUploaded, wrong, media.VerdictRejected, media.StateDeleting},
		{"confirmed first", media.StatePending, becomesConfirmed, first, media.VerdictDuplicate, media.StateConfirmed},
		{"confirmed first, overwritten", media.StatePending, becomesConfirmed, other, media.VerdictConflict, media.StateConfirmed},
		{"uploaded, then confirmed", media.StateUploaded, becomesConfirmed, other, media.VerdictConflict, media.StateConfirmed},
		{"uploaded, then confirmed, same contents", media.StateUploaded, becomesConfirmed, func(m *media.Media) media.Landing {
			return landing(m, func(l *media.Landing) { l.Sequencer = seq("02") })
		}, media.VerdictDuplicate, media.StateConfirmed},
		{"cancelled first", media.StatePending, becomesCancelled, first, media.VerdictDeleting, media.StateDeleting},
		{"uploaded, then cancelled", media.StateUploaded, becomesCancelled, other, media.VerdictDeleting, media.StateDeleting},
		{"deleted first", media.StateDeleting, becomesDeleted, first, media.VerdictLate, media.StateDeleting},
		{"pending, then deleted", media.StatePending, becomesDeleted, other, media.VerdictLate, media.StateDeleting},
		{"deleted, then on its way out again", media.StateDeleted, becomesCancelled, other, media.VerdictDeleting, media.StateDeleting},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := f.bring(t, test.from)
			var got []media.Landed
			err := f.meet(t, m, test.change, func() (err error) {
				got, err = f.Land(t.Context(), media.SourceSweep, []media.Landing{test.lands(m)})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			after := f.get(t, m.ID)
			if got[0].Verdict != test.want || after.State != test.state {
				t.Errorf("verdict %s, it is %s; want %s, %s", got[0].Verdict, after.State, test.want, test.state)
			}
			if test.state == media.StateConfirmed && after.Claim != "post/9" {
				t.Errorf("claim %q", after.Claim)
			}
		})
	}
}

// TestNotificationMeetsAHeldRow: what a notification tells of a row that a transaction holds is held and not recorded, all else
// in its batch is; and when the transaction has ended it is judged by what the row became (R4).
func TestNotificationMeetsAHeldRow(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	for _, state := range media.States {
		t.Run(string(state), func(t *testing.T) {
			held, pending, uploaded := f.bring(t, state), f.create(t), f.bring(t, media.StateUploaded)
			stray := draft()
			later := func(l *media.Landing) { l.Sequencer, l.ETag = seq("02"), "e2" }
			batch := []media.Landing{landing(held, later), landing(pending), landing(uploaded, later), landing(stray)}
			land := func() map[uuid.UUID]media.Verdict {
				t.Helper()
				landed, err := f.Land(t.Context(), media.SourceNotification, batch)
				if err != nil || len(landed) != len(batch) {
					t.Fatal(landed, err)
				}
				verdicts := map[uuid.UUID]media.Verdict{}
				for _, l := range landed {
					verdicts[l.MediaID] = l.Verdict
				}
				return verdicts
			}
			want := func(got map[uuid.UUID]media.Verdict, one, two, three, four media.Verdict) {
				t.Helper()
				if want := map[uuid.UUID]media.Verdict{held.ID: one, pending.ID: two, uploaded.ID: three, stray.ID: four}; !maps.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
			}
			conn := f.connect(t, f.url)
			do(t, conn, "BEGIN")
			if _, err := conn.Exec(t.Context(), "SELECT FROM coatcheck.media WHERE id = $1 FOR UPDATE", held.ID); err != nil {
				t.Fatal(err)
			}
			before := text(f.get(t, held.ID))
			want(land(), media.VerdictHeld, media.VerdictLanded, media.VerdictReplaced, media.VerdictUnknown)
			want(land(), media.VerdictHeld, media.VerdictDuplicate, media.VerdictDuplicate, media.VerdictUnknown)
			if after := text(f.get(t, held.ID)); after != before {
				t.Errorf("it was %s and is %s", before, after)
			}
			do(t, conn, "ROLLBACK")
			then := map[media.State]media.Verdict{media.StatePending: media.VerdictLanded, media.StateUploaded: media.VerdictReplaced,
				media.StateConfirmed: media.VerdictConflict, media.StateDeleting: media.VerdictDeleting, media.StateDeleted: media.VerdictLate}
			want(land(), then[state], media.VerdictDuplicate, media.VerdictDuplicate, media.VerdictUnknown)
		})
	}
}

// TestSweepMeetsAChange: what a sweep decided about one revision of a row is not done to the next (R1).
func TestSweepMeetsAChange(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	ctx := t.Context()
	for _, test := range []struct {
		name   string
		from   media.State
		change string
		ours   func([]*media.Media) (int, error)
		state  media.State
	}{
		{"never uploaded, but landed", media.StatePending, becomesUploaded, func(ms []*media.Media) (int, error) { return f.expireUploads(ctx, ms) }, media.StateUploaded},
		{"never uploaded, but confirmed", media.StatePending, becomesConfirmed, func(ms []*media.Media) (int, error) { return f.expireUploads(ctx, ms) }, media.StateConfirmed},
		{"never uploaded, but its URL was renewed", media.StatePending, "due_at = now() + interval '1 h'", func(ms []*media.Media) (int, error) { return f.expireUploads(ctx, ms) }, media.StatePending},
		{"gone, but landed once more", media.StateDeleting, "due_at = now()", func(ms []*media.Media) (int, error) { return f.finishDeleting(ctx, ms) }, media.StateDeleting},
		{"gone, but another sweep was first", media.StateDeleting, becomesDeleted, func(ms []*media.Media) (int, error) { return f.finishDeleting(ctx, ms) }, media.StateDeleted},
		{"failed, but another sweep was first", media.StateDeleting, becomesDeleted, func(ms []*media.Media) (int, error) { return 0, f.RetryDeleting(ctx, ms) }, media.StateDeleted},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := f.bring(t, test.from)
			var n int
			err := f.meet(t, m, test.change, func() (err error) {
				n, err = test.ours([]*media.Media{m})
				return err
			})
			if err != nil || n != 0 {
				t.Errorf("%d rows, %v", n, err)
			}
			after := f.get(t, m.ID)
			if after.State != test.state || after.Revision != m.Revision+1 {
				t.Errorf("it is %s", text(after))
			}
		})
	}
}

// TestExpiryMeetsAConfirmation: the sweep does not wait for a row that is being confirmed, and leaves it (R1).
func TestExpiryMeetsAConfirmation(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	m := f.bring(t, media.StateUploaded)
	f.Advance(2 * windows.Claim)
	err := f.meet(t, m, becomesConfirmed, func() error {
		if n, err := f.expireClaims(t.Context(), 10); err != nil || n != 0 {
			t.Errorf("%d rows expired, %v", n, err)
		}
		// Something of ours has to wait: the confirmation of the same claim, which finds it done.
		_, err := f.Confirm(t.Context(), alice, claims("post/9", m))
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if n, err := f.expireClaims(t.Context(), 10); err != nil || n != 0 {
		t.Errorf("%d rows expired, %v", n, err)
	}
	if got := f.get(t, m.ID); got.State != media.StateConfirmed {
		t.Errorf("it is %s", got.State)
	}
}

// TestDecisionMeetsAChange: a confirmation and a cancellation that waited for a row are judged by what the row became
// (R1).
func TestDecisionMeetsAChange(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	confirm := func(m *media.Media) error {
		_, err := f.Confirm(t.Context(), alice, claims("post/1", m))
		if batch, ok := errors.AsType[*media.BatchError](err); ok {
			return batch.Items[0]
		}
		return err
	}
	cancel := func(m *media.Media) error {
		_, err := f.Discard(t.Context(), alice, m.ID, media.EventCancel, "")
		return err
	}
	for _, test := range []struct {
		name   string
		from   media.State
		change string
		ours   func(*media.Media) error
		code   media.Code
		state  media.State
	}{
		{"confirm, landed first", media.StatePending, becomesUploaded, confirm, "", media.StateConfirmed},
		{"confirm, another claim first", media.StateUploaded, becomesConfirmed, confirm, media.CodeClaimConflict, media.StateConfirmed},
		{"confirm, cancelled first", media.StateUploaded, becomesCancelled, confirm, media.CodeGone, media.StateDeleting},
		{"confirm, deleted first", media.StateUploaded, becomesDeleted, confirm, media.CodeGone, media.StateDeleted},
		{"cancel, confirmed first", media.StateUploaded, becomesConfirmed, cancel, media.CodeConfirmed, media.StateConfirmed},
		{"cancel, deleted first", media.StatePending, becomesDeleted, cancel, "", media.StateDeleted},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := f.bring(t, test.from)
			err := f.meet(t, m, test.change, func() error { return test.ours(m) })
			var code media.Code
			if refused, ok := errors.AsType[*media.Error](err); ok {
				code = refused.Code
			} else if err != nil {
				t.Fatal(err)
			}
			after := f.get(t, m.ID)
			if code != test.code || after.State != test.state {
				t.Errorf("refused with %q, it is %s; want %q, %s", code, after.State, test.code, test.state)
			}
		})
	}
}

// TestConfirmAllMeetsAChange: the statement for batches takes what is UPLOADED once it has the row's lock, and tells what it
// has taken (R1).
func TestConfirmAllMeetsAChange(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	db, err := pgx.Connect(t.Context(), f.url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(t.Context()))
	for change, state := range map[string]media.State{
		becomesConfirmed: media.StateConfirmed, becomesCancelled: media.StateDeleting, becomesDeleted: media.StateDeleted,
		"file_name = 'other'": media.StateConfirmed,
	} {
		changes, stays := f.bring(t, media.StateUploaded), f.bring(t, media.StateUploaded)
		sql, args := postgres.ConfirmAllStatement(alice, claims("post/1", changes, stays), f.Now())
		var taken []uuid.UUID
		err := f.meet(t, changes, change, func() error {
			rows, err := db.Query(t.Context(), sql, args...)
			if err != nil {
				return err
			}
			taken, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (uuid.UUID, error) {
				values, err := row.Values()
				if err != nil {
					return uuid.UUID{}, err
				}
				return []uuid.UUID{changes.ID, stays.ID}[values[0].(int64)-1], nil
			})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []uuid.UUID{stays.ID}
		if change == "file_name = 'other'" {
			want = []uuid.UUID{changes.ID, stays.ID}
		}
		slices.SortFunc(taken, func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) })
		if after := f.get(t, changes.ID); !slices.Equal(taken, want) || after.State != state || (after.Claim == "post/1") != (len(want) == 2) {
			t.Errorf("%s: it took %v of %v and %v; it is %s", change, taken, changes.ID, stays.ID, text(after))
		}
	}
}

// TestConfirmMeetsALanding: of a batch one of which lands while its row is waited for, all are confirmed by one
// transaction, and each is counted once.
func TestConfirmMeetsALanding(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	there, lands := f.create(t), f.create(t)
	f.land(t, there, media.SourceNotification)
	err := f.meet(t, lands, becomesUploaded, func() error {
		_, err := f.Confirm(t.Context(), alice, []media.Claim{{MediaID: there.ID, Claim: "post/1"}, {MediaID: lands.ID, Claim: "post/1"}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	a, b := f.get(t, there.ID), f.get(t, lands.ID)
	if a.State != media.StateConfirmed || b.State != media.StateConfirmed || !a.ConfirmedAt.Equal(b.ConfirmedAt) {
		t.Errorf("they are %s since %v and %s since %v", a.State, a.ConfirmedAt, b.State, b.ConfirmedAt)
	}
	want := `
		# HELP coatcheck_media_entered_total Media that entered a state, with the reason for which they are deleted.
		# TYPE coatcheck_media_entered_total counter
		coatcheck_media_entered_total{reason="",state="confirmed"} 2
		coatcheck_media_entered_total{reason="",state="pending"} 2
		coatcheck_media_entered_total{reason="",state="uploaded"} 1
	`
	if err := testutil.GatherAndCompare(f.reg, strings.NewReader(want), "coatcheck_media_entered_total"); err != nil {
		t.Error(err)
	}
}
