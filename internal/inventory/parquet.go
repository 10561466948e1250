package inventory

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// parquetBatch is how many rows are decoded at a time.
const parquetBatch = 256

// readParquet reads a data file of Parquet, one row group after the other and, of each, one page of each column at a
// time. The columns that do not matter here are not read. done is told how much of the file's rows has been read.
func (inv *Inventory) readParquet(r io.ReaderAt, size int64, emit func(Object) error, done func(rows, of int64)) error {
	p := parquetFile{inv: inv}
	if err := guard(func() error { return p.open(r, size) }); err != nil {
		return err
	}
	defer func() { _ = guard(p.end) }()
	var n int64
	rows := make([]row, parquetBatch)
	for i, group := range p.file.RowGroups() {
		if err := guard(func() error { return p.begin(group) }); err != nil {
			return fmt.Errorf("row group %d: %w", i, err)
		}
		for left := group.NumRows(); left > 0; {
			batch := rows[:min(left, parquetBatch)]
			if err := guard(func() error { return p.read(batch) }); err != nil {
				return fmt.Errorf("rows from %d: %w", n+1, err)
			}
			for _, r := range batch {
				n++
				o, err := inv.check(r)
				if err != nil {
					return fmt.Errorf("row %d: %w", n, err)
				}
				if err := emit(o); err != nil {
					return err
				}
			}
			left -= int64(len(batch))
			done(n, p.file.NumRows())
		}
		if err := guard(p.end); err != nil {
			return fmt.Errorf("row group %d: %w", i, err)
		}
	}
	if n != p.file.NumRows() {
		return fmt.Errorf("its row groups have %d rows, and it says %d", n, p.file.NumRows())
	}
	return nil
}

// guard turns a panic into an error: the library may panic on a file that is not well-formed.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it is not well-formed Parquet: %v", r)
		}
	}()
	return f()
}

// parquetFile reads the columns that matter side by side.
type parquetFile struct {
	inv     *Inventory
	file    *parquet.File
	at      [numColumns]int // the place of each column among the leaves of the file's schema, or -1
	unit    time.Duration   // of last_modified_date
	readers [numColumns]parquet.ColumnChunkValueReader
	values  [parquetBatch]parquet.Value
}

func (p *parquetFile) open(r io.ReaderAt, size int64) (err error) {
	p.file, err = parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(64<<10))
	if err != nil {
		return fmt.Errorf("opening it as Parquet: %w", err)
	}
	for c := range numColumns {
		p.at[c] = -1
		if !p.inv.schema.has(c) {
			continue
		}
		name := columns[c].parquet
		leaf, ok := p.file.Schema().Lookup(name)
		if !ok {
			return fmt.Errorf("it has no column %s, which the manifest's schema has", name)
		}
		if leaf.Node.Type().Kind() != parquetKinds[c] || leaf.MaxRepetitionLevel > 0 {
			return fmt.Errorf("the column %s has the wrong type %s", name, leaf.Node)
		}
		p.at[c] = leaf.ColumnIndex
		if c == colLastModified {
			if p.unit, err = timeUnit(leaf.Node.Type()); err != nil {
				return err
			}
		}
	}
	return nil
}

var parquetKinds = [numColumns]parquet.Kind{
	colBucket: parquet.ByteArray, colKey: parquet.ByteArray, colVersionID: parquet.ByteArray, colETag: parquet.ByteArray,
	colIsLatest: parquet.Boolean, colIsDeleteMarker: parquet.Boolean, colSize: parquet.Int64, colLastModified: parquet.Int64,
}

// timeUnit returns the unit of a timestamp. S3 has milliseconds; the library takes the older TIMESTAMP_MILLIS for the
// same as TIMESTAMP(MILLIS,true).
func timeUnit(t parquet.Type) (time.Duration, error) {
	if logical := t.LogicalType(); logical != nil {
		if timestamp, ok := logical.Value.(*format.TimestampType); ok {
			switch timestamp.Unit.Value.(type) {
			case *format.MilliSeconds:
				return time.Millisecond, nil
			case *format.MicroSeconds:
				return time.Microsecond, nil
			}
		}
	}
	return 0, fmt.Errorf("the column %s is no timestamp in milliseconds but %s", columns[colLastModified].parquet, t)
}

func (p *parquetFile) begin(group parquet.RowGroup) error {
	chunks := group.ColumnChunks()
	for c := range numColumns {
		if p.at[c] < 0 {
			continue
		}
		if n := chunks[p.at[c]].NumValues(); n != group.NumRows() {
			return fmt.Errorf("the column %s has %d values for %d rows", columns[c].parquet, n, group.NumRows())
		}
		p.readers[c] = parquet.NewColumnChunkValueReader(chunks[p.at[c]])
	}
	return nil
}

func (p *parquetFile) end() error {
	var errs []error
	for c, r := range p.readers {
		if r != nil {
			errs = append(errs, r.Close())
		}
		p.readers[c] = nil
	}
	return errors.Join(errs...)
}

// read fills the rows. A null is what is empty in CSV.
func (p *parquetFile) read(rows []row) error {
	clear(rows)
	if !p.inv.Versions {
		for i := range rows {
			rows[i].Latest = true
		}
	}
	for c := range numColumns {
		if p.at[c] < 0 {
			continue
		}
		for done := 0; done < len(rows); {
			n, err := p.readers[c].ReadValues(p.values[:len(rows)-done])
			for i, v := range p.values[:n] {
				if err := p.set(&rows[done+i], c, v); err != nil {
					return err
				}
			}
			if done += n; err != nil && done < len(rows) {
				return fmt.Errorf("the column %s: %w", columns[c].parquet, noEOF(err))
			}
		}
	}
	return nil
}

func (p *parquetFile) set(r *row, c column, v parquet.Value) error {
	if v.IsNull() {
		if c == colIsLatest || c == colIsDeleteMarker {
			return fmt.Errorf("%s is missing in a row", columns[c].parquet)
		}
		return nil
	}
	switch c { // string copies what v has in common with its page
	case colBucket:
		if b := v.ByteArray(); string(b) == p.inv.SourceBucket {
			r.bucket = p.inv.SourceBucket
		} else {
			r.bucket = string(b)
		}
	case colKey:
		r.Key = string(v.ByteArray())
	case colVersionID:
		r.VersionID = string(v.ByteArray())
	case colETag:
		r.ETag = string(v.ByteArray())
	case colIsLatest:
		r.Latest = v.Boolean()
	case colIsDeleteMarker:
		r.DeleteMarker = v.Boolean()
	case colSize:
		r.SizeBytes, r.sized = v.Int64(), true
	case colLastModified:
		if p.unit == time.Millisecond {
			r.LastModified = time.UnixMilli(v.Int64()).UTC()
		} else {
			r.LastModified = time.UnixMicro(v.Int64()).UTC()
		}
	}
	return nil
}
