package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/coatcheck/coatcheck/internal/overview"
	"github.com/coatcheck/coatcheck/internal/queue"
)

// withOperations adds what operators and their tools ask for. /healthz answers as long as the process serves; /readyz
// when it can do its job; neither tells a caller more than which part does not answer.
func withOperations(mux *http.ServeMux, ready *readiness, registry *prometheus.Registry) http.Handler {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := ready.Check(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}))
	return mux
}

// readiness asks the servers behind the process whether they answer. A good answer is kept for a while: whoever asks
// every second does not make requests to S3 every second.
type readiness struct {
	checks map[string]func(context.Context) error
	logger *slog.Logger

	stopped atomic.Bool
	mu      sync.Mutex
	goodTil time.Time
}

const (
	readyFor     = 10 * time.Second
	readyTimeout = 5 * time.Second
)

// Stop makes every further answer a no: the process takes no more work.
func (r *readiness) Stop() { r.stopped.Store(true) }

// Check returns an error that names a part that does not answer.
func (r *readiness) Check(ctx context.Context) error {
	if r.stopped.Load() {
		return errors.New("stopping")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Now().Before(r.goodTil) {
		return nil
	}
	// Whoever asks next uses this answer, so it does not depend on this caller's patience.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	failures := make(chan error, len(r.checks))
	for name, check := range r.checks {
		go func() {
			if err := check(ctx); err != nil {
				r.logger.WarnContext(ctx, "not ready", "part", name, "error", err)
				failures <- fmt.Errorf("%s does not answer", name)
				return
			}
			failures <- nil
		}()
	}
	var failed error
	for range r.checks {
		if err := <-failures; err != nil && failed == nil {
			failed = err
		}
	}
	if failed == nil {
		r.goodTil = time.Now().Add(readyFor)
	}
	return failed
}

// queueDepths is a Prometheus collector of how many messages wait, are in flight, and are dead. SQS is asked at most
// once a minute: its numbers are no fresher, and each request costs.
type queueDepths struct {
	ask    func(context.Context) (queue.Depths, error)
	logger *slog.Logger

	mu   sync.Mutex
	at   time.Time
	last queue.Depths
	err  error
}

const (
	depthsMaxAge   = time.Minute
	depthsErrorAge = 5 * time.Second
)

var (
	queueWaiting  = prometheus.NewDesc("coatcheck_queue_messages", "Messages that wait, as SQS estimates it.", []string{"queue"}, nil)
	queueInFlight = prometheus.NewDesc("coatcheck_queue_in_flight", "Messages received and not yet deleted, as SQS estimates it; SQS gives out no more at 120,000.", []string{"queue"}, nil)
)

func newQueueDepths(ask func(context.Context) (queue.Depths, error), logger *slog.Logger) *queueDepths {
	return &queueDepths{ask: ask, logger: logger}
}

// Describe implements [prometheus.Collector].
func (d *queueDepths) Describe(ch chan<- *prometheus.Desc) {
	ch <- queueWaiting
	ch <- queueInFlight
}

// Collect implements [prometheus.Collector].
func (d *queueDepths) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	depths, err := d.read(ctx)
	if err != nil {
		return
	}
	report := func(name string, depth queue.Depth) {
		ch <- prometheus.MustNewConstMetric(queueWaiting, prometheus.GaugeValue, float64(depth.Visible), name)
		ch <- prometheus.MustNewConstMetric(queueInFlight, prometheus.GaugeValue, float64(depth.InFlight), name)
	}
	report("landings", depths.Queue)
	if depths.HasDeadLetterQueue {
		report("dead_letters", depths.DeadLetters)
	}
}

// Check answers nil when the queue is there and may be asked.
func (d *queueDepths) Check(ctx context.Context) error {
	_, err := d.read(ctx)
	return err
}

// overview returns what it read last, which is at most a minute old.
func (d *queueDepths) overview(ctx context.Context) (*overview.Queue, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	depths, err := d.read(ctx)
	if err != nil {
		return nil, err
	}
	return &overview.Queue{
		Waiting: depths.Queue.Visible + depths.Queue.Delayed, InFlight: depths.Queue.InFlight,
		DeadLetters: depths.DeadLetters.Visible + depths.DeadLetters.InFlight, HasDeadLetterQueue: depths.HasDeadLetterQueue,
	}, nil
}

func (d *queueDepths) read(ctx context.Context) (queue.Depths, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	age := depthsMaxAge
	if d.err != nil {
		age = depthsErrorAge
	}
	if time.Since(d.at) < age {
		return d.last, d.err
	}
	failed := d.err != nil
	d.last, d.err = d.ask(ctx)
	d.at = time.Now()
	if d.err != nil && !failed { // once: whoever is not allowed to ask asks again and again
		d.logger.Warn("asking the queue for its depth", "error", d.err)
	}
	return d.last, d.err
}
