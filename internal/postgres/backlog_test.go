package postgres_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// TestBacklog counts what is not CONFIRMED, knows what is overdue and for how long, and asks at most every ten seconds.
func TestBacklog(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	for range 3 {
		f.bring(t, media.StateConfirmed)
	}
	f.bring(t, media.StatePending)
	f.Advance(time.Minute)
	f.bring(t, media.StatePending)
	f.bring(t, media.StateUploaded)
	f.Advance(windows.Upload - 30*time.Second)
	backlog := postgres.NewBacklog(open(t, f.url), f.Now, slog.New(slog.DiscardHandler))
	want := `# HELP coatcheck_media Media in a state, as of at most 10 s ago. CONFIRMED is not counted: its number has no bound.
# TYPE coatcheck_media gauge
coatcheck_media{state="deleted"} 0
coatcheck_media{state="deleting"} 0
coatcheck_media{state="pending"} 2
coatcheck_media{state="uploaded"} 1
# HELP coatcheck_media_overdue Media in a state whose window is over or whose attempt is due, and which a sweep has not taken yet.
# TYPE coatcheck_media_overdue gauge
coatcheck_media_overdue{state="deleted"} 0
coatcheck_media_overdue{state="deleting"} 0
coatcheck_media_overdue{state="pending"} 1
coatcheck_media_overdue{state="uploaded"} 0
# HELP coatcheck_media_overdue_seconds For how long the longest overdue media of a state has been due.
# TYPE coatcheck_media_overdue_seconds gauge
coatcheck_media_overdue_seconds{state="deleted"} 0
coatcheck_media_overdue_seconds{state="deleting"} 0
coatcheck_media_overdue_seconds{state="pending"} 30
coatcheck_media_overdue_seconds{state="uploaded"} 0
`
	if err := testutil.CollectAndCompare(backlog, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	f.bring(t, media.StateDeleting)
	if err := testutil.CollectAndCompare(backlog, strings.NewReader(want)); err != nil {
		t.Errorf("it asked again at once: %v", err)
	}
	f.Advance(11 * time.Second)
	if err := testutil.CollectAndCompare(backlog, strings.NewReader(want)); err == nil {
		t.Error("it never asks again")
	}
}

// TestBacklogWithoutDatabase reports nothing rather than what is no longer true.
func TestBacklogWithoutDatabase(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	db := open(t, f.url)
	backlog := postgres.NewBacklog(db, f.Now, slog.New(slog.DiscardHandler))
	if n := testutil.CollectAndCount(backlog); n != 12 {
		t.Errorf("%d series, want 3 for each of 4 states", n)
	}
	db.Close()
	f.Advance(time.Minute)
	if n := testutil.CollectAndCount(backlog); n != 0 {
		t.Errorf("%d series of a database that is closed", n)
	}
}
