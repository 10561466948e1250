package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"github.com/coatcheck/coatcheck/internal/auth"
	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/claim"
	"github.com/coatcheck/coatcheck/internal/consumer"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/objectstore"
	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/internal/queue"
	"github.com/coatcheck/coatcheck/internal/reconcile"
	"github.com/coatcheck/coatcheck/internal/rpc"
	"github.com/coatcheck/coatcheck/internal/sweep"
	"github.com/coatcheck/coatcheck/internal/watch"
	"github.com/coatcheck/coatcheck/web"
)

// programConfig is all that a process needs to be told.
type programConfig struct {
	Roles        []string
	Listen       string
	Authenticate auth.Authenticator // for the api role
	Database     databaseSettings
	Bucket       bucketSettings
	Windows      windowSettings
	API          apiSettings
	Consumer     consumerSettings
	Sweep        sweepSettings
	Reconcile    reconcilerSettings
	Page         http.Handler // served at / by the api role, when there is one
	Logger       *slog.Logger
}

// program is the service: one process with its roles. `serve`, `dev` and the tests run the same one.
type program struct {
	config   programConfig
	keys     media.Keys
	db       *bun.DB
	store    *postgres.Store
	objects  *objectstore.Store
	registry *prometheus.Registry
	// What tells of everything, for metrics and for the operator.
	backlog    *postgres.Backlog
	reconciled *postgres.Reconciled
	queue      *queue.Queue // nil: this process was told of none
	depths     *queueDepths // nil likewise
	ready      *readiness
	listener   net.Listener
	handler    http.Handler
	jobs       []func(context.Context) error // the loops of its roles
	stopping   chan struct{}                 // closed when streams are to end
}

// newProgram checks the settings, opens the database, and makes sure that it is the right one for the bucket. The
// caller ends it by Run.
func newProgram(ctx context.Context, c programConfig, cfg aws.Config) (_ *program, err error) {
	p := &program{config: c, registry: prometheus.NewRegistry(), stopping: make(chan struct{})}
	if err := settle(c.Windows, &p.config.API); err != nil {
		return nil, err
	}
	if err := p.open(ctx, cfg); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.db.Close()
		}
	}()
	if err := p.build(cfg); err != nil {
		return nil, err
	}
	if p.usesBucket() {
		if err := p.bind(ctx); err != nil {
			return nil, err
		}
	}
	if p.listener, err = net.Listen("tcp", c.Listen); err != nil {
		return nil, fmt.Errorf("--listen %s: %w", c.Listen, err)
	}
	return p, nil
}

// open makes the parts that every role and every command shares.
func (p *program) open(ctx context.Context, cfg aws.Config) error {
	var err error
	if p.keys, err = media.NewKeys(p.config.Bucket.KeyPrefix); err != nil {
		return fmt.Errorf("--key-prefix: %w", err)
	}
	if p.db, err = postgres.Open(p.config.Database.DatabaseURL, p.config.Database.MaxConns); err != nil {
		return err
	}
	p.store = postgres.NewStore(p.db, p.config.Windows.windows(), time.Now, postgres.NewMetrics(p.registry))
	p.objects = objectstore.New(awsclient.S3(cfg), p.config.Bucket.Bucket, p.keys.Prefix(), time.Now)
	if err := postgres.CheckSchema(ctx, p.db); err != nil {
		p.db.Close()
		return err
	}
	if _, err := p.store.CheckBucket(ctx, p.config.Bucket.Bucket, p.keys.Prefix()); err != nil {
		p.db.Close()
		return err
	}
	return nil
}

// bindTime is how long the bucket may take to answer the first time.
const bindTime = 20 * time.Second

// bind takes note of which bucket the database belongs to, the first time, and not before that bucket has answered: a
// typing error would bind it to nothing.
func (p *program) bind(ctx context.Context) error {
	bucket, prefix := p.config.Bucket.Bucket, p.keys.Prefix()
	if bound, err := p.store.CheckBucket(ctx, bucket, prefix); bound || err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, bindTime)
	defer cancel()
	if err := p.objects.Ping(asking); err != nil {
		return fmt.Errorf("this database is to be bound to bucket %q, which has to answer first: %w", bucket, err)
	}
	return p.store.BindBucket(ctx, bucket, prefix)
}

// usesBucket reports whether a role asks S3 for anything. The consumer does not, and need not be allowed to.
func (p *program) usesBucket() bool { return p.has("api") || p.has("sweeper") || p.has("reconciler") }

func (p *program) has(role string) bool { return slices.Contains(p.config.Roles, role) }

// build makes what the roles need.
func (p *program) build(cfg aws.Config) error {
	p.backlog, p.reconciled = postgres.NewBacklog(p.db, time.Now, p.config.Logger), postgres.NewReconciled(p.db, time.Now, p.config.Logger)
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), p.backlog, p.reconciled)
	if p.config.Consumer.QueueURL != "" {
		p.queue = queue.New(awsclient.SQS(cfg), p.config.Consumer.QueueURL, queue.DefaultRetry)
		p.depths = newQueueDepths(p.queue.Depths, p.config.Logger)
	}
	p.ready = &readiness{logger: p.config.Logger, checks: map[string]func(context.Context) error{"database": p.store.Ping}}
	if p.usesBucket() {
		p.ready.checks["bucket"] = p.objects.Ping
	}
	mux := http.NewServeMux()
	var reconciler *reconcile.Reconciler
	if p.has("api") || p.has("reconciler") { // the API begins runs, and the role works on them
		if err := settleStrays(p.config.Reconcile.straySettings, p.config.API); err != nil {
			return err
		}
		config, err := p.config.Reconcile.config()
		if err != nil {
			return err
		}
		if reconciler, err = p.reconciler(config); err != nil {
			return err
		}
	}
	var sweeper *sweep.Sweeper
	if p.has("api") || p.has("sweeper") { // an operator may ask for a pass
		var err error
		if sweeper, err = p.sweeper(); err != nil {
			return err
		}
	}
	if p.has("api") {
		window, err := web.Operator()
		if err != nil {
			return err
		}
		mux.Handle("GET "+web.OperatorPath, window)
		types, err := rpc.ParseContentTypes(p.config.API.ContentTypes)
		if err != nil {
			return fmt.Errorf("--content-types: %w", err)
		}
		hub := watch.NewHub(p.store, time.Now, p.config.Logger, watch.NewMetrics(p.registry))
		p.jobs = append(p.jobs, hub.Run)
		rpc.Register(mux, p.withAdmin(rpc.Config{
			Store: p.store, Objects: p.objects, Claimer: claim.New(p.store, p.objects), Watcher: hub, Stopping: p.stopping,
			Authenticate: p.config.Authenticate, Keys: p.keys,
			Limits: rpc.Limits{MaxSizeBytes: p.config.API.MaxSize, ContentTypes: types},
			URLTTL: p.config.API.URLTTL, DownloadTTL: p.config.API.DownloadTTL,
			AllowedOrigins: p.config.API.AllowedOrigins, Transient: postgres.Transient, Ready: p.ready.Check, Now: time.Now,
			Logger: p.config.Logger, Metrics: rpc.NewMetrics(p.registry),
		}, reconciler, sweeper))
		if p.config.Page != nil {
			mux.Handle("GET /{$}", p.config.Page)
			mux.Handle("GET /assets/", p.config.Page)
		}
	}
	if p.has("consumer") {
		if err := p.buildConsumer(); err != nil {
			return err
		}
	}
	if p.has("sweeper") {
		p.jobs = append(p.jobs, sweeper.Run)
	}
	if p.has("reconciler") {
		p.jobs = append(p.jobs, reconciler.Run)
	}
	p.handler = withOperations(mux, p.ready, p.registry)
	return nil
}

func (p *program) buildConsumer() error {
	c, err := consumer.New(p.config.Consumer.config(p.config.Bucket.Bucket, p.keys), consumer.Parts{
		Queue: p.queue, Lander: p.store, Log: p.config.Logger, Metrics: consumer.NewMetrics(p.registry),
		// Only what is wrong with a message itself may send it to the dead-letter queue. A schema that is not migrated,
		// or rights that were taken away, are waited out.
		Transient: func(err error) bool { return !postgres.Refused(err) },
	})
	if err != nil {
		return err
	}
	p.registry.MustRegister(p.depths)
	p.ready.checks["queue"] = p.depths.Check
	p.jobs = append(p.jobs, c.Run)
	return nil
}

// sweeper is the sweeper of the role, and of the command.
func (p *program) sweeper() (*sweep.Sweeper, error) {
	config := sweep.DefaultConfig()
	config.Ready = p.store.CheckClock
	var err error
	if config.Schedule, err = p.config.Sweep.schedule(); err != nil {
		return nil, err
	}
	var registry prometheus.Registerer = p.registry
	if !p.has("sweeper") { // what sweeps only when it is asked would look like one whose sweeps fail
		registry = prometheus.NewRegistry()
	}
	return sweep.New(p.store, p.objects, config, time.Now, p.config.Logger, sweep.NewMetrics(registry))
}

// reconciler is the reconciler of the role, and of the command.
func (p *program) reconciler(c reconcile.Config) (*reconcile.Reconciler, error) {
	c.Ready = p.store.CheckClock
	return reconcile.New(p.store, p.objects, p.keys, c, time.Now, p.config.Logger, reconcile.NewMetrics(p.registry))
}

// drainTime is how long calls that are under way may go on after the signal to stop.
const drainTime = 20 * time.Second

// close closes the database, when what was changed has been announced.
func (p *program) close() {
	ctx, cancel := context.WithTimeout(context.Background(), announceTime)
	defer cancel()
	p.store.Announced(ctx)
	p.db.Close()
}

// announceTime is how long a process that ends goes on telling others what it has changed.
const announceTime = time.Second

// Run serves until ctx ends, then stops taking calls, lets what is under way finish, and returns. A role that fails
// ends the others.
func (p *program) Run(ctx context.Context) error {
	defer p.close()
	logger := p.config.Logger
	server := &http.Server{
		Handler:           withBodyTime(bodyTime, p.handler),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		Protocols:         new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true) // gRPC without TLS, behind a proxy that ends it

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		logger.Info("stopping")
		p.ready.Stop()
		close(p.stopping)
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		if err := server.Shutdown(drain); err != nil {
			return fmt.Errorf("stopping: calls were still under way after %s: %w", drainTime, err)
		}
		return nil
	})
	for _, job := range p.jobs {
		group.Go(func() error { return job(ctx) })
	}
	logger.Info("serving", "roles", p.config.Roles, "address", p.listener.Addr().String(), "version", version())
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	logger.Info("stopped", "error", err)
	return err
}
