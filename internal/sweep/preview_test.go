package sweep_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

// TestPreview: a dry run tells of each media what the next pass then does, and changes nothing itself.
func TestPreview(t *testing.T) {
	t.Parallel()
	for _, batchSize := range []int{2, 1000} {
		w := newWorld(t)
		old := w.create(t, 1)[0]
		w.discard(t, old)
		w.pass(t, sweep.Result{Deleted: 1})
		w.Advance(windows.Tombstone)
		ms := w.create(t, 9)
		never, never2, lost, wrong, unclaimed, unclaimed2, cancelled, stuck, confirmed :=
			ms[0], ms[1], ms[2], ms[3], ms[4], ms[5], ms[6], ms[7], ms[8]
		w.put(t, lost, unclaimed, unclaimed2, confirmed, stuck)
		if err := w.tryPut(t.Context(), wrong, append(bytes.Clone(content), '!')); err != nil {
			t.Fatal(err)
		}
		w.land(t, "01", unclaimed, unclaimed2, confirmed)
		w.confirm(t, confirmed)
		w.discard(t, stuck)
		w.emu.Faults().FailKeys(stuck.Key, 1, "AccessDenied")
		if _, err := w.sweeper(t).RunOnce(t.Context()); err == nil {
			t.Fatal("nothing failed")
		}
		w.Advance(windows.Claim)
		w.discard(t, cancelled)
		young := w.create(t, 1)[0]

		all := append(ms, old, young)
		var before, after []*media.Media
		for _, m := range all {
			before = append(before, w.get(t, m))
		}
		objectsBefore := w.there(t)
		s := w.sweeper(t, func(p *parts) { p.BatchSize = batchSize })
		got := map[string]string{}
		preview, err := s.Preview(t.Context(), func(a sweep.Action) error {
			if _, twice := got[a.Media.Key]; twice {
				t.Errorf("told twice: %+v", a)
			}
			got[a.Media.Key] = string(a.Verb) + ": " + a.Why
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			after = append(after, w.get(t, m))
		}
		if !reflect.DeepEqual(before, after) || !reflect.DeepEqual(objectsBefore, w.there(t)) {
			t.Error("the dry run has changed something")
		}
		want := map[*media.Media]string{
			never:      "delete: never uploaded: its upload window ended 1h0m0s ago, and S3 does not have it",
			never2:     "delete: never uploaded: its upload window ended 1h0m0s ago, and S3 does not have it",
			lost:       "land: its upload window ended 1h0m0s ago, but S3 has it: its notification was lost or is late",
			wrong:      "delete: rejected: its upload window ended 1h0m0s ago, and what S3 has is not what was declared: size is 21, declared was 20",
			unclaimed:  "delete: unclaimed: nothing had confirmed it when its claim window ended 0s ago",
			unclaimed2: "delete: unclaimed: nothing had confirmed it when its claim window ended 0s ago",
			cancelled:  "delete: cancelled: became DELETING 0s ago",
			stuck:      "delete: cancelled: became DELETING 2h0m0s ago, and attempt 1 failed: deleting " + stuck.Key + ": api error AccessDenied: ",
			old:        "forget: deleted 26h0m0s ago, and no upload can still arrive",
		}
		for m, want := range want {
			if !strings.HasPrefix(got[m.Key], want) {
				t.Errorf("told %q, want %q", got[m.Key], want)
			}
		}
		if len(got) != len(want) {
			t.Errorf("told of %d media: %v", len(got), got)
		}
		w.pass(t, preview, func(p *parts) { p.BatchSize = batchSize })
		w.is(t, confirmed, media.StateConfirmed, "", true)
	}
}

// TestPreviewWhenS3IsDown tells what is not known, and stops when its caller wants it to.
func TestPreviewWhenS3IsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(t, 2)
	w.Advance(windows.Upload)
	w.emu.Faults().Fail(awsemu.Match{}, awsemu.Forever, 503, "SlowDown")
	told := 0
	r, err := w.sweeper(t).Preview(t.Context(), func(a sweep.Action) error {
		told++
		if a.Verb != sweep.VerbSkip || !strings.Contains(a.Why, "SlowDown") && !strings.Contains(a.Why, "503") {
			t.Errorf("told %s: %s", a.Verb, a.Why)
		}
		return nil
	})
	if err != nil || told != 2 || r != (sweep.Result{HeadErrors: 2}) {
		t.Errorf("told of %d: %+v, %v", told, r, err)
	}
	enough := errors.New("enough")
	if _, err := w.sweeper(t).Preview(t.Context(), func(sweep.Action) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("the error is %v", err)
	}
}
