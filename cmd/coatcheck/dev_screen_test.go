package main

import (
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestScreenDatabase: the screen tells of the database that is used, and keeps the password of one that was given.
func TestScreenDatabase(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres://postgres@/postgres?host=/tmp/x&port=5432": "psql 'postgres://postgres@/postgres?host=/tmp/x&port=5432'",
		"postgres://me:hunter2@db.example.com/shop":           "psql 'postgres://me:xxxxx@db.example.com/shop'",
		"postgres://me@db.example.com/shop?password=hunter2":  "the one that was given",
		"host=db.example.com password=hunter2":                "the one that was given",
	} {
		var out output
		config := programConfig{Logger: slog.New(slog.DiscardHandler), Database: databaseSettings{DatabaseURL: url}}
		new(devCommand).print(streams{out: &out, err: io.Discard}, config, "127.0.0.1:1", "http://127.0.0.1:2")
		if screen := out.String(); !strings.Contains(screen, want) || strings.Contains(screen, "hunter2") {
			t.Errorf("with %s: want %s in the screen:\n%s", url, want, screen)
		}
	}
}

// TestScreenBegins: the page's address comes first, and short windows are told as such.
func TestScreenBegins(t *testing.T) {
	t.Parallel()
	const note = "to build a product: --upload-window 24h --claim-window 24h"
	for window, short := range map[time.Duration]bool{time.Minute: true, 24 * time.Hour: false} {
		var out output
		config := programConfig{Logger: slog.New(slog.DiscardHandler), Windows: windowSettings{UploadWindow: 24 * time.Hour, ClaimWindow: window}}
		new(devCommand).print(streams{out: &out, err: io.Discard}, config, "127.0.0.1:1", "http://127.0.0.1:2")
		screen := out.String()
		if !strings.HasPrefix(screen, "\nOpen http://127.0.0.1:1/ to try it.\n") || strings.Contains(screen, note) != short {
			t.Errorf("with a claim window of %s the screen is:\n%s", window, screen)
		}
	}
}
