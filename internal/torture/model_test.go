package torture

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestModel runs random histories of uploads, claims, sweeps and faults on the real Postgres and an S3 that tells the
// order of its events, for its share of the time, and judges after each step and at the end of each history. It is not
// parallel: it is to have the time to itself.
//
// A failure is shrunk to few steps. It does not shrink, or not as far, when it needs things that are done at once to
// meet: those steps are named "at once".
//
// -rapid.seed, as a failure tells it, repeats one round.
func TestModel(t *testing.T) {
	w := newWorld(t, worldConfig{})
	if err := installAudit(t.Context(), w.db); err != nil {
		t.Fatal(err)
	}
	modelRounds(t, share(3)*6/10, func(r *rapid.T, failed func([]string)) { modelHistory(r, w, failed) })
}

// modelRounds checks a property again and again until the time is over, each round with a seed of its own.
func modelRounds(t *testing.T, limit time.Duration, property func(r *rapid.T, failed func(log []string))) {
	var first []string
	failed := func(log []string) {
		if first == nil {
			first = log
		}
	}
	given := flag.Lookup("rapid.seed").Value.String()
	set := func(name, value string) {
		was := flag.Lookup("rapid." + name).Value.String()
		t.Cleanup(func() { _ = flag.Set("rapid."+name, was) })
		if err := flag.Set("rapid."+name, value); err != nil {
			t.Fatal(err)
		}
	}
	set("checks", "20")
	set("steps", "25")
	set("nofailfile", "true") // the seed is enough
	set("shrinktime", "20s")
	began := time.Now()
	for round := uint64(0); ; round++ {
		if given == "0" {
			set("seed", fmt.Sprint(*seed*1_000_000+round+1))
		}
		if !t.Run(fmt.Sprint("round ", round), rapid.MakeCheck(func(r *rapid.T) { property(r, failed) })) {
			total.add("violations", 1)
			t.Logf("the first failure, before it was shrunk:\n%s", strings.Join(first, "\n"))
			return
		}
		if given != "0" || time.Since(began) >= limit {
			return
		}
	}
}

func modelHistory(t *rapid.T, w *world, failed func(log []string)) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h, err := newHistory(ctx, w, rapid.Bool().Draw(t, "versioned"))
	if err != nil {
		t.Fatal(err)
	}
	h.failed = failed
	defer func() {
		if err := h.end(); err != nil {
			t.Error(err)
		}
	}()
	t.Repeat(h.actions())
	h.close(t)
	total.add("histories", 1)
	for kind, n := range h.counts {
		total.add(kind, n)
	}
}
