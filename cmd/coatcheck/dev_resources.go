package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/coatcheck/coatcheck/internal/awsclient"
)

// createDevResources makes what Terraform makes elsewhere: the bucket, the queue with its dead-letter queue, and the
// notification from one to the other. It returns the queue's URL. What is there already stays.
func createDevResources(ctx context.Context, cfg aws.Config) (queueURL string, err error) {
	objects, queues := awsclient.S3(cfg), awsclient.SQS(cfg)
	_, err = objects.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(devBucket)})
	if _, exists := errors.AsType[*s3types.BucketAlreadyOwnedByYou](err); err != nil && !exists {
		return "", fmt.Errorf("creating the bucket: %w", err)
	}
	_, err = objects.PutBucketCors(ctx, &s3.PutBucketCorsInput{Bucket: aws.String(devBucket), CORSConfiguration: &s3types.CORSConfiguration{
		CORSRules: []s3types.CORSRule{{
			AllowedOrigins: []string{"*"}, AllowedMethods: []string{"PUT", "GET", "HEAD"}, AllowedHeaders: []string{"*"},
			ExposeHeaders: []string{"ETag", "x-amz-checksum-sha256"}, MaxAgeSeconds: aws.Int32(3600),
		}},
	}})
	if err != nil {
		return "", fmt.Errorf("setting the bucket's CORS rules: %w", err)
	}
	_, deadLetters, err := createQueue(ctx, queues, devQueue+"-dead-letters", nil)
	if err != nil {
		return "", err
	}
	queueURL, arn, err := createQueue(ctx, queues, devQueue, map[string]string{
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"5"}`, deadLetters),
	})
	if err != nil {
		return "", err
	}
	_, err = objects.PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket: aws.String(devBucket),
		NotificationConfiguration: &s3types.NotificationConfiguration{QueueConfigurations: []s3types.QueueConfiguration{{
			Id: aws.String("coatcheck"), QueueArn: aws.String(arn), Events: []s3types.Event{s3types.EventS3ObjectCreated},
		}}},
	})
	if err != nil {
		return "", fmt.Errorf("setting the bucket's notification: %w", err)
	}
	return queueURL, nil
}

func createQueue(ctx context.Context, queues *sqs.Client, name string, attributes map[string]string) (url, arn string, err error) {
	created, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attributes})
	if err != nil {
		return "", "", fmt.Errorf("creating queue %s: %w", name, err)
	}
	got, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: created.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return "", "", fmt.Errorf("reading queue %s: %w", name, err)
	}
	return aws.ToString(created.QueueUrl), got.Attributes[string(sqstypes.QueueAttributeNameQueueArn)], nil
}
