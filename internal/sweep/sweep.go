// Package sweep ends what nobody claims. A pass looks at what is due, class by class:
//
//   - never uploaded: PENDING past its upload window. S3 is asked first: what has landed is recorded as such, however
//     its notification was lost, and only what S3 does not have becomes DELETING.
//   - uploaded but unclaimed: UPLOADED past its claim window becomes DELETING.
//   - DELETING, for whatever reason, and by whomever: the object is deleted, and the row becomes a tombstone once S3 has
//     confirmed it. What a pass makes DELETING it deletes at once.
//   - tombstones that no late PUT can need any more are forgotten, after one more deletion of what may have come late.
//
// CONFIRMED media are never due, so that no pass ever reads one (R1).
//
// What a pass takes it leases: no lock is held while S3 is asked, any number of sweepers work side by side on
// different rows, and what a killed one had taken is due again when its lease ends. Everything that it does then is
// done once more without harm: a HEAD, a deletion of what is gone. What it learnt is recorded only for rows that
// nobody has changed since they were leased; the others are somebody else's, and due again if there is more to do
// (R6, R10).
package sweep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Store is where media are kept. What it leases it returns as it is then; what is given back to it is changed only
// where it still is as it was leased.
type Store interface {
	LeasePending(ctx context.Context, limit int, lease time.Duration) ([]*media.Media, error)
	Land(ctx context.Context, source media.Source, landings []media.Landing) ([]media.Landed, error)
	ExpireUploads(ctx context.Context, ms []*media.Media, lease time.Duration) ([]*media.Media, error)
	ExpireClaims(ctx context.Context, limit int, lease time.Duration) ([]*media.Media, error)
	LeaseDeleting(ctx context.Context, limit int, lease time.Duration) ([]*media.Media, error)
	FinishDeleting(ctx context.Context, ms []*media.Media) ([]*media.Media, error)
	RetryDeleting(ctx context.Context, ms []*media.Media) error
	LeaseDeleted(ctx context.Context, limit int, lease time.Duration) ([]*media.Media, error)
	Purge(ctx context.Context, ms []*media.Media) (int, error)
	RecordPass(ctx context.Context, p Pass) error
	Due(ctx context.Context, state media.State, after *media.Media, limit int) ([]*media.Media, error)
}

// Objects is where their objects are.
type Objects interface {
	// Head reports false only when the object is known to be absent.
	Head(ctx context.Context, key string) (o media.Object, found bool, err error)
	// Delete returns one error for each media, nil where the object is known to be gone; or one for all, when it did
	// not get as far as that.
	Delete(ctx context.Context, ms []*media.Media) ([]error, error)
}

// Sweeper sweeps. It is safe for concurrent use: passes that overlap share the work.
type Sweeper struct {
	store   Store
	objects Objects
	config  Config
	now     func() time.Time
	logger  *slog.Logger
	metrics *Metrics

	turn  chan struct{} // one, of the batch that is taken, or begins HEADs
	heads chan struct{} // one for each that is under way
}

// New returns a sweeper, or an error when the config contradicts itself. now must be the store's clock.
func New(store Store, objects Objects, c Config, now func() time.Time, logger *slog.Logger, metrics *Metrics) (*Sweeper, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Sweeper{
		store: store, objects: objects, config: c, now: now, logger: logger, metrics: metrics,
		turn: make(chan struct{}, 1), heads: make(chan struct{}, c.HeadConcurrency),
	}, nil
}

// phase is one class of work, in batches.
type phase struct {
	name string
	// batch does one batch, adds to the result, and reports whether more may be due. An error ends the phase.
	batch func(context.Context, *Result) (more bool, err error)
}

func (s *Sweeper) phases() []phase {
	return []phase{
		{"expiring uploads", s.expireUploads},
		{"expiring claims", s.expireClaims},
		{"deleting objects", s.deleteObjects},
		{"purging tombstones", s.purge},
	}
}

// rounds does one batch of each phase after another, so that a long backlog of one class does not hold up the next,
// and goes round until no phase has more. When one round was not enough, several go on side by side.
func (s *Sweeper) rounds(ctx context.Context, phases []phase) (Result, error) {
	w := &work{phases: phases, ended: make([]bool, len(phases))}
	if !s.round(ctx, w) {
		return w.result, errors.Join(w.errs...)
	}
	var wg sync.WaitGroup
	for range s.config.Concurrency {
		wg.Go(func() {
			for s.round(ctx, w) {
			}
		})
	}
	wg.Wait()
	return w.result, errors.Join(w.errs...)
}

// work is what the rounds of a pass have in common.
type work struct {
	phases []phase

	mu     sync.Mutex
	ended  []bool // phases, by an error
	result Result
	errs   []error
}

// round does one batch of each phase that no error has ended, and reports whether more may be due.
func (s *Sweeper) round(ctx context.Context, w *work) (again bool) {
	for n, p := range w.phases {
		if w.isEnded(n) {
			continue
		}
		if ctx.Err() != nil {
			w.did(Result{Incomplete: true})
			return false
		}
		var done Result
		more, err := p.batch(ctx, &done)
		s.metrics.did(done)
		w.did(done)
		if err != nil {
			w.end(n, err)
		}
		again = again || more && err == nil
	}
	return again
}

func (w *work) isEnded(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended[n]
}

func (w *work) did(r Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.result.add(r)
}

// end ends a phase by an error, which is kept unless the batch beside it has failed in the same way.
func (w *work) end(n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended[n], w.result.Incomplete = true, true
	err = fmt.Errorf("%s: %w", w.phases[n].name, err)
	if !slices.ContainsFunc(w.errs, func(known error) bool { return known.Error() == err.Error() }) {
		w.errs = append(w.errs, err)
	}
}

// recordLimit bounds the time that it takes to record what a batch has done, which is not given up when the pass is.
const recordLimit = 10 * time.Second

// recording returns a context for that. S3's confirmation that objects are gone would otherwise be lost at each
// shutdown, and asked for again.
func recording(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), recordLimit)
}

// wall is the time by the clock on the wall, which goes on while a machine is suspended.
func (s *Sweeper) wall() time.Time { return s.now().Round(0) }

// asking returns a context for a batch's calls to S3, which end before the lease does: after that another sweeper may
// do the same batch. Whoever was suspended meanwhile asks no more.
func (s *Sweeper) asking(ctx context.Context, leased time.Time) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.config.Lease*3/4-max(0, s.wall().Sub(leased)))
}

// took returns the error with which a phase asks the store for work, or nil when the pass is being ended and that is
// all there is to it.
func took(ctx context.Context, err error, r *Result) error {
	if err != nil && ctx.Err() != nil {
		r.Incomplete = true
		return nil
	}
	return err
}

func (s *Sweeper) expireClaims(ctx context.Context, r *Result) (more bool, err error) {
	leased := s.wall()
	ms, err := s.store.ExpireClaims(ctx, s.config.BatchSize, s.config.Lease)
	if err != nil || len(ms) == 0 {
		return false, took(ctx, err, r)
	}
	r.Unclaimed += len(ms)
	again, err := s.deleteLeased(ctx, r, leased, ms)
	return again || len(ms) == s.config.BatchSize, err
}
