package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// warmUps is how many uploads come before those that are measured, so that every connection is there and every program
// has begun.
const warmUps = 20

// upload runs a contender, uploads so many a second, and returns when the contender has handled all: when each PUT that
// counts was done.
func (l *latencies) upload(ctx context.Context, at *load, ids []uuid.UUID, who contender) (map[uuid.UUID]time.Time, usage, error) {
	requests, err := l.presign(ctx, ids)
	if err != nil {
		return nil, usage{}, err
	}
	u := uploader{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512}}, done: map[uuid.UUID]time.Time{}}
	stranded := 0
	seen, err := l.runUntil(ctx, who, func(ctx context.Context) error {
		for i := range warmUps {
			if err := u.put(ctx, ids[i], requests[i]); err != nil {
				return err
			}
		}
		if _, err := l.aws.untilSettled(ctx, l.queueURL); err != nil {
			return err
		}
		clear(u.done)
		u.took = nil
		if err := u.run(ctx, at.rate, ids[warmUps:], requests[warmUps:]); err != nil {
			return err
		}
		stranded, err = l.aws.untilSettled(ctx, l.queueURL)
		return err
	})
	if err == nil && stranded > 0 {
		err = fmt.Errorf("%s has left %d messages", who.name, stranded)
	}
	at.puts, at.late = append(at.puts, u.took...), max(at.late, u.late)
	return u.done, seen, err
}

// presign makes the requests that a client is given, beforehand.
func (l *latencies) presign(ctx context.Context, ids []uuid.UUID) ([]*v4.PresignedHTTPRequest, error) {
	client := s3.NewPresignClient(l.aws.s3, s3.WithPresignExpires(time.Hour))
	sum := base64.StdEncoding.EncodeToString(rig.Checksum())
	requests := make([]*v4.PresignedHTTPRequest, len(ids))
	for i, id := range ids {
		var err error
		requests[i], err = client.PresignPutObject(ctx, &s3.PutObjectInput{
			Bucket: aws.String(rig.Bucket), Key: aws.String(rig.Keys.Key(id)), ContentType: aws.String(rig.ContentType),
			ContentLength: aws.Int64(int64(len(rig.Body))), ChecksumSHA256: &sum, IfNoneMatch: aws.String("*"),
		})
		if err != nil {
			return nil, err
		}
	}
	return requests, nil
}

// uploader sends PUTs and takes note of when each was done.
type uploader struct {
	client *http.Client

	mu   sync.Mutex
	done map[uuid.UUID]time.Time
	took []time.Duration
	late time.Duration
}

// run sends requests, so many a second, each when it is due.
func (u *uploader) run(ctx context.Context, rate int, ids []uuid.UUID, requests []*v4.PresignedHTTPRequest) error {
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for i, request := range requests {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		if ctx.Err() != nil {
			break
		}
		u.late = max(u.late, time.Since(due))
		group.Go(func() error { return u.put(ctx, ids[i], request) })
	}
	return group.Wait()
}

func (u *uploader) put(ctx context.Context, id uuid.UUID, signed *v4.PresignedHTTPRequest) error {
	request, err := http.NewRequestWithContext(ctx, signed.Method, signed.URL, strings.NewReader(rig.Body))
	if err != nil {
		return err
	}
	request.Header = signed.SignedHeader.Clone()
	began := time.Now()
	answer, err := u.client.Do(request)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	ended := time.Now()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("PUT: %s: %s", answer.Status, body)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.done[id] = ended
	u.took = append(u.took, ended.Sub(began))
	return err
}

// bareReceiver is a process that receives and deletes, and prints at its end when it received what.
func bareReceiver(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bare-receiver", flag.ContinueOnError)
	endpoint := flags.String("endpoint", "", "base URL of SQS")
	queueURL := flags.String("queue", "", "URL of the queue")
	pollers := flags.Int("pollers", 4, "receive calls at a time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg, err := clientConfig(ctx, *endpoint)
	if err != nil {
		return err
	}
	defer runtime.KeepAlive(make([]byte, heapFloor))
	client := awsclient.SQS(cfg)
	var mu sync.Mutex
	var lines []string
	group, ctx := errgroup.WithContext(ctx)
	for range *pollers {
		group.Go(func() error {
			for {
				got, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
					QueueUrl: queueURL, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, VisibilityTimeout: 30,
				})
				if ctx.Err() != nil {
					return nil
				}
				if err != nil {
					return err
				}
				if len(got.Messages) == 0 {
					continue
				}
				now := time.Now().UnixNano()
				mu.Lock()
				for _, m := range got.Messages {
					lines = append(lines, fmt.Sprintf("%d %s", now, aws.ToString(m.Body)))
				}
				mu.Unlock()
				group.Go(func() error { return ignoreEnd(ctx, deleteAll(ctx, client, queueURL, got.Messages)) })
			}
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
	return w.Flush()
}

func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// parseReceived reads what a bare receiver has printed.
func parseReceived(text string) (map[uuid.UUID]time.Time, error) {
	received := map[uuid.UUID]time.Time{}
	for l := range strings.Lines(text) {
		var nanos int64
		when, body, _ := strings.Cut(strings.TrimSpace(l), " ")
		if _, err := fmt.Sscan(when, &nanos); err != nil {
			return nil, err
		}
		var event struct {
			Records []struct {
				S3 struct{ Object struct{ Key string } }
			}
		}
		if err := json.Unmarshal([]byte(body), &event); err != nil || len(event.Records) != 1 {
			return nil, errors.Join(errors.New("an odd notification was received"), err)
		}
		if id, ok := rig.Keys.ID(event.Records[0].S3.Object.Key); ok {
			received[id] = time.Unix(0, nanos)
		}
	}
	return received, nil
}
