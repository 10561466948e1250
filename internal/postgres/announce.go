package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/media"
)

const (
	// maxAnnounced is how many changes wait to be announced at most. What comes on top is not: whoever watches finds it when
	// it looks again.
	maxAnnounced = 50_000
	// announcedTogether is how many a statement announces at most.
	announcedTogether = 5_000
	// announceEvery is the least time from one announcement to the next, and announceUnheard that when nobody was there to
	// hear the one before. A change that comes by itself does not wait, and one of many waits for as long at most.
	announceEvery   = 10 * time.Millisecond
	announceUnheard = 50 * time.Millisecond
	// announceLimit bounds a statement.
	announceLimit = 2 * time.Second
)

// announcer tells whoever watches, in whatever process, which media have changed. It does so after the commit and in a
// statement of its own: a transaction that notifies takes a lock of the whole server for the time of its commit, so that those
// that do wait for each other's disks. This one writes nothing that has to be on disk.
//
// What is announced is a hint. Nobody waits for it, and when Postgres does not answer or cannot keep up it is left out.
type announcer struct {
	send func(ctx context.Context, ids []uuid.UUID) (heard bool, err error)
	done *prometheus.CounterVec

	mu      sync.Mutex
	waiting []uuid.UUID
	ended   chan struct{} // closed when what was waiting has been announced; nil: nothing is
}

// Announce tells of changes that are committed. It never waits.
func (a *announcer) Announce(ids ...uuid.UUID) {
	if len(ids) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if room := maxAnnounced - len(a.waiting); len(ids) > room {
		a.count("dropped", len(ids)-room)
		ids = ids[:room]
	}
	a.waiting = append(a.waiting, ids...)
	if a.ended == nil {
		a.ended = make(chan struct{})
		go a.run()
	}
}

// run announces what is waiting and what comes meanwhile, until nothing is.
func (a *announcer) run() {
	for ids := a.take(); ids != nil; ids = a.take() {
		ctx, cancel := context.WithTimeout(context.Background(), announceLimit)
		heard, err := a.send(ctx, ids)
		cancel()
		pause := announceEvery
		switch {
		case err != nil:
			a.count("dropped", len(ids))
		case heard:
			a.count("sent", len(ids))
		default:
			a.count("unheard", len(ids))
			pause = announceUnheard
		}
		time.Sleep(pause)
	}
}

// take returns what is to be announced next; when that is nothing, whoever asked is done.
func (a *announcer) take() []uuid.UUID {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := min(len(a.waiting), announcedTogether)
	if n == 0 {
		a.waiting = nil // the array can go
		close(a.ended)
		a.ended = nil
		return nil
	}
	ids := a.waiting[:n:n]
	a.waiting = a.waiting[n:]
	return ids
}

func (a *announcer) count(result string, n int) { a.done.WithLabelValues(result).Add(float64(n)) }

// Announced waits until every change that this process has committed is announced, or ctx ends. Whoever closes the database
// calls it before.
func (s *Store) Announced(ctx context.Context) {
	s.announcer.mu.Lock()
	ended := s.announcer.ended
	s.announcer.mu.Unlock()
	if ended == nil {
		return
	}
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// announce is what an announcer sends.
func (s *Store) announce(ctx context.Context, ids []uuid.UUID) (heard bool, err error) {
	_, err = s.query(ctx, `SELECT coatcheck.announce($1)`, func(answer scanner) error { return answer.Scan(&heard) }, toUUIDs(ids))
	if err != nil {
		return false, fmt.Errorf("announcing changes: %w", err)
	}
	return heard, nil
}

// entered counts n media that have entered a state, and announces them. ids may hold others too, which nobody is misled by:
// whoever is told looks.
func (s *Store) entered(state media.State, reason media.Reason, n int, ids ...uuid.UUID) {
	s.metrics.entered(state, reason, n)
	if n > 0 {
		s.announcer.Announce(ids...)
	}
}

// landed is entered for landings.
func (s *Store) landed(source media.Source, results []media.Landed) {
	s.metrics.landed(source, results)
	var ids []uuid.UUID
	for _, r := range results {
		switch r.Verdict {
		case media.VerdictLanded, media.VerdictRejected, media.VerdictLate:
			ids = append(ids, r.MediaID)
		}
	}
	s.announcer.Announce(ids...)
}

// idsOf returns the ids of those that are there.
func idsOf(ms []*media.Media) []uuid.UUID {
	ids := make([]uuid.UUID, 0, len(ms))
	for _, m := range ms {
		if m != nil {
			ids = append(ids, m.ID)
		}
	}
	return ids
}
