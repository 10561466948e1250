package sqs

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/notify"
)

// The sender ids that messages show: the account's root, and S3.
const (
	senderSelf = "AIDACKCEVSQ6C2EXAMPLE"
	senderS3   = "AIDAJ45Q7YFFAREXAMPLE"
)

type sendEntry struct {
	Id                string //nolint:revive // AWS's spelling
	MessageBody       string
	DelaySeconds      *int
	MessageAttributes map[string]messageAttribute
	MessageGroupId    string //nolint:revive // AWS's spelling
}

type sendInput struct {
	QueueUrl string //nolint:revive // AWS's spelling
	sendEntry
}

type sendOutput struct {
	Id                     string `json:",omitempty"` //nolint:revive // AWS's spelling
	MessageId              string //nolint:revive // AWS's spelling
	MD5OfMessageBody       string
	MD5OfMessageAttributes string `json:",omitempty"`
}

// message makes a message of an entry. The caller holds no lock.
func (s *Service) message(e *sendEntry, set settings, now time.Time) (*message, error) {
	if e.MessageBody == "" {
		return nil, missing("MessageBody")
	}
	if !validText(e.MessageBody) {
		return nil, awserr.New(http.StatusBadRequest, "InvalidMessageContents",
			"Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF")
	}
	if len(e.MessageAttributes) > 10 {
		return nil, invalidParameter("Number of message attributes exceeds the allowed maximum (10).")
	}
	for name, a := range e.MessageAttributes {
		kind, _, _ := strings.Cut(a.DataType, ".")
		if kind != "String" && kind != "Number" && kind != "Binary" {
			return nil, invalidParameter("The type of message attribute '" + name + "' is invalid. You must use only the following supported type prefixes: Binary, Number, String.")
		}
	}
	delay := set.delay
	if e.DelaySeconds != nil {
		if *e.DelaySeconds < 0 || *e.DelaySeconds > 900 {
			return nil, invalidParameter("Value for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.")
		}
		delay = time.Duration(*e.DelaySeconds) * time.Second
	}
	m := &message{
		ID: notify.NewID(), Body: e.MessageBody, Attrs: e.MessageAttributes, Sent: now,
		Sender: senderSelf, md5: bodyMD5(e.MessageBody),
	}
	if m.size() > set.maxSize {
		return nil, awserr.Newf(http.StatusBadRequest, "InvalidParameterValue",
			"One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", set.maxSize)
	}
	if delay > 0 {
		m.Hidden = now.Add(delay)
	}
	return m, nil
}

// put journals messages and adds them.
func (s *Service) put(q *queue, ms ...*message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.deleted {
		return noSuchQueue()
	}
	if err := s.record(Record{Kind: kindSend, Queue: q.name, Messages: ms}); err != nil {
		return err
	}
	now := s.now()
	for _, m := range ms {
		q.add(m, now)
	}
	return nil
}

func (q *queue) current() settings {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.settings
}

func (s *Service) sendMessage(_ context.Context, _ *Caller, in *sendInput) (any, error) {
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	m, err := s.message(&in.sendEntry, q.current(), s.now())
	if err != nil {
		return nil, err
	}
	if err := s.put(q, m); err != nil {
		return nil, err
	}
	return sendOutput{MessageId: m.ID, MD5OfMessageBody: m.md5, MD5OfMessageAttributes: attributesMD5(m.Attrs)}, nil
}

type sendBatchInput struct {
	QueueUrl string //nolint:revive // AWS's spelling
	Entries  []sendEntry
}

func (s *Service) sendMessageBatch(_ context.Context, c *Caller, in *sendBatchInput) (any, error) {
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := checkBatch(in.Entries, func(e *sendEntry) string { return e.Id }); err != nil {
		return nil, err
	}
	total := 0
	for i := range in.Entries {
		e := message{Body: in.Entries[i].MessageBody, Attrs: in.Entries[i].MessageAttributes}
		total += e.size()
	}
	if total > maxMessage {
		return nil, awserr.Newf(http.StatusBadRequest, "BatchRequestTooLong",
			"Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxMessage, total)
	}
	out := batchOutput{Successful: []any{}}
	set, now := q.current(), s.now()
	var ms []*message
	for i := range in.Entries {
		e := &in.Entries[i]
		m, err := s.message(e, set, now)
		if ferr := s.entryFault(c, q); ferr != nil {
			err = ferr
		}
		if err != nil {
			out.fail(e.Id, err)
			continue
		}
		ms = append(ms, m)
		out.Successful = append(out.Successful, sendOutput{e.Id, m.ID, m.md5, attributesMD5(m.Attrs)})
	}
	if len(ms) == 0 {
		return out, nil
	}
	return out, s.put(q, ms...)
}
