package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// oddKeys are what other tools write: not attributable, and awkward in XML, in URLs and in ordering.
func oddKeys(prefix string) []string {
	odd := []string{
		"", "00", "00/", "7f", "7f/", "7f/not-an-id", "80", "ff/zzz", "zz/deep/er/key", "README.md", "with space", "with+plus", "with%20percent",
		"ünïcödé/日本語.png", "emoji-🧥", "quote'\"<&>", "new\nline", "tab\tkey", "control-\x01", "back\\slash", "a//b", "~", "\U0010FFFD",
		"7f/01936b2e-7a40-7c3e-9d0f-1f2e3d4c5b6a",     // another shard's id
		"6a/01936B2E-7A40-7C3E-9D0F-1F2E3D4C5B6A",     // not as it is minted
		"6a/01936b2e-7a40-7c3e-9d0f-1f2e3d4c5b6a/x",   // below
		"6a/01936b2e-7a40-7c3e-9d0f-1f2e3d4c5b6a.bak", // beside
		strings.Repeat("long/", 200),
	}
	for i := range odd {
		odd[i] = prefix + odd[i]
	}
	return odd
}

// TestPlanted: everything that can be in a bucket and a table is told apart, without one error.
func TestPlanted(t *testing.T) {
	t.Parallel()
	for _, versioned := range []bool{false, true} {
		t.Run(fmt.Sprintf("versioned=%t", versioned), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{versioned: versioned})
			explained := w.confirmed(30)
			unclaimed := w.create(10)
			w.upload(unclaimed...)
			w.land(unclaimed...)
			waiting := w.create(5)
			missing := w.confirmed(4)
			unclaimedMissing := w.create(3)
			w.upload(unclaimedMissing...)
			w.land(unclaimedMissing...)
			lost := w.create(7)
			w.upload(lost...)
			wrong := w.create(2)
			for _, m := range wrong {
				w.put(m.Key, []byte("too short"))
			}
			tombstones := w.confirmed(6)
			w.discard(media.EventRelease, tombstones...)
			w.sweep()
			w.upload(tombstones[:3]...)
			deleting := w.confirmed(2)
			w.discard(media.EventRelease, deleting...)
			overwritten := w.confirmed(2)
			for _, m := range overwritten {
				w.put(m.Key, append(content(m.Key), '!'))
			}
			strays := []string{mintedKey(w), mintedKey(w), mintedKey(w)}
			for _, k := range strays {
				w.put(k, nil) // nothing is as small as a stray
			}
			for _, k := range oddKeys("media/") {
				w.put(k, []byte("odd"))
			}
			w.put("other/tool", []byte("not below the prefix"))
			w.put("mediaX", []byte("beside it"))
			gone := append(append([]*media.Media{}, missing...), unclaimedMissing...)
			for _, m := range gone {
				if versioned {
					w.removeVersions(m.Key)
				} else {
					w.remove(m.Key)
				}
			}
			w.Advance(10 * time.Minute)
			young := w.create(2)
			w.upload(young...)

			want := reconcile.Counts{
				reconcile.CountExplained: 40, reconcile.CountWaiting: 5, reconcile.CountMissing: 7, reconcile.CountLanded: 7,
				reconcile.CountRejected: 2, reconcile.CountLate: 3, reconcile.CountDeleting: 2, reconcile.CountOverwritten: 2,
				reconcile.CountStrays: 3, reconcile.CountForeign: int64(len(oddKeys(""))), reconcile.CountInFlight: 2,
			}
			if versioned {
				want[reconcile.CountNoncurrent] = 2 // of what was overwritten
			}
			before := w.held()
			dry := w.reconcile(dryRun, policy(reconcile.PolicyDelete))
			w.want(dry, want)
			if got := w.held(); len(got) != len(before) {
				t.Errorf("a dry run left %d of %d objects", len(got), len(before))
			}
			for _, m := range lost {
				if got := w.get(m); got.State != media.StatePending {
					t.Errorf("a dry run made a media %s", got.State)
				}
			}
			run := w.reconcile()
			w.want(run, want)
			if run.Outcome != reconcile.OutcomeFinished || run.Explanation != "" {
				t.Errorf("the run %s: %s", run.Outcome, run.Explanation)
			}

			kinds := w.findings(run)
			expect := func(ms []*media.Media, state media.State, kind reconcile.Kind) {
				t.Helper()
				for _, m := range ms {
					if got := w.get(m); got.State != state || kinds[m.Key] != kind {
						t.Errorf("media %s is %s with finding %q, want %s and %q", m.ID, got.State, kinds[m.Key], state, kind)
					}
				}
			}
			expect(explained, media.StateConfirmed, "")
			expect(unclaimed, media.StateUploaded, "")
			expect(waiting, media.StatePending, "")
			expect(missing, media.StateConfirmed, "")
			expect(lost, media.StateUploaded, reconcile.KindLanded)
			expect(wrong, media.StateDeleting, reconcile.KindRejected)
			expect(tombstones[:3], media.StateDeleting, reconcile.KindLate)
			expect(tombstones[3:], media.StateDeleted, "")
			expect(overwritten, media.StateConfirmed, reconcile.KindOverwritten)
			expect(young, media.StatePending, "")
			if got := w.missing(); len(got) != len(gone) {
				t.Errorf("%d are missing, want %d", len(got), len(gone))
			} else {
				for _, m := range gone {
					if !got[m.ID] {
						t.Errorf("media %s is not missing", m.ID)
					}
				}
			}
			got := w.strays()
			for _, k := range strays {
				if s, ok := got[k]; !ok || !s.Ours {
					t.Errorf("%s is no stray of ours: %+v", k, s)
				}
			}
			for _, k := range oddKeys("media/") {
				if s, ok := got[k]; !ok || s.Ours {
					t.Errorf("%q is no foreign stray: %t", k, ok)
				}
			}
			if len(got) != len(strays)+len(oddKeys("")) {
				t.Errorf("there are %d strays", len(got))
			}

			// Once more nothing is new, and what was noted stays noted.
			w.sweep() // deletes what is DELETING
			w.Advance(10 * time.Minute)
			want = reconcile.Counts{
				reconcile.CountExplained: 47, reconcile.CountWaiting: 5, reconcile.CountMissing: 7, reconcile.CountOverwritten: 2,
				reconcile.CountStrays: 3, reconcile.CountForeign: int64(len(oddKeys(""))), reconcile.CountLanded: 2,
			}
			if versioned {
				want[reconcile.CountNoncurrent] = 2
			}
			again := w.reconcile()
			w.want(again, want)
		})
	}
}
