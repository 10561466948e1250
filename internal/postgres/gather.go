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
	// alongside is how many rows make it worth running a statement beside another. One by itself costs Postgres, and whoever sends
	// it, as much as many rows do, so that small ones side by side get less done than large ones in turn.
	alongside = 100
	// maxTurn is how long a call waits for one statement that is under way. That takes a few milliseconds, unless its connection
	// hangs or somebody holds one of its rows, which is not to hold up others.
	maxTurn = 20 * time.Millisecond
	// gatheredLimit bounds a statement of several calls, which is nobody's alone, so that no caller's context ends it.
	gatheredLimit = 30 * time.Second
)

// gatherer answers the calls that come at the same time by one statement: what comes while one is under way is answered by the
// next. So nobody waits while there is nothing to wait for, and the more calls there are the less each costs.
type gatherer[T interface{ size() int }] struct {
	// together answers several calls. When Postgres refuses the data of one of them each is answered by itself, so that it
	// is refused alone.
	together func(ctx context.Context, calls []T) error

	mu      sync.Mutex
	waiting []gathered[T]
	rows    int  // of those
	watched bool // a timer runs for them
	running int  // statements
}

type gathered[T any] struct {
	call T
	came time.Time
	done chan error
}

// Do returns when a call has been answered. When ctx ends before, it is not known whether it is going to be.
func (g *gatherer[T]) Do(ctx context.Context, call T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	if g.running == 0 {
		g.running++
		g.mu.Unlock()
		defer g.next()
		return g.together(ctx, []T{call}) // nobody else ends with ctx
	}
	done := make(chan error, 1)
	g.waiting, g.rows = append(g.waiting, gathered[T]{call, time.Now(), done}), g.rows+call.size()
	if g.rows >= alongside {
		g.begin()
	}
	if len(g.waiting) > 0 && !g.watched {
		g.watched = true
		time.AfterFunc(maxTurn, g.watch)
	}
	g.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch lets what has waited for a turn go beside what is under way. It looks again as long as something is waiting: it is done
// whether somebody still waits for the answer or not.
func (g *gatherer[T]) watch() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) > 0 && g.overdue() {
		g.begin()
	}
	if g.watched = len(g.waiting) > 0; !g.watched {
		return
	}
	left := maxTurn - time.Since(g.waiting[0].came)
	if left <= 0 {
		left = maxTurn // two statements are under way: it follows whichever ends first
	}
	time.AfterFunc(left, g.watch)
}

// overdue reports that the first of the waiting has waited for a turn. The caller holds the lock, and something is waiting.
func (g *gatherer[T]) overdue() bool { return time.Since(g.waiting[0].came) >= maxTurn }

// begin answers what is waiting beside what is under way, when that may be. The caller holds the lock.
func (g *gatherer[T]) begin() {
	if g.running < maxStatements && len(g.waiting) > 0 {
		g.running++
		go g.run(g.take())
	}
}

// next lets what has come meanwhile follow.
func (g *gatherer[T]) next() {
	if batch := g.follow(); batch != nil {
		go g.run(batch)
	}
}

// run answers a batch and what comes meanwhile, until nothing is waiting.
func (g *gatherer[T]) run(batch []gathered[T]) {
	for ; batch != nil; batch = g.follow() {
		g.answer(batch)
	}
}

// follow returns what is to be answered after a statement. When that is nothing, whoever asked is done: nothing is waiting, or
// another statement is under way, and what is waiting follows that, unless it has waited for a turn.
func (g *gatherer[T]) follow() []gathered[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 || g.running > 1 && g.rows < alongside && !g.overdue() {
		g.running--
		return nil
	}
	return g.take()
}

// take returns what of the waiting fits into a statement. The caller holds the lock, and something is waiting.
func (g *gatherer[T]) take() []gathered[T] {
	rows, n := g.waiting[0].call.size(), 1
	for ; n < len(g.waiting) && rows+g.waiting[n].call.size() <= maxGathered; n++ {
		rows += g.waiting[n].call.size()
	}
	batch := g.waiting[:n:n]
	if g.waiting, g.rows = g.waiting[n:], g.rows-rows; len(g.waiting) == 0 {
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
