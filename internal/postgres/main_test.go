package postgres_test

import (
	"context"
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// clock is a hand that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var (
	windows = media.Windows{Upload: time.Hour, Claim: 2 * time.Hour, Tombstone: 24 * time.Hour}
	alice   = media.Scope{Tenant: "acme", Owner: "alice"}
	keys, _ = media.NewKeys("media/")
)

type fixture struct {
	*postgres.Store
	*clock
	url string
	reg *prometheus.Registry
}

func newStore(t *testing.T) *fixture {
	t.Helper()
	return storeAt(t, pgtest.New(t))
}

func storeAt(t *testing.T, url string) *fixture {
	t.Helper()
	db, err := postgres.Open(url, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	c := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	reg := prometheus.NewRegistry()
	return &fixture{Store: postgres.NewStore(db, windows, c.Now, postgres.NewMetrics(reg)), clock: c, url: url, reg: reg}
}

// draft is a media as CreateUpload would make it.
func draft(change ...func(*media.Media)) *media.Media {
	id := uuid.Must(uuid.NewV7())
	sum := sha256.Sum256(id[:])
	m := &media.Media{
		ID: id, Tenant: alice.Tenant, Owner: alice.Owner, Key: keys.Key(id), ContentType: "image/jpeg", SizeBytes: 100,
		ChecksumSHA256: sum[:], FileName: "a.jpg", URLExpiresAt: time.Date(2026, 3, 1, 12, 5, 0, 0, time.UTC),
	}
	for _, f := range change {
		f(m)
	}
	return m
}

func (f *fixture) create(t *testing.T, change ...func(*media.Media)) *media.Media {
	t.Helper()
	ms, err := f.Create(t.Context(), []*media.Media{draft(change...)})
	if err != nil {
		t.Fatal(err)
	}
	return ms[0]
}

func (f *fixture) get(t *testing.T, id uuid.UUID) *media.Media {
	t.Helper()
	m, err := f.Get(t.Context(), media.Scope{Tenant: alice.Tenant}, id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// land records one landing of m, changed as told, and returns its verdict.
func (f *fixture) land(t *testing.T, m *media.Media, source media.Source, change ...func(*media.Landing)) media.Verdict {
	t.Helper()
	l := landing(m, change...)
	got, err := f.Land(t.Context(), source, []media.Landing{l})
	if err != nil {
		t.Fatal(err)
	}
	return got[0].Verdict
}

func landing(m *media.Media, change ...func(*media.Landing)) media.Landing {
	l := media.Landing{MediaID: m.ID, SizeBytes: m.SizeBytes, ETag: "e1", Sequencer: seq("01")}
	for _, f := range change {
		f(&l)
	}
	return l
}

func seq(hex string) media.Sequencer {
	s, err := media.ParseSequencer(hex)
	if err != nil {
		panic(err)
	}
	return s
}

// finishDeleting returns how many it finished.
func (f *fixture) finishDeleting(ctx context.Context, ms []*media.Media) (int, error) {
	finished, err := f.FinishDeleting(ctx, ms)
	return len(finished), err
}
