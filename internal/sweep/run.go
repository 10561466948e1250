package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coatcheck/coatcheck/internal/backoff"
	"github.com/coatcheck/coatcheck/internal/schedule"
)

// Run makes passes as the schedule says until the context ends, and returns when the last one has. A pass that
// outlasts its interval is followed by the next at once; times that were missed meanwhile are not made up for. What
// fails is logged and tried again in the next pass.
func (s *Sweeper) Run(ctx context.Context) error {
	if s.config.Schedule == nil {
		return errors.New("sweep: there is no schedule")
	}
	s.logger.Info("sweep: scheduled", "schedule", fmt.Sprint(s.config.Schedule))
	next := schedule.First(s.config.Schedule, s.now())
	for {
		if err := backoff.Sleep(ctx, max(0, next.Sub(s.now()))); err != nil {
			return nil
		}
		started := s.now()
		p, err := s.pass(ctx, false)
		s.log(ctx, p.Result, err, s.now().Sub(started))
		next = s.config.Schedule.Next(started)
	}
}

func (s *Sweeper) log(ctx context.Context, r Result, err error, took time.Duration) {
	switch {
	case err != nil:
		s.logger.ErrorContext(ctx, "sweep: a step failed, it is tried again in the next pass", "done", r, "took", took, "error", err)
	case !r.Zero():
		s.logger.InfoContext(ctx, "sweep: done", "done", r, "took", took)
	}
}
