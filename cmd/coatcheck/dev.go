package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/alecthomas/kong"

	"github.com/coatcheck/coatcheck/internal/auth"
	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/pgserver"
	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/web"
)

type devCommand struct {
	Listen      string `env:"COATCHECK_LISTEN" default:"127.0.0.1:8080" help:"Address for the API; loopback only, since everybody is let in."`
	AWSListen   string `name:"aws-listen" default:"127.0.0.1:0" help:"Address for S3 and SQS; loopback only. Port 0 takes a free one."`
	Data        string `default:".coatcheck" type:"path" help:"Folder for everything that is kept between runs."`
	DatabaseURL string `name:"database-url" env:"COATCHECK_DATABASE_URL,DATABASE_URL" placeholder:"URL" help:"A Postgres to use instead of one of its own."`

	// Serve's windows are a day. Here one wants to see the sweep.
	UploadWindow    time.Duration `name:"upload-window" default:"1m" help:"As in serve, but short, so that one sees the sweep. Use 24h to build a product against dev."`
	ClaimWindow     time.Duration `name:"claim-window" default:"1m" help:"As in serve, but short, so that one sees the sweep. Use 24h to build a product against dev."`
	TombstoneWindow time.Duration `name:"tombstone-window" default:"168h" help:"As in serve."`
	SweepInterval   time.Duration `name:"sweep-interval" default:"1s" help:"As in serve."`
	URLTTL          time.Duration `name:"url-ttl" placeholder:"1m" help:"As in serve: 5m, or the upload window when that is shorter."`
	LogLevel        slog.Level    `name:"log-level" default:"info" help:"debug, info, warn or error."`
}

const (
	devBucket   = "coatcheck-dev"
	devQueue    = "coatcheck-dev-landings"
	devTenant   = "dev"
	devOwner    = "you"
	devKey      = "test"
	devSecret   = "test"
	devRegion   = "us-east-1"
	devDatabase = "postgres"
)

func (c *devCommand) Run(ctx context.Context, s streams) (err error) {
	logger := logSettings{LogLevel: c.LogLevel, LogFormat: "text"}.logger(s)
	if c.Listen, err = loopback("--listen", c.Listen); err != nil {
		return err
	}
	if c.SweepInterval <= 0 {
		return fmt.Errorf("--sweep-interval is %s: must be more than 0s", c.SweepInterval)
	}
	if c.AWSListen, err = loopback("--aws-listen", c.AWSListen); err != nil {
		return err
	}
	config, err := c.programConfig(logger)
	if err != nil {
		return err
	}
	if err := settle(config.Windows, &config.API); err != nil { // before anything is started
		return err
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("--data: %w", err)
	}

	fmt.Fprintln(s.err, "starting Postgres, S3 and SQS; data is kept in", c.Data)
	pg, err := pgserver.Start(ctx, pgserver.Config{
		Dir: filepath.Join(c.Data, "postgres"), DatabaseURL: c.DatabaseURL, Durable: true, Logger: logger,
		Progress: func(format string, args ...any) { fmt.Fprintf(s.err, format+"\n", args...) },
	})
	if err != nil {
		return fmt.Errorf("starting Postgres: %w", err)
	}
	// What is started here is stopped here, in the reverse order, whatever ctx says by then.
	defer func() { err = errors.Join(err, pg.Stop(context.WithoutCancel(ctx))) }()
	config.Database.DatabaseURL = c.DatabaseURL
	if c.DatabaseURL == "" {
		config.Database.DatabaseURL = pg.URL(devDatabase)
	}
	if err := postgres.MigrateUp(ctx, config.Database.DatabaseURL); err != nil {
		return err
	}

	emulator, endpoint, err := startEmulator(c.AWSListen, filepath.Join(c.Data, "aws"), logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, emulator.Close()) }()
	aws, err := awsclient.Load(ctx, awsclient.Config{
		Region: devRegion, Endpoint: endpoint, AccessKeyID: devKey, SecretAccessKey: devSecret,
	})
	if err != nil {
		return err
	}
	if config.Consumer.QueueURL, err = createDevResources(ctx, aws); err != nil {
		return fmt.Errorf("setting up bucket and queue: %w", err)
	}
	if config.Page, err = web.Try(endpoint); err != nil {
		return err
	}
	program, err := newProgram(ctx, config, aws)
	if err != nil {
		return err
	}
	c.print(s, config, program.listener.Addr().String(), endpoint)
	return program.Run(ctx)
}

// programConfig is that of serve, by default and by the environment, with what dev is told.
func (c *devCommand) programConfig(logger *slog.Logger) (programConfig, error) {
	var d serveCommand
	parser, err := kong.New(&d)
	if err == nil {
		_, err = parser.Parse([]string{"--bucket", devBucket, "--database-url", "set later"})
	}
	if err != nil {
		return programConfig{}, fmt.Errorf("reading the settings of serve: %w", err)
	}
	d.UploadWindow, d.ClaimWindow, d.TombstoneWindow = c.UploadWindow, c.ClaimWindow, c.TombstoneWindow
	d.SweepInterval, d.SweepCron = c.SweepInterval, ""
	d.URLTTL = c.URLTTL
	d.AllowedOrigins = []string{"http://localhost:*", "http://127.0.0.1:*"}
	d.WaitTime = time.Second // Ctrl-C waits for a poll to end
	return programConfig{
		Roles: roles, Listen: c.Listen,
		Authenticate: auth.Fixed(auth.Identity{Tenant: devTenant, Owner: devOwner, Operator: true}),
		Database:     d.databaseSettings, Bucket: d.bucketSettings, Windows: d.windowSettings, API: d.apiSettings,
		Consumer: d.consumerSettings, Sweep: d.sweepSettings, Reconcile: d.reconcilerSettings, Logger: logger,
	}, nil
}

// loopback refuses addresses that other machines can reach. No host means 127.0.0.1.
func loopback(flag, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("%s %q: must be an address such as 127.0.0.1:8080", flag, address)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", fmt.Errorf("%s %q: dev lets everybody in, so it listens on loopback only: use 127.0.0.1:%s", flag, address, port)
	}
	return net.JoinHostPort(host, port), nil
}

// emulator is S3 and SQS on a port of this machine.
type emulator struct {
	*awsemu.Server
	server *http.Server
	done   chan struct{}
}

func startEmulator(address, dir string, logger *slog.Logger) (*emulator, string, error) {
	aws, err := awsemu.New(awsemu.Config{
		Dir: dir, AccessKeyID: devKey, SecretAccessKey: devSecret, Region: devRegion, Logger: logger,
	})
	if err != nil {
		return nil, "", fmt.Errorf("starting S3 and SQS: %w", err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("--aws-listen %s: %w", address, err), aws.Close())
	}
	e := &emulator{Server: aws, server: &http.Server{Handler: aws, ReadHeaderTimeout: 10 * time.Second}, done: make(chan struct{})}
	go func() {
		defer close(e.done)
		if err := e.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("S3 and SQS ended", "error", err)
		}
	}()
	return e, "http://" + listener.Addr().String(), nil
}

// Close ends long polls and uploads that are under way, and writes what is to be kept.
func (e *emulator) Close() error {
	err := e.server.Close()
	<-e.done
	return errors.Join(err, e.Server.Close())
}
