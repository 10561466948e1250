package sweep

import (
	"context"
	"time"
)

// Pass is one pass, and what it did.
type Pass struct {
	StartedAt, FinishedAt time.Time
	// DryRun means that nothing was done: the result is what was due.
	DryRun bool
	// AskedFor means that an operator asked for it, and not the schedule.
	AskedFor bool
	Result
	// Error is why a step failed as a whole, or empty.
	Error string
}

// Idle reports whether the pass did nothing and found nothing wrong.
func (p Pass) Idle() bool {
	p.Incomplete = false // of itself it only says that the pass was ended early
	return p.Zero() && p.Error == ""
}

// RunOnce makes one pass: until nothing is due, or the pass's limit or the context ends. What fails is not due for a
// while, so that it does not keep the pass going; when nothing of a batch succeeds, its phase ends. An error of one
// phase does not stop the others. The result tells what was done, also beside an error.
func (s *Sweeper) RunOnce(ctx context.Context) (Result, error) {
	p, err := s.pass(ctx, true)
	return p.Result, err
}

// Ask makes a pass of at most a time because an operator asks for it, or previews one, and tells of it. What it could not do
// within that time makes it incomplete; what failed is in it.
func (s *Sweeper) Ask(ctx context.Context, limit time.Duration, dryRun bool) Pass {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if !dryRun {
		p, _ := s.pass(ctx, true) // its error is in it
		return p
	}
	p := Pass{StartedAt: s.now(), DryRun: true, AskedFor: true}
	var err error
	p.Result, err = s.Preview(ctx, func(Action) error { return nil })
	switch {
	case ctx.Err() != nil:
		p.Incomplete = true
	case err != nil:
		p.Incomplete, p.Error = true, bounded(err.Error())
	}
	p.FinishedAt = s.now()
	return p
}

// pass makes one pass and records it.
func (s *Sweeper) pass(ctx context.Context, asked bool) (Pass, error) {
	began := time.Now()
	p := Pass{StartedAt: s.now(), AskedFor: asked}
	limited, cancel := context.WithTimeout(ctx, s.config.PassLimit)
	defer cancel()
	var err error
	if s.config.Ready != nil {
		err = s.config.Ready(limited)
	}
	if err == nil {
		p.Result, err = s.rounds(limited, s.phases())
	}
	if p.FinishedAt = s.now(); err != nil {
		p.Error = bounded(err.Error())
	}
	s.metrics.passed(p.Result, err, time.Since(began), p.FinishedAt)
	rec, cancelRec := recording(ctx)
	defer cancelRec()
	if recErr := s.store.RecordPass(rec, p); recErr != nil { // what it did is done all the same
		s.logger.WarnContext(ctx, "sweep: the pass could not be recorded", "error", recErr)
	}
	return p, err
}
