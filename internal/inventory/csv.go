package inventory

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
)

// maxRow bounds a row of CSV, in bytes. Most have 200; an access control list in one can have many times that. What is
// longer is a quote that is never closed, which would otherwise be read into memory up to the end of the file.
const maxRow = 1 << 20

// readCSV reads a data file of CSV in gzip, which has no header.
func (inv *Inventory) readCSV(r io.Reader, emit func(Object) error) error {
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("it is not gzip: %w", noEOF(err))
	}
	return inv.readRows(unzipped, emit)
}

func (inv *Inventory) readRows(r io.Reader, emit func(Object) error) error {
	limit := &rowLimit{r: r}
	rows := csv.NewReader(bufio.NewReaderSize(limit, 64<<10))
	rows.FieldsPerRecord = -1 // they are counted below
	rows.ReuseRecord = true
	for n := int64(1); ; n++ {
		limit.left = maxRow
		fields, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var o Object
		if err == nil {
			var r row
			if r, err = inv.schema.decodeCSV(fields); err == nil {
				o, err = inv.check(r)
			}
		}
		if err != nil {
			return fmt.Errorf("row %d: %w", n, err)
		}
		if err := emit(o); err != nil {
			return err
		}
	}
}

// rowLimit ends with an error when more is read than is left.
type rowLimit struct {
	r    io.Reader
	left int
}

// Read implements [io.Reader].
func (l *rowLimit) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("it has more than %d bytes", maxRow)
	}
	n, err := l.r.Read(p)
	l.left -= n
	return n, err
}
