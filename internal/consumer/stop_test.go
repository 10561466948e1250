package consumer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
)

// TestStopFinishesAndGivesBack stops a consumer that has one batch in hand and others waiting. The visibility timeout
// is long: what others can see afterwards was given back.
func TestStopFinishesAndGivesBack(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}, 100), make(chan struct{})
	l := &landings{hook: func(context.Context, []media.Landing) error {
		entered <- struct{}{}
		<-leave
		return nil
	}}
	r := newRig(t, 5, l)
	r.cfg.VisibilityTimeout = time.Minute
	r.cfg.Writers, r.cfg.BatchSize = 1, 3
	ids := newIDs(60)
	r.send(each(ids)...)
	stop := r.start()
	<-entered
	eventually(t, "messages wait for the writer", func() bool { return r.metric("received_total") >= 30 })
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	eventually(t, "what has not begun is given back while the batch in hand goes on", func() bool {
		return r.metric("messages_total", "given_back") > 0
	})
	close(leave)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	d, landed := r.depths(), 0
	for _, n := range l.times(ids...) {
		landed += n
	}
	if landed == 0 || landed > 3 {
		t.Errorf("%d landed: the batch in hand has up to 3", landed)
	}
	if d.Queue.InFlight != 0 || int(d.Queue.Visible) != len(ids)-landed {
		t.Errorf("of %d messages %d landed, and the queue has %+v", len(ids), landed, d.Queue)
	}
}

// TestStopIsCutShort has a database that never answers.
func TestStopIsCutShort(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{}, 100)
	l := &landings{hook: func(ctx context.Context, _ []media.Landing) error {
		entered <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}
	r := newRig(t, 5, l)
	r.cfg.DrainLimit = r.cfg.WaitTime + 500*time.Millisecond
	r.send(event(newIDs(1)...))
	stop := r.start()
	<-entered
	if err := stop(); err == nil || !strings.Contains(err.Error(), "drain limit of 1.5s") {
		t.Errorf("the error is %v", err)
	}
	if d := r.depths(); d.Queue.Visible+d.Queue.InFlight != 1 {
		t.Errorf("the message is gone: %+v", d)
	}
}

// TestStopDuringAnOutage gives back what could not be recorded.
func TestStopDuringAnOutage(t *testing.T) {
	t.Parallel()
	l := &landings{hook: func(context.Context, []media.Landing) error { return errors.New("connection refused") }}
	r := newRig(t, 5, l)
	r.cfg.VisibilityTimeout = time.Minute
	r.send(each(newIDs(15))...)
	stop := r.start()
	eventually(t, "it is tried again", func() bool { return r.metric("retries_total") > 2 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if d := r.depths(); d.Queue.Visible != 15 || d.Queue.InFlight != 0 {
		t.Errorf("the queue has %+v", d.Queue)
	}
}
