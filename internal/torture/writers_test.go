package torture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/consumer"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

const (
	writersConsumers = 8
	writersSweepers  = 4
	writersClients   = 24
)

// TestWriters has 8 consumers, 4 sweepers, 4 reconcilers and two dozen clients at the same rows, with windows so short
// that sweeps, reconciliations and confirmations meet. There is no deadlock, no update is lost, each change of state and
// each finding is counted once, what was confirmed stays, and nothing else is left (R1, R2, R10).
func TestWriters(t *testing.T) {
	limit := max(share(3)*2/10, 2*time.Second)
	logs := &writersLog{}
	w := newWorld(t, worldConfig{
		RealTime: true, Retries: true, MaxConns: 48, Logger: slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Windows: media.Windows{Upload: 2 * time.Second, Claim: 800 * time.Millisecond, Tombstone: time.Second},
	})
	if err := installAudit(t.Context(), w.db); err != nil {
		t.Fatal(err)
	}
	site := w.mustSite(t, *seed%2 == 0)
	r := &writers{site: site, echo: &writersEcho{Queue: site.queue}, held: map[uuid.UUID]string{}, freed: map[uuid.UUID]bool{}, known: map[string]bool{}}
	service, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	defer stop()
	var serving sync.WaitGroup
	r.serve(t, service, &serving)
	r.reconcile(t, service, &serving)
	echoing, quiet := context.WithCancel(service)
	defer quiet()
	var echoes sync.WaitGroup
	echoes.Go(func() { r.echo.run(t, echoing, r.site) })
	r.load(t, limit)
	quiet()
	echoes.Wait()
	r.settle(t)
	stop()
	serving.Wait()
	r.check(t, logs)
	r.checkRuns(t)
	t.Logf("%d media, %d confirmed, %d of them let go, %d confirmations came too late",
		r.created.Load(), len(r.held), len(r.freed), r.late.Load())
}

// writers is what clients have been told.
type writers struct {
	*site
	echo                  *writersEcho
	runs                  *writersRuns
	created, late, strays atomic.Int64

	mu    sync.Mutex
	held  map[uuid.UUID]string
	freed map[uuid.UUID]bool
	known map[string]bool // keys that something was uploaded to
}

// serve starts the consumers and the sweepers.
func (r *writers) serve(t *testing.T, ctx context.Context, wg *sync.WaitGroup) {
	for range writersConsumers {
		c, err := r.newConsumer(r.echo, r.store, func(c *consumer.Config) {
			c.Pollers, c.Writers, c.Deleters, c.BatchSize, c.WaitTime = 1, 2, 2, 50, time.Second
		})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := c.Run(ctx); err != nil {
				violated(t, "consuming: %v", err)
			}
		})
	}
	for range writersSweepers {
		s, err := r.newSweeper(r.store, r.objects, func(c *sweep.Config) { c.BatchSize, c.Lease = 40, 10*time.Second })
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := s.RunOnce(ctx); err != nil {
					violated(t, "sweeping: %v", err)
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
}

// load runs the clients for so long.
func (r *writers) load(t *testing.T, limit time.Duration) {
	var (
		wg    sync.WaitGroup
		until = time.Now().Add(limit)
	)
	for n := range writersClients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(*seed, uint64(n)))
			client := modelClient()
			defer client.CloseIdleConnections()
			h := &history{site: r.site, ctx: t.Context(), client: client, together: true, counts: map[string]int{}}
			for i := 0; time.Now().Before(until); i++ {
				r.life(t, h, rng, fmt.Sprintf("%d-%d", n, i))
			}
		})
	}
	wg.Wait()
}

// life is that of a few media, from one client.
func (r *writers) life(t *testing.T, h *history, rng *rand.Rand, key string) {
	ms := make([]*modelMedia, 1+rng.IntN(12))
	drafts := make([]*media.Media, len(ms))
	for i := range ms {
		id := uuid.Must(uuid.NewV7())
		ms[i] = &modelMedia{id: id, key: r.keys.Key(id), spec: modelSpec{Size: 1 + rng.IntN(64), Type: "image/jpeg", Checksum: rng.IntN(2) == 0}}
		if rng.IntN(4) == 0 {
			ms[i].spec.Key = fmt.Sprint(key, "-", i)
		}
		drafts[i] = ms[i].draft(r.Now().Add(time.Second))
	}
	ctx := t.Context()
	rows, err := r.store.Create(ctx, drafts)
	if err != nil {
		violated(t, "creating: %v", err)
		return
	}
	r.created.Add(int64(len(rows)))
	if rng.IntN(3) == 0 {
		r.emu.Faults().DropNotifications(1 + rng.IntN(4))
	}
	var landed []*modelMedia
	for i, row := range rows {
		if rng.IntN(10) == 0 {
			continue // never uploaded
		}
		if ms[i].request, err = r.objects.PresignPut(ctx, row, 2*time.Second); err != nil {
			violated(t, "presigning: %v", err)
			return
		}
		before := len(ms[i].puts)
		h.upload(ms[i], 0)
		if len(ms[i].puts) > before {
			landed = append(landed, ms[i])
			r.mu.Lock()
			r.known[ms[i].key] = true
			r.mu.Unlock()
		}
	}
	if rng.IntN(8) == 0 {
		r.stray(t)
	}
	switch rng.IntN(4) {
	case 0: // at the end of the claim window
		time.Sleep(time.Duration(650+rng.IntN(300)) * time.Millisecond)
	case 1: // about when the notification comes
		time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
	}
	r.decide(t, rng, landed, "post/"+key)
	for _, wrong := range h.wrong {
		violated(t, "%s", wrong)
	}
	h.wrong = nil
}

// decide confirms, cancels or forgets what has landed.
func (r *writers) decide(t *testing.T, rng *rand.Rand, landed []*modelMedia, claim string) {
	ctx := t.Context()
	if len(landed) == 0 || rng.IntN(4) == 0 {
		return
	}
	if rng.IntN(8) == 0 {
		if _, err := r.store.Discard(ctx, modelScope, landed[0].id, media.EventCancel, ""); err != nil {
			violated(t, "cancelling: %v", err)
		}
		landed = landed[1:]
	}
	var claims []media.Claim
	for _, m := range landed {
		claims = append(claims, media.Claim{MediaID: m.id, Claim: claim})
	}
	if len(claims) == 0 {
		return
	}
	rng.Shuffle(len(claims), func(i, j int) { claims[i], claims[j] = claims[j], claims[i] })
	_, err := r.claimer.Confirm(ctx, modelScope, claims)
	if refused, ok := errors.AsType[*media.BatchError](err); ok {
		for _, item := range refused.Items {
			if item != nil && item.Code != media.CodeGone && item.Code != media.CodeNotFound {
				violated(t, "confirming: %v", item)
			}
		}
		r.late.Add(1)
		return
	}
	if err != nil {
		violated(t, "confirming: %v", err)
		return
	}
	r.mu.Lock()
	for _, c := range claims {
		r.held[c.MediaID] = claim
	}
	r.mu.Unlock()
	if rng.IntN(5) > 0 {
		return
	}
	id := claims[0].MediaID
	if _, err := r.store.Discard(ctx, modelScope, id, media.EventRelease, claim); err != nil {
		violated(t, "releasing: %v", err)
	}
	r.mu.Lock()
	r.freed[id] = true
	r.mu.Unlock()
}

// settle moves the clock until nothing is left to sweep or to consume.
func (r *writers) settle(t *testing.T) {
	ctx := t.Context()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var left int
		err := r.db.NewRaw("SELECT count(*) FROM coatcheck.media WHERE state <> 'confirmed'").Scan(ctx, &left)
		if err != nil {
			t.Fatal(err)
		}
		d, err := r.queue.Depths(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if left == 0 && d.Queue.Visible+d.Queue.InFlight == 0 && !r.straysLeft(t) {
			if d.DeadLetters.Visible > 0 {
				violated(t, "%d messages are dead letters (R4)", d.DeadLetters.Visible)
			}
			return
		}
		if time.Now().After(deadline) {
			violated(t, "it does not end: %d media are left, and the queue holds %+v (R2)", left, d.Queue)
			return
		}
	}
}

// straysLeft reports whether the bucket has more than what is confirmed.
func (r *writers) straysLeft(t *testing.T) bool {
	var confirmed int
	if err := r.db.NewRaw("SELECT count(*) FROM coatcheck.media").Scan(t.Context(), &confirmed); err != nil {
		t.Fatal(err)
	}
	all, err := r.contents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(all) > confirmed
}

// check holds the rows, the bucket, the metrics and the logs against what clients were told.
func (r *writers) check(t *testing.T, logs *writersLog) {
	ctx := t.Context()
	changes, err := readAudit(ctx, r.db, 0)
	if err != nil {
		t.Fatal(err)
	}
	state := map[uuid.UUID]change{}
	for _, c := range changes {
		if wrong := c.illegal(); wrong != "" {
			violated(t, "%s: %s", c, wrong)
		}
		if was, ok := state[c.ID]; ok && was.State != c.OldState {
			violated(t, "%s: it was %s before: an update was lost", c, was.State)
		}
		state[c.ID] = c
		if c.moves() {
			total.add("transitions", 1)
		}
	}
	counted, err := r.enteredMetric()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range differences(entered(changes), counted) {
		violated(t, "%s", d)
	}
	all, err := r.contents(ctx)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]int{}
	for _, o := range all {
		there[o.Key]++
	}
	want := 0
	for id, claim := range r.held {
		if r.freed[id] {
			continue
		}
		want++
		if c := state[id]; c.State != media.StateConfirmed || c.Claim != claim || there[r.keys.Key(id)] != 1 {
			violated(t, "media %s was confirmed by %s, and is %s by %q with %d objects (R1)", id, claim, c.State, c.Claim, there[r.keys.Key(id)])
		}
	}
	if len(all) != want {
		violated(t, "the bucket has %d versions, and %d media are confirmed (R2)", len(all), want)
	}
	var deadlocks int
	time.Sleep(time.Second) // Postgres's processes tell of their statistics once a second
	err = r.db.NewRaw("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").Scan(ctx, &deadlocks)
	if err != nil || deadlocks > 0 {
		violated(t, "Postgres counts %d deadlocks (%v)", deadlocks, err)
	}
	if text := logs.String(); strings.Contains(text, "40P01") || strings.Contains(text, "deadlock") || strings.Contains(text, "level=ERROR") {
		violated(t, "the logs tell of errors:\n%.2000s", text)
	}
	total.add("objects created", len(r.known))
	total.add("objects confirmed", len(r.held))
	total.add("media of many writers", int(r.created.Load()))
}

// writersLog keeps what is logged.
type writersLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *writersLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *writersLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
