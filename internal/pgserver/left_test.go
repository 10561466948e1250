package pgserver

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestKilledStarterLeavesNoServer(t *testing.T) {
	t.Parallel()
	roles := []string{"serve"}
	if os.Geteuid() == 0 {
		roles = append(roles, "serve as nobody")
	}
	for _, role := range roles {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			dir := own(t)
			for round := range 2 { // the second finds what the first left
				starter, pid := actor(t, os.Args[0], role, dir, nil)
				if err := starter.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = starter.Wait()
				if round == 0 {
					// At once, so that the old server may still be on its way out.
					s := begin(t, Config{Dir: dir})
					query(t, s, "CREATE TABLE kept AS SELECT 42 AS n")
					stop(t, s)
				}
				gone(t, pid)
			}
			if got := query(t, begin(t, Config{Dir: dir}), "SELECT n FROM kept"); got != "42" {
				t.Errorf("kept %q, want 42", got)
			}
		})
	}
}

func TestWatchInterruptsWhenItsProcessDies(t *testing.T) {
	t.Parallel()
	watcher, pid := actor(t, os.Args[0], "watch", "", nil)
	if err := watcher.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = watcher.Wait()
	gone(t, pid)
}

func TestReleasedWatchInterruptsNothing(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	release, err := watch(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	release()
	select {
	case <-ended:
		t.Error("the watched process was interrupted")
	case <-time.After(100 * time.Millisecond):
	}
}

// staleFolder is a data folder whose postmaster.pid names that process.
func staleFolder(t *testing.T, pid int) string {
	t.Helper()
	dir := own(t)
	stop(t, begin(t, Config{Dir: dir}))
	file := filepath.Join(dir, dataName, pidName)
	text := strconv.Itoa(pid) + "\n" + filepath.Join(dir, dataName) + "\n1\n5432\n\n\n1 1\nready\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestStalePIDOfAnotherProgram(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if got := query(t, begin(t, Config{Dir: staleFolder(t, cmd.Process.Pid)}), "SELECT 1"); got != "1" {
		t.Errorf("answer %q", got)
	}
}

func TestPIDOfAnotherPostgresIsRefused(t *testing.T) {
	t.Parallel()
	other := begin(t, Config{})
	_, err := Start(t.Context(), Config{Dir: staleFolder(t, other.proc.pid)})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "started by other means") {
		t.Errorf("error is %v, want a refusal", err)
	}
	if got := query(t, other, "SELECT 1"); got != "1" {
		t.Errorf("the other answers %q", got)
	}
}

func TestAbandonedTemporaryFoldersAreRemoved(t *testing.T) {
	t.Parallel()
	parent := own(t)
	make := func(name string, age time.Duration) string {
		dir := filepath.Join(parent, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, l := range []string{ownerLockName, postgresLockName} {
			if err := unlock(must(lock(filepath.Join(dir, l)))); err != nil {
				t.Fatal(err)
			}
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(dir, then, then); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	hour := time.Hour
	dead, young, other := make(temporaryPrefix+"1", hour), make(temporaryPrefix+"2", 0), make("elsewhat-3", hour)
	live, orphan := make(temporaryPrefix+"4", hour), make(temporaryPrefix+"5", hour)
	defer must(lock(filepath.Join(live, ownerLockName))).Close()
	defer must(lock(filepath.Join(orphan, postgresLockName))).Close()
	removeAbandoned(parent)
	for dir, want := range map[string]bool{dead: false, young: true, other: true, live: true, orphan: true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s: there is %v, want %v", dir, err == nil, want)
		}
	}
}
