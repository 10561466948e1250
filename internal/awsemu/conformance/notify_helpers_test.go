package conformance

import (
	"encoding/json"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// record is the part of an S3 event that checks look at.
type record struct {
	EventName string
	EventTime string
	S3        struct {
		ConfigurationID string `json:"configurationId"`
		Object          struct {
			Key, ETag, VersionID, Sequencer string
			Size                            *int64
		}
	}
}

// key returns the decoded key.
func (r record) key(e *env) string {
	k, err := url.QueryUnescape(r.S3.Object.Key)
	if err != nil {
		e.Errorf("key %q: %v", r.S3.Object.Key, err)
	}
	return k
}

// notified makes a bucket whose events of the given types go to a new queue, and drops the TestEvent.
func (e *env) notified(bucket string, rules []types.FilterRule, events ...types.Event) queue {
	q := e.queue(map[string]string{"VisibilityTimeout": "60"})
	e.allow(q, bucket)
	in := &s3.PutBucketNotificationConfigurationInput{Bucket: &bucket, NotificationConfiguration: &types.NotificationConfiguration{
		QueueConfigurations: []types.QueueConfiguration{{Id: ptr("uploads"), QueueArn: &q.arn, Events: events}},
	}}
	if rules != nil {
		in.NotificationConfiguration.QueueConfigurations[0].Filter = &types.NotificationConfigurationFilter{Key: &types.S3KeyFilter{FilterRules: rules}}
	}
	_, err := e.s3.PutBucketNotificationConfiguration(e.Context(), in)
	e.must(err, "setting the notification")
	return q
}

// everything sends all creations and deletions in the bucket to a new queue.
func (e *env) everything(bucket string) queue {
	q := e.notified(bucket, nil, "s3:ObjectCreated:*", "s3:ObjectRemoved:*")
	for _, m := range q.receive(5) {
		q.delete(m.ReceiptHandle)
	}
	return q
}

// raw receives and deletes messages until there have been n, or none comes for two seconds.
func (q queue) raw(n int) []string {
	var bodies []string
	for len(bodies) < n {
		messages := q.receive(5)
		if len(messages) == 0 {
			break
		}
		for _, m := range messages {
			bodies = append(bodies, value(m.Body))
			q.delete(m.ReceiptHandle)
		}
	}
	return bodies
}

// records receives exactly n records, and sees that no more come.
func (q queue) records(n int) []record {
	var all []record
	for _, text := range append(q.raw(n), q.rest()...) {
		var event struct{ Records []record }
		if err := json.Unmarshal([]byte(text), &event); err != nil {
			q.e.Errorf("an event that is no JSON: %v: %.200q", err, text)
		}
		all = append(all, event.Records...)
	}
	if len(all) != n {
		var names []string
		for _, r := range all {
			names = append(names, r.EventName+" "+r.S3.Object.Key)
		}
		q.e.Fatalf("%d records, want %d: %q", len(all), n, names)
	}
	return all
}

// rest returns what comes within one second.
func (q queue) rest() []string {
	var bodies []string
	for _, m := range q.receive(1) {
		bodies = append(bodies, value(m.Body))
		q.delete(m.ReceiptHandle)
	}
	return bodies
}

// event receives one record and checks its name and key.
func (q queue) event(name, key string) record {
	r := q.records(1)[0]
	if r.EventName != name || r.key(q.e) != key {
		q.e.Errorf("got %s of %q, want %s of %q", r.EventName, r.key(q.e), name, key)
	}
	return r
}
