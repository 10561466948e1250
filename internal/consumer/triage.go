package consumer

import (
	"errors"
	"fmt"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/s3event"
)

// item is a message on its way through the consumer.
type item struct {
	Message
	landings []media.Landing
	// unclear says what of the message was not understood; nil when all of it was. Such a message is neither kept
	// hidden nor ever deleted.
	unclear error
}

// maxReasons bounds how many records an error of triage tells of.
const maxReasons = 3

// triage decides what a message asks for, and writes it into the item. It counts the records by kind.
func (c *Consumer) triage(it *item) {
	u := understand(c.cfg.Bucket, c.cfg.Keys, it.Body, func(kind string) { c.metrics.records.WithLabelValues(kind).Inc() })
	it.landings, it.unclear = u.landings, u.unclear
	if u.test {
		c.log.Info("notification test event received", "bucket", u.testBucket, "ours", u.testBucket == c.cfg.Bucket)
	}
}

// Explain returns why a consumer of the bucket leaves a message with this body to the dead-letter queue, or nil when it
// understands all of it.
func Explain(bucket string, keys media.Keys, body string) error {
	return understand(bucket, keys, body, func(string) {}).unclear
}

// understanding is what a message's body says.
type understanding struct {
	landings   []media.Landing
	unclear    error // what of it was not understood
	test       bool
	testBucket string
}

func understand(bucket string, keys media.Keys, body string, count func(kind string)) understanding {
	event, err := s3event.Decode(body)
	if err != nil {
		count("bad")
	}
	if event.Test {
		count("test")
	}
	u := understanding{test: event.Test, testBucket: event.TestBucket}
	var reasons []error
	for i, r := range event.Records {
		landing, kind, err := record(bucket, keys, r)
		count(kind)
		if err != nil && len(reasons) < maxReasons {
			reasons = append(reasons, fmt.Errorf("record %d: %w", i, err))
		}
		if landing != nil {
			u.landings = append(u.landings, *landing)
		}
	}
	u.unclear = errors.Join(err, errors.Join(reasons...))
	return u
}

// record returns the landing that a record tells of, if it does, and the record's kind for the metrics.
func record(bucket string, keys media.Keys, r s3event.Record) (landing *media.Landing, kind string, err error) {
	if r.Bucket != bucket {
		return nil, "other_bucket", fmt.Errorf("it is about the bucket %.80q, and ours is %q", r.Bucket, bucket)
	}
	switch r.Action {
	case s3event.ActionRemoved:
		return nil, "removed", nil
	case s3event.ActionOther:
		return nil, "other", nil
	}
	id, ours := keys.ID(r.Key)
	if !ours {
		return nil, "foreign", nil
	}
	sequencer, err := media.ParseSequencer(r.Sequencer)
	if err != nil {
		return nil, "bad", err
	}
	return &media.Landing{
		MediaID: id, SizeBytes: r.SizeBytes, ETag: r.ETag, VersionID: r.VersionID, Sequencer: sequencer, EventTime: r.Time,
	}, "created", nil
}
