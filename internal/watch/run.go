package watch

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/backoff"
)

const (
	// maxRead is how many media a statement reads at most, and maxStandings how many standings.
	maxRead      = 500
	maxStandings = 10_000
	// lookAgain is how often everything that is watched is looked at, in case an announcement was lost. It takes at most a
	// twentieth of the time.
	lookAgain      = 5 * time.Second
	lookAgainShare = 20
	// linger is how long a hub goes on listening when nobody watches any more: somebody will again.
	linger = 30 * time.Second
	// readLimit bounds a statement.
	readLimit = 10 * time.Second
)

var retry = backoff.Policy{Base: 100 * time.Millisecond, Max: 5 * time.Second}

// Run tells watches of changes until ctx ends. While nobody watches it does nothing, and has no connection.
func (h *Hub) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { h.readChanged(ctx) })
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.begun:
		}
		h.serve(ctx)
	}
}

// serve listens, and looks again, until nobody has watched for a while.
func (h *Hub) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { h.listen(ctx) })
	defer wg.Wait()
	defer cancel()
	for pause := lookAgain; !h.idle(linger); {
		if backoff.Sleep(ctx, pause) != nil {
			return
		}
		began := time.Now()
		h.lookAt(ctx, true)
		pause = max(lookAgain, lookAgainShare*time.Since(began))
	}
}

// listen listens, and begins again whenever the connection is lost.
func (h *Hub) listen(ctx context.Context) {
	for failures := 1; ctx.Err() == nil; failures++ {
		err := h.store.Listen(ctx, func() {
			failures = 0
			h.metrics.listens.Inc()
			h.lookAt(ctx, false) // what has changed while nobody listened
		}, h.changed)
		if ctx.Err() == nil {
			h.logger.Warn("watch: not told of changes, which are looked for meanwhile", "error", err, "failures", failures)
			_ = backoff.Sleep(ctx, retry.Delay(max(1, failures)))
		}
	}
}

// lookAt looks which of what is watched has changed without having been heard of.
func (h *Hub) lookAt(ctx context.Context, routine bool) {
	known := h.standings()
	ids := make([]uuid.UUID, 0, len(known))
	for id := range known {
		ids = append(ids, id)
	}
	for chunk := range slices.Chunk(ids, maxStandings) {
		standings, err := h.askStandings(ctx, chunk)
		if err != nil {
			if ctx.Err() == nil {
				h.logger.Warn("watch: what is watched could not be looked at", "error", err)
			}
			return
		}
		var changed []uuid.UUID
		for _, id := range chunk {
			now, there := standings[id]
			if there && now == known[id] {
				continue
			}
			changed = append(changed, id)
			if routine && there && known[id] != (Standing{}) {
				h.metrics.found.Inc()
			}
		}
		h.changed(changed)
	}
}

func (h *Hub) askStandings(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]Standing, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	return h.store.Standings(ctx, ids)
}

// readChanged reads what has changed, many together: what comes while a statement is under way is read by the next. So
// nobody waits for others, and the more changes there are the less each costs.
func (h *Hub) readChanged(ctx context.Context) {
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.dirtied:
		}
		for ids := h.take(maxRead); len(ids) > 0 && ctx.Err() == nil; ids = h.take(maxRead) {
			if err := h.read(ctx, ids); err != nil {
				h.changed(ids)
				failures++
				if ctx.Err() == nil {
					h.logger.Warn("watch: changes could not be read, and are tried again", "media", len(ids), "error", err)
				}
				_ = backoff.Sleep(ctx, retry.Delay(failures))
				continue
			}
			failures = 0
		}
	}
}

func (h *Hub) read(ctx context.Context, ids []uuid.UUID) error {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	ms, err := h.store.Read(ctx, ids)
	if err != nil {
		return err
	}
	h.metrics.reads.Inc()
	h.tell(ids, ms)
	return nil
}
