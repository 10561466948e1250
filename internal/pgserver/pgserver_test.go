package pgserver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestDataIsKeptBetweenRuns(t *testing.T) {
	t.Parallel()
	for _, durable := range []bool{false, true} {
		t.Run("durable "+strconv.FormatBool(durable), func(t *testing.T) {
			t.Parallel()
			cfg := Config{Dir: filepath.Join(own(t), "new", "pg"), Durable: durable}
			s := begin(t, cfg)
			query(t, s, "CREATE TABLE kept AS SELECT 42 AS n")
			url := s.URL("x")
			stop(t, s)
			if _, err := os.Stat(filepath.Join(cfg.Dir, dataName, pidName)); err == nil {
				t.Error("it was not shut down properly")
			}
			s = begin(t, cfg)
			if got := query(t, s, "SELECT n FROM kept"); got != "42" {
				t.Errorf("kept %q, want 42", got)
			}
			if got := query(t, s, "SELECT current_setting('fsync')"); (got == "on") != durable {
				t.Errorf("fsync is %s", got)
			}
			if s.URL("x") != url {
				t.Errorf("the URL was %s and is %s", url, s.URL("x"))
			}
		})
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s := begin(t, Config{MaxConnections: 33})
	for setting, want := range map[string]string{
		"server_encoding": "UTF8", "lc_collate": "C", "timezone": "UTC", "max_connections": "33", "listen_addresses": "",
	} {
		sql := "SELECT current_setting('" + setting + "')"
		if setting == "lc_collate" { // no setting any more since version 16
			sql = "SELECT datcollate FROM pg_database WHERE datname = current_database()"
		}
		if got := query(t, s, sql); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	// The terminal sends Ctrl-C to a whole group; the server is to wait for Stop.
	if group, err := syscall.Getpgid(s.proc.pid); err != nil || group == syscall.Getpgrp() {
		t.Errorf("the server is in this process's group (%v)", err)
	}
	info, err := os.Stat(s.folder.dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others can enter the folder: %v %v", info.Mode(), err)
	}
}

func TestTemporaryFolderIsRemoved(t *testing.T) {
	t.Parallel()
	s := begin(t, Config{})
	dir := s.folder.dir
	stop(t, s)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	select {
	case <-s.Exited():
	default:
		t.Error("Exited is not closed")
	}
}

func TestStopWithoutTimeStopsAtOnce(t *testing.T) {
	t.Parallel()
	dir := own(t)
	s := begin(t, Config{Dir: dir, Durable: true})
	query(t, s, "CREATE TABLE kept AS SELECT 42 AS n")
	// A server that hangs can do nothing about a polite request, and this Stop has no time for one.
	s.proc.signal(syscall.SIGSTOP)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(ctx); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("error is %v, want that it was killed", err)
	}
	gone(t, s.proc.pid)
	if got := query(t, begin(t, Config{Dir: dir}), "SELECT n FROM kept"); got != "42" {
		t.Errorf("kept %q, want 42", got)
	}
}

func TestFolderInUseIsRefused(t *testing.T) {
	t.Parallel()
	dir := own(t)
	begin(t, Config{Dir: dir})
	_, err := Start(t.Context(), Config{Dir: dir})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("error is %v, want that this process has it", err)
	}
}

// TestLockIsFreeAtOnce has children forked all the time: one that has not come to its exec yet has every file of this
// process open, and with it a lock that was only closed.
func TestLockIsFreeAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(own(t), ownerLockName)
	stopForking := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stopForking:
					return
				default:
					_, _ = self().output(context.Background(), "/bin/sh", "-c", ":")
				}
			}
		})
	}
	defer wg.Wait()
	defer close(stopForking)
	for i := range 10_000 {
		file, err := lock(path)
		if err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		if err := unlock(file); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRestartAndCrash(t *testing.T) {
	t.Parallel()
	s := begin(t, Config{Dir: own(t)})
	// Committed synchronously: this server is not durable, so by default a crash may take the last moments with it.
	query(t, s, "SET synchronous_commit = on; CREATE TABLE kept AS SELECT 42 AS n")
	for name, do := range map[string]func(context.Context) error{"restart": s.Restart, "crash": s.Crash} {
		exited, pid := s.Exited(), s.proc.pid
		if err := do(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		<-exited
		if s.proc.pid == pid {
			t.Errorf("%s: it is the same process", name)
		}
		if got := query(t, s, "SELECT n FROM kept"); got != "42" {
			t.Errorf("%s: kept %q, want 42", name, got)
		}
	}
	stop(t, s)
	if err := s.Restart(t.Context()); err == nil {
		t.Error("a stopped server was restarted")
	}
}

func TestAbandonedStartLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := own(t)
	ctx, cancel := context.WithCancel(t.Context())
	cfg := must(Config{Dir: dir, Progress: func(string, ...any) {}}.withDefaults())
	as := must(chooseRunAs(ctx, dir))
	f := must(openFolder(ctx, dir, false, as))
	s := &Server{cfg: cfg, as: as, folder: f, bin: must(chooseBinaries(ctx, cfg, f, as))}
	cancel()
	if err := s.initdb(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want that it was cancelled", err)
	}
	if err := f.close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, dataName)); err == nil {
		t.Error("an unfinished data folder passes for a whole one")
	}
	if got := query(t, begin(t, Config{Dir: dir}), "SELECT 1"); got != "1" {
		t.Errorf("the next start answers %q", got)
	}
}

func TestFolderOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := own(t)
	if err := os.Mkdir(filepath.Join(dir, dataName), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, dataName, "PG_VERSION"), []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bins := []string{""}
	for _, bin := range installed(t.Context()) {
		if _, err := inspect(t.Context(), bin, self()); err == nil {
			bins = append(bins, bin)
			break
		}
	}
	for _, bin := range bins {
		_, err := Start(t.Context(), Config{Dir: dir, BinDir: bin})
		if err == nil || !strings.Contains(err.Error(), "was made by Postgres 9") {
			t.Errorf("with BinDir %q the error is %v", bin, err)
		}
	}
}

func TestBadBinDir(t *testing.T) {
	t.Parallel()
	empty := own(t)
	if _, err := Start(t.Context(), Config{BinDir: empty}); err == nil || !strings.Contains(err.Error(), empty) {
		t.Errorf("error is %v, want one that names the folder", err)
	}
}

func TestSocketElsewhereWhenThePathIsLong(t *testing.T) {
	t.Parallel()
	s := begin(t, Config{Dir: filepath.Join(own(t), strings.Repeat("long", 25))})
	socket := s.folder.socketDir
	if strings.HasPrefix(socket, s.folder.dir) {
		t.Fatalf("the socket is in %s", socket)
	}
	if err := s.Crash(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := query(t, s, "SELECT 1"); got != "1" {
		t.Errorf("answer %q", got)
	}
	stop(t, s)
	if _, err := os.Stat(socket); err == nil {
		t.Errorf("%s is still there", socket)
	}
}
