package reconcile

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Store is where media, runs and what they found are kept.
type Store interface {
	// Active returns the run that is not done, or nil.
	Active(ctx context.Context) (*Run, error)
	// GetRun returns a run with the counts of its shards so far, or nil.
	GetRun(ctx context.Context, id uuid.UUID) (*Run, error)
	// LastStarted returns when the last run that listed the bucket was begun, and zero when none was.
	LastStarted(ctx context.Context) (time.Time, error)
	// Estimate returns about how many media there are, at no cost.
	Estimate(ctx context.Context) (int64, error)
	// AdoptedPrefixes returns the prefixes that were adopted.
	AdoptedPrefixes(ctx context.Context) ([]string, error)
	// BeginRun begins a run over the ranges. It is [ErrActive] when one is not done.
	BeginRun(ctx context.Context, s Settings, estimate int64, ranges []Range) (*Run, error)

	// LeaseShard takes a shard that is in the phase and nobody's, and returns nil when there is none.
	LeaseShard(ctx context.Context, run uuid.UUID, phase ShardPhase, lease time.Duration) (*Shard, error)
	// ExtendLease keeps it; ReleaseShard gives it back. Both are [ErrLeaseLost] when it is somebody else's by now.
	ExtendLease(ctx context.Context, s *Shard, lease time.Duration) error
	ReleaseShard(ctx context.Context, s *Shard) error

	// Rows returns up to limit rows of the range with keys above after, in the order of keys.
	Rows(ctx context.Context, r Range, after string, limit int) ([]Row, error)
	// MediaByID returns the media with these ids, those that there are.
	MediaByID(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]*media.Media, error)
	// Adoptions returns what the list of an adoption says of these keys, where it says something.
	Adoptions(ctx context.Context, keys []string) (map[string]Adoption, error)
	// Checkpoint records a batch, in one transaction with the shard's position and counts, and updates s. It is
	// [ErrLeaseLost] when the shard is somebody else's by now; nothing is recorded then.
	Checkpoint(ctx context.Context, s *Shard, b Batch) error

	// BeginRemoving moves a run whose shards are all listed on to [PhaseRemoving], unless it is there already.
	BeginRemoving(ctx context.Context, run uuid.UUID) error
	// EndRun ends a run, and reports false when somebody else has done so.
	EndRun(ctx context.Context, run *Run, outcome Outcome, explanation string) (bool, error)
	// CloseAdoption records a finding for each entry of an adoption's list that could not be adopted, and forgets those
	// that have a row.
	CloseAdoption(ctx context.Context, run uuid.UUID) error

	// SeenStrays returns up to limit strays of the range that the run has seen, above after, in the order of keys.
	SeenStrays(ctx context.Context, run uuid.UUID, r Range, after string, limit int) ([]Stray, error)
	// TakeBudget takes up to n removals from the run's budget for a page of the shard and returns how many it got. What
	// was taken for that page before is given back.
	TakeBudget(ctx context.Context, s *Shard, n int) (int, error)
	// BeginRemoval records the intent to remove strays, for those that are as they were given and that still no row
	// knows, and returns their keys.
	BeginRemoval(ctx context.Context, s *Shard, strays []Stray) (map[string]bool, error)
	// EndRemoval records what became of a page of strays, in one transaction with the shard's position and counts, and
	// gives back what was taken of the budget and not used.
	EndRemoval(ctx context.Context, s *Shard, r Removal) error
}

// Source tells what is in the bucket.
type Source interface {
	// List returns the keys of a range in byte order, page by page.
	List(ctx context.Context, r Range) iter.Seq2[[]Listed, error]
}

// Objects is the bucket.
type Objects interface {
	Source
	// Folders returns up to limit prefixes below a prefix that end with the next "/".
	Folders(ctx context.Context, prefix string, limit int) ([]string, error)
	// Ping is nil when the bucket answers.
	Ping(ctx context.Context) error
	// Head and HeadVersion report false only when the object, or the version, is known to be absent.
	Head(ctx context.Context, key string) (o media.Object, found bool, err error)
	HeadVersion(ctx context.Context, key, version string) (o media.Object, found bool, err error)
	// Uploads returns the unfinished multipart uploads below a prefix.
	Uploads(ctx context.Context, prefix string) iter.Seq2[Upload, error]
	AbortUpload(ctx context.Context, u Upload) error
	// RemoveStrays deletes strays with all their versions, or moves them below a prefix first, unless it is empty, and
	// returns one error for each. [ErrChanged] means that an object is not as it was recorded, and was left.
	RemoveStrays(ctx context.Context, strays []Stray, quarantine string) []error
}

var (
	// ErrActive means that a run is not done yet: there is one at a time.
	ErrActive = errors.New("a reconciliation is under way")
	// ErrLeaseLost means that a shard is another process's by now.
	ErrLeaseLost = errors.New("the shard's lease is another process's")
	// ErrChanged means that an object is not as it was recorded.
	ErrChanged = errors.New("the object is not as it was recorded")
)

// Reconciler reconciles. It is safe for concurrent use: those that work on one run share its shards.
type Reconciler struct {
	store   Store
	objects Objects
	keys    media.Keys
	config  Config
	now     func() time.Time
	logger  *slog.Logger
	metrics *Metrics
}

// New returns a reconciler, or an error when the config contradicts itself. now must be the store's clock.
func New(store Store, objects Objects, keys media.Keys, c Config, now func() time.Time, logger *slog.Logger, metrics *Metrics) (*Reconciler, error) {
	if err := c.check(keys.Prefix()); err != nil {
		return nil, err
	}
	return &Reconciler{store: store, objects: objects, keys: keys, config: c, now: now, logger: logger, metrics: metrics}, nil
}

// Begin begins a run of the bucket's listing, or of an inventory when the settings name one. It is [ErrActive] when one
// is not done.
func (r *Reconciler) Begin(ctx context.Context, s Settings) (*Run, error) {
	if err := errors.Join(s.check(r.keys.Prefix()), r.ready(ctx)); err != nil {
		return nil, err
	}
	adopted, err := r.adopted(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, p := range adopted {
		if s.Quarantine != "" && strings.HasPrefix(p, s.Quarantine) {
			return nil, fmt.Errorf("quarantine prefix is %q, and prefix %q was adopted, which is within it: what is there would be passed over", s.Quarantine, p)
		}
	}
	estimate, err := r.store.Estimate(ctx)
	if err != nil {
		return nil, err
	}
	var all []Range
	for _, scope := range scopes(r.keys.Prefix(), adopted) {
		var cuts []string
		if s.Source == SourceListing { // an inventory is one stream
			if cuts, err = r.cuts(ctx, scope, estimate); err != nil {
				return nil, err
			}
		}
		all = append(all, ranges(scope, cuts)...)
	}
	run, err := r.store.BeginRun(ctx, s, estimate, all)
	if err != nil {
		return nil, err
	}
	r.logger.InfoContext(ctx, "reconcile: begun", "run", run.ID, "source", s.Source, "dry_run", s.DryRun, "policy", s.Policy, "shards", run.Shards)
	return run, nil
}

func (r *Reconciler) ready(ctx context.Context) error {
	if r.config.Ready == nil {
		return nil
	}
	return r.config.Ready(ctx)
}

// adopted are the prefixes that a run with these settings takes for adopted.
func (r *Reconciler) adopted(ctx context.Context, s Settings) ([]string, error) {
	adopted, err := r.store.AdoptedPrefixes(ctx)
	if s.Adopt {
		adopted = append(adopted, s.AdoptPrefix)
	}
	return adopted, err
}

// maxFolders is how many folders of a prefix are looked at to cut it into shards.
const maxFolders = 1000

func (r *Reconciler) cuts(ctx context.Context, scope string, estimate int64) ([]string, error) {
	if scope == r.keys.Prefix() {
		return minted(r.keys, estimate), nil
	}
	folders, err := r.objects.Folders(ctx, scope, maxFolders)
	if err != nil {
		return nil, fmt.Errorf("looking for folders: %w", err)
	}
	return append(guessed(scope, folders), minted(r.keys, estimate)...), nil // those outside the scope are dropped
}
