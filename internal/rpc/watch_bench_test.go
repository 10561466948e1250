package rpc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/auth"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/postgres"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
	"github.com/coatcheck/coatcheck/proto/coatcheck/v1/coatcheckv1connect"
)

// BenchmarkWatch measures how long it takes from the commit of a landing, by another process as far as Postgres can tell,
// until a client that watches over HTTP/1.1 has been told, while so many streams are open: of changes that come by themselves, and of
// one of every stream's media at once. What it costs is that of both ends: the clients are in this process too.
func BenchmarkWatch(b *testing.B) {
	for _, streams := range []int{1, 1000, 5000} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) { benchmarkWatch(b, streams) })
	}
}

// tellings is when media were told to have landed.
type tellings struct {
	mu   sync.Mutex
	at   map[uuid.UUID]time.Time
	news *sync.Cond
}

func (l *tellings) wait(ids ...uuid.UUID) []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	times := make([]time.Time, len(ids))
	for i, id := range ids {
		for l.at[id].IsZero() {
			l.news.Wait()
		}
		times[i] = l.at[id]
	}
	return times
}

func benchmarkWatch(b *testing.B, streams int) {
	const lane = 100 // media of a stream in which changes come by themselves
	s := newService(b, watching(b))
	db, err := postgres.Open(s.dbURL, 4)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	another := postgres.NewStore(db, media.Windows{Upload: time.Hour, Claim: time.Hour, Tombstone: time.Hour}, time.Now, postgres.NewMetrics(prometheus.NewRegistry()))
	create := func(n int) (ids []uuid.UUID) {
		for len(ids) < n {
			drafts := make([]*media.Media, min(500, n-len(ids)))
			for i := range drafts {
				id := uuid.Must(uuid.NewV7())
				ids = append(ids, id)
				drafts[i] = &media.Media{
					ID: id, Tenant: "acme", Owner: "alice", Key: "media/" + id.String(), ContentType: "image/jpeg", SizeBytes: 5,
					URLExpiresAt: time.Now().Add(time.Minute),
				}
			}
			if _, err := another.Create(b.Context(), drafts); err != nil {
				b.Fatal(err)
			}
		}
		return ids
	}
	land := func(ids ...uuid.UUID) (committed time.Time) {
		landings := make([]media.Landing, len(ids))
		for i, id := range ids {
			landings[i] = media.Landing{MediaID: id, SizeBytes: 5, ETag: "e"}
		}
		if _, err := another.Land(b.Context(), media.SourceNotification, landings); err != nil {
			b.Fatal(err)
		}
		return time.Now()
	}
	told := &tellings{at: map[uuid.UUID]time.Time{}}
	told.news = sync.NewCond(&told.mu)
	transport := &http.Transport{MaxIdleConnsPerHost: -1}
	client := coatcheckv1connect.NewUploadServiceClient(&http.Client{Transport: transport}, s.url)
	ctx, cancel := context.WithCancel(b.Context())
	var open sync.WaitGroup
	defer open.Wait()
	defer cancel()
	watch := func(ids []uuid.UUID) {
		req := connect.NewRequest(&coatcheckv1.WatchUploadRequest{})
		for _, id := range ids {
			req.Msg.MediaIds = append(req.Msg.MediaIds, id.String())
		}
		req.Header().Set("Authorization", "Bearer "+s.tokens["acme"])
		req.Header().Set(auth.OwnerHeader, "alice")
		w, err := client.WatchUpload(ctx, req)
		if err != nil {
			b.Error(err)
			return
		}
		for range ids { // as they are at first
			if !w.Receive() {
				b.Error(w.Err())
				return
			}
		}
		open.Go(func() {
			defer w.Close()
			for w.Receive() {
				if m := w.Msg().GetMedia(); m.GetState() == coatcheckv1.MediaState_MEDIA_STATE_UPLOADED {
					now := time.Now()
					told.mu.Lock()
					told.at[uuid.MustParse(m.GetId())] = now
					told.mu.Unlock()
					told.news.Broadcast()
				}
			}
		})
	}
	before := memory()
	crowd := create(streams - 1)
	var beginning sync.WaitGroup
	for lane := range 16 {
		beginning.Go(func() {
			for i := lane; i < len(crowd); i += 16 {
				watch(crowd[i : i+1])
			}
		})
	}
	beginning.Wait()
	if b.Failed() {
		b.FailNow()
	}
	perStream := float64(memory()-before) / float64(max(1, len(crowd)))
	idle := processorTime()
	const rest = 11 * time.Second // with two looks at everything in it
	if streams > 1 {
		time.Sleep(rest)
	}
	idle = processorTime() - idle
	var (
		waits []time.Duration
		alone []uuid.UUID
		spent time.Duration
	)
	for b.Loop() {
		b.StopTimer()
		if len(alone) == 0 {
			alone = create(lane)
			watch(alone)
		}
		time.Sleep(rand.N(40 * time.Millisecond)) // one that comes right after another waits for a few milliseconds
		b.StartTimer()
		began := processorTime()
		committed := land(alone[0])
		waits = append(waits, told.wait(alone[0])[0].Sub(committed))
		spent += processorTime() - began
		alone = alone[1:]
	}
	b.ReportMetric(quantile(waits, 0.5), "p50-ms")
	b.ReportMetric(quantile(waits, 0.99), "p99-ms")
	b.ReportMetric(float64(spent.Microseconds())/float64(len(waits)), "cpu-µs/change")
	if len(crowd) == 0 {
		return
	}
	b.ReportMetric(idle.Seconds()/rest.Seconds()*1000, "idle-cpu-ms/s")
	b.ReportMetric(perStream/1024, "KiB/stream")
	waits = nil
	committed := map[uuid.UUID]time.Time{}
	for chunk := range slices.Chunk(crowd, 500) {
		at := land(chunk...)
		for _, id := range chunk {
			committed[id] = at
		}
	}
	for i, at := range told.wait(crowd...) {
		waits = append(waits, at.Sub(committed[crowd[i]]))
	}
	b.ReportMetric(quantile(waits, 0.5), "burst-p50-ms")
	b.ReportMetric(quantile(waits, 0.99), "burst-p99-ms")
}

func quantile(waits []time.Duration, q float64) float64 {
	slices.Sort(waits)
	return float64(waits[int(q*float64(len(waits)-1))].Microseconds()) / 1000
}

// memory is what is in use, stacks too.
func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
