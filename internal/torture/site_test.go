package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/coatcheck/coatcheck/internal/claim"
	"github.com/coatcheck/coatcheck/internal/consumer"
	"github.com/coatcheck/coatcheck/internal/objectstore"
	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/internal/queue"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

// site is a bucket of a world, wired to a queue as `coatcheck dev` does it, with what the service works on it with.
// A world has one database, so that only one site at a time may have media.
type site struct {
	*world
	bucket   string
	queueURL string
	deadURL  string // of the dead-letter queue
	objects  *objectstore.Store
	claimer  *claim.Claimer
	queue    *queue.Queue
}

// newSite makes a bucket with its queues. Its error is one of the emulator's.
func (w *world) newSite(ctx context.Context, versioned bool) (*site, error) {
	w.sites++
	name := fmt.Sprintf("coats-%d", w.sites)
	s := &site{world: w, bucket: name}
	if _, err := w.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name}); err != nil {
		return nil, fmt.Errorf("creating bucket %s: %w", name, err)
	}
	if versioned {
		if err := s.enableVersioning(ctx); err != nil {
			return nil, err
		}
	}
	deadURL, deadARN, err := w.newQueue(ctx, name+"-dead-letters", nil)
	if err != nil {
		return nil, err
	}
	redrive, err := json.Marshal(map[string]string{"deadLetterTargetArn": deadARN, "maxReceiveCount": "5"})
	if err != nil {
		return nil, err
	}
	// Clocks are moved by days: what is held back meanwhile must not come too late to be kept.
	queueURL, queueARN, err := w.newQueue(ctx, name, map[string]string{
		"RedrivePolicy": string(redrive), "MessageRetentionPeriod": fmt.Sprint(14 * 24 * 60 * 60),
	})
	if err != nil {
		return nil, err
	}
	_, err = w.s3.PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket: &name,
		NotificationConfiguration: &s3types.NotificationConfiguration{QueueConfigurations: []s3types.QueueConfiguration{{
			Id: aws.String("coatcheck"), QueueArn: &queueARN, Events: []s3types.Event{s3types.EventS3ObjectCreated},
		}}},
	})
	if err != nil {
		return nil, fmt.Errorf("setting the notification of bucket %s: %w", name, err)
	}
	s.queueURL, s.deadURL = queueURL, deadURL
	s.objects = objectstore.New(w.s3, s.bucket, w.keys.Prefix(), w.Now)
	s.claimer = claim.New(w.store, s.objects)
	s.queue = queue.New(w.sqs, s.queueURL, queue.DefaultRetry)
	return s, nil
}

// mustSite is newSite for a test that has only one.
func (w *world) mustSite(t testing.TB, versioned bool) *site {
	t.Helper()
	s, err := w.newSite(context.WithoutCancel(t.Context()), versioned)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) enableVersioning(ctx context.Context) error {
	_, err := s.s3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: &s.bucket, VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		return fmt.Errorf("enabling the versioning of bucket %s: %w", s.bucket, err)
	}
	return nil
}

func (w *world) newQueue(ctx context.Context, name string, attributes map[string]string) (url, arn string, err error) {
	created, err := w.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		return "", "", fmt.Errorf("creating queue %s: %w", name, err)
	}
	got, err := w.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: created.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return "", "", fmt.Errorf("reading queue %s: %w", name, err)
	}
	return *created.QueueUrl, got.Attributes[string(sqstypes.QueueAttributeNameQueueArn)], nil
}

// newSweeper returns a sweeper of a store and a bucket, which are the site's or put before them, with the product's
// settings but for what is changed.
func (s *site) newSweeper(store sweep.Store, objects sweep.Objects, change ...func(*sweep.Config)) (*sweep.Sweeper, error) {
	config := sweep.DefaultConfig()
	for _, f := range change {
		f(&config)
	}
	return sweep.New(store, objects, config, s.Now, s.config.Logger, s.sweeps)
}

// newConsumer returns a consumer of the site's queue, or of what is put before it, that records in the lander, with the product's settings but for
// what is changed: it does not wait for messages, so that a test does not either.
func (s *site) newConsumer(q consumer.Queue, lander consumer.Lander, change ...func(*consumer.Config)) (*consumer.Consumer, error) {
	config := consumer.DefaultConfig()
	config.Bucket, config.Keys, config.WaitTime = s.bucket, s.keys, 0
	config.DrainLimit = 20 * time.Second
	for _, f := range change {
		f(&config)
	}
	return consumer.New(config, consumer.Parts{
		Queue: q, Lander: lander, Transient: postgres.Transient, Metrics: s.landings, Log: s.config.Logger, Now: s.Now,
	})
}

// stored is one version of an object, or a delete marker.
type stored struct {
	Key, Version, ETag string
	Size               int64
	Modified           time.Time
	Latest, Marker     bool
}

// contents lists every version and delete marker of the bucket.
func (s *site) contents(ctx context.Context) ([]stored, error) {
	var all []stored
	pages := s3.NewListObjectVersionsPaginator(s.s3, &s3.ListObjectVersionsInput{Bucket: &s.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing bucket %s: %w", s.bucket, err)
		}
		for _, v := range page.Versions {
			all = append(all, stored{
				Key: *v.Key, Version: aws.ToString(v.VersionId), ETag: trimQuotes(aws.ToString(v.ETag)), Size: aws.ToInt64(v.Size),
				Modified: aws.ToTime(v.LastModified), Latest: aws.ToBool(v.IsLatest),
			})
		}
		for _, d := range page.DeleteMarkers {
			all = append(all, stored{Key: *d.Key, Version: aws.ToString(d.VersionId), Latest: aws.ToBool(d.IsLatest), Marker: true})
		}
	}
	return all, nil
}

func trimQuotes(etag string) string {
	if len(etag) >= 2 && etag[0] == '"' {
		return etag[1 : len(etag)-1]
	}
	return etag
}

// remove deletes the bucket with all that is in it, and the queues.
func (s *site) remove(ctx context.Context) error {
	all, err := s.contents(ctx)
	if err != nil {
		return err
	}
	for _, o := range all {
		_, err := s.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &o.Key, VersionId: &o.Version})
		if err != nil {
			return fmt.Errorf("deleting %s: %w", o.Key, err)
		}
	}
	if _, err := s.s3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &s.bucket}); err != nil {
		return fmt.Errorf("deleting bucket %s: %w", s.bucket, err)
	}
	for _, url := range []string{s.queueURL, s.deadURL} {
		if _, err := s.sqs.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &url}); err != nil {
			return fmt.Errorf("deleting a queue: %w", err)
		}
	}
	return nil
}
