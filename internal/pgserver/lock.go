package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	ownerLockName    = "owner.lock"
	postgresLockName = "postgres.lock"
)

// lock takes a lock file, or returns syscall.EWOULDBLOCK. The lock belongs to the open file: it ends when the last
// process that has it ends, however that comes.
func lock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// unlock gives a lock back that no other program is meant to have. Closing the file alone would leave it to a child of
// this process that is just between fork and exec, for as long as that takes.
func unlock(file *os.File) error {
	return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close())
}

func takeOwnerLock(dir string) (*os.File, error) {
	path := filepath.Join(dir, ownerLockName)
	file, err := lock(path)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		who := "another process"
		if pid, err := os.ReadFile(path); err == nil && len(pid) > 0 {
			who = "process " + strings.TrimSpace(string(pid))
		}
		return nil, fmt.Errorf("%w: %s has %s; stop it, or choose another folder", ErrInUse, who, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	if err := errors.Join(file.Truncate(0), writeAt(file, strconv.Itoa(os.Getpid())+"\n")); err != nil {
		return nil, errors.Join(fmt.Errorf("locking the data folder: %w", err), unlock(file))
	}
	return file, nil
}

func writeAt(file *os.File, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err
}

// endOrphan returns when no Postgres process is left in the folder. There is one only if whoever started it was
// killed: it is given time to end by itself, then told to, then killed.
func (f *folder) endOrphan(ctx context.Context) error {
	path := f.path(postgresLockName)
	begun := time.Now()
	for step := 0; ; {
		file, err := lock(path)
		if err == nil {
			return unlock(file)
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("looking for a Postgres left in %s: %w", f.dir, err)
		}
		// The lock proves that this Postgres lives, so the number in postmaster.pid is not yet another process's.
		signals := []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL}
		if time.Since(begun) > orphanLimit*time.Duration(step+1) {
			if step == len(signals) {
				return fmt.Errorf("a Postgres whose starter was killed is still in %s and does not end", f.dir)
			}
			if pid := f.postmasterPID(); pid != 0 {
				_ = syscall.Kill(pid, signals[step])
			}
			step++
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for a Postgres left in %s to end: %w", f.dir, err)
		}
	}
}

// removeStalePID removes a postmaster.pid whose number now belongs to another program, which Postgres itself would
// take for a running server. It is called when no Postgres that was started here is left; one that somebody
// started by hand on this folder is refused.
func (f *folder) removeStalePID(ctx context.Context) error {
	pid := f.postmasterPID()
	if pid == 0 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return nil // none, or one that Postgres itself sees is stale
	}
	out, err := exec.CommandContext(ctx, "ps", "-o", "comm=", "-p", strconv.Itoa(pid)).Output()
	if err != nil && len(out) > 0 {
		return fmt.Errorf("looking at process %d: %w", pid, err)
	}
	if name := filepath.Base(strings.TrimSpace(string(out))); name == "postgres" || name == "postmaster" {
		return fmt.Errorf("%w: a Postgres that was started by other means, process %d, serves %s; stop it first",
			ErrInUse, pid, f.path(dataName))
	}
	if err := os.Remove(filepath.Join(f.path(dataName), pidName)); err != nil {
		return fmt.Errorf("removing a stale %s: %w", pidName, err)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
