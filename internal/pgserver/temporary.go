package pgserver

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	temporaryPrefix = "coatcheck-pg-"

	// abandonedAge keeps the clean-up away from a folder that is just being made.
	abandonedAge = time.Minute

	// roomy is what a file system in memory must have free to be used: a test server takes some 200 MB.
	roomy = 2 << 30
)

// makeTemporary makes a data folder that will not be kept, and removes those whose processes were killed before they
// could. What need not be durable goes to memory where there is room: a database is a few hundred files, and making
// them was four to ten times quicker there than on a disk.
func makeTemporary(durable bool) (string, error) {
	parent := os.TempDir()
	if !durable {
		parent = quickParent()
	}
	removeAbandoned(parent)
	dir, err := os.MkdirTemp(parent, temporaryPrefix)
	if err != nil {
		return "", fmt.Errorf("making a temporary data folder: %w", err)
	}
	return dir, nil
}

func quickParent() string {
	if os.Getenv("TMPDIR") == "" && freeInMemory() >= roomy {
		return memory
	}
	return os.TempDir()
}

// removeAbandoned removes this user's temporary data folders in which no process is left.
func removeAbandoned(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, temporaryPrefix+"*"))
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < abandonedAge {
			continue
		}
		// In a folder that is somebody else's, not even a lock is to be opened.
		if uid, _ := ownerOf(info); uid != os.Geteuid() {
			continue
		}
		owner, err := lock(filepath.Join(dir, ownerLockName))
		if err != nil {
			continue
		}
		if server, err := lock(filepath.Join(dir, postgresLockName)); err == nil {
			_ = os.RemoveAll(dir)
			_ = unlock(server)
		}
		_ = unlock(owner)
	}
}
