package consumer

import (
	"context"
	"sync"
	"time"
)

// maxTurn is how long a batch that is not full waits for the one before it. That takes a few milliseconds, unless its
// connection hangs or somebody holds one of its rows, which is not to hold up others.
const maxTurn = 20 * time.Millisecond

// linger is how long a batch waits for the next hand-over when the last one was as large as a receive can be. It is short, since
// the last of a burst waits in vain. Where a call takes longer, hand-overs are further apart, and batches go as they are.
const linger = 2 * time.Millisecond

// batches makes batches of what is handed over. While none is being recorded a batch takes what is there and waits for
// nothing. Otherwise it takes what comes meanwhile too, until it is full: a statement by itself costs Postgres as much as
// fifty rows do, so that small ones side by side get less done than large ones in turn.
//
// A receive that was full has left others in the queue, which are about to come: a batch waits for those, too.
type batches struct {
	handover <-chan []*item
	size     int           // the most messages in a batch
	turn     chan struct{} // holds one while a batch is recorded that was not full

	mu   sync.Mutex // of the batch that is being made
	rest []*item    // what of the last hand-over it had no room for
	more bool       // the last hand-over was full, and others are about to follow
}

func newBatches(handover <-chan []*item, size int) *batches {
	return &batches{handover: handover, size: size, turn: make(chan struct{}, 1)}
}

// next returns the next batch, and what is to be called when it has been recorded or left. ok is false when nothing more
// will come. When ctx ends it waits no longer than for a first message.
func (b *batches) next(ctx context.Context) (batch []*item, done func(), ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rest) == 0 {
		first, ok := <-b.handover
		if !ok {
			return nil, nil, false
		}
		b.receive(first)
	}
	batch, full := b.fill(nil)
	overdue := time.After(maxTurn)
	for !full {
		turn, quiet := b.turn, (<-chan time.Time)(nil)
		if b.more {
			turn, quiet = nil, time.After(linger)
		}
		select {
		case <-quiet:
			b.more = false
		case turn <- struct{}{}:
			batch, _ = b.fill(batch) // what came since
			return batch, func() { <-b.turn }, true
		case more, open := <-b.handover:
			b.receive(more)
			batch, full = b.fill(batch)
			full = full || !open
		case <-overdue:
			full = true
		case <-ctx.Done():
			full = true
		}
	}
	return batch, func() {}, true
}

// receive takes a hand-over, or nothing when there will be no more.
func (b *batches) receive(items []*item) {
	b.rest, b.more = items, len(items) == receiveSize
}

// fill adds to a batch what is there, and reports whether it has room for no more.
func (b *batches) fill(batch []*item) (_ []*item, full bool) {
	landings := 0
	for _, it := range batch {
		landings += len(it.landings)
	}
	for {
		for i, it := range b.rest {
			n := len(it.landings)
			if len(batch) == b.size || len(batch) > 0 && landings+n > maxLandings {
				b.rest = b.rest[i:]
				return batch, true
			}
			batch, landings = append(batch, it), landings+n
		}
		select {
		case more := <-b.handover:
			b.receive(more)
		default:
			b.rest = nil
		}
		if len(b.rest) == 0 {
			return batch, len(batch) == b.size
		}
	}
}
