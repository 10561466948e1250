package sqs

import (
	"maps"
	"slices"
	"time"
)

// Record is one change in the journal. Exactly the fields of its kind are set.
type Record struct {
	Kind     string            `json:"kind"`
	Queue    string            `json:"queue"`
	To       string            `json:"to,omitempty"` // for move: another queue's name
	At       time.Time         `json:"at,omitzero"`
	Attrs    map[string]string `json:"attrs,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	Messages []*message        `json:"messages,omitempty"`
	Changes  []change          `json:"changes,omitempty"`
	IDs      []string          `json:"ids,omitempty"`
}

// change is what a receive or a new visibility timeout does to a message.
type change struct {
	ID     string    `json:"id"`
	Count  int       `json:"count"`
	First  time.Time `json:"first,omitzero"`
	Hidden time.Time `json:"hidden,omitzero"`
}

// The kinds of records.
const (
	kindCreate = "create"
	kindDelete = "delete"
	kindAttrs  = "attrs"
	kindTags   = "tags"
	kindSend   = "send"
	kindChange = "change"
	kindRemove = "remove"
	kindPurge  = "purge"
	kindMove   = "move"
)

// line is how a record stands in the journal, beside the buckets' records.
type line struct {
	SQS *Record `json:"sqs"`
}

// record writes r to the journal. The caller holds the lock of what it describes.
func (s *Service) record(r Record) error {
	if s.journal == nil {
		return nil
	}
	return s.journal.Append(line{&r})
}

// Replay makes a recorded change again.
func (s *Service) Replay(r *Record) {
	if r.Kind == kindCreate {
		q := s.newQueue(r.Queue, r.At)
		s.apply(q, r.Attrs)
		q.tags = orEmpty(r.Tags)
		s.queues[r.Queue] = q
		return
	}
	q := s.queues[r.Queue]
	if q == nil {
		return
	}
	switch r.Kind {
	case kindDelete:
		delete(s.queues, r.Queue)
	case kindAttrs:
		s.apply(q, r.Attrs)
		q.modified = r.At
	case kindTags:
		q.tags = orEmpty(r.Tags)
	case kindSend:
		for _, m := range r.Messages {
			q.add(m, s.now())
		}
	case kindChange:
		for _, c := range r.Changes {
			if m := q.byID[c.ID]; m != nil {
				q.remove(m)
				again := *m
				again.Count, again.First, again.Hidden = c.Count, c.First, c.Hidden
				q.add(&again, s.now())
			}
		}
	case kindRemove, kindMove:
		for _, id := range r.IDs {
			if m := q.byID[id]; m != nil {
				q.remove(m)
			}
		}
		if to := s.queues[r.To]; to != nil {
			for _, m := range r.Messages {
				to.add(m, s.now())
			}
		}
	case kindPurge:
		q.clear()
	}
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// Snapshot writes the records that make the present state out of nothing.
func (s *Service) Snapshot(write func(v any) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, name := range slices.Sorted(maps.Keys(s.queues)) {
		q := s.queues[name]
		q.mu.Lock()
		records := q.snapshot()
		q.mu.Unlock()
		for i := range records {
			if err := write(line{&records[i]}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (q *queue) snapshot() []Record {
	out := []Record{
		{Kind: kindCreate, Queue: q.name, At: q.created, Attrs: q.attrs, Tags: q.tags},
		{Kind: kindAttrs, Queue: q.name, At: q.modified},
	}
	send := func(m *message) {
		if m.slot != gone {
			out = append(out, Record{Kind: kindSend, Queue: q.name, Messages: []*message{m}})
		}
	}
	for _, m := range q.list[q.head:] {
		send(m)
	}
	for _, m := range q.hidden {
		send(m)
	}
	return out
}
