// Command peers does what coatcheck's consumer does, as users of other libraries write it: a message's object becomes
// an UPLOADED row, and the message is deleted. It is a module of its own, so that what it needs is no part of the
// product.
//
//	peers by-hand                # the loop that most teams write: one poller, an UPDATE and a deletion a message
//	peers batches -loops 16      # the loop of those who know both: an UPDATE and a DeleteMessageBatch a receive (see batches.go)
//	peers gocloud -handlers 32   # gocloud.dev/pubsub/awssnssqs, an UPDATE a message, so many at a time
//
// QUEUE_URL names the queue, DATABASE_URL the database, and AWS_ENDPOINT_URL the endpoint.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/jackc/pgx/v5/pgxpool"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/awssnssqs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("by-hand, batches or gocloud?")
	}
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	handlers := flags.Int("handlers", 1, "messages that gocloud handles at a time")
	loops := flags.Int("loops", 1, "loops of batches")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(newHTTPClient()))
	if err != nil {
		return err
	}
	poolConfig, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	poolConfig.MaxConns = 32
	pool, err := pgxpool.NewWithConfig(ctx, poolConfig)
	if err != nil {
		return err
	}
	defer pool.Close()
	client := sqs.NewFromConfig(cfg)
	switch args[0] {
	case "gocloud":
		return goCloud(ctx, client, pool, *handlers)
	case "batches":
		return inBatches(ctx, client, pool, *loops)
	}
	return byHand(ctx, client, pool)
}

func byHand(ctx context.Context, client *sqs.Client, pool *pgxpool.Pool) error {
	queueURL := os.Getenv("QUEUE_URL")
	for ctx.Err() == nil {
		out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &queueURL, MaxNumberOfMessages: 10, WaitTimeSeconds: 1,
		})
		if err != nil {
			log.Println("receiving:", err)
			continue
		}
		for _, m := range out.Messages {
			if err := handle(ctx, pool, []byte(aws.ToString(m.Body))); err != nil {
				log.Println("handling:", err)
				continue
			}
			if _, err := client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &queueURL, ReceiptHandle: m.ReceiptHandle}); err != nil {
				log.Println("deleting:", err)
			}
		}
	}
	return nil
}

func goCloud(ctx context.Context, client *sqs.Client, pool *pgxpool.Pool, handlers int) error {
	subscription := awssnssqs.OpenSubscription(ctx, client, os.Getenv("QUEUE_URL"), &awssnssqs.SubscriptionOptions{
		Raw: true, WaitTime: time.Second,
	})
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = subscription.Shutdown(ctx)
	}()
	free := make(chan struct{}, handlers)
	for {
		m, err := subscription.Receive(ctx)
		if err != nil {
			return err
		}
		free <- struct{}{}
		go func(m *pubsub.Message) {
			defer func() { <-free }()
			if err := handle(ctx, pool, m.Body); err != nil {
				log.Println("handling:", err)
				m.Nack()
				return
			}
			m.Ack()
		}(m)
	}
}

// event is what of S3's notification is needed.
type event struct {
	Records []struct {
		EventName string `json:"eventName"`
		S3        struct {
			Object struct {
				Key       string `json:"key"`
				Size      int64  `json:"size"`
				ETag      string `json:"eTag"`
				Sequencer string `json:"sequencer"`
			} `json:"object"`
		} `json:"s3"`
	} `json:"Records"`
}

const update = `
	UPDATE coatcheck.media
	SET state = 'uploaded', landed_at = now(), landed_by = 'notification', etag = $3, sequencer = lpad($4, 40, '0'),
		due_at = now() + interval '24 hours', revision = revision + 1
	WHERE key = $1 AND size_bytes = $2 AND state = 'pending'`

func handle(ctx context.Context, pool *pgxpool.Pool, body []byte) error {
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return err
	}
	for _, r := range e.Records {
		o := r.S3.Object
		key, err := url.QueryUnescape(o.Key)
		if err != nil {
			return err
		}
		if _, err := pool.Exec(ctx, update, key, o.Size, o.ETag, o.Sequencer); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}
