package reconcile

import (
	"context"
	"iter"
	"sort"
)

// ahead reads a stream of pages in a goroutine of its own, a page or two ahead of whoever takes them. It ends with its
// context.
type ahead[T any] struct {
	ctx   context.Context
	pages chan pageOrError[T]
}

type pageOrError[T any] struct {
	page []T
	err  error
}

func newAhead[T any](ctx context.Context, stream iter.Seq2[[]T, error]) *ahead[T] {
	a := &ahead[T]{ctx: ctx, pages: make(chan pageOrError[T], 1)}
	go func() {
		defer close(a.pages)
		for page, err := range stream {
			select {
			case a.pages <- pageOrError[T]{page, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return a
}

// wait returns when the goroutine has ended, as it does with its context.
func (a *ahead[T]) wait() {
	for range a.pages {
	}
}

// next returns the next page, and false at the end.
func (a *ahead[T]) next() (page []T, ok bool, err error) {
	p, ok := <-a.pages
	if !ok {
		return nil, false, a.ctx.Err() // it may have been stopped in the middle
	}
	return p.page, true, p.err
}

// rowStream is the rows of a range, one by one.
type rowStream struct {
	pages *ahead[Row]
	page  []Row
	ended bool
}

func newRowStream(ctx context.Context, store Store, r Range) *rowStream {
	return &rowStream{pages: newAhead(ctx, func(yield func([]Row, error) bool) {
		after := r.After
		for {
			page, err := store.Rows(ctx, r, after, rowsPage)
			if err != nil {
				yield(nil, err)
				return
			}
			// A place that Postgres cannot hold is taken for the one before it.
			wanted := page[sort.Search(len(page), func(i int) bool { return page[i].Key > r.After }):]
			if len(wanted) > 0 && !yield(wanted, nil) || len(page) < rowsPage {
				return
			}
			after = page[len(page)-1].Key
		}
	})}
}

// peek returns the next row without taking it, and nil at the end.
func (s *rowStream) peek() (*Row, error) {
	for len(s.page) == 0 {
		if s.ended {
			return nil, nil
		}
		page, ok, err := s.pages.next()
		if err != nil {
			return nil, err
		}
		s.page, s.ended = page, !ok
	}
	return &s.page[0], nil
}

func (s *rowStream) take() { s.page = s.page[1:] }
