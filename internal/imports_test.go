// Package internal_test keeps the picture of who imports whom true.
package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/coatcheck/coatcheck/"

// allowed says what of ours each package may import, in its own code. A package that is not listed fails the test: it
// has to find its place in the picture.
var allowed = map[string][]string{
	"internal/media":       {},
	"internal/plainjson":   {},
	"internal/s3event":     {"internal/plainjson"},
	"internal/backoff":     {},
	"internal/schedule":    {},
	"internal/awsclient":   {},
	"internal/auth":        {"internal/media"},
	"internal/claim":       {"internal/media"},
	"internal/sweep":       {"internal/media", "internal/backoff", "internal/schedule"},
	"internal/consumer":    {"internal/media", "internal/s3event", "internal/backoff"},
	"internal/watch":       {"internal/media", "internal/backoff"},
	"internal/overview":    {"internal/media", "internal/reconcile", "internal/sweep"},
	"internal/rpc":         {"internal/media", "internal/auth", "internal/reconcile", "internal/sweep", "internal/watch", "internal/overview", "proto/coatcheck/v1", "proto/coatcheck/v1/coatcheckv1connect"},
	"internal/upload":      {"internal/auth", "proto/coatcheck/v1", "proto/coatcheck/v1/coatcheckv1connect"},
	"internal/reconcile":   {"internal/media", "internal/backoff", "internal/schedule"},
	"internal/postgres":    {"internal/media", "internal/reconcile", "internal/sweep", "internal/watch", "internal/overview", "migrations"},
	"internal/objectstore": {"internal/media", "internal/reconcile"},
	"internal/inventory":   {},
	"internal/queue":       {"internal/consumer", "internal/backoff", "internal/plainjson"},
	"internal/pgserver":    {},
	"internal/pgtest":      {"internal/pgserver", "internal/postgres", "migrations"},
	"internal/torture":     {},
	"internal/mutants":     {},
	"migrations":           {},
	"web":                  {},
	"e2e":                  {},
	"examples/outbox":      {"proto/coatcheck/v1"},

	"proto/coatcheck/v1":                    {},
	"proto/coatcheck/v1/coatcheckv1connect": {"proto/coatcheck/v1"},
}

// TestImports: the domain imports nothing of ours, the actors import the domain, the adapters implement what the actors
// ask for, and only cmd knows all. No product package imports the emulator.
func TestImports(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"...")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		// Benchmarks run all there is, as cmd does, and nobody imports them.
		if strings.HasPrefix(name, "cmd/") || name == "internal" || strings.HasPrefix(name, "internal/bench") {
			continue
		}
		may, known := allowed[name]
		inEmulator := strings.HasPrefix(name, "internal/awsemu")
		if !known && !inEmulator {
			t.Errorf("%s has no place in the picture of imports yet: decide what it may import", name)
		}
		for _, imported := range p.Imports {
			ours, ok := strings.CutPrefix(imported, module)
			if ok && !slices.Contains(may, ours) && !(inEmulator && strings.HasPrefix(ours, "internal/awsemu")) {
				t.Errorf("%s imports %s: against the picture", name, ours)
			}
		}
	}
}
