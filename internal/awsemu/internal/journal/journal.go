// Package journal keeps the emulator's state in an append-only file: one JSON document a line, written by one
// write call before the change it describes is made and answered.
//
// A killed process loses nothing that it answered, because what was written is in the page cache. A power cut
// may: nothing is synced, this is not a database. A last line without its end, left by a kill in the middle of a
// write, was never answered and is dropped.
package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

const (
	name    = "journal.jsonl"
	newName = "journal.new"
)

// Journal appends records. A nil Journal keeps nothing, for an emulator that lives in memory only. It is safe
// for concurrent use.
type Journal struct {
	mu     sync.Mutex
	file   *os.File
	size   int64
	failed error
}

// Append writes v as one line. The caller holds the lock of what v changes, so that lines have the order of the
// changes.
func (j *Journal) Append(v any) error {
	if j == nil {
		return nil
	}
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding a journal record: %w", err)
	}
	line = append(line, '\n')
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return j.failed
	}
	n, err := j.file.Write(line)
	if err == nil {
		j.size += int64(n)
		return nil
	}
	// A line half written would swallow the next one: take it back, or stop writing for good.
	if terr := j.file.Truncate(j.size); terr != nil {
		j.failed = fmt.Errorf("the journal is damaged: %w", errors.Join(err, terr))
	}
	return fmt.Errorf("writing the journal: %w", err)
}

// Close closes the file.
func (j *Journal) Close() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failed = os.ErrClosed
	return j.file.Close()
}

// Replay calls apply for each line of the journal in dir, in order. There being none is fine.
func Replay(dir string, apply func(line []byte) error) error {
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("opening the journal: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF):
			return nil // what is left in line was never finished
		case err != nil:
			return fmt.Errorf("reading the journal: %w", err)
		}
		if err := apply(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return fmt.Errorf("line %d of the journal: %w", n, err)
		}
	}
}

// Rewrite replaces the journal in dir by what snapshot writes, and opens it for appending. The old journal stays
// until the new one is whole.
func Rewrite(dir string, snapshot func(write func(v any) error) error) (*Journal, error) {
	temp := filepath.Join(dir, newName)
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("creating the journal: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	enc := json.NewEncoder(w)
	err = snapshot(func(v any) error { return enc.Encode(v) })
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = os.Rename(temp, filepath.Join(dir, name))
	}
	var size int64
	if err == nil {
		size, err = f.Seek(0, io.SeekEnd)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("rewriting the journal: %w", err)
	}
	return &Journal{file: f, size: size}, nil
}
