package consumer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/queue"
)

func TestLandsEveryEnvelopeOnce(t *testing.T) {
	t.Parallel()
	l := &landings{}
	r := newRig(t, 3, l)
	ids := newIDs(40)
	r.send(each(ids[:30])...)
	r.send(inSNS(event(ids[30])), eventBridge(ids[31]), inSNS(eventBridge(ids[32])), event(ids[33:]...))
	stop := r.start()
	eventually(t, "everything lands and is deleted", func() bool { return l.all(ids...) && r.empty() })
	if err := stop(); err != nil {
		t.Error(err)
	}
	for i, n := range l.times(ids...) {
		if n != 1 {
			t.Errorf("media %d landed %d times", i, n)
		}
	}
	if n := r.metric("deleted_total"); n != 34 {
		t.Errorf("deleted %d messages of 34", n)
	}
	if n := r.metric("in_flight"); n != 0 {
		t.Errorf("%d messages are still held", n)
	}
	if n := r.metric("verdicts_total", "landed"); n != 40 {
		t.Errorf("counted %d landings of 40", n)
	}
}

// TestDeletesOnlyAfterCommit is R4: while a landing is not committed, its message is in the queue.
func TestDeletesOnlyAfterCommit(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}, 10), make(chan error)
	l := &landings{hook: func(context.Context, []media.Landing) error {
		entered <- struct{}{}
		return <-leave
	}}
	r := newRig(t, 3, l)
	id := newIDs(1)[0]
	r.send(event(id))
	r.start()
	for _, err := range []error{errors.New("connection lost"), errors.New("connection lost"), nil} {
		select {
		case <-entered:
		case <-time.After(20 * time.Second):
			t.Fatal("it is not tried again")
		}
		if d := r.depths(); d.Queue.InFlight != 1 {
			t.Errorf("the message was given up before its commit: %+v", d)
		}
		if n := r.metric("deleted_total"); n != 0 {
			t.Errorf("deleted before its commit")
		}
		leave <- err
	}
	eventually(t, "it is deleted after its commit", r.empty)
	if n := r.metric("received_total"); n != 1 {
		t.Errorf("it was received %d times", n)
	}
}

// TestHeartbeatsOutliveTheVisibilityTimeout has landings that take longer than one, and acknowledgements that wait for
// others.
func TestHeartbeatsOutliveTheVisibilityTimeout(t *testing.T) {
	t.Parallel()
	l := &landings{hook: func(context.Context, []media.Landing) error {
		time.Sleep(3 * time.Second)
		return nil
	}}
	r := newRig(t, 5, l)
	r.cfg.VisibilityTimeout = patient
	r.cfg.Writers, r.cfg.BatchSize = 2, 7 // some wait for their turn
	ids := newIDs(23)
	r.send(each(ids)...)
	r.start()
	eventually(t, "everything lands and is deleted", func() bool { return l.all(ids...) && r.empty() })
	if n := r.metric("received_total"); n != 23 {
		t.Errorf("23 messages were received %d times", n)
	}
	if n := r.metric("heartbeats_total", "extended"); n < 23 {
		t.Errorf("%d heartbeats", n)
	}
}

func TestNothingToDoIsDeleted(t *testing.T) {
	t.Parallel()
	l := &landings{}
	r := newRig(t, 1, l)
	id := newIDs(1)[0]
	test := `{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-01-01T00:00:00.000Z","Bucket":"` + bucket + `","RequestId":"1","HostId":"2"}`
	r.send(test, inSNS(test),
		body(record(bucket, "ObjectRemoved:Delete", keys.Key(id), 0, "02")),
		body(record(bucket, "LifecycleExpiration:Delete", keys.Key(id), 0, "02")),
		body(record(bucket, "ObjectTagging:Put", keys.Key(id), 0, "02")),
		body(record(bucket, "ObjectCreated:Put", "elsewhere/"+id.String(), 100, "02")),
		body(record(bucket, "ObjectCreated:Put", "media/00/"+strings.ToUpper(id.String()), 100, "02")),
	)
	r.start()
	eventually(t, "everything is deleted", r.empty)
	eventually(t, "everything is counted", func() bool { return r.metric("deleted_total") == 7 })
	if len(l.calls) != 0 || r.depths().DeadLetters != (queue.Depth{}) {
		t.Errorf("landings: %v, dead letters: %+v", l.calls, r.depths().DeadLetters)
	}
	for kind, want := range map[string]int{"test": 2, "removed": 2, "other": 1, "foreign": 2, "created": 0, "bad": 0} {
		if n := r.metric("records_total", kind); n != want {
			t.Errorf("counted %d records as %s, want %d", n, kind, want)
		}
	}
}

// TestBatchesTakeWhatIsThere has messages come while the only writer is busy: they land together, and the first one did
// not wait for them.
func TestBatchesTakeWhatIsThere(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}, 100), make(chan struct{})
	l := &landings{hook: func(context.Context, []media.Landing) error {
		entered <- struct{}{}
		<-leave
		return nil
	}}
	r := newRig(t, 5, l)
	r.cfg.Writers = 1
	ids := newIDs(11)
	r.send(event(ids[0]))
	r.start()
	<-entered // alone
	r.send(each(ids[1:])...)
	eventually(t, "all are received", func() bool { return r.metric("received_total") == len(ids) })
	time.Sleep(100 * time.Millisecond) // for the last hand-over
	close(leave)
	eventually(t, "all land", func() bool { return l.all(ids...) && r.empty() })
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.calls, []int{1, 10}) {
		t.Errorf("the batches are %v", l.calls)
	}
}

// TestBatchesAreBounded sends messages of many records.
func TestBatchesAreBounded(t *testing.T) {
	t.Parallel()
	l := &landings{}
	r := newRig(t, 5, l)
	ids := newIDs(1900)
	for chunk := range slices.Chunk(ids[:1200], 200) {
		r.send(event(chunk...))
	}
	r.send(event(ids[1200:]...)) // more than a batch by itself
	r.start()
	eventually(t, "all land", func() bool { return l.all(ids...) && r.empty() })
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.calls {
		if n > 500 && n != 700 {
			t.Errorf("a batch of %d landings: %v", n, l.calls)
		}
	}
}

func TestSeveralConsumersShare(t *testing.T) {
	t.Parallel()
	l := &landings{}
	r := newRig(t, 5, l)
	ids := newIDs(300)
	stops := []func() error{r.start(), r.start(), r.start()}
	r.send(each(ids)...)
	eventually(t, "some land", func() bool { return r.metric("verdicts_total", "landed") > 50 })
	if err := stops[0](); err != nil {
		t.Error(err)
	}
	eventually(t, "all land", func() bool { return l.all(ids...) && r.empty() })
	for i, n := range l.times(ids...) {
		if n != 1 {
			t.Errorf("media %d landed %d times", i, n)
		}
	}
}
