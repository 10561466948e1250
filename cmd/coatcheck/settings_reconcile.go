package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/internal/reconcile"
	"github.com/coatcheck/coatcheck/internal/schedule"
)

// straySettings say what a reconciliation does about what it finds.
type straySettings struct {
	StrayPolicy       string        `name:"stray-policy" env:"COATCHECK_STRAY_POLICY" default:"report" enum:"report,quarantine,delete" group:"Strays" help:"What becomes of objects that no row explains: report records them; quarantine moves them below --quarantine-prefix, whose lifecycle ends them; delete deletes them."`
	StrayGrace        time.Duration `name:"stray-grace" env:"COATCHECK_STRAY_GRACE" default:"72h" group:"Strays" help:"How old a stray must be, and how far apart two runs that saw it unchanged, before it is removed. Longer leaves more time to notice that the database is the wrong one."`
	MaxStrayShare     float64       `name:"max-stray-share" env:"COATCHECK_MAX_STRAY_SHARE" default:"0.05" group:"Strays" placeholder:"SHARE" help:"Share of strays among the objects seen that are attributable, 0 to 1, above which a run removes nothing: it is looking at the wrong database."`
	DeleteBudget      int64         `name:"delete-budget" env:"COATCHECK_DELETE_BUDGET" default:"100000" group:"Strays" help:"How many strays one run may remove. The next goes on."`
	QuarantinePrefix  string        `name:"quarantine-prefix" env:"COATCHECK_QUARANTINE_PREFIX" default:"coatcheck-quarantine/" group:"Strays" help:"Where quarantined objects go, under their old keys, in folders by their time. It must lie outside the managed prefixes; give it a lifecycle rule."`
	AbortUploadsAfter time.Duration `name:"abort-uploads-after" env:"COATCHECK_ABORT_UPLOADS_AFTER" default:"168h" group:"Strays" help:"Age at which a run that may remove strays aborts an unfinished multipart upload."`
}

func (s straySettings) settings() reconcile.Settings {
	return reconcile.Settings{
		Source: reconcile.SourceListing, Policy: reconcile.Policy(s.StrayPolicy), Quarantine: s.QuarantinePrefix, Grace: s.StrayGrace,
		MaxStrayShare: s.MaxStrayShare, DeleteBudget: s.DeleteBudget, AbortUploadsAfter: s.AbortUploadsAfter,
	}
}

// reconcilerSettings are those of the role.
type reconcilerSettings struct {
	straySettings `embed:""`

	ReconcileInterval    time.Duration `name:"reconcile-interval" env:"COATCHECK_RECONCILE_INTERVAL" group:"Reconciler" placeholder:"24h" help:"Time between reconciliations, 24h when no cron expression is given. Each lists the managed prefixes once: a request for each thousand objects."`
	ReconcileCron        string        `name:"reconcile-cron" env:"COATCHECK_RECONCILE_CRON" group:"Reconciler" placeholder:"EXPR" help:"Cron expression in UTC instead of an interval, such as \"30 3 * * *\"."`
	ReconcileConcurrency int           `name:"reconcile-concurrency" env:"COATCHECK_RECONCILE_CONCURRENCY" default:"4" group:"Reconciler" help:"Shards that this process goes over at a time. More end sooner, and take more of S3's rate, Postgres and memory."`
}

func (s reconcilerSettings) config() (reconcile.Config, error) {
	c := reconcile.DefaultConfig()
	c.Settings, c.Concurrency = s.settings(), s.ReconcileConcurrency
	switch {
	case s.ReconcileInterval != 0 && s.ReconcileCron != "":
		return c, errors.New("--reconcile-interval and --reconcile-cron are both set: give one of them")
	case s.ReconcileCron != "":
		cron, err := schedule.Cron(s.ReconcileCron)
		c.Schedule = cron
		return c, err
	case s.ReconcileInterval < 0:
		return c, fmt.Errorf("--reconcile-interval is %s: must be more than 0s", s.ReconcileInterval)
	case s.ReconcileInterval > 0:
		c.Schedule = schedule.Every(s.ReconcileInterval)
		c.Poll = min(c.Poll, s.ReconcileInterval)
	}
	return c, nil
}

// settleStrays checks the settings of strays against those of uploads.
func settleStrays(s straySettings, a apiSettings) error {
	if s.StrayGrace < a.URLTTL {
		return fmt.Errorf("--stray-grace (%s) is shorter than --url-ttl (%s): an upload could still be under way that a run takes for a stray; make the grace period longer",
			s.StrayGrace, a.URLTTL)
	}
	return nil
}

// adoptedPrefix checks a prefix that is to be brought under management.
func adoptedPrefix(prefix string, s straySettings) error {
	switch {
	case prefix != "" && !strings.HasSuffix(prefix, "/"):
		return fmt.Errorf("--adopt %q: must end with \"/\", or be empty for the whole bucket", prefix)
	case s.QuarantinePrefix != "" && strings.HasPrefix(prefix, s.QuarantinePrefix):
		return fmt.Errorf("--adopt %q: is within the quarantine prefix %q", prefix, s.QuarantinePrefix)
	}
	return nil
}
