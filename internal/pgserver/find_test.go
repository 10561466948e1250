package pgserver

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

// TestStoppedWhileLooking: whoever presses Ctrl-C is not told that something is being downloaded.
func TestStoppedWhileLooking(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cfg := must(Config{Dir: filepath.Join(own(t), "pg"), Progress: func(format string, args ...any) {
		t.Errorf("told: "+format, args...)
	}}.withDefaults())
	f := &folder{dir: cfg.Dir}
	if _, err := chooseBinaries(ctx, cfg, f, self()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}
