package consumer_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// store returns a store of its own, and media that are PENDING in it, of 100 bytes each.
func store(t *testing.T, n int) (*postgres.Store, []*media.Media) {
	t.Helper()
	return storeAt(t, pgtest.New(t), n)
}

func storeAt(t *testing.T, dsn string, n int) (*postgres.Store, []*media.Media) {
	t.Helper()
	db, err := postgres.Open(dsn, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	windows := media.Windows{Upload: time.Hour, Claim: time.Hour, Tombstone: time.Hour}
	s := postgres.NewStore(db, windows, time.Now, postgres.NewMetrics(prometheus.NewRegistry()))
	drafts := make([]*media.Media, n)
	for i, id := range newIDs(n) {
		drafts[i] = &media.Media{
			ID: id, Tenant: "acme", Owner: "alice", Key: keys.Key(id), ContentType: "image/jpeg", SizeBytes: 100,
			FileName: "a.jpg", URLExpiresAt: time.Now().Add(time.Minute),
		}
	}
	created, err := s.Create(t.Context(), drafts)
	if err != nil {
		t.Fatal(err)
	}
	return s, created
}

// states counts the store's media by state.
func states(t *testing.T, s *postgres.Store) map[media.State]int {
	t.Helper()
	got := map[media.State]int{}
	ms, err := s.List(t.Context(), media.Scope{Tenant: "acme"}, media.Page{Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		got[m.State]++
	}
	return got
}

// TestStory has every part real: objects are put into S3, which notifies the queue, twice and in the wrong order; the
// landings end in Postgres, while what nobody understands ends in the dead-letter queue.
func TestStory(t *testing.T) {
	t.Parallel()
	s, ms := store(t, 40)
	r := newRig(t, 2, s)
	r.parts.Transient = postgres.Transient
	client := awsclient.S3(r.aws)
	ctx := t.Context()
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	_, err := client.PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket: aws.String(bucket),
		NotificationConfiguration: &s3types.NotificationConfiguration{QueueConfigurations: []s3types.QueueConfiguration{{
			QueueArn: aws.String(r.arn(r.url)), Events: []s3types.Event{"s3:ObjectCreated:*", "s3:ObjectRemoved:*"},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string, size int) {
		t.Helper()
		_, err := client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String(key), Body: bytes.NewReader(make([]byte, size)),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	r.start()
	r.emu.Faults().DoubleNotifications(20)
	r.send("hello")
	for _, m := range ms[:10] {
		put(m.Key, 100)
	}
	for _, m := range ms[10:15] {
		put(m.Key, 99) // not what was declared
	}
	r.emu.Faults().ReorderNotifications(30)
	for _, m := range ms[15:30] {
		put(m.Key, 100)
		put(m.Key, 100)
	}
	put("media/not-ours", 5)
	put("elsewhere/a+b c.txt", 5)
	if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("media/not-ours")}); err != nil {
		t.Fatal(err)
	}
	want := map[media.State]int{media.StateUploaded: 25, media.StateDeleting: 5, media.StatePending: 10}
	eventually(t, fmt.Sprintf("the store has %v", want), func() bool {
		got := states(t, s)
		return got[media.StateUploaded] == 25 && got[media.StateDeleting] == 5 && got[media.StatePending] == 10
	})
	eventually(t, "only the message that nobody understands is left", func() bool {
		return r.empty() && r.depths().DeadLetters.Visible == 1
	})
	if got := r.deadLetters(); !slices.Equal(got, []string{"hello"}) {
		t.Errorf("dead letters: %q", got)
	}
	if n := r.metric("records_total", "test"); n != 1 {
		t.Errorf("%d test events", n)
	}
}

// TestAnyOrderAnyNumber is R5: the same events, some of them several times, in any order and in any grouping into
// messages, lead to the same states.
func TestAnyOrderAnyNumber(t *testing.T) {
	t.Parallel()
	s, ms := store(t, 60)
	r := newRig(t, 5, s)
	r.parts.Transient = postgres.Transient
	var events []string
	want := map[uuid.UUID]media.Media{}
	for i, m := range ms {
		m := *m
		m.State, m.Sequencer = media.StateUploaded, "03"
		sizes := []int64{100, 100, 100}
		switch i % 3 {
		case 1: // one of its events, whichever, has the wrong size
			sizes[rand.IntN(3)] = 7
			m.State = media.StateDeleting
		case 2:
			sizes = sizes[:1]
			m.Sequencer = "01"
		}
		for j, size := range sizes {
			e := record(bucket, "ObjectCreated:Put", m.Key, size, fmt.Sprintf("0%d", j+1))
			for range 1 + rand.IntN(3) {
				events = append(events, e)
			}
		}
		want[m.ID] = m
	}
	rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	r.start()
	for len(events) > 0 {
		n := min(len(events), 1+rand.IntN(8))
		r.send(body(events[:n]...))
		events = events[n:]
	}
	eventually(t, "everything is handled", func() bool { return r.empty() })
	for id, w := range want {
		got, err := s.Get(t.Context(), media.Scope{Tenant: "acme"}, id)
		if err != nil {
			t.Fatal(err)
		}
		if got.State != w.State {
			t.Errorf("%s is %s, want %s", id, got.State, w.State)
		}
		if got.State == media.StateUploaded && !strings.HasSuffix(string(got.Sequencer), string(w.Sequencer)) {
			t.Errorf("%s has the sequencer %s, want %s", id, got.Sequencer, w.Sequencer)
		}
	}
}

// TestDatabaseCrashes kills the real database again and again while messages come. The queue would give up a message
// at its second receive: none may be received twice, and none may be lost.
func TestDatabaseCrashes(t *testing.T) {
	t.Parallel()
	server, dsn := pgtest.Private(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	// A server for tests answers before a commit is written: a crash of it would lose what it has acknowledged.
	query := u.Query()
	query.Set("synchronous_commit", "on")
	u.RawQuery = query.Encode()
	s, ms := storeAt(t, u.String(), 400)
	r := newRig(t, 1, s)
	r.parts.Transient = postgres.Transient
	r.cfg.VisibilityTimeout = patient
	r.cfg.BatchSize = 10
	r.start()
	ids := make([]uuid.UUID, len(ms))
	for i, m := range ms {
		ids[i] = m.ID
	}
	for chunk := range slices.Chunk(ids, 150) {
		r.send(each(chunk)...)
		if err := server.Crash(t.Context()); err != nil { // with most of them on their way
			t.Fatal(err)
		}
	}
	eventually(t, "everything lands", func() bool { return states(t, s)[media.StateUploaded] == len(ms) && r.empty() })
	if n := r.metric("received_total"); n != len(ms) {
		t.Errorf("%d messages were received %d times", len(ms), n)
	}
	if r.metric("retries_total") == 0 {
		t.Log("no batch met a crash")
	}
}
