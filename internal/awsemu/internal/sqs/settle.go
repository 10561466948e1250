package sqs

import (
	"context"
	"net/http"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
)

type deleteInput struct {
	QueueUrl      string //nolint:revive // AWS's spelling
	ReceiptHandle string
}

func (s *Service) deleteMessage(_ context.Context, _ *Caller, in *deleteInput) (any, error) {
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if in.ReceiptHandle == "" {
		return nil, missing("ReceiptHandle")
	}
	r, ok := q.parseHandle(in.ReceiptHandle)
	if !ok {
		return nil, badHandle(in.ReceiptHandle)
	}
	return empty{}, s.delete(q, r)
}

// delete deletes what the handles name. One whose message is gone, or was received again since, succeeds and
// does nothing.
func (s *Service) delete(q *queue, handles ...receipt) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	rec := Record{Kind: kindRemove, Queue: q.name}
	found := make([]*message, 0, len(handles))
	for _, r := range handles {
		if m := q.byID[r.id]; m != nil && m.Count == r.count {
			found = append(found, m)
			if s.journal != nil {
				rec.IDs = append(rec.IDs, m.ID)
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	if err := s.record(rec); err != nil {
		return err
	}
	for _, m := range found {
		if m.slot != gone { // named twice in one batch
			q.remove(m)
		}
	}
	return nil
}

type deleteBatchInput struct {
	QueueUrl string //nolint:revive // AWS's spelling
	Entries  []deleteEntry
}

type deleteEntry struct {
	Id            string //nolint:revive // AWS's spelling
	ReceiptHandle string
}

func (s *Service) deleteMessageBatch(_ context.Context, c *Caller, in *deleteBatchInput) (any, error) {
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := checkBatch(in.Entries, func(e *deleteEntry) string { return e.Id }); err != nil {
		return nil, err
	}
	out := batchOutput{Successful: []any{}}
	handles := make([]receipt, 0, maxBatch)
	for _, e := range in.Entries {
		if err := s.entryFault(c, q); err != nil {
			out.fail(e.Id, err)
			continue
		}
		r, ok := q.parseHandle(e.ReceiptHandle)
		if !ok {
			out.fail(e.Id, badHandle(e.ReceiptHandle))
			continue
		}
		handles = append(handles, r)
		out.Successful = append(out.Successful, entryDone{e.Id})
	}
	return out, s.delete(q, handles...)
}

type visibilityInput struct {
	QueueUrl string //nolint:revive // AWS's spelling
	visibilityEntry
}

type visibilityEntry struct {
	Id                string //nolint:revive // AWS's spelling
	ReceiptHandle     string
	VisibilityTimeout *int
}

func (s *Service) changeVisibility(_ context.Context, _ *Caller, in *visibilityInput) (any, error) {
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return empty{}, s.setVisibility(q, &in.visibilityEntry)
}

// setVisibility hides a message in flight for so long from now on; zero gives it back at once.
func (s *Service) setVisibility(q *queue, e *visibilityEntry) error {
	if e.VisibilityTimeout == nil {
		return missing("VisibilityTimeout")
	}
	seconds, err := bounded("VisibilityTimeout", e.VisibilityTimeout, 0, 43200, 0)
	if err != nil {
		return err
	}
	r, ok := q.parseHandle(e.ReceiptHandle)
	if !ok {
		return badHandle(e.ReceiptHandle)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := s.now()
	q.promote(now)
	m := q.byID[r.id]
	switch {
	case m == nil:
		return invalidParameter("Value " + e.ReceiptHandle + " for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.")
	case m.Count != r.count || m.slot < 0:
		return awserr.New(http.StatusBadRequest, "MessageNotInflight", "The specified message is not in flight.")
	}
	hidden := now.Add(time.Duration(seconds) * time.Second)
	if err := s.record(Record{Kind: kindChange, Queue: q.name, Changes: []change{{m.ID, m.Count, m.First, hidden}}}); err != nil {
		return err
	}
	q.unhide(m)
	m.Hidden = hidden
	if seconds == 0 {
		q.makeReady(m)
	} else {
		q.hide(m, false)
	}
	return nil
}

type visibilityBatchInput struct {
	QueueUrl string //nolint:revive // AWS's spelling
	Entries  []visibilityEntry
}

func (s *Service) changeVisibilityBatch(_ context.Context, c *Caller, in *visibilityBatchInput) (any, error) {
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := checkBatch(in.Entries, func(e *visibilityEntry) string { return e.Id }); err != nil {
		return nil, err
	}
	out := batchOutput{Successful: []any{}}
	for i := range in.Entries {
		e := &in.Entries[i]
		err := s.entryFault(c, q)
		if err == nil {
			err = s.setVisibility(q, e)
		}
		if err != nil {
			out.fail(e.Id, err)
			continue
		}
		out.Successful = append(out.Successful, entryDone{e.Id})
	}
	return out, nil
}
