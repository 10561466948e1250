package reconcile_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// TestCutListing: a listing that breaks off is no shorter bucket.
func TestCutListing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(30)
	for _, fault := range []func(){
		func() { w.emu.Faults().CutAnswer(awsemu.Match{Operation: "ListObjectsV2"}, 3) },
		func() { w.emu.Faults().Fail(awsemu.Match{Operation: "ListObjectsV2"}, 3, 503, "SlowDown") },
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

// TestExplainedObjectsCostNoRequest but their share of a listing.
func TestExplainedObjectsCostNoRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.confirmed(40)
	w.put(mintedKey(w), nil)
	var heads atomic.Int64
	before := w.emu.Counts()["ListObjectsV2"]
	w.reconcile(objects(eventful{beforeHead: func(string) { heads.Add(1) }}))
	if n := heads.Load(); n != 0 {
		t.Errorf("it made %d HEADs", n)
	}
	if n := w.emu.Counts()["ListObjectsV2"] - before; n > 17 {
		t.Errorf("it made %d listings", n)
	}
}
