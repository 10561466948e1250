package sqs

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
)

type receiveInput struct {
	QueueUrl                    string //nolint:revive // AWS's spelling
	AttributeNames              []string
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string
	MaxNumberOfMessages         *int
	VisibilityTimeout           *int
	WaitTimeSeconds             *int
}

type receiveOutput struct {
	Messages []received `json:",omitempty"`
}

type received struct {
	MessageId              string //nolint:revive // AWS's spelling
	ReceiptHandle          string
	MD5OfBody              string
	Body                   string
	Attributes             map[string]string           `json:",omitempty"`
	MD5OfMessageAttributes string                      `json:",omitempty"`
	MessageAttributes      map[string]messageAttribute `json:",omitempty"`
}

// bounded returns an optional number, or standard, and refuses one out of bounds.
func bounded(name string, v *int, low, high, standard int) (int, error) {
	if v == nil {
		return standard, nil
	}
	if *v < low || *v > high {
		return 0, awserr.Newf(http.StatusBadRequest, "InvalidParameterValue",
			"Value %d for parameter %s is invalid. Reason: Must be >= %d and <= %d, if provided.", *v, name, low, high)
	}
	return *v, nil
}

func (s *Service) receiveMessage(ctx context.Context, _ *Caller, in *receiveInput) (any, error) {
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	set := q.current()
	n, err := bounded("MaxNumberOfMessages", in.MaxNumberOfMessages, 1, 10, 1)
	if err != nil {
		return nil, err
	}
	visibility, err := bounded("VisibilityTimeout", in.VisibilityTimeout, 0, 43200, int(set.visibility/time.Second))
	if err != nil {
		return nil, err
	}
	wait, err := bounded("WaitTimeSeconds", in.WaitTimeSeconds, 0, 20, int(set.wait/time.Second))
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames) {
		if !slices.Contains(systemAttributes, name) {
			return nil, awserr.Newf(http.StatusBadRequest, "InvalidAttributeName", "Unknown Attribute %s.", name)
		}
	}
	out, err := s.poll(ctx, q, n, time.Duration(visibility)*time.Second, time.Duration(wait)*time.Second)
	if err != nil {
		return nil, err
	}
	for i := range out.list {
		out.show(i, in)
	}
	return receiveOutput{out.answers}, nil
}

// poll takes up to n messages, waiting for the first at most wait.
func (s *Service) poll(ctx context.Context, q *queue, n int, visibility, wait time.Duration) (*taken, error) {
	var deadline <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		deadline = t.C
	}
	last := wait == 0
	for {
		got, waiter, err := s.take(q, n, visibility, !last)
		if err != nil || len(got.list) > 0 || last {
			return got, err
		}
		select {
		case <-waiter:
		case <-deadline:
			last = true
		case <-s.closing:
			last = true
		case <-ctx.Done():
			q.mu.Lock()
			q.leave(waiter)
			q.mu.Unlock()
			return nil, ctx.Err()
		}
		if last {
			q.mu.Lock()
			q.leave(waiter)
			q.mu.Unlock()
		}
	}
}

// taken is what one receive took: copies made under the lock, because the next receive changes the originals.
type taken struct {
	list    []message
	answers []received
}

// take takes what is there, or registers a waiter if there is nothing and the caller wants to wait.
func (s *Service) take(q *queue, n int, visibility time.Duration, orWait bool) (*taken, chan struct{}, error) {
	dlq := s.byName(q.current().deadLetter) // before q's lock: the service's comes first
	now := s.now()
	q.mu.Lock()
	if q.deleted {
		q.mu.Unlock()
		return nil, nil, noSuchQueue()
	}
	q.promote(now)
	if q.inFlight() >= maxInFlight {
		defer q.mu.Unlock()
		if !orWait {
			return nil, nil, awserr.New(http.StatusBadRequest, "OverLimit", "Too many messages in flight.")
		}
		return &taken{}, q.wait(), nil
	}
	live, dead, expired := q.pick(n, now, dlq != nil)
	out, err := s.hand(q, live, visibility, now)
	if err == nil {
		err = s.drop(q, expired)
	}
	if err == nil && len(live) == 0 && len(dead) == 0 && orWait {
		w := q.wait()
		q.mu.Unlock()
		return out, w, nil
	}
	if q.nReady > 0 {
		q.wake(1)
	}
	q.mu.Unlock()
	if berr := s.bury(q, dlq, dead); err == nil {
		err = berr
	}
	if err == nil && len(live) == 0 && orWait { // all that was there were dead letters
		return s.take(q, n, visibility, orWait)
	}
	return out, nil, err
}

// pick pops up to n messages to hand out, the ones on the way that were received too often, and the ones that
// are older than the retention period.
func (q *queue) pick(n int, now time.Time, bury bool) (live, dead, expired []*message) {
	for len(live) < n {
		m := q.pop()
		switch {
		case m == nil:
			return live, dead, expired
		case now.Sub(m.Sent) > q.settings.retention:
			expired = append(expired, m)
		case bury && q.settings.deadLetter != "" && m.Count >= q.settings.maxReceive:
			dead = append(dead, m)
		default:
			live = append(live, m)
		}
	}
	return live, dead, expired
}

// hand marks messages as received. If that cannot be journaled they are put back.
func (s *Service) hand(q *queue, live []*message, visibility time.Duration, now time.Time) (*taken, error) {
	if len(live) == 0 {
		return &taken{}, nil
	}
	changes := make([]change, len(live))
	for i, m := range live {
		changes[i] = change{m.ID, m.Count + 1, m.First, now.Add(visibility)}
		if m.Count == 0 {
			changes[i].First = now
		}
	}
	if err := s.record(Record{Kind: kindChange, Queue: q.name, Changes: changes}); err != nil {
		for _, m := range live {
			q.makeReady(m)
		}
		return &taken{}, err
	}
	out := &taken{list: make([]message, len(live)), answers: make([]received, len(live))}
	for i, m := range live {
		m.Count, m.First, m.Hidden = changes[i].Count, changes[i].First, changes[i].Hidden
		out.list[i] = *m
		out.answers[i] = received{MessageId: m.ID, ReceiptHandle: q.handle(m), MD5OfBody: m.md5, Body: m.Body}
		if visibility > 0 {
			q.hide(m, false)
		} else {
			q.makeReady(m)
		}
	}
	return out, nil
}

// drop deletes popped messages whose retention is over.
func (s *Service) drop(q *queue, expired []*message) error {
	if len(expired) == 0 {
		return nil
	}
	r := Record{Kind: kindRemove, Queue: q.name}
	for _, m := range expired {
		r.IDs = append(r.IDs, m.ID)
		delete(q.byID, m.ID)
		m.slot = gone
	}
	return s.record(r)
}

// bury moves popped messages to the dead-letter queue. Never are two queues locked at once: on the way a message
// is in neither, for an instant.
func (s *Service) bury(q, dlq *queue, dead []*message) error {
	if len(dead) == 0 {
		return nil
	}
	q.mu.Lock()
	r := Record{Kind: kindMove, Queue: q.name, To: dlq.name}
	for _, m := range dead {
		if q.byID[m.ID] != m {
			continue // deleted meanwhile
		}
		again := *m
		again.Source, again.Hidden = q.arn, time.Time{}
		r.IDs, r.Messages = append(r.IDs, m.ID), append(r.Messages, &again)
	}
	err := s.record(r)
	for _, m := range dead {
		switch {
		case q.byID[m.ID] != m:
		case err != nil:
			q.makeReady(m)
		default:
			q.remove(m)
		}
	}
	q.mu.Unlock()
	if err != nil {
		return err
	}
	dlq.mu.Lock()
	defer dlq.mu.Unlock()
	now := s.now()
	for _, m := range r.Messages {
		dlq.add(m, now)
	}
	return nil
}

var systemAttributes = []string{
	"All", "ApproximateReceiveCount", "SentTimestamp", "ApproximateFirstReceiveTimestamp", "SenderId",
	"DeadLetterQueueSourceArn", "AWSTraceHeader", "MessageDeduplicationId", "MessageGroupId", "SequenceNumber",
}

// show adds the attributes that were asked for.
func (t *taken) show(i int, in *receiveInput) {
	m, a := &t.list[i], &t.answers[i]
	asked := func(name string) bool {
		return slices.Contains(in.MessageSystemAttributeNames, "All") || slices.Contains(in.MessageSystemAttributeNames, name) ||
			slices.Contains(in.AttributeNames, "All") || slices.Contains(in.AttributeNames, name)
	}
	add := func(name, value string) {
		if value == "" || !asked(name) {
			return
		}
		if a.Attributes == nil {
			a.Attributes = make(map[string]string, 4)
		}
		a.Attributes[name] = value
	}
	if len(in.MessageSystemAttributeNames)+len(in.AttributeNames) > 0 {
		add("ApproximateReceiveCount", strconv.Itoa(m.Count))
		add("SentTimestamp", strconv.FormatInt(m.Sent.UnixMilli(), 10))
		add("ApproximateFirstReceiveTimestamp", strconv.FormatInt(m.First.UnixMilli(), 10))
		add("SenderId", m.Sender)
		add("DeadLetterQueueSourceArn", m.Source)
	}
	for name, value := range m.Attrs {
		if !wantsAttribute(in.MessageAttributeNames, name) {
			continue
		}
		if a.MessageAttributes == nil {
			a.MessageAttributes = map[string]messageAttribute{}
		}
		a.MessageAttributes[name] = value
	}
	a.MD5OfMessageAttributes = attributesMD5(a.MessageAttributes)
}

func wantsAttribute(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		prefix, all := strings.CutSuffix(p, ".*")
		return p == "All" || p == name || all && strings.HasPrefix(name, prefix)
	})
}
