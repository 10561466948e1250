package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/url"
	"os"
	"path"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// inBatches runs loops that each receive ten messages, make their objects UPLOADED by one UPDATE, and delete them by one
// call: what is written by hand by those who know what Postgres and SQS are fast at.
func inBatches(ctx context.Context, client *sqs.Client, pool *pgxpool.Pool, loops int) error {
	queueURL := os.Getenv("QUEUE_URL")
	var group sync.WaitGroup
	for range loops {
		group.Go(func() {
			for ctx.Err() == nil {
				out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
					QueueUrl: &queueURL, MaxNumberOfMessages: 10, WaitTimeSeconds: 1,
				})
				if err != nil {
					log.Println("receiving:", err)
					continue
				}
				if len(out.Messages) == 0 {
					continue
				}
				if err := handleBatch(ctx, pool, out.Messages); err != nil {
					log.Println("handling:", err)
					continue
				}
				if err := deleteBatch(ctx, client, &queueURL, out.Messages); err != nil {
					log.Println("deleting:", err)
				}
			}
		})
	}
	group.Wait()
	return nil
}

// updateBatch finds rows by their ids, which are the last part of their keys and which pgx sends in binary.
const updateBatch = `
	UPDATE coatcheck.media AS m
	SET state = 'uploaded', landed_at = now(), landed_by = 'notification', etag = e.etag, sequencer = lpad(e.sequencer, 40, '0'),
		due_at = now() + interval '24 hours', revision = m.revision + 1
	FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[]) AS e (id, size, etag, sequencer)
	WHERE m.id = e.id AND m.size_bytes = e.size AND m.state = 'pending'`

func handleBatch(ctx context.Context, pool *pgxpool.Pool, messages []types.Message) error {
	var ids []pgtype.UUID
	var sizes []int64
	var etags, sequencers []string
	for _, m := range messages {
		var e event
		if err := json.Unmarshal([]byte(aws.ToString(m.Body)), &e); err != nil {
			return err
		}
		for _, r := range e.Records {
			o := r.S3.Object
			key, err := url.QueryUnescape(o.Key)
			if err != nil {
				return err
			}
			var id pgtype.UUID
			if err := id.Scan(path.Base(key)); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			ids, sizes, etags, sequencers = append(ids, id), append(sizes, o.Size), append(etags, o.ETag), append(sequencers, o.Sequencer)
		}
	}
	_, err := pool.Exec(ctx, updateBatch, ids, sizes, etags, sequencers)
	return err
}

func deleteBatch(ctx context.Context, client *sqs.Client, queueURL *string, messages []types.Message) error {
	in := &sqs.DeleteMessageBatchInput{QueueUrl: queueURL}
	for i, m := range messages {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
	}
	out, err := client.DeleteMessageBatch(ctx, in)
	if err == nil && len(out.Failed) > 0 {
		err = fmt.Errorf("%d messages were not deleted", len(out.Failed))
	}
	return err
}
