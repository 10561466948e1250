package consumer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/backoff"
	"github.com/coatcheck/coatcheck/internal/consumer"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/queue"
)

const bucket = "example-media"

var keys, _ = media.NewKeys("media/")

// rig is a queue with a dead-letter queue, and a consumer of it.
type rig struct {
	t        *testing.T
	emu      *awsemu.Server
	aws      aws.Config
	client   *sqs.Client
	url, dlq string
	cfg      consumer.Config
	parts    consumer.Parts
	reg      *prometheus.Registry
}

// patient is a visibility timeout for tests in which a message must not come twice. Half of it is what a heartbeat may be
// late by, on a machine that is busy with other tests.
const patient = 3 * time.Second

// newRig makes queues whose messages are given out maxReceives times. The consumer's visibility timeout is a second.
func newRig(t *testing.T, maxReceives int, lander consumer.Lander) *rig {
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
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:  &http.Client{Transport: awsclient.OwnBodies(server.Client().Transport)},
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} }, // what fails is to be seen here
	}
	r := &rig{t: t, emu: emu, aws: cfg, client: awsclient.SQS(cfg), reg: prometheus.NewRegistry()}
	r.dlq = r.create("dead", nil)
	r.url = r.create("events", map[string]string{"RedrivePolicy": fmt.Sprintf(
		`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, r.arn(r.dlq), maxReceives)})

	r.cfg = consumer.DefaultConfig()
	r.cfg.Bucket, r.cfg.Keys = bucket, keys
	r.cfg.VisibilityTimeout, r.cfg.WaitTime, r.cfg.DrainLimit = time.Second, time.Second, 10*time.Second
	r.cfg.Retry = backoff.Policy{Base: 10 * time.Millisecond, Max: 50 * time.Millisecond}
	r.parts = consumer.Parts{
		Queue:  queue.New(r.client, r.url, queue.Retry{Attempts: 2, Policy: r.cfg.Retry}),
		Lander: lander, Metrics: consumer.NewMetrics(r.reg), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	return r
}

func (r *rig) create(name string, attributes map[string]string) string {
	r.t.Helper()
	out, err := r.client.CreateQueue(r.t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attributes})
	if err != nil {
		r.t.Fatal(err)
	}
	return aws.ToString(out.QueueUrl)
}

func (r *rig) arn(url string) string {
	r.t.Helper()
	out, err := r.client.GetQueueAttributes(r.t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(url), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out.Attributes[string(types.QueueAttributeNameQueueArn)]
}

// start runs the consumer until stop is called, which returns what Run did.
func (r *rig) start() (stop func() error) {
	r.t.Helper()
	c, err := consumer.New(r.cfg, r.parts)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(30 * time.Second):
			return fmt.Errorf("the consumer did not stop")
		}
	})
	r.t.Cleanup(func() {
		cancel()
		_ = r.emu.Close() // which ends the polls that are under way
		_ = stop()
	})
	return stop
}

func (r *rig) send(bodies ...string) {
	r.t.Helper()
	for chunk := range slices.Chunk(bodies, 10) {
		var entries []types.SendMessageBatchRequestEntry
		for i, body := range chunk {
			entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: aws.String(body)})
		}
		out, err := r.client.SendMessageBatch(r.t.Context(), &sqs.SendMessageBatchInput{QueueUrl: aws.String(r.url), Entries: entries})
		if err != nil || len(out.Failed) > 0 {
			r.t.Fatalf("sending: %v, %+v", err, out)
		}
	}
}

func (r *rig) depths() queue.Depths {
	r.t.Helper()
	d, err := queue.New(r.client, r.url, queue.DefaultRetry).Depths(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

// empty reports whether nothing is left in the queue, visible or not.
func (r *rig) empty() bool {
	d := r.depths()
	return d.Queue == queue.Depth{}
}

// deadLetters takes and returns the bodies in the dead-letter queue.
func (r *rig) deadLetters() []string {
	r.t.Helper()
	var bodies []string
	for {
		out, err := r.client.ReceiveMessage(r.t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: aws.String(r.dlq), MaxNumberOfMessages: 10, VisibilityTimeout: 600,
		})
		if err != nil {
			r.t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return bodies
		}
		for _, m := range out.Messages {
			bodies = append(bodies, aws.ToString(m.Body))
		}
	}
}

// metric returns the value of one counter, by its name without the prefix and the value of its label, if it has one.
func (r *rig) metric(name string, label ...string) int {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "coatcheck_consumer_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(label) == 0 || len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label[0] {
				return int(m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount()))
			}
		}
	}
	r.t.Fatalf("there is no metric %s %v", name, label)
	return 0
}

// eventually waits until ok, and fails the test when that takes too long.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// each returns a message for each media.
func each(ids []uuid.UUID) []string {
	bodies := make([]string, len(ids))
	for i, id := range ids {
		bodies[i] = event(id)
	}
	return bodies
}

// event returns S3's message about objects stored under the keys of media.
func event(ids ...uuid.UUID) string {
	records := make([]string, len(ids))
	for i, id := range ids {
		records[i] = record(bucket, "ObjectCreated:Put", keys.Key(id), 100, "01")
	}
	return body(records...)
}

func body(records ...string) string { return `{"Records":[` + strings.Join(records, ",") + `]}` }

func record(bucket, name, key string, size int64, sequencer string) string {
	return fmt.Sprintf(`{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventTime":%q,"eventName":%q,`+
		`"s3":{"s3SchemaVersion":"1.0","configurationId":"x","bucket":{"name":%q},"object":{"key":%q,"size":%d,"eTag":"e1","sequencer":%q}}}`,
		time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), name, bucket, key, size, sequencer)
}

// inSNS wraps a body as SNS does.
func inSNS(body string) string {
	b, err := json.Marshal(map[string]string{"Type": "Notification", "MessageId": "1", "TopicArn": "arn", "Message": body})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// eventBridge returns EventBridge's message about one object.
func eventBridge(id uuid.UUID) string {
	return fmt.Sprintf(`{"version":"0","id":"1","detail-type":"Object Created","source":"aws.s3","time":"2026-01-01T00:00:00Z",`+
		`"detail":{"version":"0","bucket":{"name":%q},"object":{"key":%q,"size":100,"etag":"e1","sequencer":"01"},"reason":"PutObject"}}`,
		bucket, keys.Key(id))
}

func newIDs(n int) []uuid.UUID {
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7())
	}
	return ids
}

// landings is a Lander that keeps what it is given, after a hook that may block or fail.
type landings struct {
	mu    sync.Mutex
	calls []int
	by    map[uuid.UUID]int
	hook  func(ctx context.Context, batch []media.Landing) error
}

func (l *landings) Land(ctx context.Context, _ media.Source, batch []media.Landing) ([]media.Landed, error) {
	if l.hook != nil {
		if err := l.hook(ctx, batch); err != nil {
			return nil, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, len(batch))
	if l.by == nil {
		l.by = map[uuid.UUID]int{}
	}
	var out []media.Landed
	for _, b := range batch {
		l.by[b.MediaID]++
		out = append(out, media.Landed{MediaID: b.MediaID, Verdict: media.VerdictLanded, EventTime: b.EventTime})
	}
	return out, nil
}

// times returns how often each of the media has landed.
func (l *landings) times(ids ...uuid.UUID) []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]int, len(ids))
	for i, id := range ids {
		out[i] = l.by[id]
	}
	return out
}

// all reports whether each of the media has landed.
func (l *landings) all(ids ...uuid.UUID) bool {
	for _, n := range l.times(ids...) {
		if n == 0 {
			return false
		}
	}
	return true
}

// refusal is an error that will be the same every time.
type refusal struct{}

func (refusal) Error() string   { return "refused" }
func (refusal) Transient() bool { return false }
