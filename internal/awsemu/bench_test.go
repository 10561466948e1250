package awsemu_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

// BenchmarkPresignedPut is a client's work and the emulator's together: presign, PUT 4 KiB, read the answer.
func BenchmarkPresignedPut(b *testing.B) {
	for _, dir := range []bool{false, true} {
		b.Run(map[bool]string{false: "memory", true: "dir"}[dir], func(b *testing.B) {
			cfg := awsemu.Config{}
			if dir {
				cfg.Dir = b.TempDir()
			}
			e := start(b, cfg)
			hc := client()
			body := bytes.Repeat([]byte("x"), 4<<10)
			sum := sha256.Sum256(body)
			var n atomic.Int64
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p, err := e.presign.PresignPutObject(b.Context(), &s3.PutObjectInput{
						Bucket: &e.bucket, Key: aws.String(fmt.Sprintf("up/%02x/%012d", n.Load()&255, n.Add(1))),
						ContentLength: aws.Int64(int64(len(body))), ContentType: aws.String("image/jpeg"),
						IfNoneMatch: aws.String("*"), ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
					})
					if err != nil {
						b.Error(err)
						return
					}
					req, _ := http.NewRequestWithContext(b.Context(), p.Method, p.URL, bytes.NewReader(body))
					for k, v := range p.SignedHeader {
						if k != "Host" && k != "Content-Length" {
							req.Header[k] = v
						}
					}
					resp, err := hc.Do(req)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						b.Error(resp.Status)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
		})
	}
}

// BenchmarkReceiveDelete drains a queue with batches of ten through the SDK; an operation is one message.
func BenchmarkReceiveDelete(b *testing.B) {
	for _, dir := range []bool{false, true} {
		b.Run(map[bool]string{false: "memory", true: "dir"}[dir], func(b *testing.B) {
			cfg := awsemu.Config{}
			if dir {
				cfg.Dir = b.TempDir()
			}
			e := start(b, cfg)
			url, _ := e.queue("q", nil)
			body := strings.Repeat("{event}", 120)
			entries := make([]types.SendMessageBatchRequestEntry, 10)
			for i := range entries {
				entries[i] = types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: &body}
			}
			for range b.N/10 + 20 {
				_, err := e.sqs.SendMessageBatch(b.Context(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries})
				e.ok(err)
			}
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			done := make(chan error)
			const workers = 8
			for range workers {
				go func() {
					for left.Add(-10) > -10 {
						if err := receiveAndDelete(b, e, url); err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for range workers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

func receiveAndDelete(b *testing.B, e *env, url string) error {
	out, err := e.sqs.ReceiveMessage(b.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10})
	if err != nil {
		return err
	}
	entries := make([]types.DeleteMessageBatchRequestEntry, len(out.Messages))
	for i, m := range out.Messages {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle}
	}
	_, err = e.sqs.DeleteMessageBatch(b.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: entries})
	return err
}

// BenchmarkList reads a bucket of many objects page by page; an operation is one page of 1,000 keys.
func BenchmarkList(b *testing.B) {
	e := start(b, awsemu.Config{})
	e.fill(100_000)
	var token *string
	for b.Loop() {
		out, err := e.s3.ListObjectsV2(b.Context(), &s3.ListObjectsV2Input{Bucket: &e.bucket, ContinuationToken: token})
		e.ok(err)
		token = out.NextContinuationToken
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "keys/s")
}

// fill puts n small objects with 16 clients.
func (e *env) fill(n int) {
	var next atomic.Int64
	done := make(chan error)
	for range 16 {
		go func() {
			for {
				i := next.Add(1)
				if i > int64(n) {
					done <- nil
					return
				}
				_, err := e.s3.PutObject(e.t.Context(), &s3.PutObjectInput{Bucket: &e.bucket, Key: aws.String(fmt.Sprintf("%07d", i)), Body: strings.NewReader("x")})
				if err != nil {
					done <- err
					return
				}
			}
		}()
	}
	for range 16 {
		e.ok(<-done)
	}
}
