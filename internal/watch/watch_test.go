package watch_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/watch"
)

// TestAnotherReplica: what one process changes another tells, state by state, until nothing can change any more.
func TestAnotherReplica(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	here, there := newReplica(t, url), newReplica(t, url)
	m := there.create(t, 1)[0]
	w := begin(t, here.hub(t, here), m.ID)
	told(t, w, m.ID, media.StatePending)
	there.land(t, m)
	told(t, w, m.ID, media.StateUploaded)
	there.confirm(t, m)
	told(t, w, m.ID, media.StateConfirmed)
	if _, err := there.Discard(t.Context(), alice, m.ID, media.EventRelease, "post/1"); err != nil {
		t.Fatal(err)
	}
	if over := told(t, w, m.ID, media.StateDeleting); over {
		t.Error("it is over while it is DELETING")
	}
	leased, err := there.LeaseDeleting(t.Context(), 10, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := there.FinishDeleting(t.Context(), leased); err != nil {
		t.Fatal(err)
	}
	if over := told(t, w, m.ID, media.StateDeleted); !over {
		t.Error("it is not over when it is DELETED")
	}
}

// TestProductClaims in its own transaction.
func TestProductClaims(t *testing.T) {
	t.Parallel()
	r := newReplica(t, pgtest.New(t))
	hub := r.hub(t, r)
	first, m := r.create(t, 1)[0], r.create(t, 1)[0]
	w := begin(t, hub, first.ID, m.ID)
	r.land(t, first, m)
	told(t, w, m.ID, media.StateUploaded) // by which it listens
	conn := connect(t, r)
	if _, err := conn.Exec(t.Context(), "SELECT coatcheck.grant_claims(current_user::name, 'acme')"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT coatcheck.claim_media($1, 'post/1')", []uuid.UUID{m.ID}); err != nil {
		t.Fatal(err)
	}
	told(t, w, m.ID, media.StateConfirmed)
	if n := r.metric(t, "coatcheck_watch_found_total"); n != 0 {
		t.Errorf("%v changes were found by looking", n)
	}
}

func connect(t *testing.T, r *replica) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), r.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// TestNotTheirs: what is not the caller's, or not there, is refused before anything is told (R9).
func TestNotTheirs(t *testing.T) {
	t.Parallel()
	r := newReplica(t, pgtest.New(t))
	hub := r.hub(t, r)
	ms := r.create(t, 2)
	unknown := uuid.Must(uuid.NewV7())
	for _, test := range []struct {
		scope media.Scope
		ids   []uuid.UUID
		names uuid.UUID
	}{
		{bob, []uuid.UUID{ms[0].ID}, ms[0].ID},
		{media.Scope{Tenant: "globex", Owner: "alice"}, []uuid.UUID{ms[0].ID}, ms[0].ID},
		{alice, []uuid.UUID{ms[0].ID, unknown, ms[1].ID}, unknown},
	} {
		_, err := hub.Watch(t.Context(), test.scope, test.ids)
		refusal, ok := errors.AsType[*media.Error](err)
		if !ok || refusal.Code != media.CodeNotFound || refusal.MediaID != test.names {
			t.Errorf("%v: %v", test.scope, err)
		}
	}
	if n := r.metric(t, "coatcheck_watches"); n != 0 {
		t.Errorf("%v watches are left", n)
	}
}

// TestThousandsOfWatches are each told of what they watch, each change once, by far fewer statements than there are watches.
func TestThousandsOfWatches(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	here, there := newReplica(t, url), newReplica(t, url)
	hub := here.hub(t, here)
	const n = 5000
	ms := there.create(t, n)
	watches := make([]*watch.Watch, n)
	var beginning sync.WaitGroup
	for lane := range 8 {
		beginning.Go(func() {
			for i := lane; i < n; i += 8 {
				w, err := hub.Watch(context.Background(), alice, []uuid.UUID{ms[i].ID})
				if err != nil {
					t.Error(err)
					return
				}
				watches[i] = w
			}
		})
	}
	beginning.Wait()
	if t.Failed() {
		t.FailNow()
	}
	var following sync.WaitGroup
	for i, w := range watches {
		following.Go(func() {
			defer w.Close()
			var states []string
			for {
				changed, _ := w.Take()
				for _, m := range changed {
					states = append(states, string(m.State))
					if m.ID != ms[i].ID {
						t.Errorf("told of media %s, which it does not watch", m.ID)
					}
				}
				if len(states) > 0 && states[len(states)-1] == string(media.StateConfirmed) {
					break
				}
				select {
				case <-w.Changed():
				case <-time.After(60 * time.Second):
					t.Errorf("watch %d was told %v in 60 s", i, states)
					return
				}
			}
			if got := strings.Join(states, " "); got != "pending uploaded confirmed" && got != "pending confirmed" {
				t.Errorf("watch %d was told %s", i, got)
			}
		})
	}
	for i := 0; i < n; i += 500 {
		there.land(t, ms[i:i+500]...)
		claims := make([]media.Claim, 500)
		for j := range claims {
			claims[j] = media.Claim{MediaID: ms[i+j].ID, Claim: fmt.Sprint("post/", i+j)}
		}
		if _, err := there.Confirm(t.Context(), alice, claims); err != nil {
			t.Fatal(err)
		}
	}
	following.Wait()
	if reads := here.metric(t, "coatcheck_watch_reads_total"); reads > n/10 {
		t.Errorf("it took %v statements", reads)
	}
	if left := here.metric(t, "coatcheck_watched_media"); left != 0 {
		t.Errorf("%v media are still watched", left)
	}
}

// TestForgotten: a watch of what has been forgotten ends.
func TestForgotten(t *testing.T) {
	t.Parallel()
	r := newReplica(t, pgtest.New(t))
	m := r.create(t, 1)[0]
	w := begin(t, r.hub(t, r), m.ID)
	told(t, w, m.ID, media.StatePending)
	if _, err := connect(t, r).Exec(t.Context(), "DELETE FROM coatcheck.media"); err != nil {
		t.Fatal(err)
	}
	for {
		if _, over := w.Take(); over {
			return
		}
		select {
		case <-w.Changed():
		case <-time.After(30 * time.Second):
			t.Fatal("not over within 30 s")
		}
	}
}
