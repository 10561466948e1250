package postgres_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/coatcheck/coatcheck/internal/media"
)

// TestVerdicts has every verdict of a landing, from every state in which it can be given, and what the row is then.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	type change = func(*media.Landing)
	var (
		asIs       change = func(*media.Landing) {}
		later      change = func(l *media.Landing) { l.Sequencer, l.ETag, l.VersionID = seq("02"), "e2", "v2" }
		laterSame  change = func(l *media.Landing) { l.Sequencer, l.VersionID = seq("02"), "v2" }
		laterWrong change = func(l *media.Landing) { l.Sequencer, l.ETag, l.SizeBytes = seq("02"), "e2", 7 }
		wrong      change = func(l *media.Landing) { l.SizeBytes = 7 }
		mismatch   change = func(l *media.Landing) { l.Mismatch = "content type" }
		head       change = func(l *media.Landing) { l.Sequencer = "" }
		headOther  change = func(l *media.Landing) { l.Sequencer, l.ETag = "", "e9" }
	)
	for _, test := range []struct {
		name    string
		state   media.State
		landing change
		want    media.Verdict
		becomes media.State
	}{
		{"pending", media.StatePending, asIs, media.VerdictLanded, media.StateUploaded},
		{"pending, told by a HEAD", media.StatePending, head, media.VerdictLanded, media.StateUploaded},
		{"pending, wrong size", media.StatePending, wrong, media.VerdictRejected, media.StateDeleting},
		{"pending, mismatch", media.StatePending, mismatch, media.VerdictRejected, media.StateDeleting},
		{"uploaded, again", media.StateUploaded, asIs, media.VerdictDuplicate, media.StateUploaded},
		{"uploaded, HEAD", media.StateUploaded, head, media.VerdictDuplicate, media.StateUploaded},
		{"uploaded, same contents", media.StateUploaded, laterSame, media.VerdictDuplicate, media.StateUploaded},
		{"uploaded, overwritten", media.StateUploaded, later, media.VerdictReplaced, media.StateUploaded},
		{"uploaded, overwritten by another size", media.StateUploaded, laterWrong, media.VerdictRejected, media.StateDeleting},
		{"uploaded, mismatch", media.StateUploaded, mismatch, media.VerdictRejected, media.StateDeleting},
		{"confirmed, again", media.StateConfirmed, asIs, media.VerdictDuplicate, media.StateConfirmed},
		{"confirmed, HEAD", media.StateConfirmed, head, media.VerdictDuplicate, media.StateConfirmed},
		{"confirmed, same contents", media.StateConfirmed, laterSame, media.VerdictDuplicate, media.StateConfirmed},
		{"confirmed, overwritten", media.StateConfirmed, later, media.VerdictConflict, media.StateConfirmed},
		{"confirmed, overwritten by another size", media.StateConfirmed, laterWrong, media.VerdictConflict, media.StateConfirmed},
		{"confirmed, HEAD sees another", media.StateConfirmed, headOther, media.VerdictConflict, media.StateConfirmed},
		{"confirmed, old event of another size", media.StateConfirmed, wrong, media.VerdictDuplicate, media.StateConfirmed},
		{"deleting", media.StateDeleting, asIs, media.VerdictDeleting, media.StateDeleting},
		{"deleting, wrong size", media.StateDeleting, wrong, media.VerdictDeleting, media.StateDeleting},
		{"deleted", media.StateDeleted, asIs, media.VerdictLate, media.StateDeleting},
		{"deleted, wrong size", media.StateDeleted, wrong, media.VerdictLate, media.StateDeleting},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := f.bring(t, test.state)
			f.Advance(time.Minute)
			counted := f.count(t, "coatcheck_landings_total", "notification", string(test.want))
			if got := f.land(t, before, media.SourceNotification, test.landing); got != test.want {
				t.Fatalf("verdict %s, want %s", got, test.want)
			}
			if n := f.count(t, "coatcheck_landings_total", "notification", string(test.want)) - counted; n != 1 {
				t.Errorf("the verdict was counted %v times", n)
			}
			after := f.get(t, before.ID)
			if after.State != test.becomes {
				t.Errorf("it is %s, want %s", after.State, test.becomes)
			}
			f.checkLanded(t, before, after, landing(before, test.landing), test.want)
		})
	}
	t.Run("unknown", func(t *testing.T) {
		if got := f.land(t, draft(), media.SourceNotification); got != media.VerdictUnknown {
			t.Errorf("verdict %s", got)
		}
	})
}

// checkLanded compares what a landing did to the columns with what its verdict promises.
func (f *fixture) checkLanded(t *testing.T, before, after *media.Media, l media.Landing, v media.Verdict) {
	t.Helper()
	now, want := f.Now(), *before
	takes := func() {
		want.ETag, want.VersionID, want.Sequencer = l.ETag, l.VersionID, max(before.Sequencer, l.Sequencer)
	}
	goes := func(r media.Reason) {
		want.State, want.Reason, want.DeletingAt, want.DeletedAt, want.DueAt = media.StateDeleting, r, now, time.Time{}, now
	}
	switch v {
	case media.VerdictLanded:
		takes()
		want.State, want.DueAt = media.StateUploaded, now.Add(windows.Claim)
	case media.VerdictReplaced:
		takes()
	case media.VerdictRejected:
		if l.Sequencer > before.Sequencer {
			takes()
		}
		goes(media.ReasonRejected)
	case media.VerdictDeleting:
		takes()
		want.DueAt, want.Attempts = now, 0
	case media.VerdictLate:
		takes()
		goes(media.ReasonLate)
	case media.VerdictConflict:
		want.OverwrittenAt, want.Sequencer = now, max(before.Sequencer, l.Sequencer)
	case media.VerdictDuplicate:
		if l.Sequencer > before.Sequencer {
			takes()
		}
		if before.State == media.StateConfirmed {
			want.VersionID = before.VersionID // what was confirmed stays the one that is served
		}
	}
	if before.LandedAt.IsZero() && v != media.VerdictUnknown {
		want.LandedAt, want.LandedBy = now, media.SourceNotification
	}
	if text(&want) != text(before) {
		want.Revision = before.Revision + 1
	}
	if text(after) != text(&want) {
		t.Errorf("it became\n%s, want\n%s", text(after), text(&want))
	}
}

// text makes media comparable: times that are the same differ as values by where they come from.
func text(m *media.Media) string { return fmt.Sprintf("%+v", *m) }

// count reads one series of a counter, by the values of its labels in the order of their names.
func (f *fixture) count(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := f.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	series:
		for _, m := range family.GetMetric() {
			if len(labels) != len(m.GetLabel()) {
				continue
			}
			for i, l := range m.GetLabel() {
				if l.GetValue() != labels[i] {
					continue series
				}
			}
			return m.GetCounter().GetValue()
		}
	}
	return 0
}

// TestLandABatch: one result for each media, in the order of ids, every verdict in one statement.
func TestLandABatch(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	pending, uploaded, confirmed := f.bring(t, media.StatePending), f.bring(t, media.StateUploaded), f.bring(t, media.StateConfirmed)
	deleting, deleted, stranger := f.bring(t, media.StateDeleting), f.bring(t, media.StateDeleted), draft()
	rejected := f.bring(t, media.StatePending)
	later := func(l *media.Landing) { l.Sequencer, l.ETag = seq("02"), "e2" }
	entered := func() [3]float64 {
		const name = "coatcheck_media_entered_total"
		return [3]float64{f.count(t, name, "", "uploaded"), f.count(t, name, "rejected", "deleting"), f.count(t, name, "late", "deleting")}
	}
	before := entered()
	at := time.Date(2026, 3, 1, 11, 59, 0, 0, time.UTC)
	got, err := f.Land(t.Context(), media.SourceNotification, []media.Landing{
		landing(stranger), landing(deleted), landing(confirmed, later), landing(uploaded, later), landing(deleting),
		landing(rejected, func(l *media.Landing) { l.SizeBytes = 99 }),
		landing(pending, func(l *media.Landing) { l.EventTime = at }), landing(pending),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []media.Landed{
		{MediaID: pending.ID, Verdict: media.VerdictLanded, EventTime: at},
		{MediaID: uploaded.ID, Verdict: media.VerdictReplaced},
		{MediaID: confirmed.ID, Verdict: media.VerdictConflict},
		{MediaID: deleting.ID, Verdict: media.VerdictDeleting},
		{MediaID: deleted.ID, Verdict: media.VerdictLate},
		{MediaID: stranger.ID, Verdict: media.VerdictUnknown},
		{MediaID: rejected.ID, Verdict: media.VerdictRejected},
	}
	if !reflect.DeepEqual(got, want) { // UUIDv7s made one after another are in order
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	after := entered()
	for i, state := range []string{"uploaded", "rejected", "late"} {
		if n := after[i] - before[i]; n != 1 {
			t.Errorf("%v media were counted as %s", n, state)
		}
	}
	if got, err := f.Land(t.Context(), media.SourceNotification, nil); err != nil || got != nil {
		t.Errorf("nothing landed: %v, %v", got, err)
	}
	problems, err := testutil.GatherAndLint(f.reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}

// TestLandInPart: when what has to be judged cannot be recorded, what landed on PENDING has landed, is counted once, and is
// a duplicate when all of it is tried again.
func TestLandInPart(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	pending, uploaded := f.create(t), f.bring(t, media.StateUploaded)
	batch := []media.Landing{landing(pending), landing(uploaded, func(l *media.Landing) { l.Sequencer, l.ETag = "2", "e2" })}
	counted := f.count(t, "coatcheck_landings_total", "notification", "landed")
	for range 2 {
		// Those that were recorded are told, and no other.
		if got, err := f.Land(t.Context(), media.SourceNotification, batch); err == nil || len(got) > 1 || len(got) == 1 && got[0].MediaID != pending.ID {
			t.Fatalf("a sequencer of one digit was recorded: %v", got)
		}
	}
	if a, b := f.get(t, pending.ID), f.get(t, uploaded.ID); a.State != media.StateUploaded || b.ETag != "e1" {
		t.Errorf("they are %s and %+v", a.State, b)
	}
	if n := f.count(t, "coatcheck_landings_total", "notification", "landed") - counted; n != 1 {
		t.Errorf("the landing was counted %v times", n)
	}
	batch[1].Sequencer = seq("02")
	got, err := f.Land(t.Context(), media.SourceNotification, batch)
	if err != nil || got[0].Verdict != media.VerdictDuplicate || got[1].Verdict != media.VerdictReplaced {
		t.Errorf("tried again: %+v, %v", got, err)
	}
}

// TestLandWithoutSource: what has no source is not recorded, and what has no id is nobody's.
func TestLandWithoutSource(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	m := f.create(t)
	if _, err := f.Land(t.Context(), "", []media.Landing{landing(m)}); err == nil {
		t.Error("a landing whose source is not known was recorded")
	}
	if got := f.get(t, m.ID); got.State != media.StatePending {
		t.Errorf("it is %s", got.State)
	}
	if got := f.land(t, &media.Media{ID: uuid.UUID{}, SizeBytes: 1}, media.SourceNotification); got != media.VerdictUnknown {
		t.Errorf("verdict %s", got)
	}
}
