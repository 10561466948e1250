package reconcile_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/objectstore"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/internal/reconcile"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var (
	windows = media.Windows{Upload: time.Hour, Claim: 2 * time.Hour, Tombstone: 24 * time.Hour}
	alice   = media.Scope{Tenant: "acme", Owner: "alice"}
	bucket  = aws.String("bucket")
)

const grace = 72 * time.Hour

// clock is a hand that the test moves: the store's, the reconciler's and S3's.
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

// signer signs with the clock's time.
type signer struct {
	*v4.Signer
	now func() time.Time
}

func (s signer) SignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, payloadHash, service, region string, _ time.Time, optFns ...func(*v4.SignerOptions)) error {
	return s.Signer.SignHTTP(ctx, c, r, payloadHash, service, region, s.now(), optFns...)
}

// world is a real Postgres and an emulated S3 with a bucket.
type world struct {
	*clock
	t       testing.TB
	keys    media.Keys
	db      *bun.DB
	store   *postgres.Store
	emu     *awsemu.Server
	s3      *s3.Client
	objects *objectstore.Store
	sweeper *sweep.Sweeper
	reg     *prometheus.Registry
	metrics *reconcile.Metrics
}

type worldOptions struct {
	prefix    string // of the managed keys; "media/" when it is empty and bare is not set
	bare      bool   // the whole bucket is managed
	versioned bool
}

func newWorld(t testing.TB, o worldOptions) *world {
	t.Helper()
	if o.prefix == "" && !o.bare {
		o.prefix = "media/"
	}
	w := &world{t: t, clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, reg: prometheus.NewRegistry()}
	var err error
	if w.keys, err = media.NewKeys(o.prefix); err != nil {
		t.Fatal(err)
	}
	if w.db, err = postgres.Open(pgtest.New(t), 16); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close() })
	if w.emu, err = awsemu.New(awsemu.Config{Now: w.Now}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.emu)
	t.Cleanup(func() {
		server.Close()
		if err := w.emu.Close(); err != nil {
			t.Error(err)
		}
	})
	w.store = postgres.NewStore(w.db, windows, w.Now, postgres.NewMetrics(w.reg))
	w.metrics = reconcile.NewMetrics(w.reg)
	cfg, err := awsclient.Load(context.WithoutCancel(t.Context()), awsclient.Config{
		Region: "us-east-1", Endpoint: server.URL, AccessKeyID: "test", SecretAccessKey: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} } // each fault is to be seen
	w.s3 = s3.New(awsclient.S3(cfg).Options(), func(o *s3.Options) {
		o.HTTPSignerV4 = signer{v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }), w.Now}
		o.AuthSchemes = nil
	})
	w.objects = objectstore.New(w.s3, *bucket, w.keys.Prefix(), w.Now)
	w.sweeper, err = sweep.New(w.store, w.objects, sweep.DefaultConfig(), w.Now, slog.New(slog.DiscardHandler), sweep.NewMetrics(w.reg))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	if o.versioned {
		w.version(types.BucketVersioningStatusEnabled)
	}
	return w
}

func (w *world) version(status types.BucketVersioningStatus) {
	w.t.Helper()
	_, err := w.s3.PutBucketVersioning(w.t.Context(), &s3.PutBucketVersioningInput{
		Bucket: bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: status},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// parts is what a reconciler is made of, for tests to change.
type parts struct {
	store   reconcile.Store
	objects reconcile.Objects
	reconcile.Config
}

func (w *world) reconciler(change ...func(*parts)) *reconcile.Reconciler {
	w.t.Helper()
	p := parts{store: w.store, objects: w.objects, Config: reconcile.DefaultConfig()}
	p.Settings.Grace = grace
	p.Settings.MaxStrayShare = 1
	for _, f := range change {
		f(&p)
	}
	logger := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	r, err := reconcile.New(p.store, p.objects, w.keys, p.Config, w.Now, logger, w.metrics)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// with changes the settings that a run is begun with.
func with(f func(*reconcile.Settings)) func(*parts) {
	return func(p *parts) { f(&p.Settings) }
}

func policy(p reconcile.Policy) func(*parts) {
	return with(func(s *reconcile.Settings) { s.Policy = p })
}

func dryRun(p *parts) { p.Settings.DryRun = true }

// reconcile makes one whole run.
func (w *world) reconcile(change ...func(*parts)) *reconcile.Run {
	w.t.Helper()
	run, err := w.try(change...)
	if err != nil {
		w.t.Fatal(err)
	}
	return run
}

func (w *world) try(change ...func(*parts)) (*reconcile.Run, error) {
	w.t.Helper()
	var settings reconcile.Settings
	r := w.reconciler(append(change, func(p *parts) { settings = p.Settings })...)
	run, err := r.Begin(w.t.Context(), settings)
	if err != nil {
		return nil, err
	}
	return r.Work(w.t.Context(), run.ID, nil)
}

// counted is what the run counted, without what tells of sizes and totals.
func counted(run *reconcile.Run) reconcile.Counts {
	c := maps.Clone(run.Counts)
	maps.DeleteFunc(c, func(name reconcile.Count, n int64) bool {
		return n == 0 || name.IsBytes() || name == reconcile.CountObjects || name == reconcile.CountRows ||
			name == reconcile.CountLandedSince || name == reconcile.CountLost
	})
	return c
}

// want holds a run's counts against those that are wanted.
func (w *world) want(run *reconcile.Run, want reconcile.Counts) {
	w.t.Helper()
	if got := counted(run); !maps.Equal(got, want) {
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		w.t.Errorf("the run counted\n%s, want\n%s", a, b)
	}
}
