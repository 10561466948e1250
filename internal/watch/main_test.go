package watch_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
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
