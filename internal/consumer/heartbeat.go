package consumer

import (
	"context"
	"slices"
	"sync"
	"time"
)

// heartbeats keeps messages hidden from receive to acknowledgement: half a visibility timeout after a message was
// hidden last, it is hidden anew for a whole one.
type heartbeats struct {
	c *Consumer

	mu   sync.Mutex // also of the since and the place of each item
	held []*item    // what is to be kept hidden

	// round is held while calls are under way that were made for what was held before.
	round sync.Mutex
}

func newHeartbeats(c *Consumer) *heartbeats {
	return &heartbeats{c: c}
}

// add begins with messages that were received at the time given.
func (h *heartbeats) add(items []*item, received time.Time) {
	h.mu.Lock()
	for _, it := range items {
		h.held = append(h.held, it)
		it.since, it.place = received, len(h.held)
	}
	h.mu.Unlock()
	h.c.metrics.inFlight.Add(float64(len(items)))
}

// remove ends with messages. One more heartbeat may be under way for them.
func (h *heartbeats) remove(items []*item) {
	h.mu.Lock()
	before := len(h.held)
	for _, it := range items {
		h.letGo(it)
	}
	gone := before - len(h.held)
	h.mu.Unlock()
	h.c.metrics.inFlight.Sub(float64(gone))
}

// letGo ends with one message, unless that is done: the last of those held takes its place.
func (h *heartbeats) letGo(it *item) {
	if it.place == 0 {
		return
	}
	end := len(h.held) - 1
	last := h.held[end]
	h.held[it.place-1], last.place = last, it.place
	h.held[end], it.place = nil, 0
	h.held = h.held[:end]
}

// drop ends with messages and returns when no heartbeat for them is under way any more.
func (h *heartbeats) drop(items []*item) {
	h.remove(items)
	h.round.Lock()
	h.round.Unlock() //nolint:staticcheck // waiting is all that is wanted
}

// run beats until ctx ends.
func (h *heartbeats) run(ctx context.Context) {
	// Eight looks in a visibility timeout: no message goes without for more than five eighths of it, and a call that
	// failed can be made again before the time is up.
	ticker := time.NewTicker(h.c.cfg.VisibilityTimeout / 8)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			h.beat(ctx)
		}
	}
}

// beatCalls is how many calls one round makes at a time.
const beatCalls = 4

// beat makes one round: it extends everything that is due.
func (h *heartbeats) beat(ctx context.Context) {
	h.round.Lock()
	defer h.round.Unlock()
	began := time.Now()
	due := h.due(began)
	var calls sync.WaitGroup
	free := make(chan struct{}, beatCalls)
	for chunk := range slices.Chunk(due, receiveSize) {
		free <- struct{}{}
		calls.Go(func() {
			defer func() { <-free }()
			h.extend(ctx, began, chunk)
		})
	}
	calls.Wait()
}

// due returns the messages that were hidden last at least half a visibility timeout ago.
func (h *heartbeats) due(now time.Time) []*item {
	h.mu.Lock()
	defer h.mu.Unlock()
	var due []*item
	for _, it := range h.held {
		if now.Sub(it.since) >= h.c.cfg.VisibilityTimeout/2 {
			due = append(due, it)
		}
	}
	return due
}

func (h *heartbeats) extend(ctx context.Context, began time.Time, items []*item) {
	// The round waits for every call: one that is not answered may not take up what time the other messages have left.
	ctx, cancel := context.WithTimeout(ctx, h.c.cfg.VisibilityTimeout/4)
	defer cancel()
	failures := h.c.queue.SetVisibility(ctx, receiptsOf(items), h.c.cfg.VisibilityTimeout)
	failed := make(map[string]Failure, len(failures))
	for _, f := range failures {
		failed[f.Receipt] = f
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, it := range items {
		if it.place == 0 {
			continue // it was acknowledged meanwhile, and the call may well have failed for that
		}
		f, bad := failed[it.Receipt]
		switch {
		case !bad:
			it.since = began
			h.c.metrics.heartbeats.WithLabelValues("extended").Inc()
		case f.Final:
			// It is no longer ours to extend: somebody else has it, or SQS hides no message for more than 12 hours.
			h.letGo(it)
			h.c.metrics.inFlight.Dec()
			h.c.metrics.heartbeats.WithLabelValues("lost").Inc()
			h.c.trouble("a message can no longer be kept hidden: it may be handled twice", "message", it.ID, "error", f.Err)
		default:
			h.c.metrics.heartbeats.WithLabelValues("failed").Inc()
			h.c.trouble("keeping messages hidden failed: it is tried again", "messages", len(failures), "error", f.Err)
		}
	}
}
