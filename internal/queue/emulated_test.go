package queue_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/queue"
)

// emulated returns a client of an SQS that behaves, and the URL of a queue in it with the given redrive policy.
func emulated(t *testing.T, redrive string) (*sqs.Client, string) {
	t.Helper()
	emu, err := awsemu.New(awsemu.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(emu)
	t.Cleanup(func() {
		server.Close()
		_ = emu.Close()
	})
	client := sqs.New(sqs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	if _, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("dead")}); err != nil {
		t.Fatal(err)
	}
	attributes := map[string]string{}
	if redrive != "" {
		attributes["RedrivePolicy"] = redrive
	}
	out, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("events"), Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: out.QueueUrl, MessageBody: aws.String(fmt.Sprint(i))})
		if err != nil {
			t.Fatal(err)
		}
	}
	return client, aws.ToString(out.QueueUrl)
}

// TestRoundTrip receives, hides, shows, deletes and counts on the wire.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, redrive := range map[string]string{
		"number": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":1}`,
		"string": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":"1"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, url := emulated(t, redrive)
			q := queue.New(client, url, queue.DefaultRetry)
			got, err := q.Receive(t.Context(), 3, 0, time.Minute)
			if err != nil || len(got) != 3 {
				t.Fatalf("received %+v: %v", got, err)
			}
			if failures := q.Delete(t.Context(), []string{got[0].Receipt}); len(failures) != 0 {
				t.Errorf("deleting: %+v", failures)
			}
			if failures := q.SetVisibility(t.Context(), []string{got[1].Receipt}, 0); len(failures) != 0 {
				t.Errorf("showing: %+v", failures)
			}
			if failures := q.SetVisibility(t.Context(), []string{got[2].Receipt, "nonsense"}, time.Minute); len(failures) != 1 ||
				failures[0].Receipt != "nonsense" || !failures[0].Final {
				t.Errorf("hiding: %+v", failures)
			}
			if again, err := q.Receive(t.Context(), 10, 0, time.Minute); err != nil || len(again) != 2 {
				t.Errorf("received %+v: %v", again, err) // the one that was shown goes to the dead-letter queue
			}
			d, err := q.Depths(t.Context())
			want := queue.Depths{
				Queue: queue.Depth{InFlight: 3}, HasDeadLetterQueue: true, DeadLetters: queue.Depth{Visible: 1}, MaxReceives: 1,
			}
			if err != nil || d != want {
				t.Errorf("the depths are %+v, want %+v: %v", d, want, err)
			}
		})
	}
}

func TestDepthsWithoutDeadLetterQueue(t *testing.T) {
	t.Parallel()
	client, url := emulated(t, "")
	d, err := queue.New(client, url, queue.DefaultRetry).Depths(t.Context())
	if want := (queue.Depths{Queue: queue.Depth{Visible: 5}}); err != nil || d != want {
		t.Errorf("the depths are %+v, want %+v: %v", d, want, err)
	}
	_, err = queue.New(client, url+"x", queue.DefaultRetry).Depths(t.Context())
	if err == nil || !strings.Contains(err.Error(), "reading the attributes of a queue") {
		t.Errorf("of a queue that is not there: %v", err)
	}
}
