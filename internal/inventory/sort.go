package inventory

import (
	"bufio"
	"context"
	"fmt"
	"io"
)

// Sort downloads each data file, checks it, and sorts all objects by key in the order of bytes, which is that of
// ListObjectsV2 and of Postgres's collation "C". Within a key the latest version comes first, and the others follow
// from the newest on. It sorts on disk what does not fit in memory. Whatever is wrong with the report is an error, and
// all of it has been read when Sort returns.
//
// A report of current objects can still have a key more than once, if the object was replaced during the scan.
func (inv *Inventory) Sort(ctx context.Context, c SortConfig) (*Sorted, error) {
	s := newSorter(c)
	progress := &progress{of: inv.SizeBytes, report: c.Progress}
	for _, f := range inv.files {
		if err := inv.sortFile(ctx, f, s, progress); err != nil {
			_ = s.close()
			return nil, fmt.Errorf("reading the inventory's file s3://%s/%s: %w", inv.bucket, f.key, err)
		}
	}
	sorted, err := s.finish(ctx)
	if err != nil {
		_ = s.close()
		return nil, fmt.Errorf("sorting the inventory: %w", err)
	}
	progress.end()
	return sorted, nil
}

// sortFile downloads a file before it is read, so that a wrong MD5 is told as such and not as what it has led to, and
// that S3 does not wait for the sort. Parquet cannot be read from the front anyway.
func (inv *Inventory) sortFile(ctx context.Context, f file, s *sorter, p *progress) error {
	temp, err := newTempFile(s.dir)
	if err != nil {
		return err
	}
	defer temp.Close()
	if err := inv.download(ctx, f, temp, p.add); err != nil {
		return err
	}
	add := func(o Object) error { return s.add(ctx, o) }
	if inv.Format == FormatParquet {
		var told int64
		return inv.readParquet(temp, f.size, add, func(rows, of int64) {
			now := int64(float64(f.size) * float64(rows) / float64(max(of, rows)))
			p.add(now - told)
			told = now
		})
	}
	r := &progressReader{io.NewSectionReader(temp, 0, f.size), p}
	return inv.readCSV(bufio.NewReaderSize(r, 64<<10), add)
}

// progress tells how far reading is.
type progress struct {
	done, told, of int64 // done counts each byte twice: when it is downloaded and when it is read
	report         func(read, ofBytes int64)
}

// progressStep is after how many bytes it is told.
const progressStep = 1 << 20

func (p *progress) add(n int64) {
	p.done += n
	if p.report != nil && p.done/2 >= p.told+progressStep {
		p.told = p.done / 2
		p.report(min(p.told, p.of), p.of)
	}
}

func (p *progress) end() {
	if p.report != nil {
		p.report(p.of, p.of)
	}
}

// progressReader tells progress of what is read.
type progressReader struct {
	r io.Reader
	p *progress
}

// Read implements [io.Reader].
func (r *progressReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	r.p.add(int64(n))
	return n, err
}
