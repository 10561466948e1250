package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/internal/inventory"
)

// TestSortProgress: it only grows, and ends at the end.
func TestSortProgress(t *testing.T) {
	t.Parallel()
	objects := many(40_000)
	for i := range objects {
		objects[i].ETag = fmt.Sprintf("%x", rand.Uint64()) // or it would be compressed to nothing
	}
	for format, data := range map[string][]byte{"CSV": csvFile(t, true, objects), "Parquet": parquetFile(t, true, objects)} {
		schema := map[string]string{"CSV": csvVersions, "Parquet": parquetVersions}[format]
		_, all := report(t, format, schema, data, data)
		var told []int64
		inv, _ := sorted(t, &fakeS3{files: all}, inventory.SortConfig{Progress: func(read, of int64) {
			if want := int64(2 * len(data)); of != want {
				t.Fatalf("%d of %d, want of %d", read, of, want)
			}
			told = append(told, read)
		}})
		if n := len(told); n < 5 || !slices.IsSorted(told) || told[n-1] != inv.SizeBytes || told[n-2] < inv.SizeBytes-3<<20 {
			t.Errorf("%s: told %d of %d", format, told, inv.SizeBytes)
		}
	}
}

// TestSortEndsWithItsContext, wherever it is.
func TestSortEndsWithItsContext(t *testing.T) {
	t.Parallel()
	_, all := report(t, "CSV", csvVersions, csvFile(t, true, many(30_000)))
	inv, err := inventory.Open(t.Context(), &fakeS3{files: all}, manifestURL)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []float64{0.1, 0.6, 0.9} {
		ctx, cancel := context.WithCancel(t.Context())
		dir := t.TempDir()
		s, err := inv.Sort(ctx, inventory.SortConfig{Dir: dir, MemoryBytes: 64 << 10, Progress: func(read, of int64) {
			if float64(read) > part*float64(of) {
				cancel()
			}
		}})
		cancel()
		if !errors.Is(err, context.Canceled) || s != nil {
			t.Errorf("at %v: %v", part, err)
		}
		left(t, dir)
	}
}

// TestDownloadGoesOn: an answer that breaks off is not asked for from the beginning.
func TestDownloadGoesOn(t *testing.T) {
	t.Parallel()
	data := csvFile(t, false, current())
	_, all := report(t, "CSV", csvCurrent, data)
	m := &fakeS3{files: all, breakAfter: len(data)/3 + 1}
	_, s := sorted(t, m, inventory.SortConfig{})
	if s.Len() != int64(len(awkward)) || len(m.asked) != 5 || !strings.HasSuffix(m.asked[4], fmt.Sprintf(" bytes=%d-", 2*m.breakAfter)) {
		t.Errorf("%d objects; asked for %q", s.Len(), m.asked)
	}
	m.breakAfter, m.asked = len(data), nil // as the SDK does when its own checksum is not that of the whole
	if _, s := sorted(t, m, inventory.SortConfig{}); s.Len() != int64(len(awkward)) || len(m.asked) != 3 {
		t.Errorf("%d objects; asked for %q", s.Len(), m.asked)
	}
	m.breakAfter, m.asked = 1, nil
	inv, err := inventory.Open(t.Context(), m, manifestURL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inv.Sort(t.Context(), inventory.SortConfig{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "after 10 of") || len(m.asked) != 12 {
		t.Errorf("%v; asked %d times", err, len(m.asked))
	}
}

// TestSortTwice reads the same report again, in as little memory as there can be.
func TestSortTwice(t *testing.T) {
	t.Parallel()
	_, all := report(t, "Parquet", parquetVersions, parquetFile(t, true, many(2000)))
	inv, first := sorted(t, &fakeS3{files: maps.Clone(all)}, inventory.SortConfig{})
	second, err := inv.Sort(t.Context(), inventory.SortConfig{Dir: t.TempDir(), MemoryBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if a, b := collect(t, first, ""), collect(t, second, ""); !reflect.DeepEqual(a, b) {
		t.Error("the second time is not like the first")
	}
}

// TestSortInBoundedMemory holds no more than it was told to, and constants, of what takes 25 MB. It is not parallel: other
// tests would be counted.
func TestSortInBoundedMemory(t *testing.T) {
	objects := many(75_000)
	csv, parquet := csvFile(t, true, objects), parquetFile(t, true, objects)
	objects = nil
	const memory, constants = 2 << 20, 5 << 20
	for format, data := range map[string][]byte{"CSV": csv, "Parquet": parquet} {
		_, all := report(t, format, map[string]string{"CSV": csvVersions, "Parquet": parquetVersions}[format], data)
		before, most := live(), uint64(0)
		_, s := sorted(t, &fakeS3{files: all}, inventory.SortConfig{MemoryBytes: memory, Progress: func(int64, int64) {
			most = max(most, live())
		}})
		if s.Len() < 140_000 || most > before+memory+constants {
			t.Errorf("%s: held %d bytes for %d objects", format, most-before, s.Len())
		}
		t.Logf("%s: held %d KiB, %d objects", format, int64(most-before)>>10, s.Len())
	}
}

// live returns how many bytes are in use, without garbage.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
