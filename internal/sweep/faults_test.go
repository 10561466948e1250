package sweep_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

// TestUnknownIsNotAbsent: when S3 does not say that an upload is absent, it is left alone, and asked for again when its
// lease is over.
func TestUnknownIsNotAbsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ms := w.create(t, 3)
	w.put(t, ms[0])
	w.Advance(windows.Upload)
	w.emu.Faults().Fail(awsemu.Match{Operation: "HeadObject"}, awsemu.Forever, 403, "AccessDenied")
	r, err := w.sweeper(t).RunOnce(t.Context())
	if err == nil || r != (sweep.Result{HeadErrors: 3, Incomplete: true}) {
		t.Fatalf("the pass did %+v, %v", r, err)
	}
	for _, m := range ms {
		if m := w.get(t, m); m.State != media.StatePending {
			t.Errorf("it became %s", m.State)
		}
	}
	w.emu.Faults().Clear()
	w.pass(t, sweep.Result{})
	w.Advance(sweep.DefaultConfig().Lease)
	w.pass(t, sweep.Result{Landed: 1, NeverUploaded: 2, Deleted: 2})
}

// TestOneUnknownAmongMany does not hold up the others.
func TestOneUnknownAmongMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ms := w.create(t, 9)
	w.Advance(windows.Upload)
	w.emu.Faults().Fail(awsemu.Match{Operation: "HeadObject", KeyContains: ms[4].Key}, awsemu.Forever, 500, "InternalError")
	w.pass(t, sweep.Result{NeverUploaded: 8, Deleted: 8, HeadErrors: 1}, func(p *parts) { p.BatchSize = 3 })
	w.is(t, ms[4], media.StatePending, "", false)
}

// TestBackOff: an object that cannot be deleted waits longer each time, says why, and keeps no other one waiting.
func TestBackOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ms := w.create(t, 3)
	w.put(t, ms...)
	w.land(t, "01", ms...)
	w.discard(t, ms...)
	stuck := ms[1]
	w.emu.Faults().FailKeys(stuck.Key, awsemu.Forever, "AccessDenied")
	w.pass(t, sweep.Result{Deleted: 2, DeleteErrors: 1})
	bound := sweep.DefaultConfig().Backoff.Base
	for attempt := 1; attempt <= 9; attempt++ {
		m := w.is(t, stuck, media.StateDeleting, media.ReasonCancelled, true)
		wait := m.DueAt.Sub(w.Now())
		if m.Attempts != attempt || !strings.Contains(m.LastError, "AccessDenied") || wait < bound/10 || wait > bound {
			t.Fatalf("attempt %d (counted %d): %q, waits %v, want up to %v", attempt, m.Attempts, m.LastError, wait, bound)
		}
		w.Advance(wait - time.Second)
		w.pass(t, sweep.Result{}) // not due yet
		w.Advance(time.Second)
		r, err := w.sweeper(t).RunOnce(t.Context())
		if err == nil || r != (sweep.Result{DeleteErrors: 1, Incomplete: true}) {
			t.Fatalf("attempt %d: %+v, %v", attempt+1, r, err)
		}
		bound = min(2*bound, sweep.DefaultConfig().Backoff.Max)
	}
	w.emu.Faults().Clear()
	w.Advance(bound)
	w.pass(t, sweep.Result{Deleted: 1})
	if m := w.is(t, stuck, media.StateDeleted, media.ReasonCancelled, false); m.LastError != "" {
		t.Errorf("the last error is still %q", m.LastError)
	}
}

// TestS3IsDown: the pass ends, says so, and forgets nothing. What it could not delete then may still be claimed.
func TestS3IsDown(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*awsemu.Faults){
		"503":       func(f *awsemu.Faults) { f.Fail(awsemu.Match{}, awsemu.Forever, 503, "SlowDown") },
		"cut":       func(f *awsemu.Faults) { f.Cut(awsemu.Match{}, awsemu.Forever) },
		"no answer": func(f *awsemu.Faults) { f.CutAnswer(awsemu.Match{Operation: "DeleteObjects"}, awsemu.Forever) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			old := w.create(t, 1)
			w.discard(t, old...)
			w.pass(t, sweep.Result{Deleted: 1})
			w.Advance(windows.Tombstone + time.Hour)
			ms := w.create(t, 25)
			w.put(t, ms...)
			w.land(t, "01", ms...)
			w.Advance(windows.Claim)
			breakIt(w.emu.Faults())
			r, err := w.sweeper(t, func(p *parts) { p.BatchSize = 10 }).RunOnce(t.Context())
			if err == nil || r != (sweep.Result{Unclaimed: 10, DeleteErrors: 11, Incomplete: true}) {
				t.Fatalf("the pass did %+v, %v", r, err)
			}
			tried := 0
			for _, m := range ms {
				m = w.get(t, m)
				switch {
				case m.State == media.StateDeleting && m.Attempts == 1 && m.LastError != "":
					tried++
				case m.State != media.StateUploaded:
					t.Errorf("it became %s, after %d attempts: %q", m.State, m.Attempts, m.LastError)
				}
			}
			if tried != 10 {
				t.Errorf("%d tell why, want the 10 that were tried", tried)
			}
			w.emu.Faults().Clear()
			w.Advance(sweep.DefaultConfig().Backoff.Max)
			w.pass(t, sweep.Result{Unclaimed: 15, Deleted: 25, Purged: 1})
			if there := w.there(t); len(there) != 0 {
				t.Errorf("the bucket has %v", there)
			}
		})
	}
}

// faultyStore fails where a test wants it to.
type faultyStore struct {
	sweep.Store
	finish func() error
	expire func() error
}

func (s faultyStore) FinishDeleting(ctx context.Context, ms []*media.Media) ([]*media.Media, error) {
	if s.finish != nil {
		if err := s.finish(); err != nil {
			return nil, err
		}
	}
	return s.Store.FinishDeleting(ctx, ms)
}

func (s faultyStore) ExpireClaims(ctx context.Context, limit int, lease time.Duration) ([]*media.Media, error) {
	if s.expire != nil {
		if err := s.expire(); err != nil {
			return nil, err
		}
	}
	return s.Store.ExpireClaims(ctx, limit, lease)
}

var errCrash = errors.New("crash")

func crash() error { return errCrash }

// TestCrashAfterDeleting: the objects are gone and nobody has written it down. The row still knows that they were to
// go, and the next sweep after the lease finds them gone (R6).
func TestCrashAfterDeleting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ms := w.create(t, 3)
	w.put(t, ms...)
	w.land(t, "01", ms...)
	w.discard(t, ms...)
	r, err := w.sweeper(t, func(p *parts) { p.store = faultyStore{Store: w.store, finish: crash} }).RunOnce(t.Context())
	if !errors.Is(err, errCrash) || r != (sweep.Result{Incomplete: true}) {
		t.Fatalf("the pass did %+v, %v", r, err)
	}
	for _, m := range ms {
		w.is(t, m, media.StateDeleting, media.ReasonCancelled, false)
	}
	w.pass(t, sweep.Result{}) // still leased
	w.Advance(sweep.DefaultConfig().Lease)
	w.pass(t, sweep.Result{Deleted: 3})
}

// TestOnePhaseFails and the others go on.
func TestOnePhaseFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ms := w.create(t, 2)
	w.discard(t, ms[0])
	w.Advance(windows.Upload)
	r, err := w.sweeper(t, func(p *parts) { p.store = faultyStore{Store: w.store, expire: crash} }).RunOnce(t.Context())
	if !errors.Is(err, errCrash) || r != (sweep.Result{NeverUploaded: 1, Deleted: 2, DeletedBytes: 2 * int64(len(content)), Incomplete: true}) {
		t.Fatalf("the pass did %+v, %v", r, err)
	}
}

// eventfulObjects lets things happen while S3 is asked.
type eventfulObjects struct {
	sweep.Objects
	afterHead, afterDelete func(context.Context)
}

func (o eventfulObjects) Head(ctx context.Context, key string) (media.Object, bool, error) {
	object, found, err := o.Objects.Head(ctx, key)
	if o.afterHead != nil {
		o.afterHead(ctx)
	}
	return object, found, err
}

func (o eventfulObjects) Delete(ctx context.Context, ms []*media.Media) ([]error, error) {
	errs, err := o.Objects.Delete(ctx, ms)
	if o.afterDelete != nil {
		o.afterDelete(ctx)
	}
	return errs, err
}

// TestLandingAfterTheHead: the upload ends just after S3 was asked for it, and is not lost.
func TestLandingAfterTheHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.create(t, 1)[0]
	w.Advance(windows.Upload)
	w.pass(t, sweep.Result{Changed: 1}, func(p *parts) {
		p.objects = eventfulObjects{Objects: w.objects, afterHead: func(context.Context) {
			w.put(t, m)
			w.land(t, "01", m)
		}}
	})
	w.is(t, m, media.StateUploaded, "", true)
}

// TestLandingAfterTheDeletion: an object arrives between S3's confirmation and its record, which must not count then.
func TestLandingAfterTheDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.create(t, 1)[0]
	w.discard(t, m)
	once := true
	w.pass(t, sweep.Result{Changed: 1, Deleted: 1}, func(p *parts) {
		p.objects = eventfulObjects{Objects: w.objects, afterDelete: func(context.Context) {
			if once {
				once = false
				w.put(t, m)
				w.land(t, "01", m)
			}
		}}
	})
	w.is(t, m, media.StateDeleted, media.ReasonCancelled, false)
}

// TestShutdownWhileDeleting: what S3 has confirmed is recorded even when the pass is being ended.
func TestShutdownWhileDeleting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ms := w.create(t, 4)
	w.discard(t, ms...)
	ctx, cancel := context.WithCancel(t.Context())
	s := w.sweeper(t, func(p *parts) {
		p.BatchSize = 2
		p.objects = eventfulObjects{Objects: w.objects, afterDelete: func(context.Context) { cancel() }}
	})
	r, err := s.RunOnce(ctx)
	if err != nil || r != (sweep.Result{Deleted: 2, DeletedBytes: 2 * int64(len(content)), Incomplete: true}) {
		t.Fatalf("the pass did %+v, %v", r, err)
	}
	w.pass(t, sweep.Result{Deleted: 2})
}

// TestShutdownWhileS3IsAsked: what was not done is not called a failure.
func TestShutdownWhileS3IsAsked(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"HeadObject", "DeleteObjects", "GetBucketVersioning"} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			m := w.create(t, 1)[0]
			want := media.StatePending
			if operation == "HeadObject" {
				w.Advance(windows.Upload)
			} else {
				w.discard(t, m)
				want = media.StateDeleting
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.emu.Faults().Slow(awsemu.Match{Operation: operation}, 1, 3*time.Second)
			go func() {
				for w.emu.Counts()[operation] == 0 {
					time.Sleep(time.Millisecond)
				}
				cancel()
			}()
			r, err := w.sweeper(t).RunOnce(ctx)
			if err != nil || r != (sweep.Result{Incomplete: true}) {
				t.Errorf("the pass did %+v, %v", r, err)
			}
			if m := w.get(t, m); m.State != want || m.LastError != "" {
				t.Errorf("it is %s, and its last error %q", m.State, m.LastError)
			}
		})
	}
}

// TestCallsEndBeforeTheLease, or two sweepers would work on the same batch.
func TestCallsEndBeforeTheLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(t, 1)
	w.Advance(windows.Upload)
	asked := 0
	look := func(ctx context.Context) {
		asked++
		if end, ok := ctx.Deadline(); !ok || time.Until(end) >= 10*time.Second {
			t.Errorf("the call may last until %v, longer than the lease of 10s", end)
		}
	}
	w.pass(t, sweep.Result{NeverUploaded: 1, Deleted: 1}, func(p *parts) {
		p.Lease = 10 * time.Second
		p.objects = eventfulObjects{Objects: w.objects, afterHead: look, afterDelete: look}
	})
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ms := w.create(t, 2)
	w.discard(t, ms...)
	w.emu.Faults().FailKeys(ms[0].Key, 1, "AccessDenied")
	w.pass(t, sweep.Result{Deleted: 1, DeleteErrors: 1})
	w.Advance(time.Hour)
	w.emu.Faults().FailKeys(ms[0].Key, 1, "MadeUpCode")
	if _, err := w.sweeper(t).RunOnce(t.Context()); err == nil {
		t.Fatal("nothing could be deleted, and there is no error")
	}
	w.Advance(time.Hour)
	w.pass(t, sweep.Result{Deleted: 1})
	want := `
# HELP coatcheck_sweep_delete_errors_total Objects that could not be deleted, by S3's error code; timeout and no_answer are ours.
# TYPE coatcheck_sweep_delete_errors_total counter
coatcheck_sweep_delete_errors_total{code="AccessDenied"} 1
coatcheck_sweep_delete_errors_total{code="other"} 1
# HELP coatcheck_sweep_last_success_timestamp_seconds When a sweep of this process last ended without a step failing as a whole, in Unix time; 0 before the first.
# TYPE coatcheck_sweep_last_success_timestamp_seconds gauge
coatcheck_sweep_last_success_timestamp_seconds 1.7723736e+09
# HELP coatcheck_sweep_media_total What sweeps did, by media. One that is expired and then deleted counts as both.
# TYPE coatcheck_sweep_media_total counter
coatcheck_sweep_media_total{outcome="changed"} 0
coatcheck_sweep_media_total{outcome="delete_error"} 2
coatcheck_sweep_media_total{outcome="deleted"} 2
coatcheck_sweep_media_total{outcome="head_error"} 0
coatcheck_sweep_media_total{outcome="landed"} 0
coatcheck_sweep_media_total{outcome="never_uploaded"} 0
coatcheck_sweep_media_total{outcome="purged"} 0
coatcheck_sweep_media_total{outcome="rejected"} 0
coatcheck_sweep_media_total{outcome="unclaimed"} 0
# HELP coatcheck_sweep_passes_total Sweeps, by result: ok; partial, where some media failed or more was due than fitted; failed, where a step failed as a whole.
# TYPE coatcheck_sweep_passes_total counter
coatcheck_sweep_passes_total{result="failed"} 1
coatcheck_sweep_passes_total{result="ok"} 1
coatcheck_sweep_passes_total{result="partial"} 1
`
	err := testutil.GatherAndCompare(w.reg, strings.NewReader(want), "coatcheck_sweep_delete_errors_total",
		"coatcheck_sweep_last_success_timestamp_seconds", "coatcheck_sweep_media_total", "coatcheck_sweep_passes_total")
	if err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(w.reg, "coatcheck_sweep_seconds"); n != 1 {
		t.Errorf("%d histograms", n)
	}
}

// TestOutageIsNotTheKeysFault: what S3 refuses as a whole says nothing about a key, which is tried again soon after the
// outage however long that was.
func TestOutageIsNotTheKeysFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.create(t, 1)[0]
	w.discard(t, m)
	w.emu.Faults().Fail(awsemu.Match{Operation: "DeleteObjects"}, awsemu.Forever, 503, "SlowDown")
	most := 2 * sweep.DefaultConfig().Backoff.Base
	for range 6 {
		if _, err := w.sweeper(t).RunOnce(t.Context()); err == nil {
			t.Fatal("the pass does not say that S3 is down")
		}
		if m = w.get(t, m); m.DueAt.After(w.Now().Add(most)) || m.LastError == "" {
			t.Fatalf("after attempt %d it is due %s later, because of %q", m.Attempts, m.DueAt.Sub(w.Now()), m.LastError)
		}
		w.Advance(most)
	}
	w.emu.Faults().Clear()
	w.pass(t, sweep.Result{Deleted: 1})
}
