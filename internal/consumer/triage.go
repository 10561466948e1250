package consumer

import (
	"errors"
	"fmt"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/s3event"
)

// item is a message on its way through the consumer.
type item struct {
	Message
	landings []media.Landing
	only     [1]media.Landing // where landings are when there is one, as in nearly every message
	// unclear says what of the message was not understood; nil when all of it was. Such a message is neither kept
	// hidden nor ever deleted.
	unclear error

	since time.Time // when it was hidden last
	place int       // among those that heartbeats keeps hidden, from 1; 0 when it is none of them
}

// itemsOf returns an item for each message.
func itemsOf(messages []Message) []*item {
	all, items := make([]item, len(messages)), make([]*item, len(messages))
	for i, m := range messages {
		all[i].Message, items[i] = m, &all[i]
	}
	return items
}

// receiptsOf returns the receipts of messages.
func receiptsOf(items []*item) []string {
	receipts := make([]string, len(items))
	for i, it := range items {
		receipts[i] = it.Receipt
	}
	return receipts
}

// maxReasons bounds how many records an error of triage tells of.
const maxReasons = 3

// triage decides what a message asks for, and writes it into the item. It counts the records by kind.
func (c *Consumer) triage(it *item) {
	u := understand(c.cfg.Bucket, c.cfg.Keys, it.Body, it.only[:0], func(kind string) { c.metrics.records.WithLabelValues(kind).Inc() })
	it.landings, it.unclear = u.landings, u.unclear
	if u.test {
		c.log.Info("notification test event received", "bucket", u.testBucket, "ours", u.testBucket == c.cfg.Bucket)
	}
}

// Explain returns why a consumer of the bucket leaves a message with this body to the dead-letter queue, or nil when it
// understands all of it.
func Explain(bucket string, keys media.Keys, body string) error {
	return understand(bucket, keys, body, nil, func(string) {}).unclear
}

// understanding is what a message's body says.
type understanding struct {
	landings   []media.Landing
	unclear    error // what of it was not understood
	test       bool
	testBucket string
}

// understand appends the landings that a body tells of to those given.
func understand(bucket string, keys media.Keys, body string, landings []media.Landing, count func(kind string)) understanding {
	event, err := s3event.Decode(body)
	if err != nil {
		count("bad")
	}
	if event.Test {
		count("test")
	}
	u := understanding{landings: landings, test: event.Test, testBucket: event.TestBucket}
	var reasons []error
	for i, r := range event.Records {
		landing, kind, err := record(bucket, keys, r)
		count(kind)
		if err != nil && len(reasons) < maxReasons {
			reasons = append(reasons, fmt.Errorf("record %d: %w", i, err))
		}
		if kind == created {
			u.landings = append(u.landings, landing)
		}
	}
	u.unclear = errors.Join(err, errors.Join(reasons...))
	return u
}

// created is the kind of a record that tells of a landing.
const created = "created"

// record returns a record's kind, for the metrics, and the landing that one which was created tells of.
func record(bucket string, keys media.Keys, r s3event.Record) (landing media.Landing, kind string, err error) {
	if r.Bucket != bucket {
		return media.Landing{}, "other_bucket", fmt.Errorf("it is about the bucket %.80q, and ours is %q", r.Bucket, bucket)
	}
	switch r.Action {
	case s3event.ActionRemoved:
		return media.Landing{}, "removed", nil
	case s3event.ActionOther:
		return media.Landing{}, "other", nil
	}
	id, ours := keys.ID(r.Key)
	if !ours {
		return media.Landing{}, "foreign", nil
	}
	sequencer, err := media.ParseSequencer(r.Sequencer)
	if err != nil {
		return media.Landing{}, "bad", err
	}
	return media.Landing{
		MediaID: id, SizeBytes: r.SizeBytes, ETag: r.ETag, VersionID: r.VersionID, Sequencer: sequencer, EventTime: r.Time,
	}, created, nil
}
