package queue

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/backoff"
)

// Watcher shows the depths of a queue and its dead-letter queue as metrics. What goes to the dead-letter queue is moved
// there by SQS, so that no process of ours could count it.
type Watcher struct {
	queue    *Queue
	every    time.Duration
	log      *slog.Logger
	messages *prometheus.GaugeVec
	errors   prometheus.Counter
}

// NewWatcher returns a watcher that asks once in every, and registers its metrics. Each look costs three requests; SQS
// itself is up to a minute behind.
func NewWatcher(q *Queue, every time.Duration, reg prometheus.Registerer, log *slog.Logger) *Watcher {
	w := &Watcher{
		queue: q, every: every, log: log,
		messages: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "coatcheck_queue_messages",
			Help: "Messages in the queue of events and in its dead-letter queue, as SQS estimates them.",
		}, []string{"queue", "state"}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coatcheck_queue_watch_errors_total",
			Help: "Looks at the depths of the queues that failed; meanwhile the depths shown are old.",
		}),
	}
	reg.MustRegister(w.messages, w.errors)
	return w
}

// Run looks again and again until ctx ends, for the first time at a random moment within the interval.
func (w *Watcher) Run(ctx context.Context) {
	wait := rand.N(w.every)
	for backoff.Sleep(ctx, wait) == nil {
		if _, err := w.RunOnce(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("reading the depths of the queues failed", "error", err)
		}
		wait = w.every
	}
}

// RunOnce looks once.
func (w *Watcher) RunOnce(ctx context.Context) (Depths, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	d, err := w.queue.Depths(ctx)
	if err != nil {
		w.errors.Inc()
		return Depths{}, fmt.Errorf("watching the queue: %w", err)
	}
	w.show("events", d.Queue)
	if d.HasDeadLetterQueue {
		w.show("dead_letters", d.DeadLetters)
	}
	return d, nil
}

func (w *Watcher) show(name string, d Depth) {
	w.messages.WithLabelValues(name, "visible").Set(float64(d.Visible))
	w.messages.WithLabelValues(name, "in_flight").Set(float64(d.InFlight))
	w.messages.WithLabelValues(name, "delayed").Set(float64(d.Delayed))
}
