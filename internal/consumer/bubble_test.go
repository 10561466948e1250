package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/consumer"
	"github.com/coatcheck/coatcheck/internal/media"
)

// bubble is a consumer and a queue in the time of synctest, in which minutes cost nothing.
type bubble struct {
	*rig // of which there are the settings, the parts and the metrics only

	undeletable func(receipts []string) []string              // which of a call's messages it does not delete
	hang        func(call int, visibility time.Duration) bool // whether a call of SetVisibility is not answered

	mu       sync.Mutex
	messages []*bubbled
	calls    int // of SetVisibility
}

// bubbled is a message in a bubble.
type bubbled struct {
	consumer.Message
	until    time.Time // when it is visible
	receives int
	lapses   int // how often it became visible while it was held
	deleted  bool
}

// hangs is how long a call is not answered, when its context does not end before: as long as that of the adapter to SQS.
const hangs = 10 * time.Second

// inBubble runs a test in a bubble.
func inBubble(t *testing.T, lander consumer.Lander, test func(t *testing.T, b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{rig: &rig{t: t, cfg: consumer.DefaultConfig(), reg: prometheus.NewRegistry()}}
		b.cfg.Bucket, b.cfg.Keys = bucket, keys
		b.cfg.Writers = 1 // a second one would wait for a mutex, for which the time of a bubble stands still
		b.cfg.WaitTime = time.Second
		b.parts = consumer.Parts{
			Queue: b, Lander: lander, Metrics: consumer.NewMetrics(b.reg), Log: slog.New(slog.DiscardHandler),
		}
		test(t, b)
	})
}

// start runs the consumer until stop is called, which returns what Run did.
func (b *bubble) start() (stop func() error) {
	b.t.Helper()
	c, err := consumer.New(b.cfg, b.parts)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	b.t.Cleanup(func() { _ = stop() })
	return stop
}

func (b *bubble) send(ids ...uuid.UUID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		name := id.String()
		b.messages = append(b.messages, &bubbled{Message: consumer.Message{ID: name, Receipt: name, Body: event(id)}})
	}
}

// sum adds up something of each message.
func (b *bubble) sum(of func(*bubbled) int) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		n += of(m)
	}
	return n
}

// left returns how many messages are not deleted.
func (b *bubble) left() int {
	return b.sum(func(m *bubbled) int {
		if m.deleted {
			return 0
		}
		return 1
	})
}

func (b *bubble) received() int { return b.sum(func(m *bubbled) int { return m.receives }) }

func (b *bubble) Receive(ctx context.Context, limit int, wait, visibility time.Duration) ([]consumer.Message, error) {
	b.mu.Lock()
	now := time.Now()
	var out []consumer.Message
	for _, m := range b.messages {
		if len(out) < limit && !m.deleted && !m.until.After(now) {
			m.until = now.Add(visibility)
			m.receives++
			out = append(out, m.Message)
		}
	}
	b.mu.Unlock()
	if len(out) == 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return out, nil
}

func (b *bubble) Delete(_ context.Context, receipts []string) (failures []consumer.Failure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var not []string
	if b.undeletable != nil {
		not = b.undeletable(receipts)
	}
	for _, m := range b.messages {
		switch {
		case slices.Contains(not, m.Receipt):
			failures = append(failures, consumer.Failure{Receipt: m.Receipt, Err: errors.New("InternalError")})
		case slices.Contains(receipts, m.Receipt):
			m.deleted = true
		}
	}
	return failures
}

func (b *bubble) SetVisibility(ctx context.Context, receipts []string, visibility time.Duration) (failures []consumer.Failure) {
	for chunk := range slices.Chunk(receipts, 10) {
		b.mu.Lock()
		call := b.calls
		b.calls++
		b.mu.Unlock()
		if b.hang != nil && b.hang(call, visibility) {
			select {
			case <-time.After(hangs):
			case <-ctx.Done():
			}
			for _, r := range chunk {
				failures = append(failures, consumer.Failure{Receipt: r, Err: context.DeadlineExceeded})
			}
			continue
		}
		b.mu.Lock()
		for _, m := range b.messages {
			switch {
			case !slices.Contains(chunk, m.Receipt):
			case m.deleted:
				failures = append(failures, consumer.Failure{Receipt: m.Receipt, Err: errors.New("MessageNotInflight"), Final: true})
			default:
				if visibility > 0 && !m.until.After(time.Now()) {
					m.lapses++
				}
				m.until = time.Now().Add(visibility)
			}
		}
		b.mu.Unlock()
	}
	return failures
}

// TestStuckDeletionsHoldUpNobody: messages that cannot be deleted, as many as there are deleters, keep no others from
// landing and being deleted. They come again, and are deleted when that is possible (R5).
func TestStuckDeletionsHoldUpNobody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		each int // of how many messages in a call
	}{{"one of each call", 1}, {"whole calls", 10}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := &landings{}
			inBubble(t, l, func(t *testing.T, b *bubble) {
				stuck := map[string]bool{}
				calls, gone := 0, false
				b.undeletable = func(receipts []string) (not []string) {
					if calls++; calls <= b.cfg.Deleters {
						for _, r := range receipts[:min(c.each, len(receipts))] {
							stuck[r] = true
						}
					}
					for _, r := range receipts {
						if stuck[r] && !gone {
							not = append(not, r)
						}
					}
					return not
				}
				ids := newIDs(2000)
				b.send(ids...)
				stop := b.start()
				time.Sleep(20 * time.Second)
				if n := b.left(); !l.all(ids...) || n != len(stuck) || n < b.cfg.Deleters {
					t.Errorf("%d are not deleted, of which %d cannot be; all have landed: %v", n, len(stuck), l.all(ids...))
				}
				b.mu.Lock()
				gone = true
				b.mu.Unlock()
				time.Sleep(2 * b.cfg.VisibilityTimeout)
				if n := b.left(); n != 0 {
					t.Errorf("%d are left when nothing is in the way any more", n)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestOutageOfDeletionsCostsNoReceives: while nothing at all can be deleted, what was handled stays hidden, for minutes.
func TestOutageOfDeletionsCostsNoReceives(t *testing.T) {
	t.Parallel()
	l := &landings{}
	inBubble(t, l, func(t *testing.T, b *bubble) {
		began := time.Now()
		b.undeletable = func(receipts []string) []string {
			if time.Since(began) < 9*time.Minute {
				return receipts
			}
			return nil
		}
		ids := newIDs(2000)
		b.send(ids...)
		stop := b.start()
		time.Sleep(8 * time.Minute)
		if n := b.received(); n >= len(ids) {
			t.Errorf("receiving went on: of %d messages there were %d receives", len(ids), n)
		}
		time.Sleep(2 * time.Minute)
		if n := b.left(); n != 0 {
			t.Errorf("%d are left", n)
		}
		if n := b.received(); n != len(ids) {
			t.Errorf("%d messages were received %d times", len(ids), n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestDeletedIsNeitherHeldNorLost: while the deletion of one message is tried again, those that were deleted with it are
// not in flight, and no heartbeat fails for them.
func TestDeletedIsNeitherHeldNorLost(t *testing.T) {
	t.Parallel()
	l := &landings{}
	inBubble(t, l, func(t *testing.T, b *bubble) {
		which := ""
		b.undeletable = func(receipts []string) []string {
			if which == "" {
				which = receipts[0]
			}
			if slices.Contains(receipts, which) {
				return []string{which}
			}
			return nil
		}
		b.cfg.Pollers = 1
		b.send(newIDs(10)...)
		stop := b.start()
		time.Sleep(time.Second)
		if n := b.metric("in_flight"); n != 1 || b.left() != 1 {
			t.Errorf("%d are in flight and %d left, want one", n, b.left())
		}
		time.Sleep(3 * b.cfg.VisibilityTimeout)
		if n := b.metric("heartbeats_total", "lost"); n != 0 {
			t.Errorf("%d were told lost", n)
		}
		if b.metric("heartbeats_total", "extended") == 0 || b.received() != 10 {
			t.Errorf("the one is not kept hidden: 10 messages were received %d times", b.received())
		}
		b.mu.Lock()
		b.undeletable = nil
		b.mu.Unlock()
		time.Sleep(b.cfg.Retry.Max)
		if n := b.left() + b.metric("in_flight"); n != 0 {
			t.Errorf("%d are left or in flight", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestLostIsNotInFlight: a message that can no longer be kept hidden is told lost once, and in flight no more.
func TestLostIsNotInFlight(t *testing.T) {
	t.Parallel()
	l := &landings{}
	inBubble(t, l, func(t *testing.T, b *bubble) {
		leave := make(chan struct{})
		l.hook = func(context.Context, []media.Landing) error {
			<-leave
			return nil
		}
		b.send(newIDs(3)...)
		stop := b.start()
		time.Sleep(time.Second)
		b.mu.Lock()
		b.messages[0].deleted = true // by somebody else
		b.mu.Unlock()
		time.Sleep(2 * b.cfg.VisibilityTimeout)
		if lost, held := b.metric("heartbeats_total", "lost"), b.metric("in_flight"); lost != 1 || held != 2 {
			t.Errorf("%d lost and %d in flight, want 1 and 2", lost, held)
		}
		close(leave)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if n := b.metric("in_flight"); n != 0 {
			t.Errorf("%d in flight when it has stopped", n)
		}
	})
}

// TestHungHeartbeatShowsNoOthers: while a heartbeat is not answered, messages that are not in it stay hidden.
func TestHungHeartbeatShowsNoOthers(t *testing.T) {
	t.Parallel()
	for _, visibility := range []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second} {
		t.Run(visibility.String(), func(t *testing.T) {
			t.Parallel()
			l := &landings{}
			inBubble(t, l, func(t *testing.T, b *bubble) {
				leave := make(chan struct{})
				l.hook = func(context.Context, []media.Landing) error {
					<-leave
					return nil
				}
				b.cfg.VisibilityTimeout = visibility
				b.hang = func(call int, _ time.Duration) bool { return call == 0 }
				b.send(newIDs(10)...)
				stop := b.start()
				time.Sleep(time.Second)
				b.send(newIDs(10)...)
				time.Sleep(3 * visibility)
				if n := b.sum(func(m *bubbled) int { return m.receives - 1 + m.lapses }); n != 0 {
					t.Errorf("%d times a message became visible", n)
				}
				close(leave)
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestStopWithoutAnAnswer: stopping takes no longer than the drain limit and a last call, however many messages are to
// be given back to a queue that does not answer.
func TestStopWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for _, size := range []int{300, 10, 1} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			l := &landings{hook: func(ctx context.Context, _ []media.Landing) error {
				<-ctx.Done()
				return ctx.Err()
			}}
			inBubble(t, l, func(t *testing.T, b *bubble) {
				b.cfg.BatchSize, b.cfg.DrainLimit = size, 2*time.Second
				b.hang = func(int, time.Duration) bool { return true }
				b.send(newIDs(1000)...)
				stop := b.start()
				time.Sleep(time.Second)
				began := time.Now()
				if err := stop(); err == nil || !strings.Contains(err.Error(), "drain limit of 2s") {
					t.Errorf("the error is %v", err)
				}
				if took := time.Since(began); took > b.cfg.DrainLimit+3*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}
