package rpc_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/rpc"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

func (s *service) sweeper(t testing.TB) *sweep.Sweeper {
	t.Helper()
	sweeper, err := sweep.New(s.store, s.objects, sweep.DefaultConfig(), time.Now, slog.New(slog.DiscardHandler), sweep.NewMetrics(prometheus.NewRegistry()))
	if err != nil {
		t.Fatal(err)
	}
	return sweeper
}

// TestRunSweep, dry and not; what it did is in the list and in the overview.
func TestRunSweep(t *testing.T) {
	t.Parallel()
	s := newService(t)
	id := s.uploaded(t)
	s.must(t, alice, "UploadService/CancelUpload", map[string]any{"mediaId": id})
	dry := s.must(t, operator, "AdminService/RunSweep", map[string]any{"dryRun": true})["sweep"].(map[string]any)
	if dry["deleted"] != "1" || dry["deletedBytes"] != "5" || dry["dryRun"] != true {
		t.Errorf("a dry run says %v", dry)
	}
	if got := s.state(t, id); got != "MEDIA_STATE_DELETING" {
		t.Errorf("after a dry run it is %s", got)
	}
	if listed := s.must(t, operator, "AdminService/ListSweeps", map[string]any{}); listed["sweeps"] != nil {
		t.Errorf("after a dry run there is %v", listed)
	}
	ran := s.must(t, operator, "AdminService/RunSweep", map[string]any{})["sweep"].(map[string]any)
	if ran["deleted"] != "1" || ran["deletedBytes"] != "5" || ran["askedFor"] != true || ran["dryRun"] != nil || ran["startedAt"] == nil || ran["finishedAt"] == nil {
		t.Errorf("a pass says %v", ran)
	}
	if got := s.state(t, id); got != "MEDIA_STATE_DELETED" {
		t.Errorf("after a pass it is %s", got)
	}
	listed, _ := s.must(t, operator, "AdminService/ListSweeps", map[string]any{"limit": 1})["sweeps"].([]any)
	if len(listed) != 1 || listed[0].(map[string]any)["deleted"] != "1" {
		t.Errorf("the list is %v", listed)
	}
	overview := s.must(t, operator, "AdminService/GetOverview", map[string]any{})["overview"].(map[string]any)
	if last, _ := overview["lastSweep"].(map[string]any); last["deleted"] != "1" || overview["sweptAt"] == nil {
		t.Errorf("the overview says %v, at %v", last, overview["sweptAt"])
	}
}

// TestRunSweepWithoutTheRole: whoever may not delete says so, and can tell what would be done.
func TestRunSweepWithoutTheRole(t *testing.T) {
	t.Parallel()
	s := newService(t, func(c *rpc.Config) { c.MaySweep = false })
	got := s.call(t, operator, "AdminService/RunSweep", map[string]any{})
	if got.code != "failed_precondition" || len(got.infos) != 1 || got.infos[0]["reason"] != "ERROR_REASON_NOT_SET_UP" {
		t.Errorf("got %s %s %v", got.code, got.message, got.infos)
	}
	s.must(t, operator, "AdminService/RunSweep", map[string]any{"dryRun": true})
}
