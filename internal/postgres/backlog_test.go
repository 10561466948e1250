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

func TestBacklog(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	db, err := postgres.Open(f.url, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, state := range []media.State{media.StatePending, media.StatePending, media.StateUploaded, media.StateConfirmed, media.StateDeleted} {
		f.bring(t, state)
	}
	f.Advance(windows.Upload + 30*time.Second)
	backlog := postgres.NewBacklog(db, f.Now, slog.New(slog.DiscardHandler))
	err = testutil.CollectAndCompare(backlog, strings.NewReader(`
# HELP coatcheck_media Media in a state, as of at most 10 s ago. CONFIRMED is not counted: its number has no bound.
# TYPE coatcheck_media gauge
coatcheck_media{state="deleted"} 1
coatcheck_media{state="deleting"} 0
coatcheck_media{state="pending"} 2
coatcheck_media{state="uploaded"} 1
# HELP coatcheck_media_overdue Media in a state whose window is over or whose attempt is due, and which a sweep has not taken yet.
# TYPE coatcheck_media_overdue gauge
coatcheck_media_overdue{state="deleted"} 0
coatcheck_media_overdue{state="deleting"} 0
coatcheck_media_overdue{state="pending"} 2
coatcheck_media_overdue{state="uploaded"} 0
# HELP coatcheck_media_overdue_seconds For how long the longest overdue media of a state has been due.
# TYPE coatcheck_media_overdue_seconds gauge
coatcheck_media_overdue_seconds{state="deleted"} 0
coatcheck_media_overdue_seconds{state="deleting"} 0
coatcheck_media_overdue_seconds{state="pending"} 30
coatcheck_media_overdue_seconds{state="uploaded"} 0
`))
	if err != nil {
		t.Error(err)
	}
}
