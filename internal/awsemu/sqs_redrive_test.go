package awsemu_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

// TestRedrive lets messages die, looks at them, and moves them back.
func TestRedrive(t *testing.T) {
	t.Parallel()
	clock := newClock()
	e := start(t, awsemu.Config{Now: clock.now})
	dead, deadARN := e.queue("dead", nil)
	policy, _ := json.Marshal(map[string]any{"deadLetterTargetArn": deadARN, "maxReceiveCount": 2})
	url, arn := e.queue("q", map[string]string{"VisibilityTimeout": "10", "RedrivePolicy": string(policy)})
	e.send(url, "1", "2", "3")
	for range 2 {
		if got := e.receive(url, 0); len(got) != 3 {
			t.Fatalf("received %d", len(got))
		}
		clock.advance(11 * time.Second)
	}
	if got := e.receive(url, 0); len(got) != 0 {
		t.Errorf("received a third time: %q", bodies(got))
	}
	if n := e.attribute(dead, "ApproximateNumberOfMessages"); n != "3" {
		t.Fatalf("%s dead letters", n)
	}
	sources, err := e.sqs.ListDeadLetterSourceQueues(t.Context(), &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: &dead})
	e.ok(err)
	if !slices.Equal(sources.QueueUrls, []string{url}) {
		t.Errorf("sources %v", sources.QueueUrls)
	}
	m := e.receive(dead, 0)
	if m[0].Attributes["DeadLetterQueueSourceArn"] != arn {
		t.Errorf("dead letter %+v", m[0])
	}
	for _, x := range m {
		e.ok(e.visibility(dead, x.ReceiptHandle, 0))
	}
	start := func(source string, rate *int32) (*sqs.StartMessageMoveTaskOutput, error) {
		return e.sqs.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: &source, MaxNumberOfMessagesPerSecond: rate})
	}
	task := func() types.ListMessageMoveTasksResultEntry {
		out, err := e.sqs.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: &deadARN})
		e.ok(err)
		return out.Results[0]
	}
	_, err = start(arn, nil)
	e.wantCode(err, "InvalidParameterValue") // nobody's dead-letter queue
	_, err = start(arn+"x", nil)
	e.wantCode(err, "ResourceNotFoundException")
	slow, err := start(deadARN, aws.Int32(1))
	e.ok(err)
	eventually(t, "one is moved", func() bool { return task().ApproximateNumberOfMessagesMoved == 1 })
	_, err = start(deadARN, nil)
	e.wantCode(err, "AWS.SimpleQueueService.UnsupportedOperation")
	if running := task(); *running.Status != "RUNNING" || *running.ApproximateNumberOfMessagesToMove != 3 || *running.TaskHandle != *slow.TaskHandle {
		t.Errorf("running %+v", running)
	}
	_, err = e.sqs.CancelMessageMoveTask(t.Context(), &sqs.CancelMessageMoveTaskInput{TaskHandle: slow.TaskHandle})
	e.ok(err)
	eventually(t, "the task is cancelled", func() bool { return *task().Status == "CANCELLED" })
	_, err = start(deadARN, nil)
	e.ok(err)
	eventually(t, "the task is done", func() bool { return *task().Status == "COMPLETED" })
	if done := task(); done.ApproximateNumberOfMessagesMoved != 2 || *done.ApproximateNumberOfMessagesToMove != 2 {
		t.Errorf("done %+v", done)
	}
	back := e.receive(url, 0)
	if len(back) != 3 || back[0].Attributes["ApproximateReceiveCount"] != "1" {
		t.Errorf("back in the queue: %+v", back)
	}
	// A letter that was sent there directly has nowhere to go back to.
	e.send(dead, "orphan")
	_, err = start(deadARN, nil)
	e.ok(err)
	eventually(t, "the task has failed", func() bool { return *task().Status == "FAILED" })
	if e.attribute(dead, "ApproximateNumberOfMessages") != "1" {
		t.Error("the orphan is gone")
	}
	// With the dead-letter queue gone, messages stay where they are.
	_, err = e.sqs.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &dead})
	e.ok(err)
	for range 3 {
		clock.advance(11 * time.Second)
		if got := e.receive(url, 1); len(got) != 3 {
			t.Errorf("received %d", len(got))
		}
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	clock := newClock()
	e := start(t, awsemu.Config{Now: clock.now})
	url, _ := e.queue("q", map[string]string{"MessageRetentionPeriod": "60"})
	e.send(url, "old")
	clock.advance(30 * time.Second)
	e.send(url, "new")
	clock.advance(31 * time.Second)
	if got := bodies(e.receive(url, 0)); !slices.Equal(got, []string{"new"}) {
		t.Errorf("received %q", got)
	}
}
