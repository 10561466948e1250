package main

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/internal/consumer"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/rpc"
	"github.com/coatcheck/coatcheck/internal/schedule"
)

// The settings, one struct for each part. A flag's help is its documentation: it tells the trade-off.

type databaseSettings struct {
	DatabaseURL string `name:"database-url" env:"COATCHECK_DATABASE_URL,DATABASE_URL" required:"" group:"Database" placeholder:"URL" help:"Postgres, such as postgres://user:password@host:5432/name."`
	MaxConns    int    `name:"database-max-conns" env:"COATCHECK_DATABASE_MAX_CONNS" default:"16" group:"Database" help:"Most connections of this process. More serve more calls at a time; all processes together must stay below the server's limit."`
}

type bucketSettings struct {
	Bucket      string `env:"COATCHECK_BUCKET" required:"" group:"S3" help:"Bucket that uploads go to."`
	KeyPrefix   string `name:"key-prefix" env:"COATCHECK_KEY_PREFIX" default:"media/" group:"S3" help:"Prefix of every key that coatcheck manages; empty, or ending with \"/\". It cannot be changed later."`
	AWSRegion   string `name:"aws-region" env:"AWS_REGION,AWS_DEFAULT_REGION" group:"S3" help:"Region of bucket and queue."`
	AWSEndpoint string `name:"aws-endpoint" env:"COATCHECK_AWS_ENDPOINT" group:"S3" placeholder:"URL" help:"Base URL of S3 and SQS, when they are not AWS's. Presigned URLs point there too."`
}

type windowSettings struct {
	UploadWindow    time.Duration `name:"upload-window" env:"COATCHECK_UPLOAD_WINDOW" default:"24h" group:"Windows" help:"How long an upload may take to land before a sweep calls it never uploaded. Shorter pays for less; longer forgives slow and resumed uploads."`
	ClaimWindow     time.Duration `name:"claim-window" env:"COATCHECK_CLAIM_WINDOW" default:"24h" group:"Windows" help:"How long what has landed may wait for its confirmation before a sweep deletes it. It must outlast the product's slowest retry."`
	TombstoneWindow time.Duration `name:"tombstone-window" env:"COATCHECK_TOMBSTONE_WINDOW" default:"168h" group:"Windows" help:"How long a deleted media is remembered. A PUT that began in time may end that much later, and is deleted again."`
}

func (w windowSettings) windows() media.Windows {
	return media.Windows{Upload: w.UploadWindow, Claim: w.ClaimWindow, Tombstone: w.TombstoneWindow}
}

type apiSettings struct {
	URLTTL         time.Duration `name:"url-ttl" env:"COATCHECK_URL_TTL" group:"API" placeholder:"5m" help:"How long a presigned PUT may be begun, 1s to 168h: 5m, or the upload window when that is shorter. Whoever gets hold of a URL can use it that long."`
	DownloadTTL    time.Duration `name:"download-ttl" env:"COATCHECK_DOWNLOAD_TTL" default:"15m" group:"API" help:"How long a presigned GET works when its caller names no time, 1s to 168h."`
	MaxSize        int64         `name:"max-size" env:"COATCHECK_MAX_SIZE" default:"1073741824" group:"API" placeholder:"BYTES" help:"Largest upload in bytes (${default}); at most 5368709120, S3's limit for one PUT."`
	ContentTypes   []string      `name:"content-types" env:"COATCHECK_CONTENT_TYPES" default:"image/*,video/*,audio/*,font/*,text/plain,text/csv,text/markdown,application/pdf,application/json,application/zip,application/gzip,application/octet-stream" group:"API" placeholder:"TYPE" help:"Allowed media types (${default}); \"image/*\" is every image, \"*/*\" everything. Types that browsers execute (text/html) are best left out where a bucket is served to the public."`
	AllowedOrigins []string      `name:"allowed-origins" env:"COATCHECK_ALLOWED_ORIGINS" group:"API" placeholder:"ORIGIN" help:"Web origins whose pages may call the API, such as https://app.example.com. The bucket has CORS rules of its own."`
}

type consumerSettings struct {
	QueueURL          string        `name:"queue-url" env:"COATCHECK_QUEUE_URL" group:"Consumer" placeholder:"URL" help:"SQS queue with the bucket's notifications. Needed by the consumer role; with it the api role shows operators how deep it is, and dead letters."`
	Pollers           int           `name:"pollers" env:"COATCHECK_POLLERS" default:"4" group:"Consumer" help:"Receive calls at a time; a process takes pollers × 10 / round trip messages a second."`
	Writers           int           `name:"writers" env:"COATCHECK_WRITERS" default:"2" group:"Consumer" help:"Batches recorded at a time at most, each on a database connection of its own."`
	VisibilityTimeout time.Duration `name:"visibility-timeout" env:"COATCHECK_VISIBILITY_TIMEOUT" default:"30s" group:"Consumer" help:"How long a message stays hidden without a heartbeat. Shorter: the messages of a killed process come back sooner. Longer: fewer heartbeats."`
	WaitTime          time.Duration `name:"wait-time" env:"COATCHECK_WAIT_TIME" default:"10s" group:"Consumer" help:"Long poll, at most 20s. Longer costs less while idle; shorter stops sooner."`
}

func (s consumerSettings) config(bucket string, keys media.Keys) consumer.Config {
	c := consumer.DefaultConfig()
	c.Bucket, c.Keys = bucket, keys
	c.Pollers, c.Writers, c.Deleters = s.Pollers, s.Writers, s.Pollers
	c.VisibilityTimeout, c.WaitTime = s.VisibilityTimeout, s.WaitTime
	return c
}

type sweepSettings struct {
	SweepInterval time.Duration `name:"sweep-interval" env:"COATCHECK_SWEEP_INTERVAL" group:"Sweeper" placeholder:"1m" help:"Time between sweeps, 1m when no cron expression is given. A sweep that finds nothing due is four index look-ups."`
	SweepCron     string        `name:"sweep-cron" env:"COATCHECK_SWEEP_CRON" group:"Sweeper" placeholder:"EXPR" help:"Cron expression in UTC instead of an interval, such as \"*/5 * * * *\"."`
}

func (s sweepSettings) schedule() (schedule.Schedule, error) {
	switch {
	case s.SweepInterval != 0 && s.SweepCron != "":
		return nil, errors.New("--sweep-interval and --sweep-cron are both set: give one of them")
	case s.SweepCron != "":
		return schedule.Cron(s.SweepCron)
	case s.SweepInterval < 0:
		return nil, fmt.Errorf("--sweep-interval is %s: must be more than 0s", s.SweepInterval)
	case s.SweepInterval == 0:
		return schedule.Every(time.Minute), nil
	}
	return schedule.Every(s.SweepInterval), nil
}

type logSettings struct {
	LogLevel  slog.Level `name:"log-level" env:"COATCHECK_LOG_LEVEL" default:"info" group:"Logs" help:"debug, info, warn or error."`
	LogFormat string     `name:"log-format" env:"COATCHECK_LOG_FORMAT" default:"json" enum:"json,text" group:"Logs" help:"json or text."`
}

func (l logSettings) logger(s streams) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.LogLevel}
	if l.LogFormat == "text" {
		return slog.New(slog.NewTextHandler(s.err, options))
	}
	return slog.New(slog.NewJSONHandler(s.err, options))
}

// roles are what one process can do.
var roles = []string{"api", "consumer", "sweeper", "reconciler"}

func checkRoles(given []string) error {
	if len(given) == 0 {
		return fmt.Errorf("--roles: name at least one of %s", strings.Join(roles, ", "))
	}
	for _, r := range given {
		if !slices.Contains(roles, r) {
			return fmt.Errorf("--roles: %q is none of %s", r, strings.Join(roles, ", "))
		}
	}
	return nil
}

// presignable reports whether S3 accepts a URL of that life: whole seconds, up to a week.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
func presignable(ttl time.Duration) bool {
	return ttl >= time.Second && ttl <= 7*24*time.Hour && ttl%time.Second == 0
}

// settle checks windows and API settings against each other, and fills in the URL's life.
func settle(w windowSettings, a *apiSettings) error {
	for name, d := range map[string]time.Duration{
		"--upload-window": w.UploadWindow, "--claim-window": w.ClaimWindow, "--tombstone-window": w.TombstoneWindow,
	} {
		if d < time.Second {
			return fmt.Errorf("%s is %s: must be at least 1s", name, d)
		}
	}
	if a.URLTTL == 0 {
		a.URLTTL = min(5*time.Minute, w.UploadWindow.Truncate(time.Second))
	}
	switch {
	case !presignable(a.URLTTL):
		return fmt.Errorf("--url-ttl is %s: must be whole seconds from 1s to 168h", a.URLTTL)
	case !presignable(a.DownloadTTL):
		return fmt.Errorf("--download-ttl is %s: must be whole seconds from 1s to 168h", a.DownloadTTL)
	case a.URLTTL > w.UploadWindow:
		return fmt.Errorf("--url-ttl (%s) is longer than --upload-window (%s): an upload would be swept while its URL still works; make the window longer or the URL's life shorter", a.URLTTL, w.UploadWindow)
	case a.URLTTL > w.TombstoneWindow:
		return fmt.Errorf("--url-ttl (%s) is longer than --tombstone-window (%s): an upload could arrive after it has been forgotten; make the window longer or the URL's life shorter", a.URLTTL, w.TombstoneWindow)
	case a.MaxSize < 1 || a.MaxSize > rpc.MaxPutSize:
		return fmt.Errorf("--max-size is %d: must be from 1 to %d bytes", a.MaxSize, int64(rpc.MaxPutSize))
	}
	return nil
}
