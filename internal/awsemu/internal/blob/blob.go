// Package blob keeps the bytes of objects: in memory, or as one file each.
//
// A file is written under its final name. What makes it count is the journal's record of the object, which is
// written after it; a file that no record names is removed by the next start.
package blob

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Segment is a run of bytes that is written once and never changed. An object has one, or one for each part that
// it was made of.
type Segment struct {
	Name string `json:"name,omitempty"` // of the file; empty in memory
	Size int64  `json:"size"`
	data []byte
}

// Store keeps segments. Its zero value keeps them in memory.
type Store struct{ dir string }

// Open returns a store of files under dir, or of memory if dir is empty.
func Open(dir string) (*Store, error) {
	if dir == "" {
		return &Store{}, nil
	}
	if err := os.MkdirAll(filepath.Join(dir, "bodies"), 0o700); err != nil {
		return nil, fmt.Errorf("making a folder for bodies: %w", err)
	}
	return &Store{dir: dir}, nil
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, "bodies", name) }

func newName() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Reader opens segments for reading them as one. What is open stays readable when it is removed meanwhile;
// os.ErrNotExist means that it was removed before.
func (s *Store) Reader(segments []Segment) (*Reader, error) {
	r := &Reader{segments: segments}
	if s.dir == "" {
		return r, nil
	}
	for _, seg := range segments {
		f, err := os.Open(s.path(seg.Name))
		if err != nil {
			r.Close()
			return nil, fmt.Errorf("opening a body: %w", err)
		}
		r.files = append(r.files, f)
	}
	return r, nil
}

// Remove drops segments. Bytes in memory go when nothing refers to them.
func (s *Store) Remove(segments []Segment) error {
	if s.dir == "" {
		return nil
	}
	var errs []error
	for _, seg := range segments {
		if err := os.Remove(s.path(seg.Name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Share returns segments with the same bytes that live and die on their own.
func (s *Store) Share(segments []Segment) ([]Segment, error) {
	if s.dir == "" {
		return segments, nil
	}
	out := make([]Segment, 0, len(segments))
	for _, seg := range segments {
		name := newName()
		if err := os.Link(s.path(seg.Name), s.path(name)); err != nil {
			return nil, errors.Join(fmt.Errorf("linking a body: %w", err), s.Remove(out))
		}
		out = append(out, Segment{Name: name, Size: seg.Size})
	}
	return out, nil
}

// Join returns one object's segments made of many. Files are joined into one, so that reading an object needs one
// descriptor; memory stays as it is.
func (s *Store) Join(segments []Segment) ([]Segment, error) {
	if s.dir == "" || len(segments) == 1 {
		return s.Share(segments)
	}
	r, w := s.files(segments), s.Writer(0)
	for r.next() {
		n, err := io.Copy(w.file, r.file) // the kernel copies from file to file
		w.size += n
		if err != nil || w.err != nil {
			w.Discard()
			return nil, fmt.Errorf("joining parts: %w", errors.Join(err, w.err))
		}
	}
	if r.err != nil {
		w.Discard()
		return nil, fmt.Errorf("joining parts: %w", r.err)
	}
	seg, err := w.Commit()
	return []Segment{seg}, err
}

// Sweep removes every file that keep does not name: bodies that were never finished or never recorded, and those
// whose removal was recorded but not done.
func (s *Store) Sweep(keep map[string]struct{}) error {
	if s.dir == "" {
		return nil
	}
	dir := filepath.Join(s.dir, "bodies")
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("listing bodies: %w", err)
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(1000)
		for _, e := range entries {
			if _, ok := keep[e.Name()]; ok {
				continue
			}
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("removing a body: %w", err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("listing bodies: %w", err)
		}
	}
}

// fileWalk opens one file after another, each closed before the next.
type fileWalk struct {
	store    *Store
	segments []Segment
	file     *os.File
	err      error
}

func (s *Store) files(segments []Segment) *fileWalk { return &fileWalk{store: s, segments: segments} }

func (f *fileWalk) next() bool {
	if f.file != nil {
		_ = f.file.Close()
		f.file = nil
	}
	if len(f.segments) == 0 {
		return false
	}
	f.file, f.err = os.Open(f.store.path(f.segments[0].Name))
	f.segments = f.segments[1:]
	return f.err == nil
}
