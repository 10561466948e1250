package reconcile_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// TestProcessesShareARun: each shard is gone over once, whoever does it, and all of them see the end.
func TestProcessesShareARun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(60)
	for range 20 {
		w.put(mintedKey(w), []byte("orphan"))
	}
	w.reconcile()
	w.Advance(grace)
	first := w.reconciler()
	run, err := first.Begin(t.Context(), settingsOf(policy(reconcile.PolicyDelete)))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			done, err := w.reconciler().Work(t.Context(), run.ID, nil)
			if err != nil || done.Outcome != reconcile.OutcomeFinished {
				t.Errorf("a process ended with %+v, %v", done, err)
			}
		})
	}
	wg.Wait()
	done, err := w.store.GetRun(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.want(done, reconcile.Counts{reconcile.CountExplained: 60, reconcile.CountStrays: 20, reconcile.CountRemoved: 20})
}

// TestLostLease: who was taken for dead, and goes on, records nothing.
func TestLostLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.put(mintedKey(w), nil)
	run := w.beginFew()
	lease := func() *reconcile.Shard {
		sh, err := w.store.LeaseShard(t.Context(), run.ID, reconcile.ShardListing, time.Minute)
		if err != nil || sh == nil {
			t.Fatalf("leasing a shard: %+v, %v", sh, err)
		}
		return sh
	}
	slow := lease()
	w.Advance(2 * time.Minute)
	quick := lease()
	if slow.Number != quick.Number {
		t.Fatalf("the shard was not given to another")
	}
	batch := reconcile.Batch{Position: "media/1", Counts: reconcile.Counts{reconcile.CountObjects: 7}, Done: true}
	if err := w.store.Checkpoint(t.Context(), slow, batch); !errors.Is(err, reconcile.ErrLeaseLost) {
		t.Errorf("the slow one recorded: %v", err)
	}
	for name, err := range map[string]error{
		"extending": w.store.ExtendLease(t.Context(), slow, time.Minute), "releasing": w.store.ReleaseShard(t.Context(), slow),
		"removing": w.store.EndRemoval(t.Context(), slow, reconcile.Removal{Done: true}),
	} {
		if !errors.Is(err, reconcile.ErrLeaseLost) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.store.Checkpoint(t.Context(), quick, batch); err != nil {
		t.Error(err)
	}
	if err := w.store.Checkpoint(t.Context(), quick, batch); !errors.Is(err, reconcile.ErrLeaseLost) {
		t.Errorf("what is done was recorded twice: %v", err)
	}
}

// extending tells when a lease was extended.
type extending struct {
	reconcile.Store
	extended chan struct{}
}

func (s extending) ExtendLease(ctx context.Context, sh *reconcile.Shard, lease time.Duration) error {
	err := s.Store.ExtendLease(ctx, sh, lease)
	s.extended <- struct{}{}
	return err
}

// TestLeaseIsKept while a shard takes longer than its lease: nobody else gets it meanwhile.
func TestLeaseIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	m := w.create(1)[0]
	w.upload(m)
	w.Advance(time.Hour)
	run, err := w.store.BeginRun(t.Context(), settingsOf(), 0, []reconcile.Range{{Prefix: "media/"}})
	if err != nil {
		t.Fatal(err)
	}
	const lease = 3 * time.Second
	extended := make(chan struct{}, 100)
	meanwhile := sync.OnceFunc(func() {
		for range 3 { // two leases long
			select {
			case <-extended:
			case <-time.After(time.Minute):
				t.Error("the lease is not extended")
				return
			}
			w.Advance(2 * time.Second)
		}
		if sh, err := w.store.LeaseShard(t.Context(), run.ID, reconcile.ShardListing, lease); err != nil || sh != nil {
			t.Errorf("another process got the shard: %+v, %v", sh, err)
			w.Advance(time.Hour) // or the run would wait for it
		}
	})
	r := w.reconciler(objects(eventful{beforeHead: func(string) { meanwhile() }}), func(p *parts) {
		p.Lease = lease
		p.store = extending{p.store, extended}
	})
	done, err := r.Work(t.Context(), run.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.want(done, reconcile.Counts{reconcile.CountLanded: 1})
}

// restless changes the bucket and the table while they are gone over.
type restless struct {
	reconcile.Objects
	page func()
}

func (r restless) List(ctx context.Context, g reconcile.Range) iter.Seq2[[]reconcile.Listed, error] {
	return func(yield func([]reconcile.Listed, error) bool) {
		for page, err := range r.Objects.List(ctx, g) {
			for part := range slices.Chunk(page, 3) {
				r.page()
				if !yield(part, err) {
					return
				}
			}
			if len(page) == 0 && !yield(nil, err) {
				return
			}
		}
	}
}

// TestChangesDuringTheScan: uploads, confirmations, releases and sweeps go on while a run is under way, and it finds
// nothing that is not so.
func TestChangesDuringTheScan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(40)
	lost := w.create(3)
	w.upload(lost...)
	gone := w.confirmed(2)
	for _, m := range gone {
		w.remove(m.Key)
	}
	w.Advance(10 * time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	var traffic sync.WaitGroup
	for range 2 {
		traffic.Go(func() {
			for ctx.Err() == nil {
				time.Sleep(5 * time.Millisecond)
				ms := w.confirmed(2)
				w.discard(media.EventRelease, ms[0])
				w.upload(w.create(1)...) // in flight
				w.sweep()
			}
		})
	}
	for range 3 {
		run := w.reconcile(func(p *parts) {
			p.objects = restless{p.objects, func() { time.Sleep(time.Millisecond) }}
			p.CheckpointEvery = 0
		})
		c := counted(run)
		if c[reconcile.CountStrays] != 0 || c[reconcile.CountForeign] != 0 || c[reconcile.CountMissing] != 2 || c[reconcile.CountRejected] != 0 || c[reconcile.CountUnclear] != 0 {
			t.Errorf("the run counted %v", c)
		}
		if got := w.missing(); len(got) != 2 || !got[gone[0].ID] || !got[gone[1].ID] {
			t.Errorf("missing are %v", got)
		}
	}
	stop()
	traffic.Wait()
	for _, m := range lost {
		if got := w.get(m); got.LandedBy != media.SourceReconcile {
			t.Errorf("media %s was learnt by %q", m.ID, got.LandedBy)
		}
	}
}

// TestCutListing: a listing that breaks off is no shorter bucket.
func TestCutListing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(30)
	for _, fault := range []func(){
		func() { w.emu.Faults().CutAnswer(awsemu.Match{Operation: "ListObjectsV2"}, 3) },
		func() { w.emu.Faults().Fail(awsemu.Match{Operation: "ListObjectsV2"}, 3, 503, "SlowDown") },
		func() { w.emu.Faults().Fail(awsemu.Match{Operation: "HeadObject"}, 2, 500, "InternalError") },
	} {
		fault()
		w.want(w.reconcile(), reconcile.Counts{reconcile.CountExplained: 30})
	}
	w.emu.Faults().Fail(awsemu.Match{Operation: "ListObjectsV2"}, awsemu.Forever, 403, "AccessDenied")
	run, err := w.try()
	if err == nil || run.Phase == reconcile.PhaseDone {
		t.Fatalf("a bucket that cannot be listed was reconciled: %+v, %v", run, err)
	}
	w.emu.Faults().Clear()
	w.Advance(time.Minute)
	run, err = w.reconciler().Work(t.Context(), run.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.want(run, reconcile.Counts{reconcile.CountExplained: 30})
}

// TestPageEdges: keys at the edges of S3's pages and of Postgres's are told apart like all others.
func TestPageEdges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	var ids []uuid.UUID
	for i := range 4200 { // one shard, several pages of 1000 keys and of 2000 rows
		id := uuid.Must(uuid.NewV7())
		id[15] = 0x11
		id[14], id[13] = byte(i), byte(i>>8)
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	var ms []*media.Media
	stray, missing := 0, 0
	var puts []string
	for i, id := range ids {
		switch key := w.keys.Key(id); {
		case i%1000 <= 1 || i%1000 >= 998: // around the edges
			if i%2 == 0 {
				stray++
				puts = append(puts, key)
				continue
			}
			missing++
		default:
			puts = append(puts, key)
		}
		ms = append(ms, &media.Media{ID: id, Tenant: "acme", Owner: "alice", Key: w.keys.Key(id), ContentType: "text/plain", SizeBytes: 4, URLExpiresAt: w.Now()})
	}
	for part := range slices.Chunk(ms, 500) {
		if _, err := w.store.Create(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	// All landed and are confirmed; etag is that of "body".
	_, err := w.db.ExecContext(t.Context(), `UPDATE coatcheck.media SET state = 'confirmed', claim = 'post/1', confirmed_at = created_at, due_at = NULL,
		landed_at = created_at, landed_by = 'notification', etag = '841a2d689ad86bd1611447453c22c6fc'`)
	if err != nil {
		t.Fatal(err)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(puts)); i = next.Add(1) - 1 {
				w.put(puts[i], []byte("body"))
			}
		})
	}
	wg.Wait()
	want := reconcile.Counts{
		reconcile.CountExplained: int64(len(puts) - stray), reconcile.CountStrays: int64(stray), reconcile.CountMissing: int64(missing),
	}
	w.want(w.reconcile(), want)
	w.want(w.reconcile(func(p *parts) { p.CheckpointEvery = 0 }), want)
}

// TestMissing ends when the object is back, when the media is not wanted any more, and never by itself.
func TestMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ms := w.confirmed(3)
	for _, m := range ms {
		w.remove(m.Key)
	}
	for range 3 {
		w.want(w.reconcile(), reconcile.Counts{reconcile.CountMissing: 3})
		w.Advance(grace)
	}
	w.upload(ms[0])
	w.discard(media.EventRelease, ms[1])
	if got := w.missing(); len(got) != 2 || got[ms[1].ID] { // before any run, what was released is not wanted
		t.Errorf("missing are %v", got)
	}
	w.want(w.reconcile(), reconcile.Counts{reconcile.CountMissing: 1, reconcile.CountExplained: 1})
	if got := w.missing(); len(got) != 1 || !got[ms[2].ID] {
		t.Errorf("missing are %v", got)
	}
}

// TestHiddenVersions: below a delete marker the version that was confirmed is still there, and still the one served.
func TestHiddenVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{versioned: true})
	ms := w.confirmed(2)
	w.remove(ms[0].Key) // adds a marker
	w.want(w.reconcile(), reconcile.Counts{
		reconcile.CountExplained: 1, reconcile.CountHidden: 1, reconcile.CountNoncurrent: 1, reconcile.CountDeleteMarkers: 1,
	})
	out, err := w.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: &ms[0].Key, VersionId: aws.String(w.get(ms[0]).VersionID)})
	if err != nil || out.VersionId == nil {
		t.Errorf("the version is gone: %v", err)
	}
	w.removeVersions(ms[1].Key)
	w.want(w.reconcile(), reconcile.Counts{
		reconcile.CountMissing: 1, reconcile.CountHidden: 1, reconcile.CountNoncurrent: 1, reconcile.CountDeleteMarkers: 1,
	})
}

// TestConfirmedVersionIsGone: an object with the same bytes does not stand in for the version that was confirmed, which is
// what a download asks for.
func TestConfirmedVersionIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{versioned: true})
	ms := w.confirmed(3)
	for _, m := range ms[:2] {
		w.upload(m) // the same contents once more, as another version
	}
	key, version := ms[0].Key, w.get(ms[0]).VersionID
	if _, err := w.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: &key, VersionId: &version}); err != nil {
		t.Fatal(err)
	}
	w.want(w.reconcile(), reconcile.Counts{reconcile.CountExplained: 2, reconcile.CountMissing: 1, reconcile.CountNoncurrent: 1})
	if got := w.missing(); !got[ms[0].ID] || len(got) != 1 {
		t.Errorf("missing are %v", got)
	}
}

// TestLostNotificationsShare counts what landed since the run before, and how much of it nobody was told of.
func TestLostNotificationsShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(5)
	w.Advance(time.Hour)
	w.reconcile()
	w.Advance(time.Hour)
	w.confirmed(7)
	swept := w.create(2)
	w.upload(swept...)
	w.Advance(90 * time.Minute)
	w.sweep() // asks S3 for what nobody told of
	unnoticed := w.create(1)
	w.upload(unnoticed...)
	w.Advance(10 * time.Minute)
	run := w.reconcile()
	if c := run.Counts; c[reconcile.CountLandedSince] != 9 || c[reconcile.CountLost] != 2 || c[reconcile.CountLanded] != 1 {
		t.Errorf("the run counted %v", c)
	}
}

// TestOlderStrayIsAnotherOne: what is stored anew under a stray's key begins its grace period anew.
func TestOlderStrayIsAnotherOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	key := mintedKey(w)
	w.put(key, []byte("one"))
	w.reconcile()
	w.Advance(grace)
	w.put(key, []byte("two"))
	w.want(w.reconcile(policy(reconcile.PolicyDelete)), reconcile.Counts{reconcile.CountStrays: 1, reconcile.CountKeptRecent: 1})
	if s := w.strays()[key]; !s.FirstSeenAt.Equal(w.Now()) {
		t.Errorf("it was first seen at %v", s.FirstSeenAt)
	}
	w.remove(key)
	w.reconcile()
	if len(w.strays()) != 0 {
		t.Errorf("strays are %v", w.strays())
	}
}

// TestWhatS3WillNotTell: an object of which S3 never tells keeps no run from its end, and is left as it is.
func TestWhatS3WillNotTell(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	stray := w.dueStray()
	tombstone := w.confirmed(1)[0]
	w.discard(media.EventRelease, tombstone)
	w.sweep()
	w.upload(tombstone)
	for _, key := range []string{stray, tombstone.Key} {
		w.emu.Faults().Fail(awsemu.Match{Operation: "HeadObject", KeyContains: key}, awsemu.Forever, 400, "BadRequest")
	}
	run := w.reconcile(policy(reconcile.PolicyDelete))
	w.want(run, reconcile.Counts{reconcile.CountUnclear: 1, reconcile.CountStrays: 1, reconcile.CountKeptUnclear: 1})
	if held := w.held(); !held[stray] || !held[tombstone.Key] {
		t.Errorf("the bucket holds %v", held)
	}
	if kinds := w.findings(run); kinds[tombstone.Key] != reconcile.KindUnclear {
		t.Errorf("it found %v", kinds)
	}
	w.emu.Faults().Clear()
	w.want(w.reconcile(policy(reconcile.PolicyDelete)), reconcile.Counts{reconcile.CountLate: 1, reconcile.CountStrays: 1, reconcile.CountRemoved: 1})
}
