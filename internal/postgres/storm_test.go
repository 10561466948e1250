package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

// TestStorm does everything to the same media at once, in random order and overlapping batches. No two transactions
// may wait for each other in a circle, nothing that was confirmed may go (R1), and each change of state is counted once.
func TestStorm(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	ctx := t.Context()
	const n = 60
	all := make([]*media.Media, n)
	for i := range all {
		all[i] = draft(keyed(fmt.Sprintf("k%03d", (i*37)%n)))
	}
	if _, err := f.Create(ctx, all); err != nil {
		t.Fatal(err)
	}
	var (
		mu    sync.Mutex
		held  = map[uuid.UUID]string{} // what a confirmation has answered
		wg    sync.WaitGroup
		until = time.Now().Add(4 * time.Second)
	)
	some := func(most int) []*media.Media {
		picked := make([]*media.Media, 1+rand.IntN(most))
		for i := range picked {
			picked[i] = all[rand.IntN(n)]
		}
		return picked
	}
	work := func(workers int, step func(ctx context.Context) error) {
		for range workers {
			wg.Go(func() {
				for time.Now().Before(until) {
					orderly(t, step(ctx))
				}
			})
		}
	}
	work(8, func(ctx context.Context) error {
		var batch []media.Landing
		for _, m := range some(30) {
			batch = append(batch, landing(m, func(l *media.Landing) {
				k := 1 + rand.IntN(3)
				l.Sequencer, l.ETag = seq(fmt.Sprint(k)), fmt.Sprint("e", k)
				if rand.IntN(400) == 0 {
					l.SizeBytes = 7
				}
			}))
		}
		_, err := f.Land(ctx, media.SourceNotification, batch)
		return err
	})
	work(2, func(ctx context.Context) error {
		claim := fmt.Sprint("post/", rand.IntN(2))
		ms, err := f.Confirm(ctx, alice, claims(claim, some(4)...))
		mu.Lock()
		defer mu.Unlock()
		for _, m := range ms {
			if was := held[m.ID]; was != "" && was != claim {
				t.Errorf("media %s was confirmed by %s and by %s", m.ID, was, claim)
			}
			held[m.ID] = claim
		}
		return err
	})
	work(1, func(ctx context.Context) error {
		var again []*media.Media
		for _, m := range some(20) {
			again = append(again, same(m))
		}
		_, err := f.Create(ctx, again)
		return err
	})
	work(1, func(ctx context.Context) error {
		time.Sleep(5 * time.Millisecond)
		_, err := f.Discard(ctx, alice, some(1)[0].ID, media.EventCancel, "")
		return err
	})
	work(2, func(ctx context.Context) error {
		f.Advance(time.Duration(rand.IntN(int(2 * time.Minute))))
		ms, err := f.LeasePending(ctx, 10, lease)
		if err == nil && len(ms) > 0 {
			_, err = f.expireUploads(ctx, ms)
		}
		return err
	})
	work(2, func(ctx context.Context) error {
		ms, err := f.LeaseDeleting(ctx, 10, lease)
		if err != nil || len(ms) == 0 {
			return err
		}
		half := rand.IntN(len(ms) + 1)
		for _, m := range ms[half:] {
			m.LastError, m.DueAt = "SlowDown", f.Now().Add(time.Minute)
		}
		if err := f.RetryDeleting(ctx, ms[half:]); err != nil {
			return err
		}
		_, err = f.finishDeleting(ctx, ms[:half])
		return err
	})
	work(1, func(ctx context.Context) error {
		_, err := f.expireClaims(ctx, 5)
		return err
	})
	work(1, func(ctx context.Context) error {
		time.Sleep(20 * time.Millisecond)
		_, err := f.purge(ctx, 2)
		return err
	})
	wg.Wait()
	f.checkBooks(t)
	for id, claim := range held {
		if m := f.get(t, id); m.State != media.StateConfirmed || m.Claim != claim {
			t.Errorf("media %s was confirmed by %s, and is %s", id, claim, text(m))
		}
	}
	t.Logf("%d of %d media were confirmed", len(held), n)
}

// checkBooks compares the counters with the rows: what entered a state and did not leave it is there.
func (f *fixture) checkBooks(t *testing.T) {
	t.Helper()
	rows := map[media.State]float64{}
	for _, state := range media.States {
		var n float64
		err := open(t, f.url).NewRaw("SELECT count(*)::float8 FROM coatcheck.media WHERE state = ?", state).Scan(t.Context(), &n)
		if err != nil {
			t.Fatal(err)
		}
		rows[state] = n
	}
	entered := func(state media.State, reasons ...media.Reason) (n float64) {
		for _, r := range append(reasons, "") {
			n += f.count(t, "coatcheck_media_entered_total", string(r), string(state))
		}
		return n
	}
	landed := f.count(t, "coatcheck_landings_total", "notification", "landed")
	for name, pair := range map[string][2]float64{
		"landings":  {landed, entered(media.StateUploaded)},
		"confirmed": {rows[media.StateConfirmed], entered(media.StateConfirmed) - entered(media.StateDeleting, media.ReasonReleased)},
		"waiting": {
			rows[media.StatePending] + rows[media.StateUploaded],
			entered(media.StatePending) - entered(media.StateConfirmed) -
				entered(media.StateDeleting, media.ReasonCancelled, media.ReasonNeverUploaded, media.ReasonUnclaimed, media.ReasonRejected),
		},
		"deleting": {rows[media.StateDeleting], entered(media.StateDeleting, media.Reasons...) - entered(media.StateDeleted)},
		"deleted": {
			rows[media.StateDeleted],
			entered(media.StateDeleted) - entered(media.StateDeleting, media.ReasonLate) - f.count(t, "coatcheck_media_purged_total"),
		},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %v by the rows, %v by the counters", name, pair[0], pair[1])
		}
	}
	t.Logf("rows %v; entered deleting %v, deleted %v; late %v", rows, entered(media.StateDeleting, media.Reasons...),
		entered(media.StateDeleted), entered(media.StateDeleting, media.ReasonLate))
}
