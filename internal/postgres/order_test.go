package postgres_test

import (
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/coatcheck/coatcheck/internal/media"
)

// permutations yields every order of what it is given.
func permutations[T any](items []T) iter.Seq[[]T] {
	return func(yield func([]T) bool) { permute(slices.Clone(items), 0, yield) }
}

func permute[T any](p []T, from int, yield func([]T) bool) bool {
	if from == len(p) {
		return yield(slices.Clone(p))
	}
	for i := from; i < len(p); i++ {
		p[from], p[i] = p[i], p[from]
		if !permute(p, from+1, yield) {
			return false
		}
		p[from], p[i] = p[i], p[from]
	}
	return true
}

// splits yields every way to cut a sequence into batches.
func splits[T any](items []T) iter.Seq[[][]T] {
	return func(yield func([][]T) bool) {
		for cuts := range 1 << (len(items) - 1) {
			batches := [][]T{nil}
			for i, item := range items {
				last := len(batches) - 1
				batches[last] = append(batches[last], item)
				if cuts&(1<<i) != 0 && i < len(items)-1 {
					batches = append(batches, nil)
				}
			}
			if !yield(batches) {
				return
			}
		}
	}
}

// event is a notification of one PUT. The number is its place in the history of the key.
type event struct {
	n    int
	etag string
	size int64
}

func (e event) landing(m *media.Media) media.Landing {
	return media.Landing{
		MediaID: m.ID, SizeBytes: e.size, ETag: e.etag, VersionID: fmt.Sprint("v", e.n), Sequencer: seq(fmt.Sprintf("%x", 14+e.n)),
	}
}

// TestOrderOfEventsDoesNotMatter is R5: however often, in whatever order and in whatever batches the notifications of
// one key come, the row ends as the same, and it is the last PUT that it speaks of.
func TestOrderOfEventsDoesNotMatter(t *testing.T) {
	t.Parallel()
	const declared = 100
	var (
		first   = event{1, "e1", declared}
		second  = event{2, "e2", declared}
		third   = event{3, "e3", declared}
		again   = event{2, "e1", declared} // another PUT of the same contents
		wrong   = event{2, "w2", 7}
		wrong1  = event{1, "w1", 7}
		wrong3  = event{3, "w3", 70}
		noETag1 = event{1, "", declared}
		noETag2 = event{2, "", declared}
	)
	for _, test := range []struct {
		name   string
		from   media.State
		events []event
		want   media.State
		last   event // what the row speaks of in the end
	}{
		{"doubles", media.StatePending, []event{first, first, first}, media.StateUploaded, first},
		{"overwritten", media.StatePending, []event{first, first, second, third}, media.StateUploaded, third},
		{"overwritten by the same", media.StatePending, []event{first, again, first, again}, media.StateUploaded, again},
		{"of another size", media.StatePending, []event{wrong1, wrong1}, media.StateDeleting, wrong1},
		{"right after wrong", media.StatePending, []event{wrong1, second, third}, media.StateDeleting, third},
		{"wrong after right", media.StatePending, []event{first, wrong, wrong}, media.StateDeleting, wrong},
		{"wrong between right", media.StatePending, []event{first, wrong, third, first}, media.StateDeleting, third},
		{"wrong and wrong", media.StatePending, []event{wrong1, wrong3, wrong}, media.StateDeleting, wrong3},
		{"without entity tags", media.StatePending, []event{noETag1, noETag2, noETag1}, media.StateUploaded, noETag2},
		{"on the way out", media.StateDeleting, []event{first, second, first}, media.StateDeleting, second},
		{"on the way out, wrong", media.StateDeleting, []event{wrong1, second, wrong1}, media.StateDeleting, second},
		{"late", media.StateDeleted, []event{first, second, second}, media.StateDeleting, second},
		{"late and wrong", media.StateDeleted, []event{first, wrong, third}, media.StateDeleting, third},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newStore(t)
			tried := 0
			for order := range permutations(test.events) {
				for batches := range splits(order) {
					m := f.bring(t, test.from)
					for _, batch := range batches {
						var landings []media.Landing
						for _, e := range batch {
							landings = append(landings, e.landing(m))
						}
						if _, err := f.Land(t.Context(), media.SourceNotification, landings); err != nil {
							t.Fatal(err)
						}
					}
					got, last := f.get(t, m.ID), test.last.landing(m)
					if got.State != test.want || got.ETag != last.ETag || got.Sequencer != last.Sequencer || got.VersionID != last.VersionID {
						t.Fatalf("%v: it ends %s, %q, %q, sequencer %.40s; want %s, %q, %q, %s",
							batches, got.State, got.ETag, got.VersionID, got.Sequencer, test.want, last.ETag, last.VersionID, last.Sequencer)
					}
					tried++
				}
			}
			t.Logf("%d histories", tried)
		})
	}
}

// TestOrderOfEventsDoesNotMatterOnceConfirmed: what is confirmed stays what it was, and that it was overwritten is noted
// once (R1, R3).
func TestOrderOfEventsDoesNotMatterOnceConfirmed(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	for order := range permutations([]event{{1, "e1", 100}, {2, "e2", 100}, {3, "w3", 7}, {2, "e2", 100}}) {
		for batches := range splits(order) {
			m := f.create(t)
			f.land(t, m, media.SourceNotification, func(l *media.Landing) { *l = event{1, "e1", 100}.landing(m) })
			if _, err := f.Confirm(t.Context(), alice, []media.Claim{{MediaID: m.ID, Claim: "post/1"}}); err != nil {
				t.Fatal(err)
			}
			for _, batch := range batches {
				var landings []media.Landing
				for _, e := range batch {
					landings = append(landings, e.landing(m))
				}
				if _, err := f.Land(t.Context(), media.SourceNotification, landings); err != nil {
					t.Fatal(err)
				}
			}
			after := f.get(t, m.ID)
			if after.State != media.StateConfirmed || after.ETag != "e1" || after.VersionID != "v1" ||
				after.Sequencer != (event{n: 3}).landing(m).Sequencer || !after.OverwrittenAt.Equal(f.Now()) {
				t.Fatalf("%v: it became %+v", batches, after)
			}
			// The same events once more are nothing new.
			again, err := f.Land(t.Context(), media.SourceNotification, []media.Landing{event{3, "w3", 7}.landing(m)})
			if err != nil || again[0].Verdict != media.VerdictDuplicate {
				t.Fatalf("the last event once more: %v, %v", again, err)
			}
		}
	}
}

// TestHeadAndEventsMeet: a HEAD that saw the last PUT changes nothing about what the notifications come to. A HEAD
// knows no sequencer.
func TestHeadAndEventsMeet(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	events := []event{{1, "e1", 100}, {2, "e2", 100}, {2, "e2", 100}, {0, "e2", 100}} // the last one is the HEAD
	for order := range permutations(events) {
		m := f.create(t)
		for _, e := range order {
			source, l := media.SourceNotification, e.landing(m)
			if e.n == 0 {
				source, l.Sequencer, l.VersionID = media.SourceConfirm, "", "v2"
			}
			if _, err := f.Land(t.Context(), source, []media.Landing{l}); err != nil {
				t.Fatal(err)
			}
		}
		got, last := f.get(t, m.ID), events[1].landing(m)
		if got.State != media.StateUploaded || got.ETag != last.ETag || got.Sequencer != last.Sequencer || got.VersionID != last.VersionID {
			t.Fatalf("%v: it ends %s, %q, %q, sequencer %s", order, got.State, got.ETag, got.VersionID, got.Sequencer)
		}
	}
}
