package sweep_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/schedule"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

// TestPassesAreRecorded, those that did anything, whoever wanted them; and when the newest of all began.
func TestPassesAreRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var want []sweep.Pass
	check := func(what string) {
		t.Helper()
		got, err := w.store.Passes(t.Context(), 10)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: there are %d passes, want %d (%v)", what, len(got), len(want), err)
		}
		for i := range got {
			if p := want[len(want)-1-i]; got[i].Result != p.Result || got[i].AskedFor != p.AskedFor || (got[i].Error == "") != (p.Error == "") || !got[i].StartedAt.Equal(p.StartedAt) {
				t.Errorf("%s: number %d is %+v, want %+v", what, i, got[i], p)
			}
		}
	}
	sweptAt := func(want time.Time) {
		t.Helper()
		if at, err := w.store.SweptAt(t.Context()); err != nil || !at.Equal(want) {
			t.Errorf("the newest pass began at %s, want %s (%v)", at, want, err)
		}
	}
	sweptAt(time.Time{})
	w.pass(t, sweep.Result{})
	check("nothing was due")
	sweptAt(w.Now())

	w.Advance(time.Minute)
	w.discard(t, w.create(t, 2)...)
	w.pass(t, sweep.Result{Deleted: 2})
	want = append(want, sweep.Pass{StartedAt: w.Now(), AskedFor: true, Result: sweep.Result{Deleted: 2, DeletedBytes: int64(2 * len(content))}})
	check("two deleted")

	w.Advance(time.Minute)
	w.create(t, 1)
	w.Advance(windows.Upload)
	w.emu.Faults().Fail(awsemu.Match{Operation: "HeadObject"}, 1, 503, "SlowDown")
	if _, err := w.sweeper(t).RunOnce(t.Context()); err == nil {
		t.Fatal("nothing failed")
	}
	want = append(want, sweep.Pass{StartedAt: w.Now(), AskedFor: true, Error: "x", Result: sweep.Result{DeleteErrors: 1, Incomplete: true}})
	check("S3 fails")

	w.Advance(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- w.sweeper(t, func(p *parts) { p.Schedule = schedule.Every(time.Millisecond) }).Run(ctx)
	}()
	want = append(want, sweep.Pass{StartedAt: w.Now(), Result: sweep.Result{NeverUploaded: 1, Deleted: 1, DeletedBytes: int64(len(content))}})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if got, err := w.store.Passes(t.Context(), 10); err != nil || len(got) == len(want) || time.Now().After(deadline) {
			break
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	check("by schedule")

	w.Advance(31 * 24 * time.Hour)
	w.pass(t, sweep.Result{Purged: 3})
	want = []sweep.Pass{{StartedAt: w.Now(), AskedFor: true, Result: sweep.Result{Purged: 3}}}
	check("a month later")
	w.Advance(time.Minute)
	w.pass(t, sweep.Result{})
	check("nothing was due again")
	sweptAt(w.Now())
}

// TestAsk: what an operator asks for is bounded, tells what failed, and as a dry run changes and records nothing.
func TestAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(t, 3)
	w.Advance(windows.Upload)
	dry := w.sweeper(t).Ask(t.Context(), time.Minute, true)
	if dry.NeverUploaded != 3 || dry.Deleted != 3 || dry.DeletedBytes != int64(3*len(content)) || !dry.DryRun || !dry.AskedFor || dry.Incomplete || dry.Error != "" {
		t.Errorf("a dry run says %+v", dry)
	}
	for _, dryRun := range []bool{true, false} {
		if p := w.sweeper(t).Ask(t.Context(), 0, dryRun); !p.Incomplete || p.Deleted != 0 {
			t.Errorf("without any time, dry run %t: %+v", dryRun, p)
		}
	}
	if passes, err := w.store.Passes(t.Context(), 10); err != nil || len(passes) != 0 {
		t.Errorf("recorded %v, %v", passes, err)
	}
	w.emu.Faults().Fail(awsemu.Match{}, 3, 503, "SlowDown")
	if p := w.sweeper(t).Ask(t.Context(), time.Minute, false); !strings.Contains(p.Error, "S3 could be asked for none") || p.HeadErrors != 3 {
		t.Errorf("without S3: %+v", p)
	}
	w.Advance(time.Hour)
	if p := w.sweeper(t).Ask(t.Context(), time.Minute, false); p.Deleted != 3 || p.Error != "" || p.DryRun || !p.AskedFor {
		t.Errorf("a pass: %+v", p)
	}
}

// TestNotReady: nothing is swept while the sweeper is not ready, as one is not whose clock is wrong, and the pass says why.
func TestNotReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.create(t, 1)[0]
	w.Advance(windows.Upload)
	wrong := errors.New("the clock is ahead")
	s := w.sweeper(t, func(p *parts) { p.Ready = func(context.Context) error { return wrong } })
	if r, err := s.RunOnce(t.Context()); !errors.Is(err, wrong) || !r.Zero() {
		t.Errorf("it did %+v, %v", r, err)
	}
	if got := w.get(t, m); got.State != media.StatePending {
		t.Errorf("the media is %s", got.State)
	}
}
