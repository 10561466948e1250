package awsemu

import (
	"net/http"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/fault"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/notify"
)

// Forever as a count of any fault means until it is cleared.
const Forever = fault.Forever

// Match says which requests a fault is for: an operation's name as the AWS API spells it ("PutObject",
// "ReceiveMessage"), and a part of the object's key or the queue's name. Empty means any.
type Match = fault.Match

// Faults are what can be made to go wrong. Everything is off at first, and each fault lasts for the next n
// notifications, requests, keys or entries; n is Forever for all until Clear. It is safe for concurrent use.
//
// A notification that several faults are due for is dropped, or else doubled, and then held, reordered or
// delayed: the first of these that is due.
type Faults struct {
	notifications *notify.Dispatcher
	requests      fault.Rules
	keys          fault.Rules
	entries       fault.Rules
}

func newFaults() *Faults { return &Faults{} }

// DropNotifications loses the next n notifications.
func (f *Faults) DropNotifications(n int) {
	f.notifications.Change(func(x *notify.Faults) { x.Drop = n })
}

// DoubleNotifications sends the next n notifications twice, as two messages.
func (f *Faults) DoubleNotifications(n int) {
	f.notifications.Change(func(x *notify.Faults) { x.Double = n })
}

// DelayNotifications sends the next n notifications d later.
func (f *Faults) DelayNotifications(n int, d time.Duration) {
	f.notifications.Change(func(x *notify.Faults) { x.Delay, x.DelayBy = n, d })
}

// ReorderNotifications keeps the next n notifications back, and sends them in reverse once the last of them is
// there. n has to be above zero.
func (f *Faults) ReorderNotifications(n int) {
	f.notifications.Change(func(x *notify.Faults) { x.Reorder = max(n, 0) })
}

// HoldNotifications keeps all notifications back until ReleaseNotifications.
func (f *Faults) HoldNotifications() {
	f.notifications.Change(func(x *notify.Faults) { x.Hold = true })
}

// ReleaseNotifications ends holding and reordering, sends what was held, and returns how many that was.
func (f *Faults) ReleaseNotifications() int { return f.notifications.Release() }

// HeldNotifications is how many notifications are held, delayed or waiting to be reordered.
func (f *Faults) HeldNotifications() int { return f.notifications.Held() }

// Slow makes the next n requests that match wait for d before they are carried out.
func (f *Faults) Slow(m Match, n int, d time.Duration) {
	f.requests.Add(m, n, fault.Effect{Delay: d})
}

// Fail answers the next n requests that match with an HTTP status and one of AWS's codes, such as 500
// InternalError, 503 SlowDown or 400 ThrottlingException, without carrying them out.
func (f *Faults) Fail(m Match, n, status int, code string) {
	f.requests.Add(m, n, fault.Effect{Status: status, Code: code})
}

// Cut closes the connection of the next n requests that match, which are not carried out.
func (f *Faults) Cut(m Match, n int) {
	f.requests.Add(m, n, fault.Effect{Cut: fault.CutBefore})
}

// CutAnswer carries out the next n requests that match and closes the connection in place of the answer: the
// client cannot know what became of its request.
func (f *Faults) CutAnswer(m Match, n int) {
	f.requests.Add(m, n, fault.Effect{Cut: fault.CutAfter})
}

// FailKeys makes the next n keys in DeleteObjects requests that contain keyContains fail with code, while the
// request succeeds.
func (f *Faults) FailKeys(keyContains string, n int, code string) {
	f.keys.Add(Match{KeyContains: keyContains}, n, fault.Effect{Code: code})
}

// FailEntries makes the next n entries of batches to SQS that match fail with code, while the request succeeds.
// m.Operation names the batch, such as "DeleteMessageBatch".
func (f *Faults) FailEntries(m Match, n int, code string, senderFault bool) {
	f.entries.Add(m, n, fault.Effect{Code: code, SenderFault: senderFault})
}

// Clear turns every fault off and sends the notifications that are held. Delayed ones still come when they are
// due.
func (f *Faults) Clear() {
	f.requests.Clear()
	f.keys.Clear()
	f.entries.Clear()
	f.notifications.Change(func(x *notify.Faults) { x.Drop, x.Double, x.Delay = 0, 0, 0 })
	f.notifications.Release()
}

// suffer applies the faults of a whole request that come before it is carried out.
func (s *Server) suffer(r *http.Request, op, key string) (fault.Effect, error) {
	e, ok := s.faults.requests.Take(op, key)
	if !ok {
		return e, nil
	}
	if e.Delay > 0 {
		select {
		case <-time.After(e.Delay):
		case <-r.Context().Done():
			return e, r.Context().Err()
		}
	}
	switch {
	case e.Cut == fault.CutBefore:
		panic(http.ErrAbortHandler) // net/http's way to cut a connection
	case e.Status != 0:
		return e, awserr.New(e.Status, e.Code, "A fault that was asked for.")
	}
	return e, nil
}

// thenCut carries a request out and cuts the connection.
func (s *Server) thenCut(serve func(discard http.ResponseWriter)) {
	serve(&discard{header: http.Header{}})
	panic(http.ErrAbortHandler)
}

// discard is a response that nobody reads.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}
