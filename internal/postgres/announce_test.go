package postgres_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
)

// ear hears announcements.
type ear struct {
	mu    sync.Mutex
	heard map[uuid.UUID]int
	news  chan struct{}
}

// listen returns when whatever is committed from then on is heard, until the test ends.
func (f *fixture) listen(t *testing.T) *ear {
	t.Helper()
	e := &ear{heard: map[uuid.UUID]int{}, news: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- f.Listen(ctx, func() { close(ready) }, func(ids []uuid.UUID) {
			e.mu.Lock()
			for _, id := range ids {
				e.heard[id]++
			}
			e.mu.Unlock()
			select {
			case e.news <- struct{}{}:
			default:
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	select {
	case <-ready:
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	return e
}

func (e *ear) times(id uuid.UUID) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard[id]
}

// wait waits until a media was heard of so many times.
func (e *ear) wait(t *testing.T, id uuid.UUID, times int) {
	t.Helper()
	for e.times(id) < times {
		select {
		case <-e.news:
		case <-time.After(30 * time.Second):
			t.Fatalf("heard of it %d times within 30 s, want %d", e.times(id), times)
		}
	}
}

// TestEveryTransitionIsAnnounced, once each, whatever makes it.
func TestEveryTransitionIsAnnounced(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	e := f.listen(t)
	steps := map[media.State]int{ // that bring a media there
		media.StateUploaded: 1, media.StateConfirmed: 2, media.StateDeleting: 1, media.StateDeleted: 2,
	}
	for _, transition := range media.Transitions {
		t.Run(string(transition.From)+"/"+string(transition.Event), func(t *testing.T) {
			m := f.bring(t, transition.From)
			e.wait(t, m.ID, steps[transition.From])
			if err := f.apply(t, m, transition.Event); err != nil {
				t.Fatal(err)
			}
			e.wait(t, m.ID, steps[transition.From]+1)
			if n := e.times(m.ID); n != steps[transition.From]+1 {
				t.Errorf("announced %d times, want %d", n, steps[transition.From]+1)
			}
		})
	}
	for _, source := range media.Sources {
		m := f.create(t)
		f.land(t, m, source)
		e.wait(t, m.ID, 1)
	}
	t.Run("confirm what a transaction has to judge", func(t *testing.T) {
		held, m := f.bring(t, media.StateConfirmed), f.bring(t, media.StateUploaded)
		e.wait(t, m.ID, 1)
		if _, err := f.Confirm(t.Context(), alice, claims("post/1", held, m)); err != nil {
			t.Fatal(err)
		}
		e.wait(t, m.ID, 2)
	})
	t.Run("many at once", func(t *testing.T) {
		var (
			ms       []*media.Media
			landings []media.Landing
		)
		for range 1000 {
			m := draft()
			ms, landings = append(ms, m), append(landings, landing(m))
		}
		if _, err := f.Create(t.Context(), ms); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Land(t.Context(), media.SourceNotification, landings); err != nil {
			t.Fatal(err)
		}
		for _, m := range ms {
			e.wait(t, m.ID, 1)
		}
	})
}

// TestNobodyIsTold when nobody listens: no transaction takes the lock that notifying does.
func TestNobodyIsTold(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	conn := f.connect(t, f.url)
	do(t, conn, "LISTEN coatcheck_media") // without saying so
	do(t, conn, "SELECT coatcheck.grant_claims(current_user::name, 'acme')")
	m, claimed := f.bring(t, media.StateUploaded), f.bring(t, media.StateUploaded)
	f.land(t, f.create(t), media.SourceNotification)
	if _, err := claimMedia(t, conn, "post/1", claimed.ID); err != nil {
		t.Fatal(err)
	}
	f.Announced(t.Context())
	if _, err := f.Confirm(t.Context(), alice, claims("post/1", m)); err != nil {
		t.Fatal(err)
	}
	f.Announced(t.Context())
	do(t, conn, "NOTIFY coatcheck_media, 'last'")
	n, err := conn.WaitForNotification(t.Context())
	if err != nil || n.Payload != "last" {
		t.Errorf("heard %+v, %v", n, err)
	}
}

// TestClaimMediaIsAnnounced when the product's transaction commits, and not before, and never when it does not.
func TestClaimMediaIsAnnounced(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	conn := f.connect(t, f.url)
	do(t, conn, "SELECT coatcheck.grant_claims(current_user::name, 'acme')")
	m := f.bring(t, media.StateUploaded)
	f.Announced(t.Context())
	e := f.listen(t)
	// heard is how often the media was heard of, when all that was told until now has been heard.
	heard := func() int {
		last := f.create(t)
		f.land(t, last, media.SourceNotification)
		e.wait(t, last.ID, 1)
		return e.times(m.ID)
	}
	for i, change := range []func(querier) (int, error){
		func(q querier) (int, error) { return claimMedia(t, q, "post/1", m.ID) },
		func(q querier) (int, error) { return releaseMedia(t, q, "post/1", m.ID) },
	} {
		for _, commit := range []bool{false, true} {
			tx, err := conn.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if n, err := change(tx); err != nil || n != 1 {
				t.Fatalf("changed %d, %v", n, err)
			}
			if n := heard(); n != i {
				t.Errorf("change %d: heard of it %d times before its end", i, n-i)
			}
			if !commit {
				if err := tx.Rollback(t.Context()); err != nil {
					t.Fatal(err)
				}
				if n := heard(); n != i {
					t.Errorf("change %d: heard of it %d times after a rollback", i, n-i)
				}
				continue
			}
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			e.wait(t, m.ID, i+1)
		}
	}
}

// TestClaimMediaCanBePrepared: a transaction that has notified cannot be, so where there may be such a claim does not.
func TestClaimMediaCanBePrepared(t *testing.T) {
	t.Parallel()
	server, url := pgtest.Private(t)
	admin, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	do(t, admin, "ALTER SYSTEM SET max_prepared_transactions = 5")
	admin.Close(t.Context())
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := storeAt(t, url)
	conn := f.connect(t, url)
	do(t, conn, "SELECT coatcheck.grant_claims(current_user::name, 'acme')")
	m := f.bring(t, media.StateUploaded)
	f.listen(t)
	do(t, conn, "BEGIN")
	if n, err := claimMedia(t, conn, "post/1", m.ID); err != nil || n != 1 {
		t.Fatalf("changed %d, %v", n, err)
	}
	do(t, conn, "PREPARE TRANSACTION 'a post'")
	do(t, conn, "COMMIT PREPARED 'a post'")
	if got := f.get(t, m.ID); got.State != media.StateConfirmed {
		t.Errorf("it is %s", got.State)
	}
}
