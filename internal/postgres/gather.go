package postgres

import (
	"context"
	"sync"
	"time"
)

const (
	// maxStatements is how many statements of a [gatherer] run at a time. More leave fewer calls for each to gather.
	maxStatements = 2
	// maxGathered is how many rows a statement is for at most; a single call may bring more.
	maxGathered = 1000
	// gatheredLimit bounds a statement, which is nobody's alone, so that no caller's context ends it.
	gatheredLimit = 30 * time.Second
)

// gatherer answers the calls that come at the same time by one statement: what comes while statements are under way is
// answered by the next. So nobody waits for others to come, and the more calls there are the less each costs.
type gatherer[T interface{ size() int }] struct {
	// together answers several calls. When Postgres refuses the data of one of them each is answered by itself, so that it
	// is refused alone.
	together func(ctx context.Context, calls []T) error

	mu      sync.Mutex
	waiting []gathered[T]
	running int
}

type gathered[T any] struct {
	call T
	done chan error
}

// Do returns when a call has been answered. When ctx ends before, it is not known whether it is going to be.
func (g *gatherer[T]) Do(ctx context.Context, call T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	if g.running < maxStatements {
		g.running++
		g.mu.Unlock()
		defer g.next()
		return g.together(ctx, []T{call}) // nobody else is kept waiting by it, or ended with ctx
	}
	done := make(chan error, 1)
	g.waiting = append(g.waiting, gathered[T]{call, done})
	g.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// next lets what has come meanwhile follow.
func (g *gatherer[T]) next() {
	if batch := g.take(); batch != nil {
		go g.run(batch)
	}
}

// run answers a batch and what comes meanwhile, until nothing is waiting.
func (g *gatherer[T]) run(batch []gathered[T]) {
	for ; batch != nil; batch = g.take() {
		g.answer(batch)
	}
}

// take returns what is to be answered next; when that is nothing, whoever asked is done, and another may begin.
func (g *gatherer[T]) take() []gathered[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	rows, n := 0, 0
	for ; n < len(g.waiting) && (n == 0 || rows+g.waiting[n].call.size() <= maxGathered); n++ {
		rows += g.waiting[n].call.size()
	}
	if n == 0 {
		g.running--
		return nil
	}
	batch := g.waiting[:n:n]
	if g.waiting = g.waiting[n:]; len(g.waiting) == 0 {
		g.waiting = nil // the array, with what was in it, can go
	}
	return batch
}

func (g *gatherer[T]) answer(batch []gathered[T]) {
	ctx, cancel := context.WithTimeout(context.Background(), gatheredLimit)
	defer cancel()
	calls := make([]T, len(batch))
	for i, b := range batch {
		calls[i] = b.call
	}
	err := g.together(ctx, calls)
	for i, b := range batch {
		if len(batch) > 1 && Refused(err) {
			b.done <- g.together(ctx, calls[i:i+1])
			continue
		}
		b.done <- err
	}
}
