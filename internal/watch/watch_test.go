package watch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/internal/watch"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var (
	alice = media.Scope{Tenant: "acme", Owner: "alice"}
	bob   = media.Scope{Tenant: "acme", Owner: "bob"}
)

// replica is a process of its own, as far as Postgres can tell.
type replica struct {
	*postgres.Store
	url string
	reg *prometheus.Registry
}

func newReplica(t testing.TB, url string) *replica {
	t.Helper()
	db, err := postgres.Open(url, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	windows := media.Windows{Upload: time.Hour, Claim: time.Hour, Tombstone: time.Hour}
	reg := prometheus.NewRegistry()
	return &replica{Store: postgres.NewStore(db, windows, time.Now, postgres.NewMetrics(reg)), url: url, reg: reg}
}

// hub runs a hub until the test ends, before which the database is not closed.
func (r *replica) hub(t testing.TB, store watch.Store) *watch.Hub {
	t.Helper()
	hub := watch.NewHub(store, time.Now, slog.New(slog.DiscardHandler), watch.NewMetrics(r.reg))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := hub.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return hub
}

func (r *replica) metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func (r *replica) create(t testing.TB, n int) []*media.Media {
	t.Helper()
	var all []*media.Media
	for len(all) < n {
		drafts := make([]*media.Media, min(500, n-len(all)))
		for i := range drafts {
			id := uuid.Must(uuid.NewV7())
			drafts[i] = &media.Media{
				ID: id, Tenant: alice.Tenant, Owner: alice.Owner, Key: "media/" + id.String(), ContentType: "image/jpeg", SizeBytes: 5,
				URLExpiresAt: time.Now().Add(time.Minute),
			}
		}
		created, err := r.Create(context.Background(), drafts)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, created...)
	}
	return all
}

func (r *replica) land(t testing.TB, ms ...*media.Media) {
	t.Helper()
	landings := make([]media.Landing, len(ms))
	for i, m := range ms {
		landings[i] = media.Landing{MediaID: m.ID, SizeBytes: m.SizeBytes, ETag: "e"}
	}
	if _, err := r.Land(context.Background(), media.SourceNotification, landings); err != nil {
		t.Fatal(err)
	}
}

func (r *replica) confirm(t testing.TB, m *media.Media) {
	t.Helper()
	if _, err := r.Confirm(context.Background(), alice, []media.Claim{{MediaID: m.ID, Claim: "post/1"}}); err != nil {
		t.Fatal(err)
	}
}

func begin(t testing.TB, hub *watch.Hub, ids ...uuid.UUID) *watch.Watch {
	t.Helper()
	w, err := hub.Watch(context.Background(), alice, ids)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// told waits until a media is told to be in a state, and fails when it is told to be in one that it had left.
func told(t testing.TB, w *watch.Watch, id uuid.UUID, want media.State) (over bool) {
	t.Helper()
	revisions := map[uuid.UUID]int64{}
	for {
		changed, over := w.Take()
		for _, m := range changed {
			if m.Revision <= revisions[m.ID] {
				t.Fatalf("went back from revision %d to %d", revisions[m.ID], m.Revision)
			}
			revisions[m.ID] = m.Revision
			if m.ID == id && m.State == want {
				return over
			}
		}
		select {
		case <-w.Changed():
		case <-time.After(30 * time.Second):
			t.Fatalf("not told within 30 s that it is %s", want)
		}
	}
}

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
