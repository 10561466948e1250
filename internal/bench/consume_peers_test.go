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

// TestCompared: the fastest of each kind is told, and what was not run is not.
func TestCompared(t *testing.T) {
	t.Parallel()
	ran := func(name string, rate, loops int, naive bool) peer {
		return peer{name: name, loops: loops, naive: naive, runs: []usage{{count: rate, took: time.Second}}}
	}
	all := []peer{{name: "not run"}, ran("one by one", 1, 0, true), ran("4 loops", 7, 4, false), ran("16 loops", 9, 16, false), ran("slow", 2, 0, false), ran("a library", 3, 0, false)}
	var got []string
	for _, p := range compared(all) {
		got = append(got, p.name)
	}
	if want := []string{"a library", "16 loops", "one by one"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := compared(all[:1]); got != nil {
		t.Errorf("of nothing the best are %v", got)
	}
}
