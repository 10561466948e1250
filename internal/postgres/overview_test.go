package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/overview"
)

func (f *fixture) counts(t *testing.T) *overview.Counts {
	t.Helper()
	if err := f.Count(t.Context()); err != nil {
		t.Fatal(err)
	}
	counts, err := f.Counts(t.Context())
	if err != nil || counts == nil {
		t.Fatal(counts, err)
	}
	return counts
}

// TestCount: every media is counted in its group; those of the last 7 days in the funnel of their hour, and by how their
// landings were learnt.
func TestCount(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	if counts, err := f.Counts(t.Context()); err != nil || counts != nil {
		t.Fatalf("before the first count: %v, %v", counts, err)
	}
	const day = 24 * time.Hour
	f.bring(t, media.StateConfirmed)
	f.Advance(25 * day)
	f.bring(t, media.StateConfirmed) // 8 days old in the end
	adopted := f.bring(t, media.StateConfirmed)
	f.Advance(6 * day) // to 13:00 on the day before the end
	do(t, f.connect(t, f.url), "UPDATE coatcheck.media SET key = 'media/old.jpg', created_at = $2 WHERE id = $1", adopted.ID, f.Now())

	f.bring(t, media.StateConfirmed)
	byHead := f.create(t)
	f.land(t, byHead, media.SourceConfirm, func(l *media.Landing) { l.Sequencer = "" })
	notified := f.create(t)
	f.land(t, notified, media.SourceSweep, func(l *media.Landing) { l.Sequencer = "" })
	f.land(t, notified, media.SourceNotification)
	noSequencer := f.create(t)
	f.land(t, noSequencer, media.SourceNotification, func(l *media.Landing) { l.Sequencer = "" })
	never := f.create(t)
	f.Advance(2 * time.Hour)
	if expired, err := f.ExpireUploads(t.Context(), []*media.Media{f.get(t, never.ID)}, time.Minute); err != nil || len(expired) != 1 {
		t.Fatal(expired, err)
	}
	if expired, err := f.ExpireClaims(t.Context(), 10, time.Minute); err != nil || len(expired) != 3 { // byHead, notified, noSequencer
		t.Fatal(expired, err)
	}
	f.Advance(2*day - 3*time.Hour)
	quick, slow := f.create(t), f.create(t)
	f.create(t, func(m *media.Media) { m.SizeBytes = 7 })
	f.Advance(2 * time.Second)
	f.land(t, quick, media.SourceNotification)
	f.Advance(98 * time.Second)
	f.land(t, slow, media.SourceNotification)

	counts := f.counts(t)
	var got strings.Builder
	for _, m := range counts.Media {
		fmt.Fprintf(&got, "%s %s %d: %d, %d bytes\n", m.State, m.Reason, m.Age, m.Media, m.Bytes)
	}
	for _, h := range counts.Funnel {
		fmt.Fprintf(&got, "%s: presigned %d, landed %d, confirmed %d, never uploaded %d, unclaimed %d\n",
			h.Start.Format("02T15:04"), h.Presigned, h.Landed, h.Confirmed, h.NeverUploaded, h.Unclaimed)
	}
	for _, l := range counts.Landings {
		fmt.Fprintf(&got, "%s %d, not notified %d\n", l.Source, l.Media, l.Unnotified)
	}
	want := `pending  1: 1, 7 bytes
uploaded  1: 2, 200 bytes
confirmed  3: 2, 200 bytes
confirmed  4: 1, 100 bytes
confirmed  5: 1, 100 bytes
deleting never_uploaded 3: 1, 100 bytes
deleting unclaimed 3: 3, 300 bytes
01T12:00: presigned 5, landed 4, confirmed 1, never uploaded 1, unclaimed 3
03T11:00: presigned 3, landed 2, confirmed 0, never uploaded 0, unclaimed 0
notification 4, not notified 0
confirm 1, not notified 1
sweep 1, not notified 0
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &got, want)
	}
	for _, q := range []struct {
		got, want time.Duration
	}{{counts.LandingP50, 2 * time.Second}, {counts.LandingP99, 100 * time.Second}} {
		if ratio := float64(q.got) / float64(q.want); ratio < 0.97 || ratio > 1.03 {
			t.Errorf("landings took %s, want %s", q.got, q.want)
		}
	}
	if !counts.CountedAt.Equal(f.Now()) {
		t.Errorf("counted at %s", counts.CountedAt)
	}
}

// TestCountIsDue once in a while, and made by one at a time.
func TestCountIsDue(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	first := f.counts(t)
	f.create(t)
	if again := f.counts(t); !again.CountedAt.Equal(first.CountedAt) || len(again.Media) != 0 {
		t.Errorf("counted again at once: %+v", again)
	}
	f.Advance(time.Hour)
	conn := f.connect(t, f.url)
	do(t, conn, "BEGIN")
	do(t, conn, "SELECT pg_advisory_xact_lock(x'636f6175'::int)")
	if again := f.counts(t); !again.CountedAt.Equal(first.CountedAt) {
		t.Errorf("counted while another process does: %+v", again)
	}
	do(t, conn, "ROLLBACK")
	if again := f.counts(t); !again.CountedAt.Equal(f.Now()) || len(again.Media) != 1 {
		t.Errorf("not counted again: %+v", again)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Count(ctx); err == nil {
		t.Error("counted for nobody")
	}
}
