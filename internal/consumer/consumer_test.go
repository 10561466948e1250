package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/queue"
)

func TestLandsEveryEnvelopeOnce(t *testing.T) {
	t.Parallel()
	l := &landings{}
	r := newRig(t, 3, l)
	ids := newIDs(40)
	for _, id := range ids[:30] {
		r.send(event(id))
	}
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
		<-entered
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

// TestHeartbeatsOutliveTheVisibilityTimeout has landings that take three of them.
func TestHeartbeatsOutliveTheVisibilityTimeout(t *testing.T) {
	t.Parallel()
	l := &landings{hook: func(context.Context, []media.Landing) error {
		time.Sleep(3 * time.Second)
		return nil
	}}
	r := newRig(t, 5, l)
	r.cfg.Writers = 4
	ids := newIDs(23)
	for _, id := range ids {
		r.send(event(id))
	}
	r.start()
	eventually(t, "everything lands and is deleted", func() bool { return l.all(ids...) && r.empty() })
	if n := r.metric("received_total"); n != 23 {
		t.Errorf("23 messages were received %d times", n)
	}
	if n := r.metric("heartbeats_total", "extended"); n < 23 {
		t.Errorf("%d heartbeats", n)
	}
}

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
	r.cfg.BatchSize = 5
	ids := newIDs(200)
	for _, id := range ids {
		r.send(event(id))
	}
	r.start()
	time.Sleep(4 * r.cfg.VisibilityTimeout)
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

// TestRefusedMessageDoesNotBlockOthers has a store that never accepts one media.
func TestRefusedMessageDoesNotBlockOthers(t *testing.T) {
	t.Parallel()
	ids := newIDs(40)
	bad := ids[7]
	l := &landings{hook: func(_ context.Context, batch []media.Landing) error {
		if slices.ContainsFunc(batch, func(b media.Landing) bool { return b.MediaID == bad }) {
			return fmt.Errorf("recording landings: %w", refusal{})
		}
		return nil
	}}
	r := newRig(t, 2, l)
	for _, id := range ids {
		r.send(event(id))
	}
	r.start()
	good := slices.DeleteFunc(slices.Clone(ids), func(id uuid.UUID) bool { return id == bad })
	eventually(t, "the others land", func() bool { return l.all(good...) })
	eventually(t, "the bad one goes to the dead-letter queue", func() bool { return r.depths().DeadLetters.Visible == 1 })
	if got := r.deadLetters(); len(got) != 1 || !strings.Contains(got[0], bad.String()) {
		t.Errorf("dead letters: %q", got)
	}
	if r.metric("isolations_total") == 0 || r.metric("messages_total", "refused") != 2 {
		t.Errorf("isolations: %d, refused: %d", r.metric("isolations_total"), r.metric("messages_total", "refused"))
	}
}

// TestNotUnderstoodGoesToTheDeadLetterQueue sends what should never have come, while good messages flow.
func TestNotUnderstoodGoesToTheDeadLetterQueue(t *testing.T) {
	t.Parallel()
	l := &landings{}
	r := newRig(t, 2, l)
	ids := newIDs(20)
	half := event(ids[0])
	bad := []string{
		"hello", "null", "[]", `{}`, half[:len(half)/2], strings.Repeat("[", 100_000),
		`{"Records":[` + strings.Repeat("{},", 2000) + `{}]}`,
		`{"Records":"` + strings.Repeat("x", 900_000) + `"}`,
		`{"Type":"SubscriptionConfirmation","Message":"You have chosen"}`,
		body(record("another-bucket", "ObjectCreated:Put", keys.Key(ids[0]), 100, "01")),
		body(record("another-bucket", "ObjectRemoved:Delete", keys.Key(ids[0]), 100, "01")),
		body(record(bucket, "ObjectCreated:Put", keys.Key(ids[0]), -1, "01")),
		body(record(bucket, "ObjectCreated:Put", keys.Key(ids[0]), 100, "not hexadecimal")),
		body(record(bucket, "ObjectCreated:Put", keys.Key(ids[0]), 100, strings.Repeat("A", 41))),
		strings.Replace(event(ids[0]), `"2.1"`, `"3.0"`, 1),
	}
	for i, b := range bad {
		r.send(b)
		r.send(event(ids[1+i]))
	}
	r.start()
	good := ids[1 : 1+len(bad)]
	eventually(t, "the good ones land", func() bool { return l.all(good...) })
	eventually(t, "the bad ones are dead letters", func() bool { return r.empty() && int(r.depths().DeadLetters.Visible) == len(bad) })
	got := r.deadLetters()
	slices.Sort(got)
	slices.Sort(bad)
	if !slices.Equal(got, bad) {
		t.Errorf("the dead letters are not what was sent: %d of %d", len(got), len(bad))
	}
	if n := l.times(ids[0])[0]; n != 0 {
		t.Errorf("something that was not understood landed %d times", n)
	}
	// Each was given out twice and no more often: it was left to its visibility timeout.
	if n := r.metric("messages_total", "not_understood"); n != 2*len(bad) {
		t.Errorf("%d receives of %d messages that may be given out twice", n, len(bad))
	}
	if n := r.metric("deleted_total"); n != len(good) {
		t.Errorf("deleted %d messages, and %d were understood", n, len(good))
	}
}

// TestPartlyUnderstood lands the good records of a message that is not understood as a whole.
func TestPartlyUnderstood(t *testing.T) {
	t.Parallel()
	l := &landings{}
	r := newRig(t, 1, l)
	ids := newIDs(2)
	mixed := body(
		record(bucket, "ObjectCreated:Put", keys.Key(ids[0]), 100, "01"),
		record(bucket, "ObjectCreated:Put", keys.Key(ids[1]), -1, "01"),
	)
	other := body(
		record("another-bucket", "ObjectCreated:Put", keys.Key(ids[0]), 100, "01"),
		record(bucket, "ObjectCreated:Put", keys.Key(ids[1]), 100, "01"),
	)
	r.send(mixed, other)
	r.start()
	eventually(t, "the good records land", func() bool { return l.all(ids...) })
	eventually(t, "the messages are dead letters", func() bool { return r.empty() && r.depths().DeadLetters.Visible == 2 })
	if n := r.metric("deleted_total"); n != 0 {
		t.Errorf("deleted %d messages", n)
	}
	if n := r.metric("messages_total", "landed"); n != 0 {
		t.Errorf("counted %d messages as landed", n)
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
	for _, id := range ids {
		r.send(event(id))
	}
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
	for _, id := range newIDs(15) {
		r.send(event(id))
	}
	stop := r.start()
	eventually(t, "it is tried again", func() bool { return r.metric("retries_total") > 2 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if d := r.depths(); d.Queue.Visible != 15 || d.Queue.InFlight != 0 {
		t.Errorf("the queue has %+v", d.Queue)
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
	for _, id := range ids[1:] {
		r.send(event(id))
	}
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

// TestFailingDeletions has entries of batches fail for longer than the visibility timeout: the messages stay hidden
// until they are deleted, and are not handled again.
func TestFailingDeletions(t *testing.T) {
	t.Parallel()
	l := &landings{}
	r := newRig(t, 1, l)
	r.emu.Faults().FailEntries(awsemu.Match{Operation: "DeleteMessageBatch"}, awsemu.Forever, "InternalError", false)
	ids := newIDs(12)
	for _, id := range ids {
		r.send(event(id))
	}
	r.start()
	eventually(t, "all land", func() bool { return l.all(ids...) })
	time.Sleep(2*r.cfg.VisibilityTimeout + 200*time.Millisecond)
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

func TestSeveralConsumersShare(t *testing.T) {
	t.Parallel()
	l := &landings{}
	r := newRig(t, 5, l)
	ids := newIDs(300)
	stops := []func() error{r.start(), r.start(), r.start()}
	for _, id := range ids {
		r.send(event(id))
	}
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
