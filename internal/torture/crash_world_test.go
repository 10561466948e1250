package torture

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/objectstore"
	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/internal/queue"
	"github.com/coatcheck/coatcheck/internal/reconcile"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

const (
	crashBucket = "uploads"
	crashTenant = "acme"
	crashOwner  = "alice"
	// crashReceives is as often as the test and two processes may receive a message in a story.
	crashReceives = 10
	// crashLogged is how much of a process's log is shown when a test fails, in bytes.
	crashLogged = 8 << 10
)

var crashScope = media.Scope{Tenant: crashTenant}

// crashWorld is one story's servers, with proxies between them and the process. The test itself goes straight to them.
type crashWorld struct {
	t     testing.TB
	watch *crashWatch

	db         *bun.DB
	store      *postgres.Store
	objects    *objectstore.Store
	sweeper    *sweep.Sweeper
	reconciler *reconcile.Reconciler
	keys       media.Keys
	emulator   *awsemu.Server
	ahead      atomic.Int64 // how far the emulator's clock is ahead, in nanoseconds
	s3         *s3.Client
	sqs        *sqs.Client
	queueURL   string
	deadURL    string
	http       *proxyHTTP
	postgres   *proxyPostgres

	versioned bool
	receives  int                       // how often a message is given out before it is a dead letter
	lost      map[uuid.UUID]media.State // whose notification was lost, and the state that they are in until that is noticed
	claimed   map[uuid.UUID]string      // what was told to be confirmed, and its content
	strays    map[uuid.UUID]string      // objects without a row, and their content
	due       map[uuid.UUID]bool        // those of them that may be removed by now
	listed    map[uuid.UUID]bool        // objects that the list of an adoption names, so that they may have a row
	missing   map[uuid.UUID]bool        // confirmed media whose object somebody else has deleted
	newID     func() uuid.UUID
	children  []*crashChild
}

// newCrashWorld makes a world around a database, whose process is watched.
func newCrashWorld(t testing.TB, databaseURL string, watch *crashWatch, versioned bool) *crashWorld {
	t.Helper()
	w := newCrashServers(t, databaseURL, watch, versioned, crashReceives)
	w.watch = watch
	return w
}

// newCrashServers makes a world around a database, with proxies that do what somebody else says.
func newCrashServers(t testing.TB, databaseURL string, watch proxyWatch, versioned bool, receives int) *crashWorld {
	t.Helper()
	w := &crashWorld{
		t: t, versioned: versioned, receives: receives, lost: map[uuid.UUID]media.State{}, claimed: map[uuid.UUID]string{},
		strays: map[uuid.UUID]string{}, due: map[uuid.UUID]bool{}, listed: map[uuid.UUID]bool{}, missing: map[uuid.UUID]bool{},
		newID: func() uuid.UUID { return uuid.Must(uuid.NewV7()) },
	}
	var err error
	if w.db, err = postgres.Open(crashOwn(databaseURL), 4); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close() })
	if w.keys, err = media.NewKeys("media/"); err != nil {
		t.Fatal(err)
	}
	w.emulator, err = awsemu.New(awsemu.Config{Now: func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.emulator)
	t.Cleanup(func() {
		w.emulator.Close()
		server.CloseClientConnections()
		server.Close()
	})
	w.http = newProxyHTTP(t, w.emulator, watch)
	w.postgres = newProxyPostgres(t, databaseURL, watch)
	cfg, err := awsclient.Load(t.Context(), awsclient.Config{
		Region: "us-east-1", Endpoint: server.URL, AccessKeyID: "test", SecretAccessKey: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	w.s3, w.sqs = awsclient.S3(cfg), awsclient.SQS(cfg)
	w.build()
	t.Cleanup(func() {
		for i, c := range w.children {
			if t.Failed() && c.logged() != "" {
				log := c.logged()
				t.Logf("process %d logged, at last:\n%s", i, log[max(0, len(log)-crashLogged):])
			}
		}
	})
	return w
}

// crashOwn is the database URL for the test itself, whose connections have a name by which they are told from a process's.
func crashOwn(databaseURL string) string {
	switch {
	case !strings.Contains(databaseURL, "://"):
		return databaseURL + " application_name=torture"
	case strings.Contains(databaseURL, "?"):
		return databaseURL + "&application_name=torture"
	}
	return databaseURL + "?application_name=torture"
}

// build makes bucket, queues and notification, and the parts with which the test prepares a story and ends it.
func (w *crashWorld) build() {
	w.t.Helper()
	ctx := w.t.Context()
	check := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	_, err := w.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(crashBucket)})
	check(err)
	if w.versioned {
		_, err = w.s3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: aws.String(crashBucket),
			VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
		check(err)
	}
	create := func(name string, attributes map[string]string) (url, arn string) {
		out, err := w.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attributes})
		check(err)
		got, err := w.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: out.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
		})
		check(err)
		return aws.ToString(out.QueueUrl), got.Attributes[string(sqstypes.QueueAttributeNameQueueArn)]
	}
	var arn string
	w.deadURL, arn = create("dead", nil)
	w.queueURL, arn = create("landings", map[string]string{
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"%d"}`, arn, w.receives),
	})
	_, err = w.s3.PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket: aws.String(crashBucket),
		NotificationConfiguration: &types.NotificationConfiguration{QueueConfigurations: []types.QueueConfiguration{{
			QueueArn: aws.String(arn), Events: []types.Event{types.EventS3ObjectCreated},
		}}},
	})
	check(err)
	_, err = w.sqs.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: aws.String(w.queueURL)}) // of the test event
	check(err)
	w.store = postgres.NewStore(w.db, media.Windows{Upload: time.Hour, Claim: time.Hour, Tombstone: time.Hour}, time.Now,
		postgres.NewMetrics(prometheus.NewRegistry()))
	w.objects = objectstore.New(w.s3, crashBucket, w.keys.Prefix(), time.Now)
	w.sweeper, err = sweep.New(w.store, w.objects, sweep.DefaultConfig(), time.Now,
		slog.New(slog.NewTextHandler(io.Discard, nil)), sweep.NewMetrics(prometheus.NewRegistry()))
	check(err)
	w.reconciler, err = reconcile.New(w.store, w.objects, w.keys, reconcile.DefaultConfig(), time.Now,
		slog.New(slog.NewTextHandler(io.Discard, nil)), reconcile.NewMetrics(prometheus.NewRegistry()))
	check(err)
}

// environment is what a process of this world is set to.
func (w *crashWorld) environment() map[string]string {
	path := w.queueURL[strings.Index(w.queueURL, "://")+3:]
	return map[string]string{
		"COATCHECK_DATABASE_URL": w.postgres.URL,
		"COATCHECK_BUCKET":       crashBucket,
		"COATCHECK_AWS_ENDPOINT": w.http.URL,
		"COATCHECK_QUEUE_URL":    w.http.URL + path[strings.Index(path, "/"):],
		"COATCHECK_LISTEN":       "127.0.0.1:0",
		"COATCHECK_POLLERS":      "1", "COATCHECK_WRITERS": "1", "COATCHECK_WAIT_TIME": "1s",
		"COATCHECK_VISIBILITY_TIMEOUT": "30s",
		"AWS_REGION":                   "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_EC2_METADATA_DISABLED": "true",
	}
}

// start starts a process, whose effects count when it is watched.
func (w *crashWorld) start(watched bool, args ...string) *crashChild {
	w.t.Helper()
	start := func() *crashChild {
		c := crashStart(w.t, w.environment(), args...)
		w.children = append(w.children, c)
		return c
	}
	if watched {
		return w.watch.follow(start)
	}
	return start()
}

// depths are how many messages the queues hold.
func (w *crashWorld) depths() queue.Depths {
	w.t.Helper()
	d, err := queue.New(w.sqs, w.queueURL, queue.DefaultRetry).Depths(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// drained reports whether the queue holds no message, visible or not.
func (w *crashWorld) drained() bool { return w.depths().Queue == queue.Depth{} }

// pass makes all windows, leases and back-offs of the rows end, and hidden messages visible, as if nine days had gone by.
func (w *crashWorld) pass() {
	w.t.Helper()
	_, err := w.db.ExecContext(w.t.Context(), "UPDATE coatcheck.media SET due_at = due_at - interval '9 days' WHERE due_at IS NOT NULL")
	if err != nil {
		w.t.Fatal(err)
	}
	w.unhide()
}

// unhide makes hidden messages visible.
func (w *crashWorld) unhide() { w.ahead.Add(int64(31 * time.Second)) }

// quiet waits until nothing that a killed process began is under way at any server.
func (w *crashWorld) quiet() {
	w.t.Helper()
	if !w.http.served.wait(10 * time.Second) {
		w.t.Fatal("a request of the killed process is still under way")
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		var n int
		// The test's own connections have another name.
		err := w.db.NewRaw(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
			AND backend_type = 'client backend' AND application_name = 'coatcheck'`).Scan(context.Background(), &n)
		if err != nil {
			w.t.Fatal(err)
		}
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%d connections of the killed process are still there", n)
		}
	}
}
