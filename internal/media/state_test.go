package media_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/migrations"
)

// TestTransitionsAreWhole: the table speaks of known states, events and reasons only, says one thing about each pair,
// uses every one of them, and leads from PENDING to every state and from every state out of the world.
func TestTransitionsAreWhole(t *testing.T) {
	t.Parallel()
	type pair struct {
		from  media.State
		event media.Event
	}
	seen := map[pair]bool{}
	events, reasons := map[media.Event]bool{}, map[media.Reason]bool{}
	for _, tr := range media.Transitions {
		if !slices.Contains(media.States, tr.From) || !slices.Contains(media.States, tr.To) || !slices.Contains(media.Events, tr.Event) {
			t.Errorf("%v names what is not listed", tr)
		}
		if p := (pair{tr.From, tr.Event}); seen[p] {
			t.Errorf("%s in %s is there twice", tr.Event, tr.From)
		} else {
			seen[p] = true
		}
		if tr.From == tr.To {
			t.Errorf("%v leads nowhere", tr)
		}
		// The reason is set on the way into DELETING and kept from there on.
		if (tr.Reason != "") != (tr.To == media.StateDeleting) {
			t.Errorf("%v: reason %q on the way to %s", tr, tr.Reason, tr.To)
		}
		events[tr.Event] = true
		if tr.Reason != "" {
			reasons[tr.Reason] = true
		}
	}
	if len(events) != len(media.Events) {
		t.Errorf("the table has %d events of %d", len(events), len(media.Events))
	}
	for r := range reasons {
		if !slices.Contains(media.Reasons, r) {
			t.Errorf("reason %q is not listed", r)
		}
	}
	if len(reasons) != len(media.Reasons) {
		t.Errorf("the table has %d reasons of %d", len(reasons), len(media.Reasons))
	}
	for _, from := range media.States {
		for _, to := range media.States {
			if from == media.StatePending || to == media.StateDeleted {
				if !reachable(from)[to] {
					t.Errorf("%s is not to be reached from %s", to, from)
				}
			}
			if to.Live() && !from.Live() && reachable(from)[to] {
				t.Errorf("%s comes back to life as %s", from, to)
			}
		}
	}
}

func reachable(from media.State) map[media.State]bool {
	reached := map[media.State]bool{from: true}
	for range media.States {
		for _, tr := range media.Transitions {
			if reached[tr.From] {
				reached[tr.To] = true
			}
		}
	}
	return reached
}

// TestConfirmedLeavesOnlyByTheProduct is R1 as the table has it.
func TestConfirmedLeavesOnlyByTheProduct(t *testing.T) {
	t.Parallel()
	for _, e := range media.Events {
		_, ok := media.Next(media.StateConfirmed, e)
		if want := e == media.EventRelease || e == media.EventDelete; ok != want {
			t.Errorf("%s moves a CONFIRMED media: %t, want %t", e, ok, want)
		}
	}
}

func TestFromAndNextAgree(t *testing.T) {
	t.Parallel()
	for _, s := range append(slices.Clone(media.States), "", "lost") {
		for _, e := range append(slices.Clone(media.Events), "", "explode") {
			tr, ok := media.Next(s, e)
			if ok != slices.Contains(media.From(e), s) {
				t.Errorf("%s in %s: Next says %t, From says %v", e, s, ok, media.From(e))
			}
			if ok && (tr.From != s || tr.Event != e) || !ok && tr != (media.Transition{}) {
				t.Errorf("%s in %s: got %v", e, s, tr)
			}
		}
	}
}

// TestSchemaKnowsTheSameWords compares the CHECK constraints with the domain's lists.
func TestSchemaKnowsTheSameWords(t *testing.T) {
	t.Parallel()
	text, err := migrations.FS.ReadFile("00001_media.sql")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, string(text), "state", media.States)
	compare(t, string(text), "reason", media.Reasons)
	compare(t, string(text), "landed_by", media.Sources)
}

func compare[T ~string](t *testing.T, sql, column string, words []T) {
	t.Helper()
	found := regexp.MustCompile(`(?m)^\s+` + column + `\s+text\b.* CHECK \(` + column + ` IN \(([^)]*)\)\)`).FindStringSubmatch(sql)
	if found == nil {
		t.Errorf("column %s has no CHECK", column)
		return
	}
	var want []string
	for _, w := range words {
		want = append(want, "'"+string(w)+"'")
	}
	got := strings.Split(found[1], ", ")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("column %s may be %v, the domain knows %v", column, got, want)
	}
}
