package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sort"
)

// Sorted is a report's objects in order, in a temporary file. It is safe for concurrent use.
type Sorted struct {
	file  *tempFile
	end   int64
	index index
	n     int64
}

// Len returns how many objects there are, with all versions and delete markers.
func (s *Sorted) Len() int64 { return s.n }

// Close removes the temporary files. Iterations that go on fail.
func (s *Sorted) Close() error { return s.file.Close() }

// All returns the objects whose keys are above after, in order; all when it is empty. It may be called again and again,
// and finds its beginning without reading what comes before. An error is the last thing in the sequence.
func (s *Sorted) All(after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		low := above(after)
		c := newCursor(s.file, run{s.index.find(low), s.end}, 64<<10)
		for skip := true; ; {
			err := c.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if skip = skip && err == nil && bytes.Compare(c.record, low) < 0; skip {
				continue
			}
			var o Object
			if err == nil {
				o, err = decodeRecord(c.record)
			}
			if err != nil {
				yield(Object{}, fmt.Errorf("reading the sorted inventory: %w", err))
				return
			}
			if !yield(o, nil) {
				return
			}
		}
	}
}

// index says for some of a run's records where they are. It stays small: when there are too many of them, every other
// one is forgotten.
type index struct {
	entries      []indexEntry
	stride, next int64
}

type indexEntry struct {
	key []byte // as a record begins
	at  int64
}

const (
	firstStride = 64 << 10 // between entries, in bytes of the file
	maxIndex    = 4096     // entries
)

func (x *index) add(record []byte, at int64) error {
	key, err := keyPart(record)
	if err != nil {
		return err
	}
	if len(x.entries) == maxIndex {
		for i := range maxIndex / 2 {
			x.entries[i] = x.entries[2*i]
		}
		clear(x.entries[maxIndex/2:])
		x.entries = x.entries[:maxIndex/2]
		x.stride *= 2
	}
	x.entries = append(x.entries, indexEntry{slices.Clone(key), at})
	x.next = at + x.stride
	return nil
}

// find returns where to begin to read so as not to miss what is above low. In an index without entries that is the
// beginning, which is the end.
func (x *index) find(low []byte) int64 {
	i := sort.Search(len(x.entries), func(i int) bool { return bytes.Compare(x.entries[i].key, low) > 0 })
	if i == 0 {
		return 0
	}
	return x.entries[i-1].at
}
