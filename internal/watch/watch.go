// Package watch tells of changes of media while they happen, whichever process makes them.
//
// A [Hub] is one for a process. It listens for announcements on one connection, and reads what has changed of what is
// watched here: each media once, however many watch it, and many by one statement. An announcement is a hint, and may be
// lost: what is watched is looked at again every few seconds, and after each time that the connection was. So a lost one is
// a delay and nothing worse.
package watch

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Store is where media are kept.
type Store interface {
	// GetAll returns those media among ids that are within the scope, in any order.
	GetAll(ctx context.Context, scope media.Scope, ids []uuid.UUID) ([]*media.Media, error)
	// Read returns them whosever they are.
	Read(ctx context.Context, ids []uuid.UUID) ([]*media.Media, error)
	// Standings returns how those stand that there are.
	Standings(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]Standing, error)
	// Listen calls ready once it hears of every change that is committed from then on, and changed for each that it hears of,
	// until ctx ends or the connection is lost.
	Listen(ctx context.Context, ready func(), changed func(ids []uuid.UUID)) error
}

// Standing is what a watch tells the changes of.
type Standing struct {
	State  media.State
	Reason media.Reason
}

func standing(m *media.Media) Standing { return Standing{m.State, m.Reason} }

// MaxWatches is how many watches a process serves. Each is a connection of a client, and some tens of kilobytes.
const MaxWatches = 10_000

// ErrFull means that there are [MaxWatches].
var ErrFull = errors.New("this process serves as many watches as it can")

// Watch is one caller's interest in some media. Its methods are for one goroutine, but for [Watch.Changed].
type Watch struct {
	hub     *Hub
	ids     []uuid.UUID // each once, in the order of the request
	changed chan struct{}

	mu    sync.Mutex
	media []watched // in the order of ids
}

// watched is what is known of one media of a watch.
type watched struct {
	news *media.Media // the newest that was read and not taken; nil: none
	// What was taken last.
	revision int64
	standing Standing
	gone     bool // its row has been forgotten
}

// Watch begins a watch of media within a scope, whose first [Watch.Take] returns all of them as they are. It is a
// [media.CodeNotFound] error when one is not there, and [ErrFull] when there are too many. The caller closes it.
func (h *Hub) Watch(ctx context.Context, scope media.Scope, ids []uuid.UUID) (*Watch, error) {
	w := &Watch{hub: h, changed: make(chan struct{}, 1)}
	for _, id := range ids {
		if !slices.Contains(w.ids, id) {
			w.ids = append(w.ids, id)
		}
	}
	w.media = make([]watched, len(w.ids))
	// What changes after this is heard of, and what has changed before is read.
	if err := h.add(w); err != nil {
		return nil, err
	}
	ms, err := h.store.GetAll(ctx, scope, ids)
	if err == nil {
		err = w.begin(ms)
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	h.known(ms)
	return w, nil
}

// begin makes all media of the watch news, when all are there.
func (w *Watch) begin(ms []*media.Media) error {
	byID := make(map[uuid.UUID]*media.Media, len(ms))
	for _, m := range ms {
		byID[m.ID] = m
	}
	for _, id := range w.ids {
		if byID[id] == nil {
			return media.NotFound(id) // and nothing of what was heard meanwhile is told (R9)
		}
	}
	for i, id := range w.ids {
		w.offer(i, byID[id])
	}
	return nil
}

// Close ends the watch.
func (w *Watch) Close() { w.hub.remove(w) }

// Changed returns a channel that has something when [Watch.Take] may.
func (w *Watch) Changed() <-chan struct{} { return w.changed }

// Take returns the media whose state has changed since it was taken last, each as it is now, and whether none can change any
// more: all are DELETED, or forgotten.
func (w *Watch) Take() (changed []*media.Media, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	over = true
	for i := range w.media {
		m := &w.media[i]
		if m.news != nil {
			if now := standing(m.news); now != m.standing {
				changed = append(changed, m.news)
				m.standing = now
			}
			m.revision = m.news.Revision
			m.news = nil
		}
		over = over && (m.gone || m.standing.State == media.StateDeleted)
	}
	return changed, over
}

// offer makes what was read of a media news, unless something newer has been.
func (w *Watch) offer(i int, m *media.Media) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := &w.media[i]
	if m.Revision <= at.revision || at.news != nil && m.Revision <= at.news.Revision {
		return
	}
	at.news = m
	w.signal()
}

// forget takes note that a media's row is not there any more.
func (w *Watch) forget(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.media[i].gone = true
	w.signal()
}

func (w *Watch) signal() {
	select {
	case w.changed <- struct{}{}:
	default: // there is something already
	}
}
