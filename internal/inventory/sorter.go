package inventory

import (
	"bytes"
	"context"
	"slices"
	"strings"
)

// SortConfig is how a report is sorted.
type SortConfig struct {
	// Dir is where the temporary files are, or "" for [os.TempDir]. It has to be a disk with room for the largest data
	// file and, twice, some 150 bytes for each object, more where keys are long. A folder that lies in memory, as
	// /tmp may, is the wrong one.
	Dir string
	// MemoryBytes is about what the sort may hold in memory; 64 MiB when it is 0. With more, fewer and longer runs
	// have to be merged. Reading Parquet takes memory of its own, for a page of each column.
	MemoryBytes int64
	// Progress is told, if it is set, how many of the data files' bytes have been dealt with: a file's download is one
	// half, and reading it the other. What comes after the last byte is the merging of runs.
	Progress func(read, ofBytes int64)
}

// DefaultMemoryBytes is what the sort holds in memory unless told otherwise.
const DefaultMemoryBytes = 64 << 20

// sorter is an external merge sort. Records gather in one piece of memory; when it is full they are sorted and written
// to a file as a run, and in the end the runs are merged.
type sorter struct {
	dir     string
	records []byte // one after the other; never grows, but for a single record that is larger
	refs    []ref  // where each one is
	fanIn   int    // how many runs are merged at a time
	spill   *spill // nil until there is a run
	added   int64
}

// ref is where a record is in memory.
type ref struct{ from, to uint32 }

const refBytes = 8

// mergeBuffer is what is read at a time from each of the runs that are merged.
const mergeBuffer = 32 << 10

// checkEvery is after how many records the context is looked at.
const checkEvery = 1024

func newSorter(c SortConfig) *sorter {
	memory := c.MemoryBytes
	if memory <= 0 {
		memory = DefaultMemoryBytes
	}
	// Half of it, since Go's garbage collector lets the garbage of decoding grow as large again as what is live. An
	// eighth of that is for refs, which is enough where records have 56 bytes or more: nearly all do.
	memory = min(memory/2, 1<<31)
	return &sorter{
		dir:     c.Dir,
		records: make([]byte, 0, memory-memory/8),
		refs:    make([]ref, 0, max(memory/8/refBytes, 1)),
		fanIn:   int(min(max(memory/mergeBuffer, 8), 512)),
	}
}

// add takes an object in.
func (s *sorter) add(ctx context.Context, o Object) error {
	if s.added++; s.added%checkEvery == 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	need := len(o.Key) + strings.Count(o.Key, "\x00") + len(o.VersionID) + len(o.ETag) + 64
	if len(s.refs) > 0 && (len(s.refs) == cap(s.refs) || len(s.records)+need > cap(s.records)) {
		if err := s.flush(); err != nil {
			return err
		}
	}
	from := len(s.records)
	s.records = appendRecord(s.records, &o)
	s.refs = append(s.refs, ref{uint32(from), uint32(len(s.records))})
	return nil
}

// flush writes what is in memory as a run.
func (s *sorter) flush() error {
	slices.SortFunc(s.refs, func(a, b ref) int {
		return bytes.Compare(s.records[a.from:a.to], s.records[b.from:b.to])
	})
	if s.spill == nil {
		var err error
		if s.spill, err = newSpill(s.dir); err != nil {
			return err
		}
	}
	for _, r := range s.refs {
		if err := s.spill.write(s.records[r.from:r.to]); err != nil {
			return err
		}
	}
	s.records, s.refs = s.records[:0], s.refs[:0]
	return s.spill.endRun()
}

// finish merges the runs until there is one. Merging many at a time, it seldom reads the records more than once.
func (s *sorter) finish(ctx context.Context) (*Sorted, error) {
	if len(s.refs) > 0 || s.spill == nil {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	s.records, s.refs = nil, nil // the memory is for the merge now
	for len(s.spill.runs) > 1 {
		if err := s.mergeAll(ctx); err != nil {
			return nil, err
		}
	}
	return &Sorted{file: s.spill.file, end: s.spill.at, index: s.spill.index, n: s.added}, nil
}

// mergeAll merges all runs into fewer, in groups of about the same number.
func (s *sorter) mergeAll(ctx context.Context) error {
	merged, err := newSpill(s.dir)
	if err != nil {
		return err
	}
	runs := s.spill.runs
	groups := (len(runs) + s.fanIn - 1) / s.fanIn
	for group := range slices.Chunk(runs, (len(runs)+groups-1)/groups) {
		if err := merge(ctx, s.spill, group, merged); err != nil {
			_ = merged.file.Close()
			return err
		}
	}
	before := s.spill
	s.spill = merged
	return before.file.Close()
}

func (s *sorter) close() error {
	if s.spill == nil {
		return nil
	}
	return s.spill.file.Close()
}
