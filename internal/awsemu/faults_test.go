package awsemu_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

// TestRequestFaults checks each fault of requests, whom it meets, and that it ends after its count.
func TestRequestFaults(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	url, _ := e.queue("q", nil)
	f := e.emu.Faults()
	put := func(key string) answer { return e.signed("PUT", "/coats/"+key, nil, unsigned, "x") }

	f.Fail(awsemu.Match{Operation: "PutObject", KeyContains: "bad"}, 2, 503, "SlowDown")
	e.wantAnswer(put("good"), 200, "")
	e.wantAnswer(put("bad1"), 503, "SlowDown")
	e.wantAnswer(put("bad2"), 503, "SlowDown")
	e.wantAnswer(put("bad3"), 200, "")
	if e.exists("bad1") {
		t.Error("a refused PUT was stored")
	}

	f.Fail(awsemu.Match{Operation: "ReceiveMessage"}, 1, 400, "ThrottlingException")
	_, err := e.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url})
	e.wantCode(err, "Throttling")
	e.receive(url, 0)

	f.Slow(awsemu.Match{Operation: "HeadObject"}, 1, 200*time.Millisecond)
	began := time.Now()
	e.exists("good")
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("a slow request took %v", took)
	}

	cut := func(key string) bool {
		_, err := e.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &e.bucket, Key: aws.String(key), Body: http.NoBody})
		return err != nil
	}
	f.Cut(awsemu.Match{KeyContains: "cut"}, 1)
	if !cut("cut1") || e.exists("cut1") {
		t.Error("a request was not cut, or carried out all the same")
	}
	f.CutAnswer(awsemu.Match{Operation: "PutObject"}, 1)
	if !cut("lost") || !e.exists("lost") {
		t.Error("an answer was not cut, or the request not carried out")
	}
	f.CutAnswer(awsemu.Match{Operation: "SendMessage"}, 1)
	if _, err := e.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("lost")}); err == nil {
		t.Error("an answer was not cut")
	}
	if got := e.drain(url, 1); len(got) != 1 {
		t.Error("the message was not sent")
	}

	f.Fail(awsemu.Match{}, awsemu.Forever, 500, "InternalError")
	for range 3 {
		e.wantAnswer(put("never"), 500, "InternalError")
	}
	f.Clear()
	e.wantAnswer(put("again"), 200, "")
	if n := e.emu.Counts()["PutObject"]; n != 10 {
		t.Errorf("%d PUTs counted, want 10", n)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	url, _ := e.queue("q", nil)
	done := make(chan error, 1)
	go func() {
		_, err := e.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20})
		done <- err
	}()
	eventually(t, "the poll has begun", func() bool { return e.emu.Counts()["ReceiveMessage"] == 1 })
	e.ok(e.emu.Close())
	select {
	case err := <-done:
		if err != nil && code(err) != "ServiceUnavailable" {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the poll goes on")
	}
	e.wantAnswer(e.signed("GET", "/coats", nil, unsigned, ""), 503, "ServiceUnavailable")
}
