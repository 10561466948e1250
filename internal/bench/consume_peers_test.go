package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSkippedBy: peers that were not run are told, those with the same reason in one line.
func TestSkippedBy(t *testing.T) {
	t.Parallel()
	got := skippedBy([]peer{{name: "a", skipped: "no node"}, {name: "b"}, {name: "c", skipped: "no go"}, {name: "d", skipped: "no node"}})
	if want := []string{"skipped: a; d: no node", "skipped: c: no go"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	dir := t.TempDir()
	if err := needed(dir, "go.mod", "go"); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("an empty folder has what is needed: %v", err)
	}
	if err := needed(".", "growth.go", "no-such-program"); err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("a program is there that is not: %v", err)
	}
}

func TestSaid(t *testing.T) {
	t.Parallel()
	const npm = "npm error code EUSAGE\nnpm error\nnpm error There is no lock file.\n\nnpm error One.\nnpm error Two.\n"
	if got, want := said(npm), "npm error code EUSAGE | npm error There is no lock file. | npm error One."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestCompared: the best is the best of all, whoever wrote it, and the loop that most write is told beside it.
func TestCompared(t *testing.T) {
	t.Parallel()
	ran := func(name string, rate int, naive bool) peer {
		return peer{name: name, naive: naive, runs: []usage{{count: rate, took: time.Second}}}
	}
	best, naive := compared([]peer{{name: "not run"}, ran("one by one", 1, true), ran("in batches", 9, false), ran("a library", 3, false)})
	if best == nil || best.name != "in batches" || naive == nil || naive.name != "one by one" {
		t.Errorf("the best is %v and the naive one %v", best, naive)
	}
	if best, naive := compared([]peer{{name: "not run"}}); best != nil || naive != nil {
		t.Errorf("of nothing the best is %v and the naive one %v", best, naive)
	}
}
