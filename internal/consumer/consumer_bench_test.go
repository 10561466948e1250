package consumer_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/consumer"
	"github.com/coatcheck/coatcheck/internal/media"
)

// BenchmarkConsumer tells what a message costs in this package and those that it decodes with, between a queue and a
// database that cost nothing.
func BenchmarkConsumer(b *testing.B) {
	ctx, stop := context.WithCancel(b.Context())
	memory := &memory{left: b.N, stop: stop}
	for i := range memory.bodies {
		id, err := uuid.NewV7()
		if err != nil {
			b.Fatal(err)
		}
		memory.bodies[i] = fmt.Sprintf(asS3Writes, bucket, keys.Key(id))
	}
	cfg := consumer.DefaultConfig()
	cfg.Bucket, cfg.Keys = bucket, keys
	c, err := consumer.New(cfg, consumer.Parts{
		Queue: memory, Lander: memory, Metrics: consumer.NewMetrics(prometheus.NewRegistry()),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	if err := c.Run(ctx); err != nil {
		b.Fatal(err)
	}
}

// memory is a queue that gives out so many messages, and a database that has them all.
type memory struct {
	bodies [1000]string

	mu            sync.Mutex
	left, deleted int
	given         int
	stop          func()
}

func (m *memory) Receive(ctx context.Context, limit int, _, _ time.Duration) ([]consumer.Message, error) {
	m.mu.Lock()
	n := min(limit, m.left)
	from := m.given
	m.left, m.given = m.left-n, m.given+n
	m.mu.Unlock()
	if n == 0 {
		time.Sleep(time.Millisecond)
		return nil, nil
	}
	messages := make([]consumer.Message, n)
	for i := range messages {
		messages[i] = consumer.Message{ID: "id", Receipt: "receipt", Body: m.bodies[(from+i)%len(m.bodies)]}
	}
	return messages, nil
}

func (m *memory) Delete(_ context.Context, receipts []string) []consumer.Failure {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deleted += len(receipts); m.left == 0 && m.deleted == m.given {
		m.stop()
	}
	return nil
}

func (m *memory) SetVisibility(context.Context, []string, time.Duration) []consumer.Failure {
	return nil
}

func (m *memory) Land(_ context.Context, _ media.Source, landings []media.Landing) ([]media.Landed, error) {
	landed := make([]media.Landed, len(landings))
	for i, l := range landings {
		landed[i] = media.Landed{MediaID: l.MediaID, Verdict: media.VerdictLanded, EventTime: l.EventTime}
	}
	return landed, nil
}

// asS3Writes is a message of S3, in which the bucket and the key are missing.
const asS3Writes = `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-central-1","eventTime":"2024-11-27T09:15:02.345Z",` +
	`"eventName":"ObjectCreated:Put","userIdentity":{"principalId":"AWS:AROAEXAMPLEID:app"},"requestParameters":{"sourceIPAddress":"203.0.113.7"},` +
	`"responseElements":{"x-amz-request-id":"C3D13FE58DE4C810","x-amz-id-2":"FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWerMUE5JgHvANOjpD"},` +
	`"s3":{"s3SchemaVersion":"1.0","configurationId":"coatcheck","bucket":{"name":%q,"ownerIdentity":{"principalId":"A3NL1KOZZKExample"},` +
	`"arn":"arn:aws:s3:::example-media"},"object":{"key":%q,"size":482113,"eTag":"d41d8cd98f00b204e9800998ecf8427e","sequencer":"0055AED6DCD90281E5"}}}]}`
