// Package sqs is an emulation of Amazon SQS's standard queues over the AWS JSON 1.0 protocol.
//
// Source: the Amazon SQS API reference and developer guide. FIFO queues, encryption and access policies are
// taken as attributes at most, never acted on.
package sqs

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/fault"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/journal"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/notify"
)

// Service holds every queue of one account in one region. It is safe for concurrent use.
type Service struct {
	region  string
	account string
	now     func() time.Time
	virtual bool
	journal *journal.Journal
	entries *fault.Rules

	mu     sync.RWMutex
	queues map[string]*queue

	tasksMu sync.Mutex
	tasks   []*moveTask

	closing chan struct{}
	joined  sync.WaitGroup
}

// New returns a service without queues. virtual says that now is not the wall clock; entries are the faults of
// single entries of batches.
func New(region, account string, now func() time.Time, virtual bool, entries *fault.Rules) *Service {
	return &Service{
		region: region, account: account, now: now, virtual: virtual, entries: entries,
		queues: map[string]*queue{}, closing: make(chan struct{}),
	}
}

// Keep makes every change from now on go through j.
func (s *Service) Keep(j *journal.Journal) { s.journal = j }

// Close ends long polls and move tasks, and waits for the latter.
func (s *Service) Close() {
	close(s.closing)
	s.mu.RLock()
	for _, q := range s.queues {
		q.mu.Lock()
		q.stop()
		q.mu.Unlock()
	}
	s.mu.RUnlock()
	s.joined.Wait()
}

func (s *Service) arn(name string) string {
	return "arn:aws:sqs:" + s.region + ":" + s.account + ":" + name
}

// Exists reports whether there is a queue with this ARN.
func (s *Service) Exists(arn string) bool { return s.byARN(arn) != nil }

func (s *Service) byARN(arn string) *queue {
	if arn != s.arn(nameOf(arn)) {
		return nil
	}
	return s.byName(nameOf(arn))
}

func (s *Service) byName(name string) *queue {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.queues[name]
}

// byURL finds a queue by the account and name at the end of its URL, whatever host it was addressed by.
func (s *Service) byURL(url string) (*queue, error) {
	if url == "" {
		return nil, missing("QueueUrl")
	}
	rest, name, ok := cutLast(url, "/")
	_, account, _ := cutLast(rest, "/")
	if !ok || account != s.account {
		return nil, awserr.Newf(http.StatusBadRequest, "InvalidAddress", "The address %s is not valid for this endpoint.", url)
	}
	if q := s.byName(name); q != nil {
		return q, nil
	}
	return nil, noSuchQueue()
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}

func (s *Service) newQueue(name string, created time.Time) *queue {
	return &queue{
		name: name, arn: s.arn(name), incarnation: fmt.Sprintf("%s %d ", name, created.UnixNano()),
		created: created, modified: created,
		attrs: map[string]string{}, tags: map[string]string{}, byID: map[string]*message{},
	}
}

// Inject puts a notification into its queue. It does not write the journal: what S3 journals about the object
// includes the message. A queue that is gone loses it, as with AWS.
func (s *Service) Inject(d notify.Delivery) {
	q := s.byARN(d.QueueARN)
	if q == nil {
		return
	}
	m := &message{ID: d.ID, Body: d.Body, Sent: d.Sent, Sender: senderS3}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.deleted || len(d.Body) > q.settings.maxSize {
		return
	}
	if q.settings.delay > 0 {
		m.Hidden = s.now().Add(q.settings.delay)
	}
	q.add(m, s.now())
}
