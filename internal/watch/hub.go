package watch

import (
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Hub is what watches of one process have in common. It is safe for concurrent use.
type Hub struct {
	store   Store
	now     func() time.Time
	logger  *slog.Logger
	metrics *Metrics

	mu      sync.Mutex
	watches int
	media   map[uuid.UUID]*entry
	dirty   map[uuid.UUID]bool // of media: to be read
	leftAt  time.Time          // when the last watch ended

	begun   chan struct{} // has something when there is a watch
	dirtied chan struct{} // has something when something is dirty
}

// entry is one media, and who watches it.
type entry struct {
	revision int64    // the newest that was read; 0: none
	standing Standing // at that revision
	watchers []place
}

// place is a media's place in a watch.
type place struct {
	watch *Watch
	at    int
}

// NewHub returns a hub. Watches are told of changes while [Hub.Run] runs.
func NewHub(store Store, now func() time.Time, logger *slog.Logger, metrics *Metrics) *Hub {
	return &Hub{
		store: store, now: now, logger: logger, metrics: metrics,
		media: map[uuid.UUID]*entry{}, dirty: map[uuid.UUID]bool{}, begun: make(chan struct{}, 1), dirtied: make(chan struct{}, 1),
	}
}

func (h *Hub) add(w *Watch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watches == MaxWatches {
		return ErrFull
	}
	h.watches++
	for i, id := range w.ids {
		e := h.media[id]
		if e == nil {
			e = new(entry)
			h.media[id] = e
		}
		e.watchers = append(e.watchers, place{w, i})
	}
	h.metrics.watches.Set(float64(h.watches))
	h.metrics.media.Set(float64(len(h.media)))
	notice(h.begun)
	return nil
}

func (h *Hub) remove(w *Watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range w.ids {
		e := h.media[id]
		for i, p := range e.watchers {
			if p.watch == w {
				last := len(e.watchers) - 1
				e.watchers[i], e.watchers[last] = e.watchers[last], place{}
				e.watchers = e.watchers[:last]
				break
			}
		}
		if len(e.watchers) == 0 {
			delete(h.media, id)
			delete(h.dirty, id)
		}
	}
	if h.watches--; h.watches == 0 {
		h.leftAt = h.now()
	}
	h.metrics.watches.Set(float64(h.watches))
	h.metrics.media.Set(float64(len(h.media)))
}

// changed takes note that media are to be read, those among them that are watched.
func (h *Hub) changed(ids []uuid.UUID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		if h.media[id] != nil {
			h.dirty[id] = true
		}
	}
	if len(h.dirty) > 0 {
		notice(h.dirtied)
	}
}

// take returns up to limit of the media that are to be read.
func (h *Hub) take(limit int) []uuid.UUID {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]uuid.UUID, 0, min(limit, len(h.dirty)))
	for id := range h.dirty {
		if len(ids) == limit {
			break
		}
		ids = append(ids, id)
		delete(h.dirty, id)
	}
	return ids
}

// tell gives those who watch what was read of media.
func (h *Hub) tell(ids []uuid.UUID, ms []*media.Media) {
	byID := make(map[uuid.UUID]*media.Media, len(ms))
	for _, m := range ms {
		byID[m.ID] = m
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		e := h.media[id]
		if e == nil {
			continue
		}
		m := byID[id]
		if m != nil {
			if m.Revision <= e.revision {
				continue // they have been told
			}
			e.revision, e.standing = m.Revision, standing(m)
		}
		for _, p := range e.watchers {
			if m == nil {
				p.watch.forget(p.at)
			} else {
				p.watch.offer(p.at, m)
			}
		}
	}
}

// known takes note of what a watch has read by itself. Others that watch the same are told at once, too.
func (h *Hub) known(ms []*media.Media) {
	ids := make([]uuid.UUID, len(ms))
	for i, m := range ms {
		ids[i] = m.ID
	}
	h.tell(ids, ms)
}

// standings returns what is watched, with what is known of it.
func (h *Hub) standings() map[uuid.UUID]Standing {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make(map[uuid.UUID]Standing, len(h.media))
	for id, e := range h.media {
		all[id] = e.standing
	}
	return all
}

// idle reports whether nobody has watched anything for as long.
func (h *Hub) idle(since time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.watches == 0 && h.now().Sub(h.leftAt) >= since
}

func notice(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // there is something already
	}
}
