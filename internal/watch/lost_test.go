package watch_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
)

// gated is a store whose listener can be kept from beginning, and which can be deaf.
type gated struct {
	*replica
	gate chan struct{} // one may begin for each thing in it
	deaf bool
}

func (g *gated) Listen(ctx context.Context, ready func(), changed func([]uuid.UUID)) error {
	select {
	case <-g.gate:
	case <-ctx.Done():
		return ctx.Err()
	}
	if g.deaf {
		changed = func([]uuid.UUID) {}
	}
	return g.replica.Listen(ctx, ready, changed)
}

// TestConnectionLost: what changes while the connection is lost is told when it is there again.
func TestConnectionLost(t *testing.T) {
	t.Parallel()
	r := newReplica(t, pgtest.New(t))
	g := &gated{replica: r, gate: make(chan struct{}, 1)}
	g.gate <- struct{}{}
	hub := r.hub(t, g)
	ms := r.create(t, 20)
	ids := make([]uuid.UUID, len(ms))
	for i, m := range ms {
		ids[i] = m.ID
	}
	w := begin(t, hub, ids...)
	r.land(t, ms...)
	for _, m := range ms {
		told(t, begin(t, hub, m.ID), m.ID, media.StateUploaded)
	}
	told(t, w, ms[0].ID, media.StateUploaded)
	conn := connect(t, r)
	for killed := 0; killed == 0; {
		err := conn.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND query LIKE '%coatcheck.watcher%' AND pid <> pg_backend_pid()`).Scan(&killed)
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range ms {
		r.confirm(t, m)
	}
	r.Announced(t.Context()) // to nobody
	g.gate <- struct{}{}
	confirmed := map[uuid.UUID]bool{}
	for len(confirmed) < len(ms) {
		changed, _ := w.Take()
		for _, m := range changed {
			if m.State == media.StateConfirmed {
				confirmed[m.ID] = true
			}
		}
		if len(confirmed) == len(ms) {
			break
		}
		select {
		case <-w.Changed():
		case <-time.After(30 * time.Second):
			t.Fatalf("only %d of %d were told", len(confirmed), len(ms))
		}
	}
	if n, found := r.metric(t, "coatcheck_watch_listens_total"), r.metric(t, "coatcheck_watch_found_total"); n != 2 && found == 0 {
		t.Errorf("it listened %v times, want 2", n)
	}
}

// TestLostAnnouncement is a delay, and no miss.
func TestLostAnnouncement(t *testing.T) {
	t.Parallel()
	r := newReplica(t, pgtest.New(t))
	g := &gated{replica: r, gate: make(chan struct{}, 1), deaf: true}
	g.gate <- struct{}{}
	m := r.create(t, 1)[0]
	w := begin(t, r.hub(t, g), m.ID)
	told(t, w, m.ID, media.StatePending)
	for r.metric(t, "coatcheck_watch_listens_total") == 0 {
		time.Sleep(time.Millisecond)
	}
	r.land(t, m)
	told(t, w, m.ID, media.StateUploaded)
}
