package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	dataName   = "data"
	freshName  = "data.new" // becomes data when initdb is done
	runName    = "run"
	socketName = "socket" // names the socket's folder when it is not run
	logName    = "postgres.log"

	// maxSocketPath is the shortest limit in use: 104 bytes with the final zero on macOS, 108 on Linux.
	maxSocketPath = 103

	// orphanLimit is how long a Postgres whose starter was killed gets to shut down before it is told to.
	orphanLimit = 10 * time.Second
	// logKept is the size from which postgres.log is begun anew at start.
	logKept = 8 << 20
)

// folder is a data folder that this process has for itself.
type folder struct {
	dir       string
	socketDir string
	temporary bool
	ownerLock *os.File
}

// dataFolder returns the path of the folder to use, made when missing, with its links followed.
func dataFolder(cfg Config) (string, error) {
	if cfg.Dir == "" {
		return makeTemporary(cfg.Durable)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return "", fmt.Errorf("making the data folder: %w", err)
	}
	abs, err := filepath.Abs(cfg.Dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return "", fmt.Errorf("finding the data folder: %w", err)
	}
	return abs, nil
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// openFolder takes the folder for this process, waits until no Postgres is left in it, and prepares it for that user.
func openFolder(ctx context.Context, dir string, temporary bool, as runAs) (_ *folder, err error) {
	f := &folder{dir: dir, temporary: temporary}
	if f.ownerLock, err = takeOwnerLock(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if err := f.endOrphan(ctx); err != nil {
		return nil, err
	}
	if err := f.removeStalePID(ctx); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(f.path(freshName)); err != nil {
		return nil, fmt.Errorf("removing an unfinished data folder: %w", err)
	}
	if err := f.give(as); err != nil {
		return nil, err
	}
	return f, f.makeSocketDir(as)
}

// give makes the folder and what this package puts in it the user's own. Anything else in it stays as it is.
func (f *folder) give(as runAs) error {
	if !as.foreign {
		return nil
	}
	if err := os.Chown(f.dir, as.uid, as.gid); err != nil {
		return fmt.Errorf("giving %s to %s: %w", f.dir, as.name, err)
	}
	for _, name := range []string{dataName, ownerLockName, postgresLockName, logName, socketName} {
		if err := as.give(f.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// close gives the folder up, and removes it when it was temporary.
func (f *folder) close() error {
	var errs []error
	if f.socketDir != "" && f.socketDir != f.path(runName) {
		errs = append(errs, os.RemoveAll(f.socketDir))
	}
	if f.temporary {
		// A process that is still ending would put files where others are being removed.
		ctx, cancel := context.WithTimeout(context.Background(), immediateLimit)
		errs = append(errs, f.endOrphan(ctx), os.RemoveAll(f.dir))
		cancel()
	}
	return errors.Join(append(errs, unlock(f.ownerLock))...)
}

// major returns the version of Postgres that made the data, 0 when there is none yet.
func (f *folder) major() (int, error) {
	text, err := os.ReadFile(filepath.Join(f.dir, dataName, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the version of the data folder: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("reading the version of the data folder: %w", err)
	}
	return n, nil
}

// makeSocketDir puts the socket below the data folder, where its path survives restarts. If that path is too long for
// a socket or the file system holds none, it goes to a short folder of its own.
func (f *folder) makeSocketDir(as runAs) error {
	inside := f.path(runName)
	if err := os.MkdirAll(inside, 0o700); err != nil {
		return fmt.Errorf("making the socket's folder: %w", err)
	}
	if holdsSocket(inside) {
		f.socketDir = inside
		return as.give(inside)
	}
	if old, err := os.ReadFile(f.path(socketName)); err == nil && ours(string(old), as) {
		f.socketDir = string(old)
		return nil
	}
	for _, parent := range []string{os.TempDir(), "/tmp"} {
		dir, err := os.MkdirTemp(parent, "coatcheck-sock-")
		if err != nil {
			continue
		}
		if !holdsSocket(dir) {
			_ = os.Remove(dir)
			continue
		}
		f.socketDir = dir
		if err := as.give(dir); err != nil {
			return err
		}
		if err := os.WriteFile(f.path(socketName), []byte(dir), 0o600); err != nil {
			return fmt.Errorf("noting the socket's folder: %w", err)
		}
		return as.give(f.path(socketName))
	}
	return fmt.Errorf("no folder can hold the server's socket: %s is too long or not able to, and so is %s",
		inside, os.TempDir())
}

// holdsSocket tries whether a socket can be made in a folder under the name that Postgres will use.
func holdsSocket(dir string) bool {
	path := filepath.Join(dir, ".s.PGSQL."+strconv.Itoa(port))
	if len(path) > maxSocketPath {
		return false
	}
	_ = os.Remove(path) // of a server that was killed
	l, err := net.Listen("unix", path)
	if err != nil {
		return false
	}
	return l.Close() == nil // which removes it
}

// ours tells whether a folder that an earlier run noted is still there and nobody else's.
func ours(dir string, as runAs) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		return false
	}
	uid, _, err := owner(dir)
	return err == nil && uid == as.uid && holdsSocket(dir)
}
