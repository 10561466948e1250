package consumer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// claimed claims media in a transaction of a product, which stays open until release is called.
func claimed(t *testing.T, url string, ms ...*media.Media) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	t.Cleanup(release)
	if _, err := conn.Exec(t.Context(), "SELECT coatcheck.grant_claims(current_user::name, 'acme')"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	for i, m := range ms {
		if _, err := conn.Exec(t.Context(), "SELECT coatcheck.claim_media(ARRAY[$1]::uuid[], $2)", m.ID.String(), fmt.Sprint("post/", i)); err != nil {
			t.Fatal(err)
		}
	}
	return release
}

// TestHeldRowsHoldUpNobody: a product's transaction holds two media, and a notification comes for each once more. All others
// land meanwhile; those two are kept hidden, and handled when the transaction has ended (R4).
func TestHeldRowsHoldUpNobody(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	s, ms := storeAt(t, url, 42)
	r := newRig(t, 9, s)
	r.parts.Transient = postgres.Transient
	r.cfg.LandTimeout = time.Minute
	r.cfg.VisibilityTimeout = patient
	r.start()
	r.send(event(ms[0].ID), event(ms[1].ID))
	eventually(t, "two land", func() bool { return states(t, s)[media.StateUploaded] == 2 && r.empty() })
	release := claimed(t, url, ms[0], ms[1])
	r.send(event(ms[0].ID))
	eventually(t, "the first is held", func() bool { return r.metric("verdicts_total", "held") > 0 })
	r.send(event(ms[1].ID))
	for _, m := range ms[2:] {
		r.send(event(m.ID))
	}
	eventually(t, "all others land", func() bool {
		return states(t, s)[media.StateUploaded] == 42 && r.metric("deleted_total") == 42 && r.metric("in_flight") == 2
	})
	time.Sleep(r.cfg.VisibilityTimeout)
	release()
	eventually(t, "all are deleted", r.empty)
	if n := r.metric("received_total"); n != 44 {
		t.Errorf("%d of 44 messages were received", n)
	}
}

// TestStoppedWhileRowsAreHeld: what waits for a row is shown to others at once when the consumer stops, and is not lost (R4).
func TestStoppedWhileRowsAreHeld(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	s, ms := storeAt(t, url, 1)
	r := newRig(t, 9, s)
	r.parts.Transient = postgres.Transient
	r.cfg.VisibilityTimeout = time.Hour
	stop := r.start()
	r.send(event(ms[0].ID))
	eventually(t, "it lands", func() bool { return states(t, s)[media.StateUploaded] == 1 && r.empty() })
	release := claimed(t, url, ms[0])
	r.send(event(ms[0].ID))
	eventually(t, "it is held", func() bool { return r.metric("verdicts_total", "held") > 0 })
	stop()
	if n := r.metric("messages_total", "given_back"); n == 0 { // more than once, when a last poll brought it again
		t.Error("no message was given back")
	}
	release()
	r.start()
	eventually(t, "it is deleted", r.empty)
}

// TestHalfABatchIsCounted: what a batch has recorded before it failed is counted by what it was, though it is tried again.
func TestHalfABatchIsCounted(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	s, ms := storeAt(t, url, 10)
	half := &failsOnce{Store: s}
	r := newRig(t, 9, half)
	r.cfg.Pollers, r.cfg.VisibilityTimeout = 1, time.Minute
	for _, m := range ms {
		r.send(event(m.ID))
	}
	r.start()
	eventually(t, "all are deleted", r.empty)
	if landed, retries := r.metric("verdicts_total", "landed"), r.metric("retries_total"); landed != 10 || retries != 1 {
		t.Errorf("%d of 10 are counted as landed, %d batches were tried again", landed, retries)
	}
}

// failsOnce records the first batch, and tells of a failure beside.
type failsOnce struct {
	*postgres.Store
	sync.Once
}

func (f *failsOnce) Land(ctx context.Context, source media.Source, landings []media.Landing) (landed []media.Landed, err error) {
	landed, err = f.Store.Land(ctx, source, landings)
	f.Do(func() { err = context.DeadlineExceeded })
	return landed, err
}
