package postgres_test

import (
	"errors"
	"testing"

	"github.com/coatcheck/coatcheck/internal/media"
)

// bring makes a media and moves it to the state.
func (f *fixture) bring(t *testing.T, state media.State) *media.Media {
	t.Helper()
	m := f.create(t)
	steps := map[media.State][]media.Event{
		media.StatePending:   {},
		media.StateUploaded:  {media.EventLand},
		media.StateConfirmed: {media.EventLand, media.EventConfirm},
		media.StateDeleting:  {media.EventCancel},
		media.StateDeleted:   {media.EventCancel, media.EventGone},
	}
	for _, e := range steps[state] {
		if err := f.apply(t, m, e); err != nil {
			t.Fatalf("bringing it to %s: %s: %v", state, e, err)
		}
	}
	got := f.get(t, m.ID)
	if got.State != state {
		t.Fatalf("brought it to %s, want %s", got.State, state)
	}
	return got
}

// apply makes the event happen to the media by whatever the store offers for it. Every time that could be due is.
func (f *fixture) apply(t *testing.T, m *media.Media, e media.Event) error {
	ctx := t.Context()
	var err error
	switch e {
	case media.EventLand:
		_, err = f.Land(ctx, media.SourceNotification, []media.Landing{landing(m)})
	case media.EventLandLate:
		_, err = f.Land(ctx, media.SourceNotification, []media.Landing{landing(m, func(l *media.Landing) { l.Sequencer = seq("ff") })})
	case media.EventReject:
		_, err = f.Land(ctx, media.SourceNotification, []media.Landing{landing(m, func(l *media.Landing) { l.SizeBytes = 7 })})
	case media.EventConfirm:
		_, err = f.Confirm(ctx, alice, []media.Claim{{MediaID: m.ID, Claim: "post/1"}})
	case media.EventRelease, media.EventDelete, media.EventCancel:
		_, err = f.Discard(ctx, alice, m.ID, e, "post/1")
	case media.EventExpireUpload:
		_, err = f.expireUploads(ctx, []*media.Media{f.get(t, m.ID)})
	case media.EventExpireClaim:
		f.Advance(windows.Claim)
		_, err = f.expireClaims(ctx, 10)
	case media.EventGone:
		_, err = f.finishDeleting(ctx, []*media.Media{f.get(t, m.ID)})
	default:
		t.Fatalf("no way to make %s happen", e)
	}
	return err
}

// TestTransitions walks every state and every event: what the table has happens, and nothing else does.
func TestTransitions(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	for _, state := range media.States {
		for _, event := range media.Events {
			// The same message means one thing to a tombstone and another to the rest.
			isTombstone := state == media.StateDeleted
			if isTombstone && (event == media.EventLand || event == media.EventReject) ||
				!isTombstone && event == media.EventLandLate {
				continue
			}
			t.Run(string(state)+"/"+string(event), func(t *testing.T) {
				before := f.bring(t, state)
				err := f.apply(t, before, event)
				if err != nil && !refusal(err) {
					t.Fatal(err)
				}
				after := f.get(t, before.ID)
				want, moves := media.Next(state, event)
				if !moves || event == media.EventGone {
					want.Reason = before.Reason
				}
				if !moves {
					want.To = state
				}
				if after.State != want.To || after.Reason != want.Reason {
					t.Errorf("%s in %s: got %s %q, want %s %q (err %v)", event, state, after.State, after.Reason, want.To, want.Reason, err)
				}
			})
		}
	}
}

func refusal(err error) bool {
	_, single := errors.AsType[*media.Error](err)
	_, batch := errors.AsType[*media.BatchError](err)
	return single || batch
}
