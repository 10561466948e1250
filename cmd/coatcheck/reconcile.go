package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

type reconcileCommand struct {
	DryRun        bool   `name:"dry-run" default:"true" negatable:"" help:"Record what is found, and change nothing else; --no-dry-run mends lost notifications, deletes what came late, and does to strays what --stray-policy says."`
	Concurrency   int    `default:"8" help:"Shards gone over at a time."`
	Output        string `default:"table" enum:"table,json,csv" help:"table, or a line for each finding as json or csv; the summary then goes to the standard error."`
	FromInventory string `name:"from-inventory" placeholder:"s3://…/manifest.json" help:"Read an S3 Inventory report (CSV or Parquet) instead of listing the bucket. S3 is asked (HEAD) before anything is done."`
	TempDir       string `name:"temp-dir" type:"path" help:"Folder for sorting an inventory; the system's when it is not given."`
	Abandon       bool   `help:"Give up the run that is under way, and do nothing else. What it has recorded stays."`

	Adopt       *string `placeholder:"PREFIX" help:"Bring a prefix of the bucket under management (empty: all of it): objects that --claim-from names become CONFIRMED media, all others strays."`
	ClaimFrom   string  `name:"claim-from" placeholder:"FILE" help:"What is in use below --adopt: a CSV file with a header and the columns key and claim, and if they differ tenant and owner (\"-\": standard input), or \"sql:\" and a query with such columns."`
	ClaimDB     string  `name:"claim-database-url" env:"COATCHECK_CLAIM_DATABASE_URL" placeholder:"URL" help:"Where the query of --claim-from is run; --database-url when it is not given."`
	AdoptTenant string  `name:"adopt-tenant" placeholder:"NAME" help:"Tenant of what is adopted, where the list has no column of it."`
	AdoptOwner  string  `name:"adopt-owner" placeholder:"NAME" help:"Owner of what is adopted, where the list has no column of it."`

	databaseSettings `embed:""`
	bucketSettings   `embed:""`
	windowSettings   `embed:""`
	straySettings    `embed:""`
	logSettings      `embed:""`
}

func (c *reconcileCommand) Run(ctx context.Context, s streams) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	aws, err := awsclient.Load(ctx, awsclient.Config{Region: c.AWSRegion, Endpoint: c.AWSEndpoint})
	if err != nil {
		return err
	}
	if c.LogLevel == slog.LevelInfo {
		c.LogLevel = slog.LevelWarn // the screen says the rest
	}
	p := &program{
		config: programConfig{
			Database: c.databaseSettings, Bucket: c.bucketSettings, Windows: c.windowSettings, Logger: c.logger(s),
		},
		registry: prometheus.NewRegistry(),
	}
	// Each shard has a connection for its rows and one to record by, now and then.
	p.config.Database.MaxConns = max(c.MaxConns, c.Concurrency+4)
	if err := p.open(ctx, aws); err != nil {
		return err
	}
	defer p.close()
	config := reconcile.DefaultConfig()
	config.Settings, config.Concurrency = c.settings(), c.Concurrency
	config.Settings.DryRun = c.DryRun
	if c.Adopt != nil {
		config.Settings.Adopt, config.Settings.AdoptPrefix = true, *c.Adopt
	}
	reconciler, err := p.reconciler(config)
	if err != nil {
		return err
	}
	if c.Abandon {
		return c.abandon(ctx, s, p, reconciler)
	}
	var source reconcile.Source // nil: the bucket's listing
	if c.FromInventory != "" {
		inventory, err := c.openInventory(ctx, s, aws)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, inventory.Close()) }()
		source = inventory
		config.Settings.Source, config.Settings.SourceAt = c.FromInventory, inventory.createdAt
	}
	if err := p.bind(ctx); err != nil {
		return err
	}
	run, err := c.begin(ctx, s, p, reconciler, config.Settings)
	if err != nil {
		return err
	}
	return c.work(ctx, s, p, reconciler, run, source)
}

func (c *reconcileCommand) check() error {
	switch {
	case c.Concurrency < 1:
		return fmt.Errorf("--concurrency is %d: must be at least 1", c.Concurrency)
	case c.Adopt == nil && (c.ClaimFrom != "" || c.AdoptTenant != "" || c.AdoptOwner != ""):
		return errors.New("--claim-from, --adopt-tenant and --adopt-owner go with --adopt")
	case c.Adopt != nil && c.ClaimFrom == "":
		return errors.New("--adopt needs --claim-from: without a list of what is in use, everything would become a stray")
	case c.Adopt != nil && c.FromInventory != "":
		return errors.New("--adopt and --from-inventory do not go together: an adoption lists the bucket")
	case c.Adopt != nil:
		return adoptedPrefix(*c.Adopt, c.straySettings)
	}
	return nil
}

func (c *reconcileCommand) abandon(ctx context.Context, s streams, p *program, r *reconcile.Reconciler) error {
	run, err := p.store.Active(ctx)
	if err != nil {
		return err
	}
	if run == nil {
		fmt.Fprintln(s.out, "nothing to do: no reconciliation is under way")
		return nil
	}
	if err := r.Abandon(ctx, run); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "gave up reconciliation %s, begun %s\n", run.ID, run.StartedAt.UTC().Format(time.RFC3339))
	return nil
}

// begin begins a run, or goes on with one that has the same settings.
func (c *reconcileCommand) begin(ctx context.Context, s streams, p *program, r *reconcile.Reconciler, settings reconcile.Settings) (*reconcile.Run, error) {
	run, err := p.store.Active(ctx)
	if err != nil {
		return nil, err
	}
	if run == nil {
		if c.Adopt != nil {
			if err := c.stage(ctx, s, p); err != nil {
				return nil, err
			}
		}
		run, err = r.Begin(ctx, settings)
		if !errors.Is(err, reconcile.ErrActive) {
			return run, err
		}
		if run, err = p.store.Active(ctx); err != nil || run == nil { // another process was first
			return nil, errors.Join(err, reconcile.ErrActive)
		}
	}
	if !sameSettings(run.Settings, settings) {
		return nil, fmt.Errorf("reconciliation %s is under way with other settings (source %s, dry run %t, policy %s; %d of %d shards): "+
			"wait for it, or give it up with --abandon", run.ID, run.Source, run.DryRun, run.Policy, run.ShardsDone, run.Shards)
	}
	fmt.Fprintf(s.err, "going on with reconciliation %s, begun %s: %d of %d shards are %s\n", run.ID,
		run.StartedAt.UTC().Format(time.RFC3339), run.ShardsDone, run.Shards, pastTense(run.Phase))
	return run, nil
}

func pastTense(p reconcile.Phase) string {
	if p == reconcile.PhaseRemoving {
		return "through with removing"
	}
	return "listed"
}

func sameSettings(a, b reconcile.Settings) bool {
	same := a.SourceAt.Equal(b.SourceAt)
	a.SourceAt, b.SourceAt = time.Time{}, time.Time{}
	return same && a == b
}

// work does the run's work, showing how far it is, and prints what came of it.
func (c *reconcileCommand) work(ctx context.Context, s streams, p *program, r *reconcile.Reconciler, run *reconcile.Run, source reconcile.Source) error {
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watchRun(watching, s, p.store, run.ID)
	}()
	done, err := r.Work(ctx, run.ID, source)
	stop()
	<-watched
	if ctx.Err() != nil {
		fmt.Fprintf(s.err, "stopped; what was found is recorded. Run it again with the same settings to go on with reconciliation %s, or give it up with --abandon\n", run.ID)
		return err
	}
	if err != nil {
		return fmt.Errorf("%w; run it again with the same settings to go on with reconciliation %s", err, run.ID)
	}
	if err := printRun(ctx, s, p.store, done, c.Output); err != nil {
		return err
	}
	switch done.Outcome {
	case reconcile.OutcomeTripped:
		return errors.New(done.Explanation)
	case reconcile.OutcomeAbandoned:
		return errors.New("somebody gave it up in the middle")
	}
	return nil
}
