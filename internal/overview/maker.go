package overview

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coatcheck/coatcheck/internal/reconcile"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

// Store is where media are kept.
type Store interface {
	// Counts returns what was counted last, by whichever process; nil: nothing yet.
	Counts(ctx context.Context) (*Counts, error)
	// Count counts, unless another process does, or has while this was called so that it is not [Due] any more.
	Count(ctx context.Context) error
	// Passes returns the newest passes of the sweepers that did anything, newest first, and SweptAt when the newest of all began.
	Passes(ctx context.Context, limit int) ([]sweep.Pass, error)
	SweptAt(ctx context.Context) (time.Time, error)
	// Runs returns the newest reconciliations, newest first.
	Runs(ctx context.Context, limit int) ([]*reconcile.Run, error)
}

// Sources are what an overview is made of.
type Sources struct {
	Store   Store
	Backlog func() ([]Backlog, error)
	Found   func() (Found, error)
	// Queue asks for the depth of the queue, as of at most a minute ago; nil: there is none to ask.
	Queue func(context.Context) (*Queue, error)
}

// Maker makes overviews, one for all who ask at about the same time. It is safe for concurrent use.
type Maker struct {
	sources Sources
	now     func() time.Time
	logger  *slog.Logger

	making chan struct{} // held by whoever makes one
	last   *Overview

	wanted chan struct{} // has something when a count is wanted

	mu      sync.Mutex
	counted chan struct{} // closed when the count that is wanted has ended
}

const (
	// Every is the least time from one overview to the next.
	Every = 2 * time.Second
	// countPatience is how long an overview waits for a count: of a small table it has the newest.
	countPatience = 500 * time.Millisecond
	// countLimit bounds a count.
	countLimit = 10 * time.Minute
)

// New returns a maker. It counts while [Maker.Run] runs.
func New(sources Sources, now func() time.Time, logger *slog.Logger) *Maker {
	return &Maker{
		sources: sources, now: now, logger: logger, making: make(chan struct{}, 1), wanted: make(chan struct{}, 1), counted: make(chan struct{}),
	}
}

// Get returns an overview that is no older than [Every].
func (m *Maker) Get(ctx context.Context) (*Overview, error) {
	select {
	case m.making <- struct{}{}:
		defer func() { <-m.making }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if now := m.now(); m.last != nil && now.Sub(m.last.MadeAt) < Every && !now.Before(m.last.MadeAt) {
		return m.last, nil
	}
	o, err := m.make(ctx)
	if err != nil {
		return nil, fmt.Errorf("making an overview: %w", err)
	}
	m.last = o
	return o, nil
}

func (m *Maker) make(ctx context.Context) (*Overview, error) {
	var err error
	o := new(Overview)
	if o.Counts, err = m.counts(ctx); err != nil {
		return nil, err
	}
	if o.Backlog, err = m.sources.Backlog(); err != nil {
		return nil, err
	}
	if o.Found, err = m.sources.Found(); err != nil {
		return nil, err
	}
	passes, err := m.sources.Store.Passes(ctx, 1)
	if err != nil {
		return nil, err
	}
	if len(passes) > 0 {
		o.LastSweep = &passes[0]
	}
	if o.SweptAt, err = m.sources.Store.SweptAt(ctx); err != nil {
		return nil, err
	}
	runs, err := m.sources.Store.Runs(ctx, 1)
	if err != nil {
		return nil, err
	}
	if len(runs) > 0 {
		o.LastReconcile = runs[0]
	}
	if m.sources.Queue != nil {
		// Without SQS the rest is as true: whoever asks for its depth logs that it does not answer.
		o.Queue, _ = m.sources.Queue(ctx)
	}
	o.MadeAt = m.now()
	return o, nil
}

// counts returns the newest counts, and has new ones made when they are due, which it waits for a little.
func (m *Maker) counts(ctx context.Context) (*Counts, error) {
	last, err := m.sources.Store.Counts(ctx)
	if err != nil || !Due(last, m.now()) {
		return last, err
	}
	m.mu.Lock()
	counted := m.counted
	m.mu.Unlock()
	select {
	case m.wanted <- struct{}{}:
	default: // it is counting, or about to
	}
	patience := time.NewTimer(countPatience)
	defer patience.Stop()
	select {
	case <-counted:
		return m.sources.Store.Counts(ctx)
	case <-patience.C:
		return last, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Run counts when somebody asks and it is due, until ctx ends.
func (m *Maker) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.wanted:
		}
		began := time.Now()
		counting, cancel := context.WithTimeout(ctx, countLimit)
		err := m.sources.Store.Count(counting)
		cancel()
		m.mu.Lock()
		close(m.counted)
		m.counted = make(chan struct{})
		m.mu.Unlock()
		if err == nil || ctx.Err() != nil {
			continue
		}
		// What has failed has taken its time, too.
		pause := max(countEvery, countShare*time.Since(began))
		m.logger.Warn("overview: counting failed, and is tried again", "error", err, "in", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}
