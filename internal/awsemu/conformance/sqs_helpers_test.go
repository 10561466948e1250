package conformance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// queue is a queue made for one check.
type queue struct {
	e        *env
	url, arn string
}

// queue makes a queue and deletes it afterwards.
func (e *env) queue(attributes map[string]string) queue {
	return e.namedQueue(unique("conformance"), attributes)
}

func (e *env) namedQueue(name string, attributes map[string]string) queue {
	out, err := e.sqs.CreateQueue(e.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	e.must(err, "creating a queue")
	e.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, _ = e.sqs.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: out.QueueUrl}) // What is left is in nobody's way.
	})
	q := queue{e: e, url: value(out.QueueUrl)}
	q.arn = q.attribute("QueueArn")
	if q.arn == "" {
		e.Fatalf("the queue has no QueueArn")
	}
	return q
}

// attribute returns one attribute of the queue.
func (q queue) attribute(name types.QueueAttributeName) string {
	out, err := q.e.sqs.GetQueueAttributes(q.e.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &q.url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	q.e.must(err, "getting the queue's attributes")
	return out.Attributes[string(name)]
}

// counts returns how many messages are visible, in flight and delayed.
func (q queue) counts() string {
	return fmt.Sprint(q.attribute("ApproximateNumberOfMessages"), " ",
		q.attribute("ApproximateNumberOfMessagesNotVisible"), " ", q.attribute("ApproximateNumberOfMessagesDelayed"))
}

func (q queue) send(text string) {
	_, err := q.e.sqs.SendMessage(q.e.Context(), &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: &text})
	q.e.must(err, "sending")
}

// receive makes one call for up to ten messages, waiting up to the given number of seconds.
func (q queue) receive(wait int32) []types.Message {
	out, err := q.e.sqs.ReceiveMessage(q.e.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, WaitTimeSeconds: wait, MaxNumberOfMessages: 10,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	q.e.must(err, "receiving")
	return out.Messages
}

// one receives exactly one message, within the given number of seconds.
func (q queue) one(wait int32) types.Message {
	messages := q.receive(wait)
	if len(messages) != 1 {
		q.e.Fatalf("received %d messages, want 1", len(messages))
	}
	return messages[0]
}

// none checks that no message is visible for the given number of seconds.
func (q queue) none(wait int32) {
	if messages := q.receive(wait); len(messages) != 0 {
		q.e.Errorf("received %d messages, want none; the first is %.200q", len(messages), value(messages[0].Body))
	}
}

func (q queue) delete(handle *string) {
	_, err := q.e.sqs.DeleteMessage(q.e.Context(), &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: handle})
	q.e.must(err, "deleting a message")
}

func (q queue) changeVisibility(handle *string, seconds int32) error {
	_, err := q.e.sqs.ChangeMessageVisibility(q.e.Context(), &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &q.url, ReceiptHandle: handle, VisibilityTimeout: seconds,
	})
	return err
}

// wantFault checks an SQS error by its Go type, which the SDK chooses by the JSON protocol's __type, and says that it
// is the client's fault. A nil target accepts any 4xx.
func wantFault[T error](e *env, err error) {
	var want T
	var api smithy.APIError
	if !errors.As(err, &want) {
		e.Errorf("got %v (%s), want a %T", err, errorCode(err), want)
	} else if errors.As(err, &api) && api.ErrorFault() == smithy.FaultServer {
		e.Errorf("%v is called the server's fault", err)
	}
}
