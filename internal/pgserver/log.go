package pgserver

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// quoted is how much of the log an error carries at most, in bytes.
const quoted = 2000

// openLog opens the log for appending; one that has grown large is begun anew.
func openLog(path string) (*os.File, error) {
	flags := os.O_RDWR | os.O_CREATE | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > logKept {
		flags |= os.O_TRUNC
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the server's log: %w", err)
	}
	return file, nil
}

// written returns the end of what was added to a log since it was that long.
func written(path string, since int64) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	if size, err := file.Seek(0, io.SeekEnd); err == nil {
		since = max(since, size-quoted)
	}
	if _, err := file.Seek(since, io.SeekStart); err != nil {
		return err.Error()
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}
