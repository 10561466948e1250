package sqs

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
)

// empty is the answer of operations that answer nothing.
type empty struct{}

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

type createQueueInput struct {
	QueueName  string
	Attributes map[string]string
	Tags       map[string]string `json:"tags"`
}

type queueURL struct{ QueueUrl string } //nolint:revive // AWS's spelling

func (s *Service) createQueue(_ context.Context, c *Caller, in *createQueueInput) (any, error) {
	switch {
	case in.QueueName == "":
		return nil, missing("QueueName")
	case strings.HasSuffix(in.QueueName, ".fifo") || in.Attributes["FifoQueue"] != "":
		return nil, awserr.New(http.StatusBadRequest, "UnsupportedOperation", "This emulator has no FIFO queues.")
	case !queueName.MatchString(in.QueueName):
		return nil, invalidParameter("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	if err := s.checkAttributes(in.Attributes); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[in.QueueName]; q != nil {
		q.mu.Lock()
		have := q.all()
		q.mu.Unlock()
		for name, value := range in.Attributes {
			if have[name] != value {
				return nil, awserr.Newf(http.StatusBadRequest, "QueueNameExists",
					"A queue already exists with the same name and a different value for attribute %s", name)
			}
		}
		return queueURL{c.url(s, q)}, nil
	}
	q := s.newQueue(in.QueueName, s.now())
	s.apply(q, in.Attributes)
	maps.Copy(q.tags, in.Tags)
	if err := s.record(Record{Kind: kindCreate, Queue: q.name, At: q.created, Attrs: in.Attributes, Tags: in.Tags}); err != nil {
		return nil, err
	}
	s.queues[q.name] = q
	return queueURL{c.url(s, q)}, nil
}

type getQueueURLInput struct{ QueueName, QueueOwnerAWSAccountId string } //nolint:revive // AWS's spelling

func (s *Service) getQueueURL(_ context.Context, c *Caller, in *getQueueURLInput) (any, error) {
	if in.QueueOwnerAWSAccountId != "" && in.QueueOwnerAWSAccountId != s.account {
		return nil, noSuchQueue()
	}
	q := s.byName(in.QueueName)
	if q == nil {
		return nil, noSuchQueue()
	}
	return queueURL{c.url(s, q)}, nil
}

type queueInput struct{ QueueUrl string } //nolint:revive // AWS's spelling

func (s *Service) deleteQueue(_ context.Context, _ *Caller, in *queueInput) (any, error) {
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := s.record(Record{Kind: kindDelete, Queue: q.name}); err != nil {
		return nil, err
	}
	q.deleted = true
	q.clear()
	q.stop()
	delete(s.queues, q.name)
	return empty{}, nil
}

func (s *Service) purgeQueue(_ context.Context, _ *Caller, in *queueInput) (any, error) {
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := s.record(Record{Kind: kindPurge, Queue: q.name}); err != nil {
		return nil, err
	}
	q.clear()
	return empty{}, nil
}

type listQueuesInput struct {
	QueueNamePrefix string
	MaxResults      int
	NextToken       string
}

type listQueuesOutput struct {
	QueueUrls []string `json:",omitempty"`
	NextToken string   `json:",omitempty"`
}

func (s *Service) listQueues(_ context.Context, c *Caller, in *listQueuesInput) (any, error) {
	if in.MaxResults < 0 || in.MaxResults > 1000 {
		return nil, invalidParameter("Value for parameter MaxResults is invalid. Reason: must be between 1 and 1000.")
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out listQueuesOutput
	for _, name := range slices.Sorted(maps.Keys(s.queues)) {
		if !strings.HasPrefix(name, in.QueueNamePrefix) || name <= in.NextToken {
			continue
		}
		if in.MaxResults > 0 && len(out.QueueUrls) == in.MaxResults {
			_, out.NextToken, _ = cutLast(out.QueueUrls[in.MaxResults-1], "/")
			break
		}
		out.QueueUrls = append(out.QueueUrls, c.url(s, s.queues[name]))
		if len(out.QueueUrls) == 1000 {
			break
		}
	}
	return out, nil
}

type attributesInput struct {
	QueueUrl       string //nolint:revive // AWS's spelling
	AttributeNames []string
}

type attributesOutput struct {
	Attributes map[string]string `json:",omitempty"`
}

func (s *Service) getQueueAttributes(_ context.Context, _ *Caller, in *attributesInput) (any, error) {
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	for _, name := range in.AttributeNames {
		if !knownAttribute(name) {
			return nil, awserr.Newf(http.StatusBadRequest, "InvalidAttributeName", "Unknown Attribute %s.", name)
		}
	}
	q.mu.Lock()
	all := q.all()
	q.mu.Unlock()
	if !slices.Contains(in.AttributeNames, "All") {
		maps.DeleteFunc(all, func(name, _ string) bool { return !slices.Contains(in.AttributeNames, name) })
	}
	return attributesOutput{all}, nil
}

type setAttributesInput struct {
	QueueUrl   string //nolint:revive // AWS's spelling
	Attributes map[string]string
}

func (s *Service) setQueueAttributes(_ context.Context, _ *Caller, in *setAttributesInput) (any, error) {
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := s.checkAttributes(in.Attributes); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := s.now()
	if err := s.record(Record{Kind: kindAttrs, Queue: q.name, At: now, Attrs: in.Attributes}); err != nil {
		return nil, err
	}
	s.apply(q, in.Attributes)
	q.modified = now
	return empty{}, nil
}

type tagInput struct {
	QueueUrl string //nolint:revive // AWS's spelling
	Tags     map[string]string
	TagKeys  []string
}

// tagQueue serves TagQueue and UntagQueue.
func (s *Service) tagQueue(_ context.Context, _ *Caller, in *tagInput) (any, error) {
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	tags := maps.Clone(q.tags)
	maps.Copy(tags, in.Tags)
	for _, key := range in.TagKeys {
		delete(tags, key)
	}
	if err := s.record(Record{Kind: kindTags, Queue: q.name, Tags: tags}); err != nil {
		return nil, err
	}
	q.tags = tags
	return empty{}, nil
}

func (s *Service) listQueueTags(_ context.Context, _ *Caller, in *queueInput) (any, error) {
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return struct {
		Tags map[string]string `json:",omitempty"`
	}{q.tags}, nil
}

// listDeadLetterSourceQueues lists the queues whose redrive policy names this one.
func (s *Service) listDeadLetterSourceQueues(_ context.Context, c *Caller, in *queueInput) (any, error) {
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	urls := []string{}
	for _, source := range s.sourcesOf(q.name) {
		urls = append(urls, c.url(s, source))
	}
	b, err := json.Marshal(struct {
		QueueUrls []string `json:"queueUrls"` //nolint:revive // AWS's spelling
	}{urls})
	return json.RawMessage(b), err
}

// sourcesOf returns the queues that send their dead letters to the queue called name.
func (s *Service) sourcesOf(name string) []*queue {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*queue
	for _, n := range slices.Sorted(maps.Keys(s.queues)) {
		q := s.queues[n]
		q.mu.Lock()
		dead := q.settings.deadLetter
		q.mu.Unlock()
		if dead == name {
			out = append(out, q)
		}
	}
	return out
}
