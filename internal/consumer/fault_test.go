package consumer_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/queue"
)

// TestOutageCostsNoReceives has a database that is away for several visibility timeouts, and a queue that would give
// up a message at its second receive.
func TestOutageCostsNoReceives(t *testing.T) {
	t.Parallel()
	var back atomic.Bool
	l := &landings{hook: func(context.Context, []media.Landing) error {
		if back.Load() {
			return nil
		}
		return errors.New("connection refused")
	}}
	r := newRig(t, 1, l)
	r.cfg.VisibilityTimeout = patient
	r.cfg.BatchSize = 5
	ids := newIDs(200)
	r.send(each(ids)...)
	r.start()
	time.Sleep(2*r.cfg.VisibilityTimeout + 200*time.Millisecond)
	if n := r.metric("received_total"); n >= len(ids) {
		t.Errorf("polling went on: all %d were received", n)
	}
	back.Store(true)
	eventually(t, "everything lands and is deleted", func() bool { return l.all(ids...) && r.empty() })
	if d := r.depths(); d.DeadLetters != (queue.Depth{}) {
		t.Errorf("the outage cost messages: %+v", d)
	}
	if r.metric("retries_total") == 0 {
		t.Error("no retry was counted")
	}
}

// TestFailingDeletions has entries of batches fail for longer than the visibility timeout: the messages stay hidden
// until they are deleted, and are not handled again.
func TestFailingDeletions(t *testing.T) {
	t.Parallel()
	l := &landings{}
	r := newRig(t, 9, l)
	r.cfg.VisibilityTimeout = patient
	r.emu.Faults().FailEntries(awsemu.Match{Operation: "DeleteMessageBatch"}, awsemu.Forever, "InternalError", false)
	ids := newIDs(12)
	r.send(each(ids)...)
	r.start()
	eventually(t, "all land", func() bool { return l.all(ids...) })
	time.Sleep(r.cfg.VisibilityTimeout + time.Second)
	r.emu.Faults().Clear()
	eventually(t, "all are deleted", r.empty)
	eventually(t, "all are counted", func() bool { return r.metric("deleted_total") == 12 })
	if n := r.metric("received_total"); n != 12 {
		t.Errorf("12 messages were received %d times", n)
	}
	if n := r.metric("delete_errors_total"); n == 0 {
		t.Error("no failure was counted")
	}
}

// TestLostDeletion has a receipt that is no longer good: the message comes again, and lands again without harm.
func TestLostDeletion(t *testing.T) {
	t.Parallel()
	l := &landings{}
	r := newRig(t, 5, l)
	r.emu.Faults().FailEntries(awsemu.Match{Operation: "DeleteMessageBatch"}, 1, "ReceiptHandleIsInvalid", true)
	id := newIDs(1)[0]
	r.send(event(id))
	r.start()
	eventually(t, "it is deleted the second time", r.empty)
	if n := l.times(id)[0]; n != 2 {
		t.Errorf("it landed %d times", n)
	}
}

// TestFailingReceives has calls refused, and then one whose answer is lost, so that its messages come again.
func TestFailingReceives(t *testing.T) {
	t.Parallel()
	l := &landings{}
	r := newRig(t, 5, l)
	r.cfg.Pollers = 1 // so that it is the tenth call which has the message
	receive := awsemu.Match{Operation: "ReceiveMessage"}
	r.emu.Faults().Fail(receive, 9, 503, "ServiceUnavailable")
	r.emu.Faults().CutAnswer(receive, 1)
	r.emu.Faults().CutAnswer(awsemu.Match{Operation: "DeleteMessageBatch"}, 1)
	id := newIDs(1)[0]
	r.send(event(id))
	r.start()
	eventually(t, "it lands", func() bool { return l.all(id) && r.empty() })
	if n := r.metric("receive_errors_total"); n != 10 {
		t.Errorf("counted %d failures of 10", n)
	}
}
