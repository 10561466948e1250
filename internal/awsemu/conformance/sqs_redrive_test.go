package conformance

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// withDeadLetters makes a queue that gives a message up after two receives of one second, and the queue for those.
func (e *env) withDeadLetters() (q, dead queue) {
	dead = e.queue(nil)
	q = e.queue(map[string]string{
		"VisibilityTimeout": "1",
		"RedrivePolicy":     fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":2}`, dead.arn),
	})
	return q, dead
}

// giveUp makes the message a dead letter.
func (q queue) giveUp(dead queue) types.Message {
	for range 2 {
		m := q.one(5)
		q.e.must(q.changeVisibility(m.ReceiptHandle, 0), "giving it back")
	}
	q.none(1)
	return dead.one(5)
}

var redriveChecks = []check{
	{"after-max-receives", func(e *env) {
		q, dead := e.withDeadLetters()
		q.send("poison")
		dead.none(0)
		m := q.giveUp(dead)
		if value(m.Body) != "poison" || m.Attributes["DeadLetterQueueSourceArn"] != q.arn {
			e.Errorf("dead letter %q, attributes %v", value(m.Body), m.Attributes)
		}
		if got := q.counts(); got != "0 0 0" {
			e.Errorf("the queue still counts %s", got)
		}
	}},
	{"by-timeout", func(e *env) {
		q, dead := e.withDeadLetters()
		q.send("poison")
		q.one(5)
		q.one(5)
		q.none(3)
		dead.one(5)
	}},
	{"not-before", func(e *env) {
		q, dead := e.withDeadLetters()
		q.send("m")
		m := q.one(5)
		e.must(q.changeVisibility(m.ReceiptHandle, 0), "giving it back")
		m = q.one(5)
		q.delete(m.ReceiptHandle)
		dead.none(2)
	}},
	{"policy-string-count", func(e *env) {
		// Terraform and people write the count as a string or a number.
		dead := e.queue(nil)
		q := e.queue(nil)
		_, err := e.sqs.SetQueueAttributes(e.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &q.url, Attributes: map[string]string{
			"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"2"}`, dead.arn),
		}})
		e.must(err, "setting the policy")
		q.send("m")
		q.giveUp(dead)
	}},
	{"move-back", func(e *env) {
		q, dead := e.withDeadLetters()
		q.send("poison")
		m := q.giveUp(dead)
		e.must(dead.changeVisibility(m.ReceiptHandle, 0), "giving the dead letter back")
		started, err := e.sqs.StartMessageMoveTask(e.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: &dead.arn})
		e.must(err, "starting a move task")
		if value(started.TaskHandle) == "" {
			e.Errorf("the task has no handle")
		}
		if m := q.one(10); value(m.Body) != "poison" {
			e.Errorf("moved back %q", value(m.Body))
		}
		e.eventually("the task is complete", func() bool {
			out, err := e.sqs.ListMessageMoveTasks(e.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: &dead.arn})
			e.must(err, "listing move tasks")
			return len(out.Results) == 1 && value(out.Results[0].Status) == "COMPLETED" && out.Results[0].ApproximateNumberOfMessagesMoved == 1
		})
	}},
	{"move-from-ordinary-queue", func(e *env) {
		q := e.queue(nil)
		_, err := e.sqs.StartMessageMoveTask(e.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: &q.arn})
		if err == nil {
			e.Errorf("a queue that holds nobody's dead letters was accepted")
		}
	}},
	{"list-sources", func(e *env) {
		q, dead := e.withDeadLetters()
		out, err := e.sqs.ListDeadLetterSourceQueues(e.Context(), &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: &dead.url})
		e.must(err, "listing the sources")
		if len(out.QueueUrls) != 1 || out.QueueUrls[0] != q.url {
			e.Errorf("sources %q, want %s", out.QueueUrls, q.url)
		}
	}},
}
