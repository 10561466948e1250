package sweep

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/coatcheck/coatcheck/internal/media"
)

// expireUploads asks S3 for PENDING media whose upload window is over. What is there has landed: its notification was
// lost, or is late. What is not becomes DELETING. What cannot be told is left to its lease.
//
// A PUT may arrive after the HEAD. Its notification then either comes before the row is expired, which changes the
// row, so that it is not; or finds the row DELETING or DELETED, and makes it due once more (R2).
func (s *Sweeper) expireUploads(ctx context.Context, r *Result) (more bool, err error) {
	ms, looked, err := s.lookAt(ctx, func() ([]*media.Media, error) {
		return s.store.LeasePending(ctx, s.config.BatchSize, s.config.Lease)
	})
	if err != nil || len(ms) == 0 {
		return false, took(ctx, err, r)
	}
	var (
		landings []media.Landing
		absent   []*media.Media
		failure  error // the first
	)
	for i, l := range looked {
		switch {
		case l.err != nil && ctx.Err() != nil:
			r.Incomplete = true // the pass is being ended, which says nothing about the object
		case l.err != nil:
			r.HeadErrors++
			failure = first(failure, l.err)
		case l.found:
			landings = append(landings, ms[i].Observe(l.object))
		default:
			absent = append(absent, ms[i])
		}
	}
	rec, cancel := recording(ctx)
	defer cancel()
	landErr := s.land(rec, landings, r)
	again, err := s.expire(ctx, rec, absent, r)
	err = errors.Join(landErr, err)
	if failure != nil {
		s.logger.Warn("sweep: S3 could not be asked for uploads, they are left as they are",
			"media", r.HeadErrors, "of", len(ms), "error", failure)
		if r.HeadErrors == len(ms) {
			err = errors.Join(err, fmt.Errorf("S3 could be asked for none of %d uploads: %w", len(ms), failure))
		}
	}
	return again || len(ms) == s.config.BatchSize, err
}

func (s *Sweeper) land(ctx context.Context, landings []media.Landing, r *Result) error {
	landed, err := s.store.Land(ctx, media.SourceSweep, landings)
	for _, l := range landed {
		switch l.Verdict {
		case media.VerdictLanded:
			r.Landed++
		case media.VerdictRejected:
			r.Rejected++
		default:
			r.Changed++
		}
	}
	return err
}

// expire makes uploads that S3 does not have DELETING, which is recorded by rec, and deletes what may have come since.
func (s *Sweeper) expire(ctx, rec context.Context, absent []*media.Media, r *Result) (again bool, err error) {
	leased := s.wall()
	expired, err := s.store.ExpireUploads(rec, absent, s.config.Lease)
	if err != nil {
		return false, err
	}
	r.NeverUploaded += len(expired)
	r.Changed += len(absent) - len(expired)
	return s.deleteLeased(ctx, r, leased, expired)
}

// look is what S3 said of one media.
type look struct {
	object media.Object
	found  bool
	err    error
}

// lookAt takes media, and asks S3 for each, several at a time, until a lease that began then is nearly over. Batches do so
// one after the other, so that one is asked for while the other is being recorded: if they shared the HEADs they would
// come to the end at the same time, and nobody would ask. None takes before its turn, or its lease would run out while
// it waits for that; and none waits for longer than its pass lasts: what another asks for may take longer.
func (s *Sweeper) lookAt(ctx context.Context, take func() ([]*media.Media, error)) ([]*media.Media, []look, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	done := sync.OnceFunc(func() { <-s.turn })
	defer done()
	leased := s.wall()
	ms, err := take()
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := s.asking(ctx, leased)
	defer cancel()
	looks := make([]look, len(ms))
	var wg sync.WaitGroup
	for i, m := range ms {
		if i == len(ms)*3/4 { // so that the next is taken by the time that no HEAD of this one is left to begin
			done()
		}
		l := &looks[i]
		select {
		case s.heads <- struct{}{}:
		case <-ctx.Done():
			l.err = ctx.Err()
			continue
		}
		wg.Go(func() {
			defer func() { <-s.heads }()
			if l.err = ctx.Err(); l.err == nil {
				l.object, l.found, l.err = s.objects.Head(ctx, m.Key)
			}
		})
	}
	wg.Wait()
	return ms, looks, nil
}

func first(was, err error) error {
	if was != nil {
		return was
	}
	return err
}
