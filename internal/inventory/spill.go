package inventory

import (
	"bufio"
	"bytes"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// spill is a file of runs, each a sequence of sorted records with their lengths before them.
type spill struct {
	file  *tempFile
	out   *bufio.Writer
	at    int64 // the length of what has been written
	from  int64 // where the run begins that is being written
	runs  []run
	index index // of the last run
}

// run is a part of a spill.
type run struct{ from, to int64 }

func newSpill(dir string) (*spill, error) {
	file, err := newTempFile(dir)
	if err != nil {
		return nil, err
	}
	return &spill{file: file, out: bufio.NewWriterSize(file, 256<<10)}, nil
}

// write adds a record to the run.
func (s *spill) write(record []byte) error {
	if s.at == s.from {
		s.index = index{stride: firstStride, next: s.at}
	}
	if s.at >= s.index.next {
		if err := s.index.add(record, s.at); err != nil {
			return err
		}
	}
	length := binary.AppendUvarint(s.out.AvailableBuffer(), uint64(len(record)))
	if _, err := s.out.Write(length); err != nil {
		return fmt.Errorf("writing a temporary file: %w", err)
	}
	if _, err := s.out.Write(record); err != nil {
		return fmt.Errorf("writing a temporary file: %w", err)
	}
	s.at += int64(len(length) + len(record))
	return nil
}

// endRun ends the run.
func (s *spill) endRun() error {
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("writing a temporary file: %w", err)
	}
	s.runs = append(s.runs, run{s.from, s.at})
	s.from = s.at
	return nil
}

// merge merges runs of one spill into a run of another.
func merge(ctx context.Context, in *spill, runs []run, out *spill) error {
	var cursors cursors
	for _, r := range runs {
		c := newCursor(in.file, r, mergeBuffer)
		switch err := c.next(); {
		case err == nil:
			cursors = append(cursors, c)
		case !errors.Is(err, io.EOF):
			return err
		}
	}
	heap.Init(&cursors)
	for n := 0; len(cursors) > 0; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		least := cursors[0]
		if err := out.write(least.record); err != nil {
			return err
		}
		switch err := least.next(); {
		case err == nil:
			heap.Fix(&cursors, 0)
		case errors.Is(err, io.EOF):
			heap.Pop(&cursors)
		default:
			return err
		}
	}
	return out.endRun()
}

// cursors are those of a merge, as a heap.
type cursors []*cursor

func (c cursors) Len() int           { return len(c) }
func (c cursors) Less(i, j int) bool { return bytes.Compare(c[i].record, c[j].record) < 0 }
func (c cursors) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *cursors) Push(x any)        { *c = append(*c, x.(*cursor)) }
func (c *cursors) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

// cursor goes through the records of a run.
type cursor struct {
	r      *bufio.Reader
	left   int64  // bytes of the run: where they end too early, the file has been cut off
	record []byte // valid until next
	length [binary.MaxVarintLen64]byte
}

func newCursor(file io.ReaderAt, r run, buffer int) *cursor {
	return &cursor{r: bufio.NewReaderSize(io.NewSectionReader(file, r.from, r.to-r.from), buffer), left: r.to - r.from}
}

// next goes to the next record, or returns [io.EOF] at the end of the run.
func (c *cursor) next() error {
	if c.left == 0 {
		return io.EOF
	}
	length, err := binary.ReadUvarint(c.r)
	switch {
	case err != nil:
		return fmt.Errorf("reading a temporary file: %w", noEOF(err))
	case length > maxRecord:
		return errRecord
	case int(length) > cap(c.record):
		c.record = make([]byte, length, max(length, 256))
	}
	c.record = c.record[:length]
	if _, err := io.ReadFull(c.r, c.record); err != nil {
		return fmt.Errorf("reading a temporary file: %w", noEOF(err))
	}
	c.left -= int64(len(binary.AppendUvarint(c.length[:0], length))) + int64(length)
	return nil
}
