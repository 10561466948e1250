package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// queue makes a queue and returns its URL. A message stays hidden long enough for every contender to come round to it.
func (a *awsServer) queue(ctx context.Context, name string) (string, error) {
	made, err := a.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{
		QueueName: aws.String(name), Attributes: map[string]string{"VisibilityTimeout": "300"},
	})
	if err != nil {
		return "", fmt.Errorf("making a queue: %w", err)
	}
	return strings.Replace(aws.ToString(made.QueueUrl), a.apart, a.plain, 1), nil // some clients call what it names
}

// queueWithDeadLetters makes one that has a dead-letter queue, as the Terraform module makes it: coatcheck looks after both.
func (a *awsServer) queueWithDeadLetters(ctx context.Context, name string) (string, error) {
	dead, err := a.queue(ctx, name+"-dead")
	if err != nil {
		return "", err
	}
	queueURL, err := a.queue(ctx, name)
	if err != nil {
		return "", err
	}
	_, err = a.sqs.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &queueURL, Attributes: map[string]string{
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":10}`, arn(dead)),
	}})
	return queueURL, err
}

// notify makes the bucket tell the queue of what is stored.
func (a *awsServer) notify(ctx context.Context, queueURL string) error {
	_, err := a.s3.PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket: aws.String(rig.Bucket),
		NotificationConfiguration: &s3types.NotificationConfiguration{QueueConfigurations: []s3types.QueueConfiguration{{
			Id: aws.String("coatcheck"), QueueArn: aws.String(arn(queueURL)),
			Events: []s3types.Event{s3types.EventS3ObjectCreated},
		}}},
	})
	if err != nil {
		return fmt.Errorf("setting the bucket's notification: %w", err)
	}
	return a.purge(ctx, queueURL) // of the test event
}

// arn is that of a queue.
func arn(queueURL string) string { return "arn:aws:sqs:us-east-1:000000000000:" + path.Base(queueURL) }

func (a *awsServer) purge(ctx context.Context, queueURL string) error {
	_, err := a.sqs.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: &queueURL})
	return err
}

// depth is how many messages a queue holds: those that wait, and those that were received and are hidden.
func (a *awsServer) depth(ctx context.Context, queueURL string) (waiting, hidden int, err error) {
	out, err := a.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &queueURL, AttributeNames: []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	}})
	if err != nil {
		return 0, 0, err
	}
	waiting, _ = strconv.Atoi(out.Attributes[string(types.QueueAttributeNameApproximateNumberOfMessages)])
	hidden, _ = strconv.Atoi(out.Attributes[string(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)])
	return waiting, hidden, nil
}

// settleTime is how long nothing must have changed for what is hidden to count as lost to its receiver.
const settleTime = 1500 * time.Millisecond

// untilSettled waits until a queue holds nothing any more, or only what has been received and not heard of since. It
// returns how many those are. It asks seldom enough to disturb nobody.
func (a *awsServer) untilSettled(ctx context.Context, queueURL string) (stranded int, err error) {
	since, last := time.Now(), -1
	for {
		waiting, hidden, err := a.depth(ctx, queueURL)
		if err != nil || waiting+hidden == 0 {
			return 0, err
		}
		if hidden != last || waiting > 0 {
			since, last = time.Now(), hidden
		} else if time.Since(since) > settleTime {
			return hidden, a.purge(ctx, queueURL)
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%w: %d messages wait and %d are hidden", ctx.Err(), waiting, hidden)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// notification is what S3 sends when an object is stored, in pieces.
type notification struct{ beforeKey, beforeSequencer, end string }

// notification stores an object and looks at what S3 says of it.
func (a *awsServer) notification(ctx context.Context) (*notification, error) {
	queueURL, err := a.queue(ctx, "sample")
	if err != nil {
		return nil, err
	}
	if err := a.notify(ctx, queueURL); err != nil {
		return nil, err
	}
	key := rig.Keys.Key(rig.ID(0))
	if _, err := a.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(rig.Bucket), Key: &key, Body: strings.NewReader(rig.Body), ContentType: aws.String(rig.ContentType),
	}); err != nil {
		return nil, fmt.Errorf("storing an object: %w", err)
	}
	out, err := a.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &queueURL, WaitTimeSeconds: 10})
	if err != nil || len(out.Messages) != 1 {
		return nil, errors.Join(errors.New("there is no notification"), err)
	}
	body := aws.ToString(out.Messages[0].Body)
	var event struct {
		Records []struct {
			S3 struct{ Object struct{ Sequencer string } }
		}
	}
	if err := json.Unmarshal([]byte(body), &event); err != nil || len(event.Records) != 1 {
		return nil, fmt.Errorf("the notification is not understood: %q", body)
	}
	n := &notification{}
	var found [2]bool
	n.beforeKey, body, found[0] = strings.Cut(body, key)
	n.beforeSequencer, n.end, found[1] = strings.Cut(body, event.Records[0].S3.Object.Sequencer)
	if !found[0] || !found[1] {
		return nil, fmt.Errorf("the notification has no key or no sequencer: %q", body)
	}
	return n, nil
}

// of returns what S3 sends of the media with a number.
func (n *notification) of(number, sequencer int) string {
	return n.beforeKey + rig.Keys.Key(rig.ID(number)) + n.beforeSequencer + fmt.Sprintf("%016X", sequencer) + n.end
}

// send puts bodies into a queue, in their order.
func (a *awsServer) send(ctx context.Context, queueURL string, bodies []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2) // about in order, as S3's are
	for from := 0; from < len(bodies); from += 10 {
		group.Go(func() error {
			in := &sqs.SendMessageBatchInput{QueueUrl: &queueURL}
			for i, body := range bodies[from:min(from+10, len(bodies))] {
				in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: &body})
			}
			out, err := a.sqs.SendMessageBatch(ctx, in)
			if err == nil && len(out.Failed) > 0 {
				err = fmt.Errorf("%d messages were not taken", len(out.Failed))
			}
			return err
		})
	}
	return group.Wait()
}
