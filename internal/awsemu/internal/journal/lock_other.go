//go:build !unix

package journal

import (
	"fmt"
	"os"
	"path/filepath"
)

// Lock opens the lock file; where there is no flock, nothing keeps a second process out.
func Lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	return f, nil
}
