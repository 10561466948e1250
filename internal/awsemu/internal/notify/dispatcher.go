package notify

import (
	"slices"
	"sync"
	"time"
)

// Delivery is one message on its way from a bucket to a queue.
type Delivery struct {
	QueueARN string    `json:"queue"`
	ID       string    `json:"id"` // the message's
	Body     string    `json:"body"`
	Sent     time.Time `json:"sent"`
}

// Faults are what can be made to happen to notifications. A count below zero means until changed.
type Faults struct {
	Drop    int
	Double  int
	Delay   int
	DelayBy time.Duration
	Reorder int  // this many are held and then sent in reverse
	Hold    bool // everything is held until it is released
}

// Dispatcher hands deliveries to queues, or does worse with them. Plan decides before the object's change is
// journaled, so that what survives a restart is what was going to arrive; Send acts on it afterwards. It is safe
// for concurrent use.
type Dispatcher struct {
	inject func(Delivery)

	mu        sync.Mutex
	faults    Faults
	held      []Delivery
	reordered []Delivery
	timers    map[*time.Timer]struct{}
	closed    bool
}

// NewDispatcher returns a dispatcher without faults. inject puts a message into its queue at once.
func NewDispatcher(inject func(Delivery)) *Dispatcher {
	return &Dispatcher{inject: inject, timers: map[*time.Timer]struct{}{}}
}

// Change changes the faults in place.
func (d *Dispatcher) Change(change func(*Faults)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.faults)
}

func use(n *int) bool {
	if *n > 0 {
		*n--
		return true
	}
	return *n < 0
}

// Plan drops and doubles.
func (d *Dispatcher) Plan(in []Delivery) []Delivery {
	if len(in) == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.faults.Drop == 0 && d.faults.Double == 0 {
		return in
	}
	var out []Delivery
	for _, m := range in {
		if use(&d.faults.Drop) {
			continue
		}
		out = append(out, m)
		if use(&d.faults.Double) {
			m.ID = NewID()
			out = append(out, m)
		}
	}
	return out
}

// Send delivers now, or as the faults say.
func (d *Dispatcher) Send(planned []Delivery) {
	for _, m := range planned {
		for _, now := range d.due(m) {
			d.inject(now)
		}
	}
}

// Direct delivers without faults.
func (d *Dispatcher) Direct(in []Delivery) {
	for _, m := range in {
		d.inject(m)
	}
}

// due returns what has to be injected now that m has come.
func (d *Dispatcher) due(m Delivery) []Delivery {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.faults.Hold:
		d.held = append(d.held, m)
		return nil
	case d.faults.Reorder > 0:
		d.reordered = append(d.reordered, m)
		d.faults.Reorder--
		if d.faults.Reorder > 0 {
			return nil
		}
		return d.takeReordered()
	case use(&d.faults.Delay):
		d.later(m, d.faults.DelayBy)
		return nil
	}
	return []Delivery{m}
}

func (d *Dispatcher) takeReordered() []Delivery {
	out := d.reordered
	d.reordered = nil
	slices.Reverse(out)
	return out
}

func (d *Dispatcher) later(m Delivery, wait time.Duration) {
	if d.closed {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(wait, func() {
		d.mu.Lock()
		_, live := d.timers[t]
		delete(d.timers, t)
		d.mu.Unlock()
		if live {
			d.inject(m)
		}
	})
	d.timers[t] = struct{}{}
}

// Release ends holding and reordering, sends what was held, and returns how many that was.
func (d *Dispatcher) Release() int {
	d.mu.Lock()
	out := append(d.held, d.takeReordered()...)
	d.held = nil
	d.faults.Hold, d.faults.Reorder = false, 0
	d.mu.Unlock()
	for _, m := range out {
		d.inject(m)
	}
	return len(out)
}

// Held is the number of deliveries held, delayed or waiting to be reordered.
func (d *Dispatcher) Held() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.held) + len(d.reordered) + len(d.timers)
}

// Close stops delayed deliveries. With a journal they arrive when it is opened again.
func (d *Dispatcher) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for t := range d.timers {
		t.Stop()
	}
	clear(d.timers)
}
