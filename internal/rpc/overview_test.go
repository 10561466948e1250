package rpc_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/overview"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// overviews makes overviews of a service until the test ends.
func (s *service) overviews(t testing.TB) *overview.Maker {
	t.Helper()
	db, err := postgres.Open(s.dbURL, 2)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	maker := overview.New(overview.Sources{
		Store: s.store, Backlog: postgres.NewBacklog(db, time.Now, logger).Read, Found: postgres.NewReconciled(db, time.Now, logger).Found,
		Queue: func(context.Context) (*overview.Queue, error) {
			return &overview.Queue{Waiting: 4, HasDeadLetterQueue: true}, nil
		},
	}, time.Now, logger)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = maker.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		db.Close()
	})
	return maker
}

// TestOverview is of all tenants, and is told again when it differs.
func TestOverview(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.uploaded(t)
	s.create(t)
	s.must(t, globex, "UploadService/CreateUpload", map[string]any{"contentType": "text/plain", "sizeBytes": 6})
	got := s.must(t, operator, "AdminService/GetOverview", map[string]any{})["overview"].(map[string]any)
	if got["madeAt"] == nil || got["countedAt"] == nil || got["countingTook"] == nil {
		t.Errorf("got %v", got)
	}
	check := func(o map[string]any, pending, uploaded string) {
		t.Helper()
		counted := map[string]string{}
		for _, m := range o["media"].([]any) {
			m := m.(map[string]any)
			counted[m["state"].(string)+" "+m["age"].(string)] = m["media"].(string)
		}
		if counted["MEDIA_STATE_PENDING AGE_HOUR"] != pending || counted["MEDIA_STATE_UPLOADED AGE_HOUR"] != uploaded {
			t.Errorf("counted %v, want %s and %s", counted, pending, uploaded)
		}
	}
	check(got, "2", "1")
	if queue := got["queue"].(map[string]any); queue["waiting"] != "4" || queue["hasDeadLetterQueue"] != true {
		t.Errorf("queue %v", queue)
	}
	if backlog := got["backlog"].([]any); len(backlog) != 4 {
		t.Errorf("backlog %v", backlog)
	}
	if funnel := got["funnel"].([]any); len(funnel) == 0 || len(funnel) > 2 {
		t.Errorf("funnel %v", funnel)
	}
	if landings := got["landings"].([]any); len(landings) != 1 || landings[0].(map[string]any)["source"] != "LANDING_SOURCE_NOTIFICATION" {
		t.Errorf("landings %v", landings)
	}
	if got["landingP50"] == nil || got["landingP99"] == nil {
		t.Error("it is not told how long landings took")
	}

	w := s.stream(t, operator, "AdminService/WatchOverview", map[string]any{})
	next := func() map[string]any {
		t.Helper()
		message, last := w.next(t)
		if last {
			t.Fatalf("it ended: %v", message)
		}
		o, _ := message["overview"].(map[string]any)
		return o
	}
	check(next(), "2", "1")
	id, _ := s.create(t)
	s.must(t, alice, "UploadService/CancelUpload", map[string]any{"mediaId": id})
	for {
		if o := next(); o != nil && len(o["media"].([]any)) == 3 {
			break
		}
	}
}
