package postgres

import (
	"context"
	"fmt"
	"time"
)

// maxClockError is how far the clock of whoever deletes may be from Postgres's: far less than any window.
const maxClockError = time.Minute

// CheckClock is an error when the store's clock and Postgres's are more than a minute apart. By a clock that is ahead every
// window is over too soon, and by one that is behind a lease is over when it begins.
func (s *Store) CheckClock(ctx context.Context) error {
	before := s.time()
	var now time.Time
	if err := s.db.NewRaw(`SELECT clock_timestamp()`).Scan(ctx, &now); err != nil {
		return unusable(fmt.Errorf("asking Postgres for the time: %w", err))
	}
	after := s.time() // the answer was made between the two
	switch {
	case before.Sub(now) > maxClockError:
		return fmt.Errorf("the clock is %v ahead of Postgres's: set it right, or what has just been uploaded is deleted", before.Sub(now))
	case now.Sub(after) > maxClockError:
		return fmt.Errorf("the clock is %v behind Postgres's: set it right, or others take the same work", now.Sub(after))
	}
	return nil
}
