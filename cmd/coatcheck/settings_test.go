package main

import (
	"fmt"
	"io/fs"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/migrations"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// TestRefusedSettings: each contradiction is refused at start, with a sentence that names the settings.
func TestRefusedSettings(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	token := "name tenant sha256:" + strings.Repeat("ab", 32)
	base := []string{
		"serve", "--listen", "127.0.0.1:0", "--database-url", pgtest.New(t), "--bucket", "b", "--aws-region", "eu-west-1",
		"--aws-endpoint", "http://127.0.0.1:1", "--queue-url", "http://127.0.0.1:1/000000000000/q", "--tokens", token,
	}
	cases := []struct {
		args []string
		says []string
	}{
		{[]string{"--url-ttl", "2h", "--upload-window", "1h"}, []string{"--url-ttl (2h0m0s)", "--upload-window (1h0m0s)"}},
		{[]string{"--url-ttl", "2h", "--tombstone-window", "1h"}, []string{"--url-ttl (2h0m0s)", "--tombstone-window (1h0m0s)"}},
		{[]string{"--url-ttl", "1500ms"}, []string{"--url-ttl is 1.5s", "whole seconds"}},
		{[]string{"--url-ttl", "169h", "--upload-window", "200h", "--tombstone-window", "200h"}, []string{"--url-ttl is 169h"}},
		{[]string{"--claim-window", "0s"}, []string{"--claim-window is 0s"}},
		{[]string{"--download-ttl", "0s"}, []string{"--download-ttl is 0s"}},
		{[]string{"--max-size", "0"}, []string{"--max-size is 0"}},
		{[]string{"--max-size", "5368709121"}, []string{"--max-size is 5368709121"}},
		{[]string{"--content-types", "jpeg"}, []string{"--content-types", `"jpeg"`}},
		{[]string{"--key-prefix", "no-slash"}, []string{"--key-prefix", `"no-slash"`, `end with "/"`}},
		{[]string{"--roles", "api,cook"}, []string{"--roles", `"cook"`}},
		{[]string{"--sweep-interval", "1m", "--sweep-cron", "* * * * *"}, []string{"--sweep-interval and --sweep-cron"}},
		{[]string{"--sweep-cron", "often"}, []string{`"often"`}},
		{[]string{"--queue-url", ""}, []string{"--queue-url (COATCHECK_QUEUE_URL)"}},
		{[]string{"--tokens", ""}, []string{"COATCHECK_TOKENS", "coatcheck token"}},
		{[]string{"--tokens", "name tenant coat_secret"}, []string{"tokens, line 1", "the token's hash"}},
		{[]string{"--tokens-file", "/nowhere"}, []string{"--tokens and --tokens-file"}},
		{[]string{"--wait-time", "30s"}, []string{"wait time is 30s"}},
		{[]string{"--visibility-timeout", "0s"}, []string{"visibility timeout is 0s"}},
		{[]string{"--stray-grace", "1m"}, []string{"--stray-grace (1m0s)", "--url-ttl (5m0s)"}},
		{[]string{"--stray-policy", "shred"}, []string{"--stray-policy", "shred"}},
		{[]string{"--max-stray-share", "5"}, []string{"largest share of strays is 5"}},
		{[]string{"--quarantine-prefix", "media/q/"}, []string{"quarantine prefix", `"media/q/"`, `"media/"`}},
		{[]string{"--quarantine-prefix", "", "--stray-policy", "quarantine"}, []string{"quarantine prefix is empty"}},
		{[]string{"--reconcile-interval", "1h", "--reconcile-cron", "@daily"}, []string{"--reconcile-interval and --reconcile-cron"}},
		{[]string{"--reconcile-concurrency", "0"}, []string{"reconcile concurrency is 0"}},
		{[]string{"--database-url", "mysql://u:hunter2@h/d"}, []string{"database URL"}},
	}
	for _, c := range cases {
		var out, log output
		status := run(t.Context(), slices.Concat(base, c.args), &out, &log)
		if status == 0 {
			t.Errorf("serve %v was not refused", c.args)
		}
		for _, says := range c.says {
			if !strings.Contains(log.String(), says) {
				t.Errorf("serve %v says %q, want %q in it", c.args, &log, says)
			}
		}
		if strings.Contains(log.String(), "hunter2") || strings.Contains(log.String(), "coat_secret") {
			t.Errorf("serve %v tells a secret: %s", c.args, &log)
		}
	}
}

// TestAnotherBucket: a database is bound to the bucket that it was first used with, once that has answered (R8).
func TestAnotherBucket(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", devKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", devSecret)
	emulator, err := awsemu.New(awsemu.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(emulator)
	t.Cleanup(func() {
		server.Close()
		emulator.Close()
	})
	cfg, err := awsclient.Load(t.Context(), awsclient.Config{Region: devRegion, Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := createDevResources(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	url := pgtest.New(t)
	sweep := func(status int, says string, args ...string) {
		t.Helper()
		var out, log output
		got := run(t.Context(), append([]string{"sweep", "--database-url", url, "--aws-region", devRegion, "--aws-endpoint", server.URL}, args...), &out, &log)
		if got != status || !strings.Contains(out.String()+log.String(), says) {
			t.Errorf("sweep %v: status %d, want %d; it says %q, want %q in it", args, got, status, out.String()+log.String(), says)
		}
	}
	// A typing error, and a dry run, bind nothing.
	sweep(1, `bound to bucket "typo", which has to answer first`, "--bucket", "typo")
	sweep(0, "nothing was due", "--bucket", "typo", "--dry-run")
	sweep(0, "nothing was due", "--bucket", devBucket)
	belongs := fmt.Sprintf("belongs to bucket %q", devBucket)
	sweep(1, belongs, "--bucket", "two")
	sweep(1, belongs, "--bucket", "two", "--dry-run")
	sweep(1, belongs, "--bucket", devBucket, "--key-prefix", "other/")
}

// TestMigrate goes up, down and up again.
func TestMigrate(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	newest := names[len(names)-1]
	step := func(status int, says string, args ...string) {
		t.Helper()
		var out, log output
		if got := run(t.Context(), append(args, "--database-url", url), &out, &log); got != status {
			t.Fatalf("%v: status %d, want %d: %s", args, got, status, &log)
		}
		if !strings.Contains(out.String()+log.String(), says) {
			t.Errorf("%v says %s%s, want %q in it", args, &out, &log, says)
		}
	}
	step(1, "coatcheck migrate up", "sweep", "--bucket", "b", "--aws-region", "eu-west-1")
	step(0, "not applied", "migrate", "status")
	step(0, "applied 00001_media.sql", "migrate", "up")
	step(0, "nothing to do", "migrate", "up")
	step(2, "--yes", "migrate", "down")
	step(0, "took back "+newest, "migrate", "down", "--yes")
	step(0, "applied "+newest, "migrate", "up")
}
