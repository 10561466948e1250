package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// tempFile is a file that goes when it is closed, or when the process ends however it does: where the system allows, it
// has no name from the beginning. It is not synced, as nobody looks at it after a crash.
type tempFile struct {
	*os.File
	named bool
}

func newTempFile(dir string) (*tempFile, error) {
	f, err := os.CreateTemp(dir, "coatcheck-inventory-")
	if err != nil {
		return nil, fmt.Errorf("making a temporary file: %w", err)
	}
	return &tempFile{File: f, named: os.Remove(f.Name()) != nil}, nil
}

// Close closes and removes the file.
func (f *tempFile) Close() error {
	err := f.File.Close()
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	if f.named {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}
