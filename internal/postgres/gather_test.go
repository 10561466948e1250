package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// rowsOf is a call for so many rows.
type rowsOf int

func (r rowsOf) size() int { return int(r) }

// recorder is what a gatherer asks together, and takes its time for each statement.
type recorder struct {
	takes time.Duration

	mu         sync.Mutex
	statements [][]rowsOf
	underWay   int
	most       int // that were under way at a time
}

func (r *recorder) together(ctx context.Context, calls []rowsOf) error {
	r.mu.Lock()
	r.statements = append(r.statements, calls)
	r.underWay++
	r.most = max(r.most, r.underWay)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.underWay--
		r.mu.Unlock()
	}()
	select {
	case <-time.After(r.takes):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// gathering lets calls come, each so long after the one before, and returns how long each took.
func gathering(t *testing.T, takes, apart time.Duration, calls ...rowsOf) (*recorder, []time.Duration) {
	t.Helper()
	r := &recorder{takes: takes}
	g := gatherer[rowsOf]{together: r.together}
	took := make([]time.Duration, len(calls))
	var answered sync.WaitGroup
	for i, c := range calls {
		answered.Go(func() {
			began := time.Now()
			if err := g.Do(t.Context(), c); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
			took[i] = time.Since(began)
		})
		time.Sleep(apart)
		synctest.Wait()
	}
	answered.Wait()
	synctest.Wait()
	time.Sleep(maxTurn)
	synctest.Wait()
	if g.running != 0 || g.rows != 0 || g.waiting != nil || g.watched {
		t.Errorf("afterwards %d statements are under way, and %d rows wait: %v", g.running, g.rows, g.waiting)
	}
	return r, took
}

// TestTurns: what comes while a statement is under way waits for that and goes together, as long as it is few rows, also when two
// were under way. As soon as it is worth a statement it has one beside, and a third waits.
func TestTurns(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		apart      time.Duration
		calls      []rowsOf
		statements [][]rowsOf // of 10 ms each
		most       int
		took       time.Duration // by the last
	}{
		"few":            {time.Millisecond, []rowsOf{1, 1, 1, 1, 1}, [][]rowsOf{{1}, {1, 1, 1, 1}}, 1, 16 * time.Millisecond},
		"many":           {time.Millisecond, []rowsOf{1, alongside - 1, 1, alongside, 1}, [][]rowsOf{{1}, {alongside - 1, 1}, {alongside, 1}}, 2, 16 * time.Millisecond},
		"few after many": {4 * time.Millisecond, []rowsOf{alongside, alongside, 1, 1, 1, 1}, [][]rowsOf{{alongside}, {alongside}, {1, 1}, {1, 1}}, 2, 14 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, took := gathering(t, 10*time.Millisecond, test.apart, test.calls...)
			if last := took[len(took)-1]; fmt.Sprint(r.statements) != fmt.Sprint(test.statements) || r.most != test.most || last != test.took {
				t.Errorf("%s: %v, %d at a time, the last took %v", name, r.statements, r.most, last)
			}
		})
	}
}

// TestNobodyWaitsForLong: a statement that hangs holds up others for no longer than a turn, however few they are (R10).
func TestNobodyWaitsForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hangs := make(chan struct{})
		r := &recorder{takes: time.Millisecond}
		g := gatherer[rowsOf]{together: func(ctx context.Context, calls []rowsOf) error {
			if slices.Contains(calls, 13) {
				<-hangs
			}
			return r.together(ctx, calls)
		}}
		var answered sync.WaitGroup
		answered.Go(func() { _ = g.Do(t.Context(), 13) })
		synctest.Wait()
		for range 3 { // each after the one before: it is not only the first for which there is a second
			began := time.Now()
			if err := g.Do(t.Context(), 1); err != nil || time.Since(began) != maxTurn+time.Millisecond {
				t.Errorf("it took %v: %v", time.Since(began), err)
			}
		}
		close(hangs)
		answered.Wait()
	})
}

// besideHung returns a gatherer with two statements under way: one hangs until end is called, the other, for one row, has just begun.
func besideHung(t *testing.T, takes time.Duration) (g *gatherer[rowsOf], r *recorder, end func()) {
	hangs := make(chan struct{})
	r = &recorder{takes: takes}
	g = &gatherer[rowsOf]{together: func(ctx context.Context, calls []rowsOf) error {
		if slices.Contains(calls, 13) {
			<-hangs
		}
		return r.together(ctx, calls)
	}}
	var answered sync.WaitGroup
	for _, c := range []rowsOf{13, 1} {
		answered.Go(func() { _ = g.Do(t.Context(), c) })
		synctest.Wait()
	}
	time.Sleep(maxTurn + time.Millisecond)
	return g, r, func() {
		close(hangs)
		answered.Wait()
	}
}

// TestOverdueBesideTwo: what has waited for a turn while two statements were under way goes when one of them ends, whoever else
// hangs, and also when nobody waits for the answer any more (R10).
func TestOverdueBesideTwo(t *testing.T) {
	t.Parallel()
	for name, patience := range map[string]time.Duration{"patient": time.Hour, "gone": 5 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			g, r, end := besideHung(t, 25*time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			began := time.Now()
			if err := g.Do(ctx, 2); (err != nil) != (name == "gone") {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(began); ctx.Err() == nil && took != 49*time.Millisecond {
				t.Errorf("%s: it took %v", name, took)
			}
			time.Sleep(time.Second)
			if want := [][]rowsOf{{1}, {2}}; fmt.Sprint(r.statements) != fmt.Sprint(want) {
				t.Errorf("%s: %v", name, r.statements)
			}
			end()
		})
	}
}

// TestRestOfManyBesideAnother: what did not fit into a statement goes after a turn too, though it came with enough for one (R10).
func TestRestOfManyBesideAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, r, end := besideHung(t, 5*time.Millisecond)
		var rest sync.WaitGroup
		for _, c := range []rowsOf{maxGathered, 50} {
			rest.Go(func() { _ = g.Do(t.Context(), c) })
			synctest.Wait()
		}
		time.Sleep(time.Second)
		if want := [][]rowsOf{{1}, {maxGathered}, {50}}; fmt.Sprint(r.statements) != fmt.Sprint(want) {
			t.Errorf("%v", r.statements)
		}
		end()
		rest.Wait()
	})
}

// TestStatementsAreBounded: no statement is for more than so many rows, unless a single call brings more.
func TestStatementsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := gathering(t, 10*time.Millisecond, 0, 1, maxGathered+1, maxGathered-1, 1, 1)
		for _, calls := range r.statements {
			rows := 0
			for _, c := range calls {
				rows += c.size()
			}
			if rows > maxGathered && len(calls) > 1 {
				t.Errorf("%v together", calls)
			}
		}
	})
}

// TestWaitingEndsWithItsContext, and what was asked for is done all the same.
func TestWaitingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{takes: 10 * time.Millisecond}
		g := gatherer[rowsOf]{together: r.together}
		go func() { _ = g.Do(t.Context(), 1) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := g.Do(ctx, 2); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it ended with %v", err)
		}
		time.Sleep(time.Second)
		if want := [][]rowsOf{{1}, {2}}; fmt.Sprint(r.statements) != fmt.Sprint(want) {
			t.Errorf("%v", r.statements)
		}
	})
}
