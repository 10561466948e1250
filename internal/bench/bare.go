package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"golang.org/x/sync/errgroup"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// heapFloor is what the garbage collector is made to take for live memory, as in coatcheck.
const heapFloor = 32 << 20

// bareQueue is a process that receives and deletes, with nothing between, until it is ended. It has a deleter for each
// poller, as coatcheck has, because a poller that deletes itself would wait for two calls in turn.
func bareQueue(ctx context.Context, args []string, _ io.Writer) error {
	flags := flag.NewFlagSet("bare-queue", flag.ContinueOnError)
	endpoint := flags.String("endpoint", "", "base URL of SQS")
	queueURL := flags.String("queue", "", "URL of the queue")
	pollers := flags.Int("pollers", 4, "receive calls at a time, and as many deletions")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg, err := clientConfig(ctx, *endpoint)
	if err != nil {
		return err
	}
	defer runtime.KeepAlive(make([]byte, heapFloor))
	client := awsclient.SQS(cfg)
	received := make(chan []types.Message, *pollers)
	group, ctx := errgroup.WithContext(ctx)
	for range *pollers {
		group.Go(func() error {
			for {
				out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
					QueueUrl: queueURL, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, VisibilityTimeout: 30,
				})
				if ctx.Err() != nil {
					return nil
				}
				if err != nil {
					return err
				}
				if len(out.Messages) > 0 {
					received <- out.Messages
				}
			}
		})
		group.Go(func() error {
			for {
				select {
				case <-ctx.Done():
					return nil
				case messages := <-received:
					if err := deleteAll(ctx, client, queueURL, messages); err != nil {
						return err
					}
				}
			}
		})
	}
	return group.Wait()
}

func deleteAll(ctx context.Context, client *sqs.Client, queueURL *string, messages []types.Message) error {
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

// bareUpdateSQL is the least that makes rows UPLOADED. It judges nothing.
const bareUpdateSQL = `
	UPDATE coatcheck.media AS m
	SET state = 'uploaded', landed_at = $4, landed_by = 'notification', etag = e.etag, sequencer = e.sequencer,
		due_at = $5, revision = m.revision + 1
	FROM unnest($1::uuid[], $2::text[], $3::text[]) AS e (id, etag, sequencer)
	WHERE m.id = e.id AND m.state = 'pending'`

// updateBatch is how many rows one bare update changes: what coatcheck takes at most.
const updateBatch = 300

// bareUpdate is a process that makes rows UPLOADED, and prints how long that took and how much processor time was not for
// that: making up the batches, which no consumer does.
func bareUpdate(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bare-update", flag.ContinueOnError)
	first := flags.Int("first", 0, "number of the first media")
	count := flags.Int("count", 0, "how many")
	writers := flags.Int("writers", 2, "connections")
	if err := flags.Parse(args); err != nil {
		return err
	}
	before := ownTime()
	type batch struct {
		ids              []pgtype.UUID
		etags, sequences []string
	}
	batches := make(chan batch, (*count+updateBatch-1)/updateBatch)
	for from := *first; from < *first+*count; from += updateBatch {
		var b batch
		for i := from; i < min(from+updateBatch, *first+*count); i++ {
			b.ids, b.etags = append(b.ids, rig.Param(rig.ID(i))), append(b.etags, rig.ETag())
			b.sequences = append(b.sequences, fmt.Sprintf("%040X", i))
		}
		batches <- b
	}
	close(batches)
	made := ownTime() - before
	var conns []*pgx.Conn
	for range *writers {
		conn, err := pgx.Connect(ctx, os.Getenv("COATCHECK_DATABASE_URL"))
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		conns = append(conns, conn)
	}
	began := time.Now()
	group, within := errgroup.WithContext(ctx)
	for _, conn := range conns {
		group.Go(func() error {
			for b := range batches {
				now := time.Now()
				if _, err := conn.Exec(within, bareUpdateSQL, b.ids, b.etags, b.sequences, now, now.Add(24*time.Hour)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, time.Since(began).Nanoseconds(), made.Nanoseconds()); err != nil {
		return err
	}
	<-ctx.Done() // until it is told to end, as every contender
	return nil
}

// ownTime is the processor time of this process so far.
func ownTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // which of oneself cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
