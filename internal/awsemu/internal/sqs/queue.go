package sqs

import (
	"container/heap"
	"slices"
	"sync"
	"time"
)

// maxInFlight is how many received and undeleted messages a queue may have; see "Amazon SQS standard queue
// quotas".
const maxInFlight = 120_000

// queue is one standard queue. Everything but the immutable head is guarded by mu.
type queue struct {
	name        string
	arn         string
	incarnation string // begins every receipt handle, so that those of a deleted queue of the same name are refused
	created     time.Time

	mu       sync.Mutex
	deleted  bool
	modified time.Time
	attrs    map[string]string
	tags     map[string]string
	settings settings

	byID   map[string]*message
	list   []*message // ready ones in order, from head on; those that are gone are skipped
	head   int
	nReady int
	hidden hiddenHeap
	nLate  int // of the hidden

	waiters []chan struct{}
	timer   *time.Timer
	armed   time.Time // what the timer is set for
}

// add takes in a message that is ready, or hidden until m.Hidden.
func (q *queue) add(m *message, now time.Time) {
	if m.md5 == "" {
		m.md5 = bodyMD5(m.Body)
	}
	q.byID[m.ID] = m
	if m.Hidden.After(now) {
		q.hide(m, m.Count == 0)
	} else {
		q.makeReady(m)
	}
}

func (q *queue) makeReady(m *message) {
	m.slot = ready
	m.Hidden = time.Time{}
	q.list = append(q.list, m)
	q.nReady++
	q.wake(1)
}

func (q *queue) hide(m *message, late bool) {
	m.late = late
	if late {
		q.nLate++
	}
	heap.Push(&q.hidden, m)
	q.arm()
}

// unhide takes m out of the heap; what becomes of it is for the caller.
func (q *queue) unhide(m *message) {
	heap.Remove(&q.hidden, m.slot)
	if m.late {
		q.nLate--
		m.late = false
	}
}

// promote makes ready what is hidden no longer.
func (q *queue) promote(now time.Time) {
	for len(q.hidden) > 0 && !q.hidden[0].Hidden.After(now) {
		m := q.hidden[0]
		q.unhide(m)
		q.makeReady(m)
	}
}

// pop takes the next ready message off the list, or nil.
func (q *queue) pop() *message {
	for q.head < len(q.list) {
		m := q.list[q.head]
		q.list[q.head] = nil
		q.head++
		if q.head > 1024 && q.head > len(q.list)/2 {
			q.list = slices.Delete(q.list, 0, q.head)
			q.head = 0
		}
		if m.slot == ready {
			q.nReady--
			m.slot = picked
			return m
		}
	}
	q.list, q.head = q.list[:0], 0
	return nil
}

// remove deletes m, wherever it is.
func (q *queue) remove(m *message) {
	delete(q.byID, m.ID)
	switch {
	case m.slot >= 0:
		q.unhide(m)
	case m.slot == ready:
		q.nReady--
	}
	m.slot = gone
}

func (q *queue) clear() {
	clear(q.byID)
	q.list, q.head, q.nReady, q.hidden, q.nLate = nil, 0, 0, nil, 0
}

func (q *queue) inFlight() int { return len(q.hidden) - q.nLate }

// wait registers for a wake-up: the channel is closed when a message may be there.
func (q *queue) wait() chan struct{} {
	w := make(chan struct{})
	q.waiters = append(q.waiters, w)
	q.arm()
	return w
}

// leave ends a wait. Whoever was woken and takes nothing passes the wake-up on.
func (q *queue) leave(w chan struct{}) {
	if i := slices.Index(q.waiters, w); i >= 0 {
		q.waiters = slices.Delete(q.waiters, i, i+1)
	} else if q.nReady > 0 {
		q.wake(1)
	}
}

func (q *queue) wake(n int) {
	n = min(n, len(q.waiters))
	for _, w := range q.waiters[:n] {
		close(w)
	}
	q.waiters = slices.Delete(q.waiters, 0, n)
}

// arm sets the timer for the first hidden message to come back, if anybody waits for it.
func (q *queue) arm() {
	if len(q.waiters) == 0 || len(q.hidden) == 0 {
		return
	}
	next := q.hidden[0].Hidden
	if !q.armed.IsZero() && !next.Before(q.armed) {
		return
	}
	q.armed = next
	d := q.settings.until(next)
	if q.timer == nil {
		q.timer = time.AfterFunc(d, q.alarm)
	} else {
		q.timer.Reset(d)
	}
}

func (q *queue) alarm() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.armed = time.Time{}
	q.promote(q.settings.now())
	q.arm()
}

// stop ends the queue's timer and wakes everybody.
func (q *queue) stop() {
	if q.timer != nil {
		q.timer.Stop()
	}
	q.wake(len(q.waiters))
}
