package blob

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Reader reads segments that are open.
type Reader struct {
	segments []Segment
	files    []*os.File
}

// CopyRange writes n bytes from offset off on to w.
func (r *Reader) CopyRange(w io.Writer, off, n int64) error {
	for i, seg := range r.segments {
		if n == 0 {
			return nil
		}
		if off >= seg.Size {
			off -= seg.Size
			continue
		}
		take := min(n, seg.Size-off)
		if err := r.copy(w, i, off, take); err != nil {
			return err
		}
		off, n = 0, n-take
	}
	return nil
}

func (r *Reader) copy(w io.Writer, i int, off, n int64) error {
	if len(r.files) == 0 {
		_, err := w.Write(r.segments[i].data[off : off+n])
		return err
	}
	if _, err := r.files[i].Seek(off, io.SeekStart); err != nil {
		return fmt.Errorf("reading a body: %w", err)
	}
	_, err := io.CopyN(w, r.files[i], n)
	return err
}

// Close closes what is open.
func (r *Reader) Close() {
	for _, f := range r.files {
		_ = f.Close()
	}
}

// bufferSize is how much of a body is read at once on its way to a file.
const bufferSize = 64 << 10

// maxHint bounds the memory that is taken for a body on the word of its Content-Length.
const maxHint = 4 << 20

// Writer takes one body. It ends with Commit or Discard.
type Writer struct {
	store *Store
	name  string
	file  *os.File // nil in memory
	buf   []byte   // in memory everything so far, else the room to read into
	size  int64
	err   error
}

// Writer returns a writer for a body of about hint bytes.
func (s *Store) Writer(hint int64) *Writer {
	w := &Writer{store: s}
	if s.dir == "" {
		w.buf = make([]byte, 0, min(max(hint, 0), maxHint))
		return w
	}
	w.buf = make([]byte, min(max(hint, 1), bufferSize))
	w.name = newName()
	w.file, w.err = os.OpenFile(s.path(w.name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	return w
}

// Fill reads r to its end, showing every byte to see. It returns r's error as it is.
func (w *Writer) Fill(r io.Reader, see func([]byte)) error {
	if w.err != nil {
		return w.err
	}
	for {
		room := w.buf
		if w.file == nil {
			if len(w.buf) == cap(w.buf) {
				// One byte more than announced, to meet the end of the body without growing.
				var end [1]byte
				if n, err := io.ReadFull(r, end[:]); n == 0 {
					return eofIsFine(err)
				}
				see(end[:])
				w.size++
				w.buf = append(slices.Grow(w.buf, max(cap(w.buf), bufferSize)), end[0])
			}
			room = w.buf[len(w.buf):cap(w.buf)]
		}
		n, err := r.Read(room)
		see(room[:n])
		w.size += int64(n)
		if w.file == nil {
			w.buf = w.buf[:len(w.buf)+n]
		} else if _, werr := w.file.Write(room[:n]); werr != nil {
			return fmt.Errorf("writing a body: %w", werr)
		}
		if err != nil {
			return eofIsFine(err)
		}
	}
}

func eofIsFine(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Commit makes the body a segment.
func (w *Writer) Commit() (Segment, error) {
	if w.file == nil && w.err == nil {
		return Segment{Size: w.size, data: w.buf}, nil
	}
	if w.err == nil {
		w.err = w.file.Close()
	}
	if w.err != nil {
		w.Discard()
		return Segment{}, fmt.Errorf("keeping a body: %w", w.err)
	}
	return Segment{Name: w.name, Size: w.size}, nil
}

// Discard forgets the body.
func (w *Writer) Discard() {
	if w.file != nil {
		_ = w.file.Close()
		_ = os.Remove(w.store.path(w.name)) // or else by the next start
	}
}
