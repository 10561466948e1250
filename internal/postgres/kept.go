package postgres

import (
	"context"
	"sync"
	"time"
)

// kept is an answer of the database that is kept for a while, so that however often it is asked for, Postgres spends at most a
// fiftieth of its time on it, or is asked once in the longest time that it may be kept. An error is kept as well.
type kept[T any] struct {
	now   func() time.Time
	least time.Duration
	most  time.Duration
	ask   func(ctx context.Context, now time.Time) (T, error)

	mu   sync.Mutex
	at   time.Time
	took time.Duration
	last T
	err  error
}

const (
	keptShare = 50
	// keptLimit is how long Postgres may take to answer.
	keptLimit = 5 * time.Second
)

func (k *kept[T]) get() (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now().UTC()
	if age := now.Sub(k.at); age >= 0 && age < min(k.most, max(k.least, keptShare*k.took)) {
		return k.last, k.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), keptLimit)
	defer cancel()
	began := time.Now()
	k.last, k.err = k.ask(ctx, now)
	k.at, k.took = now, time.Since(began)
	return k.last, k.err
}
