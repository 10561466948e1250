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
	event, err := s3event.Decode([]byte(it.Body))
	if err != nil {
		it.unclear = err
		c.metrics.records.WithLabelValues("bad").Inc()
	}
	if event.Test {
		c.metrics.records.WithLabelValues("test").Inc()
		c.log.Info("notification test event received", "bucket", event.TestBucket, "ours", event.TestBucket == c.cfg.Bucket)
	}
	var reasons []error
	for i, r := range event.Records {
		kind, err := c.record(it, r)
		c.metrics.records.WithLabelValues(kind).Inc()
		if err != nil && len(reasons) < maxReasons {
			reasons = append(reasons, fmt.Errorf("record %d: %w", i, err))
		}
	}
	it.unclear = errors.Join(it.unclear, errors.Join(reasons...))
}

// record adds the landing that a record tells of, if it does, and returns the record's kind for the metrics.
func (c *Consumer) record(it *item, r s3event.Record) (kind string, err error) {
	if r.Bucket != c.cfg.Bucket {
		return "other_bucket", fmt.Errorf("it is about the bucket %.80q, and ours is %q", r.Bucket, c.cfg.Bucket)
	}
	switch r.Action {
	case s3event.ActionRemoved:
		return "removed", nil
	case s3event.ActionOther:
		return "other", nil
	}
	id, ours := c.cfg.Keys.ID(r.Key)
	if !ours {
		return "foreign", nil
	}
	sequencer, err := media.ParseSequencer(r.Sequencer)
	if err != nil {
		return "bad", err
	}
	it.landings = append(it.landings, media.Landing{
		MediaID: id, SizeBytes: r.SizeBytes, ETag: r.ETag, VersionID: r.VersionID, Sequencer: sequencer, EventTime: r.Time,
	})
	return "created", nil
}
