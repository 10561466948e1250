package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
)

// deleteObjects deletes the objects of DELETING media and records which are gone. The intent is in the row before, and
// the confirmation after: a crash between the two leaves a row whose deletion is done again when its lease ends (R6).
// A landing between the two changes the row, which is then not finished but due again (R2).
func (s *Sweeper) deleteObjects(ctx context.Context, r *Result) (more bool, err error) {
	leased := s.wall()
	ms, err := s.store.LeaseDeleting(ctx, s.config.BatchSize, s.config.Lease)
	if err != nil || len(ms) == 0 {
		return false, took(ctx, err, r)
	}
	again, err := s.deleteLeased(ctx, r, leased, ms)
	return again || len(ms) == s.config.BatchSize, err
}

// deleteLeased does it with media that were leased at a time.
func (s *Sweeper) deleteLeased(ctx context.Context, r *Result, leased time.Time, ms []*media.Media) (again bool, err error) {
	return s.deleteBatch(ctx, r, leased, ms, func(ctx context.Context, gone []*media.Media) (int, error) {
		finished, err := s.store.FinishDeleting(ctx, gone)
		r.Deleted += len(finished)
		for _, m := range finished {
			r.DeletedBytes += m.SizeBytes
		}
		return len(finished), err
	})
}

// purge forgets tombstones, and deletes what may be under their keys first: a PUT that ended after the deletion, and
// whose notification was lost, would otherwise leave an object that no row explains (R2). It costs a thousandth of a
// DeleteObjects call, which is free.
func (s *Sweeper) purge(ctx context.Context, r *Result) (more bool, err error) {
	leased := s.wall()
	ms, err := s.store.LeaseDeleted(ctx, s.config.BatchSize, s.config.Lease)
	if err != nil || len(ms) == 0 {
		return false, took(ctx, err, r)
	}
	again, err := s.deleteBatch(ctx, r, leased, ms, func(ctx context.Context, gone []*media.Media) (int, error) {
		n, err := s.store.Purge(ctx, gone)
		r.Purged += n
		return n, err
	})
	return again || len(ms) == s.config.BatchSize, err
}

// deleteBatch deletes the objects of media that were leased at a time, and passes those that are gone to finish, which
// returns how many rows were still as leased. It reports whether some were not, which have had a landing and are due again.
func (s *Sweeper) deleteBatch(
	ctx context.Context, r *Result, leased time.Time, ms []*media.Media, finish func(context.Context, []*media.Media) (int, error),
) (again bool, err error) {
	if len(ms) == 0 {
		return false, nil
	}
	errs, err := s.deleteTheirs(ctx, leased, ms)
	var (
		gone, failed []*media.Media
		failure      error // the first
	)
	for i, m := range ms {
		switch {
		case errs[i] == nil:
			gone = append(gone, m)
		case ctx.Err() != nil:
			// The pass is being ended, which says nothing about the object: its lease brings it back.
			r.Incomplete = true
		default:
			attempts := m.Attempts
			if err != nil || wholeCall(errs[i]) {
				attempts = 1 // that is not the key's fault, and it may be over soon
			}
			m.DueAt = s.now().Add(s.config.Backoff.Delay(attempts))
			m.LastError = bounded(errs[i].Error())
			failed = append(failed, m)
			failure = first(failure, errs[i])
			s.metrics.deleteError(errs[i])
		}
	}
	rec, cancel := recording(ctx)
	defer cancel()
	done, finishErr := finish(rec, gone)
	if finishErr == nil {
		r.Changed += len(gone) - done
		again = done < len(gone)
	}
	err = errors.Join(err, finishErr, s.retry(rec, failed, r))
	if failure != nil {
		s.logger.Warn("sweep: objects could not be deleted, they are tried again later",
			"media", len(failed), "of", len(ms), "error", failure)
		if len(failed) == len(ms) && err == nil {
			err = fmt.Errorf("none of %d objects could be deleted: %w", len(ms), failure)
		}
	}
	return again, err
}

// deleteTheirs is delete, but for tombstones of keys that others may have used again: what is there is not theirs.
func (s *Sweeper) deleteTheirs(ctx context.Context, leased time.Time, ms []*media.Media) ([]error, error) {
	var theirs []*media.Media
	var at []int
	for i, m := range ms {
		if m.State != media.StateDeleted || !m.Reusable() {
			theirs, at = append(theirs, m), append(at, i)
		}
	}
	all := make([]error, len(ms))
	if len(theirs) == 0 {
		return all, nil
	}
	errs, err := s.delete(ctx, leased, theirs)
	for i, e := range errs {
		all[at[i]] = e
	}
	return all, err
}

// delete returns one error for each media, and beside them what kept all from being deleted, if something did.
func (s *Sweeper) delete(ctx context.Context, leased time.Time, ms []*media.Media) ([]error, error) {
	asking, cancel := s.asking(ctx, leased)
	defer cancel()
	errs, err := s.objects.Delete(asking, ms)
	if err == nil && len(errs) == len(ms) {
		return errs, nil
	}
	if err == nil {
		err = fmt.Errorf("%d answers for %d objects", len(errs), len(ms))
	}
	errs = make([]error, len(ms))
	for i := range errs {
		errs[i] = err
	}
	if ctx.Err() != nil {
		return errs, nil // the pass is being ended: that is no fault
	}
	return errs, err
}

// wholeCall reports whether an error of a media is that of a call for many, which says nothing of this one.
func wholeCall(err error) bool {
	whole, ok := errors.AsType[interface {
		error
		WholeCall() bool
	}](err)
	return ok && whole.WholeCall()
}

func (s *Sweeper) retry(ctx context.Context, failed []*media.Media, r *Result) error {
	r.DeleteErrors += len(failed)
	return s.store.RetryDeleting(ctx, failed)
}

// maxLastError is how many bytes of an error are kept in a row.
const maxLastError = 500

func bounded(text string) string { return text[:min(len(text), maxLastError)] }
