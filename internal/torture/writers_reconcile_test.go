package torture

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/reconcile"
	"github.com/coatcheck/coatcheck/internal/schedule"
)

const (
	writersReconcilers = 4
	// writersGrace is that of strays, of which clients leave some.
	writersGrace = 500 * time.Millisecond
)

// writersRuns is the store of the reconcilers, and takes note of each run that ends.
type writersRuns struct {
	reconcile.Store
	r *writers
	t *testing.T

	mu    sync.Mutex
	runs  int
	total reconcile.Counts
}

// EndRun implements [reconcile.Store].
func (s *writersRuns) EndRun(ctx context.Context, run *reconcile.Run, o reconcile.Outcome, e string) (bool, error) {
	first, err := s.Store.EndRun(ctx, run, o, e)
	if err != nil || !first {
		return first, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs++
	s.total.Add(run.Counts)
	var findings []struct {
		Kind reconcile.Kind
		N    int64
	}
	err = s.r.db.NewRaw("SELECT kind, count(*) AS n FROM coatcheck.reconciliation_finding WHERE run_id = ? GROUP BY kind", run.ID).Scan(ctx, &findings)
	if err != nil {
		violated(s.t, "reading findings: %v", err)
	}
	found := map[reconcile.Kind]int64{}
	for _, f := range findings {
		found[f.Kind] = f.N
	}
	for kind, n := range map[reconcile.Kind]reconcile.Count{
		reconcile.KindLanded: reconcile.CountLanded, reconcile.KindRejected: reconcile.CountRejected, reconcile.KindLate: reconcile.CountLate,
	} {
		if found[kind] != run.Counts[n] {
			violated(s.t, "a run counted %d %s and has %d findings of it", run.Counts[n], n, found[kind])
		}
	}
	if n := run.Counts[reconcile.CountMissing]; n > 0 {
		violated(s.t, "a run calls %d media missing, and every one had its object", n)
	}
	return first, nil
}

// reconcile starts the reconcilers. They end between two runs, so that all is counted.
func (r *writers) reconcile(t *testing.T, ctx context.Context, wg *sync.WaitGroup) {
	r.runs = &writersRuns{Store: r.store, r: r, t: t, total: reconcile.Counts{}}
	for range writersReconcilers {
		config := reconcile.DefaultConfig()
		config.Concurrency, config.CheckpointEvery, config.InFlight = 2, 5*time.Millisecond, 0
		config.Schedule = schedule.Every(50 * time.Millisecond)
		config.Settings.Policy, config.Settings.Grace, config.Settings.MaxStrayShare = reconcile.PolicyDelete, writersGrace, 1
		c, err := reconcile.New(r.runs, r.objects, r.keys, config, r.Now, r.config.Logger, r.reconciles)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := c.RunOnce(context.WithoutCancel(ctx)); err != nil {
					violated(t, "reconciling: %v", err)
				}
				time.Sleep(rand.N(50 * time.Millisecond))
			}
		})
	}
}

// stray leaves an object that no row explains.
func (r *writers) stray(t *testing.T) {
	key := r.keys.Key(uuid.Must(uuid.NewV7()))
	_, err := r.s3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &r.bucket, Key: &key, Body: bytes.NewReader([]byte("an orphan")), ContentType: aws.String("text/plain"),
	})
	if err != nil {
		violated(t, "leaving a stray: %v", err)
	}
	r.strays.Add(1)
}

// checkRuns holds the metrics of all reconcilers against what their runs have counted: nothing twice, and nothing lost.
func (r *writers) checkRuns(t *testing.T) {
	counted, err := r.seenMetric()
	if err != nil {
		t.Fatal(err)
	}
	r.runs.mu.Lock()
	defer r.runs.mu.Unlock()
	want := maps.Clone(r.runs.total)
	maps.DeleteFunc(want, func(_ reconcile.Count, n int64) bool { return n == 0 })
	if !maps.Equal(counted, want) {
		violated(t, "%d runs have counted %v, and the metrics of the reconcilers say %v", r.runs.runs, want, counted)
	}
	if want[reconcile.CountRemoved] < r.strays.Load() {
		violated(t, "the runs have removed %d strays, and clients have left %d", want[reconcile.CountRemoved], r.strays.Load())
	}
	landed, err := r.landedMetric("reconcile")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []reconcile.Count{reconcile.CountLanded, reconcile.CountRejected, reconcile.CountLate} {
		if float64(want[c]) != landed[string(c)] {
			violated(t, "%d runs have counted %d %s, and the metric of landings says %v", r.runs.runs, want[c], c, landed[string(c)])
		}
	}
	if r.runs.runs == 0 {
		t.Error("no run has ended")
	}
	total.add("reconciliations of many writers", r.runs.runs)
	total.add("strays removed", int(want[reconcile.CountRemoved]))
	total.add("landings by reconciliation", int(want[reconcile.CountLanded]))
}

// seenMetric reads coatcheck_reconcile_seen_total, without zeros.
func (w *world) seenMetric() (reconcile.Counts, error) {
	seen, err := w.metric("coatcheck_reconcile_seen_total", "what", nil)
	counts := reconcile.Counts{}
	for what, n := range seen {
		if n > 0 {
			counts[reconcile.Count(what)] = int64(n)
		}
	}
	return counts, err
}

// landedMetric reads coatcheck_landings_total of one source, by verdict.
func (w *world) landedMetric(source string) (map[string]float64, error) {
	return w.metric("coatcheck_landings_total", "verdict", map[string]string{"source": source})
}

// metric reads a counter by one of its labels, where the others are as given.
func (w *world) metric(name, by string, where map[string]string) (map[string]float64, error) {
	families, err := w.reg.Gather()
	if err != nil {
		return nil, fmt.Errorf("gathering metrics: %w", err)
	}
	n := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			other := false
			for k, v := range where {
				other = other || labels[k] != v
			}
			if !other {
				n[labels[by]] += m.GetCounter().GetValue()
			}
		}
	}
	return n, nil
}
