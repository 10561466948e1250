package sweep_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/objectstore"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var (
	windows = media.Windows{Upload: time.Hour, Claim: 2 * time.Hour, Tombstone: 24 * time.Hour}
	alice   = media.Scope{Tenant: "acme", Owner: "alice"}
	keys, _ = media.NewKeys("media/")
	content = []byte("not really a picture")
	bucket  = aws.String("bucket")
)

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

// world is a real Postgres and an emulated S3 with a bucket.
type world struct {
	*clock
	store   *postgres.Store
	emu     *awsemu.Server
	s3      *s3.Client
	objects *objectstore.Store
	reg     *prometheus.Registry
	metrics *sweep.Metrics
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db, err := postgres.Open(pgtest.New(t), 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	emu, err := awsemu.New(awsemu.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(emu)
	t.Cleanup(func() {
		server.Close()
		if err := emu.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, emu: emu, reg: prometheus.NewRegistry()}
	w.metrics = sweep.NewMetrics(w.reg)
	w.store = postgres.NewStore(db, windows, w.Now, postgres.NewMetrics(w.reg))
	cfg, err := awsclient.Load(t.Context(), awsclient.Config{
		Region: "us-east-1", Endpoint: server.URL, AccessKeyID: "test", SecretAccessKey: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} } // each fault is to be seen
	w.s3 = awsclient.S3(cfg)
	w.objects = objectstore.New(w.s3, *bucket, keys.Prefix(), time.Now)
	if _, err := w.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	return w
}

// parts is what a sweeper is made of, for tests to change.
type parts struct {
	store   sweep.Store
	objects sweep.Objects
	sweep.Config
}

func (w *world) sweeper(t *testing.T, change ...func(*parts)) *sweep.Sweeper {
	t.Helper()
	p := parts{store: w.store, objects: w.objects, Config: sweep.DefaultConfig()}
	for _, f := range change {
		f(&p)
	}
	s, err := sweep.New(p.store, p.objects, p.Config, w.Now, slog.New(slog.NewTextHandler(io.Discard, nil)), w.metrics)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pass makes one pass and holds its result against the one that is wanted.
func (w *world) pass(t *testing.T, want sweep.Result, change ...func(*parts)) {
	t.Helper()
	got, err := w.sweeper(t, change...).RunOnce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want.DeletedBytes == 0 {
		want.DeletedBytes = int64(want.Deleted * len(content))
	}
	if got != want {
		t.Fatalf("the pass did %+v, want %+v", got, want)
	}
}

// create makes n PENDING media.
func (w *world) create(t *testing.T, n int) []*media.Media {
	t.Helper()
	ms := make([]*media.Media, n)
	for i := range ms {
		id := uuid.Must(uuid.NewV7())
		ms[i] = &media.Media{
			ID: id, Tenant: alice.Tenant, Owner: alice.Owner, Key: keys.Key(id), ContentType: "image/jpeg",
			SizeBytes: int64(len(content)), URLExpiresAt: w.Now().Add(5 * time.Minute),
		}
	}
	ms, err := w.store.Create(t.Context(), ms)
	if err != nil {
		t.Fatal(err)
	}
	return ms
}

// put uploads the objects of media, several at a time. Nobody is told.
func (w *world) put(t *testing.T, ms ...*media.Media) {
	t.Helper()
	var wg sync.WaitGroup
	next := make(chan *media.Media)
	for range 8 {
		wg.Go(func() {
			for m := range next {
				if err := w.tryPut(t.Context(), m, content); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, m := range ms {
		next <- m
	}
	close(next)
	wg.Wait()
}

func (w *world) tryPut(ctx context.Context, m *media.Media, body []byte) error {
	_, err := w.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: bucket, Key: &m.Key, Body: bytes.NewReader(body), ContentType: &m.ContentType,
	})
	return err
}

// land tells of objects as notifications would.
func (w *world) land(t *testing.T, sequencer string, ms ...*media.Media) media.Verdict {
	t.Helper()
	s, err := media.ParseSequencer(sequencer)
	if err != nil {
		t.Fatal(err)
	}
	landings := make([]media.Landing, len(ms))
	for i, m := range ms {
		landings[i] = media.Landing{MediaID: m.ID, SizeBytes: m.SizeBytes, ETag: sequencer, Sequencer: s}
	}
	landed, err := w.store.Land(t.Context(), media.SourceNotification, landings)
	if err != nil {
		t.Fatal(err)
	}
	return landed[0].Verdict
}

func (w *world) confirm(t *testing.T, ms ...*media.Media) {
	t.Helper()
	claims := make([]media.Claim, len(ms))
	for i, m := range ms {
		claims[i] = media.Claim{MediaID: m.ID, Claim: "post/1"}
	}
	if _, err := w.store.Confirm(t.Context(), alice, claims); err != nil {
		t.Fatal(err)
	}
}

// discard makes a media DELETING, due at once.
func (w *world) discard(t *testing.T, ms ...*media.Media) {
	t.Helper()
	for _, m := range ms {
		if _, err := w.store.Discard(t.Context(), alice, m.ID, media.EventCancel, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) get(t *testing.T, m *media.Media) *media.Media {
	t.Helper()
	m, err := w.store.Get(t.Context(), alice, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// is holds a media's state and reason, and whether its object is there, against what is wanted.
func (w *world) is(t *testing.T, m *media.Media, state media.State, reason media.Reason, there bool) *media.Media {
	t.Helper()
	m = w.get(t, m)
	if m.State != state || m.Reason != reason {
		t.Errorf("it is %s %q, want %s %q", m.State, m.Reason, state, reason)
	}
	if got := w.there(t)[m.Key]; got != there {
		t.Errorf("%s: its object is there: %t, want %t", m.State, got, there)
	}
	return m
}

// there returns the keys that the bucket has.
func (w *world) there(t *testing.T) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	pages := s3.NewListObjectsV2Paginator(w.s3, &s3.ListObjectsV2Input{Bucket: bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			there[*o.Key] = true
		}
	}
	return there
}
