package consumer_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
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
	event, err := os.ReadFile("../s3event/testdata/s3_put.json")
	if err != nil {
		b.Fatal(err)
	}
	const key = "media/7f/01936b2e-8c1d-7a4e-9b52-6f0c1d2e3a7f"
	for i := range memory.bodies {
		id, err := uuid.NewV7()
		if err != nil {
			b.Fatal(err)
		}
		memory.bodies[i] = strings.Replace(string(event), key, keys.Key(id), 1)
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

func (m *memory) Receive(_ context.Context, limit int, _, _ time.Duration) ([]consumer.Message, error) {
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
