package main

import (
	"io"
	"log/slog"
	"strings"
	"testing"
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
