package watch

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/media"
)

// shelf is a store of what the test puts there.
type shelf map[uuid.UUID]*media.Media

func (s shelf) GetAll(_ context.Context, _ media.Scope, ids []uuid.UUID) ([]*media.Media, error) {
	return s.Read(context.Background(), ids)
}

func (s shelf) Read(_ context.Context, ids []uuid.UUID) (ms []*media.Media, _ error) {
	for _, id := range ids {
		if m := s[id]; m != nil {
			ms = append(ms, m)
		}
	}
	return ms, nil
}

func (s shelf) Standings(context.Context, []uuid.UUID) (map[uuid.UUID]Standing, error) {
	return nil, errors.New("not asked for")
}

func (s shelf) Listen(ctx context.Context, _ func(), _ func([]uuid.UUID)) error {
	<-ctx.Done()
	return ctx.Err()
}

func newHub(s shelf) *Hub {
	return NewHub(s, time.Now, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
}

// TestNeverBack: what was read earlier and comes later is not told, and neither is a change that is no change of state.
func TestNeverBack(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	at := func(revision int64, state media.State, reason media.Reason) *media.Media {
		return &media.Media{ID: id, Revision: revision, State: state, Reason: reason}
	}
	hub := newHub(shelf{id: at(2, media.StateUploaded, "")})
	w, err := hub.Watch(t.Context(), media.Scope{}, []uuid.UUID{id, id})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		read []*media.Media
		told string // empty: nothing
		over bool
	}{
		{nil, "uploaded", false},
		{nil, "", false},
		{[]*media.Media{at(1, media.StatePending, "")}, "", false},
		{[]*media.Media{at(4, media.StateConfirmed, ""), at(3, media.StateUploaded, "")}, "confirmed", false},
		{[]*media.Media{at(5, media.StateConfirmed, "")}, "", false},
		{[]*media.Media{at(4, media.StateUploaded, "")}, "", false},
		{[]*media.Media{at(7, media.StateDeleting, media.ReasonReleased), at(8, media.StateDeleted, media.ReasonReleased)}, "deleted", true},
		{[]*media.Media{at(9, media.StateDeleting, media.ReasonLate)}, "deleting", false},
		{[]*media.Media{at(10, media.StateDeleted, media.ReasonLate)}, "deleted", true},
	} {
		for _, m := range step.read {
			hub.tell([]uuid.UUID{id}, []*media.Media{m})
		}
		changed, over := w.Take()
		got := ""
		for _, m := range changed {
			got += string(m.State)
		}
		if got != step.told || over != step.over {
			t.Errorf("after %v: told %q, over %t; want %q, %t", step.read, got, over, step.told, step.over)
		}
	}
	w.Close()
	if len(hub.media) != 0 || hub.watches != 0 {
		t.Errorf("%d media and %d watches are left", len(hub.media), hub.watches)
	}
}

// TestFull: a process serves so many watches, and another when one of them ends.
func TestFull(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	hub := newHub(shelf{id: {ID: id, Revision: 1, State: media.StatePending}})
	var last *Watch
	for range MaxWatches {
		w, err := hub.Watch(t.Context(), media.Scope{}, []uuid.UUID{id})
		if err != nil {
			t.Fatal(err)
		}
		last = w
	}
	if _, err := hub.Watch(t.Context(), media.Scope{}, []uuid.UUID{id}); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
	last.Close()
	if _, err := hub.Watch(t.Context(), media.Scope{}, []uuid.UUID{id}); err != nil {
		t.Errorf("when one has ended: %v", err)
	}
}
