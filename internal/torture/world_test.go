package torture

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/consumer"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/internal/reconcile"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

const (
	worldRegion = "us-east-1"
	worldKey    = "test"
	worldSecret = "test"
)

// worldConfig is what a test may want otherwise. Its zero value is a world whose clock stands still until it is moved.
type worldConfig struct {
	// Windows are an hour for uploads, two for claims and a day for tombstones, when they are zero.
	Windows media.Windows
	// RealTime lets the clock go, from the present. Processes that have clocks of their own need it.
	RealTime bool
	// Retries lets the SDK try again what fails; without them every fault is seen.
	Retries bool
	// DatabaseURL is that of a migrated database; a new one of the shared server when it is empty.
	DatabaseURL string
	// Logger is for all that is made in the world; nothing is logged when it is nil.
	Logger *slog.Logger
	// MaxConns of the pool; 16 when it is zero.
	MaxConns int
}

// world is a real Postgres, and S3 and SQS on one endpoint, with clients. Buckets and queues, and what works on them,
// are in its sites.
type world struct {
	*worldClock
	config     worldConfig
	url        string // of the database
	db         *bun.DB
	emu        *awsemu.Server
	endpoint   string // of S3 and SQS
	aws        aws.Config
	s3         *s3.Client
	sqs        *sqs.Client
	keys       media.Keys
	reg        *prometheus.Registry
	store      *postgres.Store
	sweeps     *sweep.Metrics
	landings   *consumer.Metrics
	reconciles *reconcile.Metrics

	sites int // made so far
}

// newWorld starts a world that ends with the test.
func newWorld(t testing.TB, config worldConfig) *world {
	t.Helper()
	if config.Windows == (media.Windows{}) {
		config.Windows = media.Windows{Upload: time.Hour, Claim: 2 * time.Hour, Tombstone: 24 * time.Hour}
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if config.DatabaseURL == "" {
		config.DatabaseURL = pgtest.New(t)
	}
	if config.MaxConns == 0 {
		config.MaxConns = 16
	}
	w := &world{worldClock: newWorldClock(config.RealTime), config: config, url: config.DatabaseURL, reg: prometheus.NewRegistry()}
	var err error
	if w.keys, err = media.NewKeys("media/"); err != nil {
		t.Fatal(err)
	}
	if w.db, err = postgres.Open(w.url, config.MaxConns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close() })
	w.sweeps, w.landings, w.reconciles = sweep.NewMetrics(w.reg), consumer.NewMetrics(w.reg), reconcile.NewMetrics(w.reg)
	w.store = postgres.NewStore(w.db, config.Windows, w.Now, postgres.NewMetrics(w.reg))
	if w.emu, err = awsemu.New(awsemu.Config{Now: w.Now, AccessKeyID: worldKey, SecretAccessKey: worldSecret, Region: worldRegion}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.emu)
	t.Cleanup(func() {
		server.CloseClientConnections() // slow uploads that nobody ended
		server.Close()
		if err := w.emu.Close(); err != nil {
			t.Error(err)
		}
	})
	w.endpoint = server.URL
	w.aws = worldAWS(t, w.endpoint, config.Retries)
	w.s3, w.sqs = w.clients(w.aws)
	return w
}

// worldAWS is the configuration of a client of an endpoint, which may as well be a proxy's.
func worldAWS(t testing.TB, endpoint string, retries bool) aws.Config {
	t.Helper()
	cfg, err := awsclient.Load(context.WithoutCancel(t.Context()), awsclient.Config{
		Region: worldRegion, Endpoint: endpoint, AccessKeyID: worldKey, SecretAccessKey: worldSecret,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !retries {
		cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	}
	return cfg
}

// clients are those of the product, but for the time that they sign with: the world's.
func (w *world) clients(cfg aws.Config) (*s3.Client, *sqs.Client) {
	signer := worldSigner{v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }), w.Now}
	objects := s3.New(awsclient.S3(cfg).Options(), func(o *s3.Options) { o.HTTPSignerV4, o.AuthSchemes = signer, nil })
	queues := sqs.New(awsclient.SQS(cfg).Options(), func(o *sqs.Options) { o.HTTPSignerV4, o.AuthSchemes = signer, nil })
	return objects, queues
}

// worldSigner signs with the world's time. S3 and SQS refuse what was signed at another.
type worldSigner struct {
	*v4.Signer
	now func() time.Time
}

func (s worldSigner) SignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, payloadHash, service, region string, _ time.Time, optFns ...func(*v4.SignerOptions)) error {
	return s.Signer.SignHTTP(ctx, c, r, payloadHash, service, region, s.now(), optFns...)
}

// worldClock stands still, or goes, and can be moved forward.
type worldClock struct {
	real bool

	mu     sync.Mutex
	now    time.Time     // of one that stands still
	offset time.Duration // of one that goes
}

func newWorldClock(realTime bool) *worldClock {
	return &worldClock{real: realTime, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func (c *worldClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real {
		return time.Now().Add(c.offset)
	}
	return c.now
}

func (c *worldClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.offset = c.now.Add(d), c.offset+d
}
