package inventory_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/inventory"
)

// awkward are keys that some encoding or other gets wrong.
var awkward = []string{
	"media/7f/01936b2e-8c1d-7a4e-9b52-6f0c1d2e3a7f", "with space", "1+1", "100%", "%41", "%2B", "a%20b", "a=b&c=d;e", "line\nbreak",
	"carriage\r\nreturn", `"quoted"`, "'single'", "comma,comma", "café", "cafe\u0301", "日本語/ファイル", "🧥", "\u007f", "tab\t", "trailing ",
	" leading", "/", "//", "a//b", "a/", "a\x00b", "a\x00", "a", "a\x01", "a\x00\x00", "..", "\\", "~", "#?", "\ufeffbom",
	strings.Repeat("k", 1024), strings.Repeat("ü", 512), strings.Repeat("\x00", 1024),
}

// shuffled returns the objects in another order, always the same.
func shuffled(objects []inventory.Object) []inventory.Object {
	objects = slices.Clone(objects)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
	return objects
}

// order is what Sort promises.
func order(a, b inventory.Object) int {
	return cmp.Or(
		strings.Compare(a.Key, b.Key), // Go compares strings by their bytes
		-compareBool(a.Latest, b.Latest),
		b.LastModified.Compare(a.LastModified),
		compareBool(a.DeleteMarker, b.DeleteMarker), // what follows is as good as any other
		cmp.Compare(a.SizeBytes, b.SizeBytes),
		strings.Compare(a.VersionID, b.VersionID),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// current is one object for each awkward key.
func current() []inventory.Object {
	var all []inventory.Object
	for i, key := range awkward {
		all = append(all, inventory.Object{
			Key: key, SizeBytes: int64(i) << 33, ETag: fmt.Sprintf("%032x", i), Latest: true,
			LastModified: createdAt.Add(-time.Duration(i) * 1234567 * time.Millisecond),
		})
	}
	return all
}

// versions has several versions of some keys, also under a delete marker.
func versions() []inventory.Object {
	all := current()
	for i := range all {
		all[i].VersionID = "null"
		if i%3 == 0 {
			continue
		}
		newer := all[i]
		newer.VersionID, newer.ETag, newer.LastModified = "3HL4kqtJvjVBH40Nrjfkd", "9b2cf535f27731c974343645a3985328-205", newer.LastModified.Add(time.Second)
		all[i].Latest = false
		if i%3 == 2 { // whose upload began before that of what it replaced
			newer.LastModified = all[i].LastModified.Add(-time.Hour)
		}
		all = append(all, newer)
		if i%4 == 0 {
			all[len(all)-1].Latest = false
			all = append(all, inventory.Object{
				Key: newer.Key, VersionID: "GQ9O7x", Latest: true, DeleteMarker: true, LastModified: newer.LastModified.Add(time.Millisecond),
			})
		}
	}
	return all
}

// TestSort reads the same objects from CSV and from Parquet, out of an emulated S3, to the same stream.
func TestSort(t *testing.T) {
	t.Parallel()
	for _, withVersions := range []bool{false, true} {
		objects, csvSchema, parquetSchema := current(), csvCurrent, parquetCurrent
		if withVersions {
			objects, csvSchema, parquetSchema = versions(), csvVersions, parquetVersions
		}
		rows := shuffled(objects)
		half := len(rows) / 2
		slices.SortFunc(objects, order)
		for format, make := range map[string]func() files{
			inventory.FormatCSV: func() files {
				_, all := report(t, "CSV", csvSchema, csvFile(t, withVersions, rows[:half]), csvFile(t, withVersions, nil), csvFile(t, withVersions, rows[half:]))
				return all
			},
			inventory.FormatParquet: func() files {
				_, all := report(t, "Parquet", parquetSchema, parquetFile(t, withVersions, rows[:half]), parquetFile(t, withVersions, nil), parquetFile(t, withVersions, rows[half:]))
				return all
			},
		} {
			t.Run(fmt.Sprintf("%s,versions=%t", format, withVersions), func(t *testing.T) {
				t.Parallel()
				inv, s := sorted(t, emulator(t, make()), inventory.SortConfig{})
				if inv.SourceBucket != source || !inv.CreatedAt.Equal(createdAt) || inv.Format != format || inv.Versions != withVersions || inv.Files != 3 {
					t.Errorf("the inventory is %+v", inv)
				}
				got := collect(t, s, "")
				if !reflect.DeepEqual(got, objects) || s.Len() != int64(len(objects)) {
					t.Errorf("got  %d: %+v\nwant %d: %+v", s.Len(), got, len(objects), objects)
				}
			})
		}
	}
}

// many returns n objects with keys like ours, and some with several versions.
func many(n int) []inventory.Object {
	random := rand.New(rand.NewPCG(3, 4))
	var all []inventory.Object
	for i := range n {
		o := inventory.Object{
			Key:       fmt.Sprintf("media/%02x/01936b2e-8c1d-7a4e-9b52-%012x", random.IntN(256), random.IntN(n*2)),
			SizeBytes: random.Int64N(1 << 40), ETag: fmt.Sprintf("%032x", i), VersionID: fmt.Sprintf("%032x", random.Uint64()),
			LastModified: createdAt.Add(-time.Duration(random.IntN(1e6)) * time.Second), Latest: true,
		}
		all = append(all, o)
		for range random.IntN(3) {
			o.Latest, o.VersionID, o.LastModified = false, fmt.Sprintf("%032x", random.Uint64()), o.LastModified.Add(-time.Minute)
			all = append(all, o)
		}
	}
	return shuffled(all)
}

// TestSortInLittleMemory needs hundreds of runs and several rounds of merging, and begins in the middle as well.
func TestSortInLittleMemory(t *testing.T) {
	t.Parallel()
	objects := many(10_000)
	_, all := report(t, "CSV", csvVersions, csvFile(t, true, objects[:7000]), csvFile(t, true, objects[7000:]))
	dir := t.TempDir()
	_, s := sorted(t, &fakeS3{files: all}, inventory.SortConfig{Dir: dir, MemoryBytes: 16 << 10})
	slices.SortFunc(objects, order)
	if got := collect(t, s, ""); !reflect.DeepEqual(got, objects) || s.Len() != int64(len(objects)) {
		t.Fatalf("%d objects are not those %d in order", len(got), len(objects))
	}
	afters := []string{objects[0].Key, objects[len(objects)-1].Key, "media", "media/80", "media/80/", "zzz", "media/7f/x", "\x00"}
	for range 50 {
		key := objects[rand.IntN(len(objects))].Key
		afters = append(afters, key, key[:len(key)-1], key+"\x00", key+"0")
	}
	for _, after := range afters {
		want := objects
		for len(want) > 0 && want[0].Key <= after {
			want = want[1:]
		}
		if got := collect(t, s, after); len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("after %q: %d objects, want %d", after, len(got), len(want))
		}
	}
	for o, err := range s.All("") { // whoever stops is not called again
		if err != nil || o != objects[0] {
			t.Error(o, err)
		}
		break
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for _, err := range s.All("") {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
	left(t, dir)
}

// left is an error when temporary files are.
func left(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
}

// TestSortOfNothing: that a bucket is empty is not an error.
func TestSortOfNothing(t *testing.T) {
	t.Parallel()
	for _, data := range [][][]byte{nil, {csvFile(t, false, nil)}} {
		_, all := report(t, "CSV", csvCurrent, data...)
		_, s := sorted(t, &fakeS3{files: all}, inventory.SortConfig{})
		if got := collect(t, s, ""); len(got) != 0 || s.Len() != 0 {
			t.Errorf("%d of %d objects", len(got), s.Len())
		}
	}
}

// TestSortKeepsDuplicates: an object that was replaced during the scan can be there twice.
func TestSortKeepsDuplicates(t *testing.T) {
	t.Parallel()
	older := current()[0]
	newer := older
	newer.LastModified, newer.ETag = older.LastModified.Add(time.Hour), "new"
	_, all := report(t, "CSV", csvCurrent, csvFile(t, false, []inventory.Object{older}), csvFile(t, false, []inventory.Object{newer, older}))
	_, s := sorted(t, &fakeS3{files: all}, inventory.SortConfig{})
	if got := collect(t, s, ""); !reflect.DeepEqual(got, []inventory.Object{newer, older, older}) {
		t.Errorf("got %+v", got)
	}
}
