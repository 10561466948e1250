package inventory

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// someObject returns an object of which much is likely to be equal to that of another.
func someObject(random *rand.Rand) Object {
	text := func(alphabet string, n int) string {
		var b strings.Builder
		for range random.IntN(n) {
			b.WriteByte(alphabet[random.IntN(len(alphabet))])
		}
		return b.String()
	}
	return Object{
		Key: "a" + text("\x00\x01\x02a\xfe\xff", 4), Latest: random.IntN(2) == 0, DeleteMarker: random.IntN(2) == 0,
		SizeBytes: random.Int64() >> random.IntN(63), VersionID: text("ab\x00\x01\xff", 3), ETag: text("ef\x00", 3),
		LastModified: time.UnixMicro(random.Int64N(1<<50)>>random.IntN(50) - 1<<random.IntN(49)).UTC(),
	}
}

// before is the order that is promised.
func before(a, b Object) int {
	switch {
	case a.Key != b.Key:
		return strings.Compare(a.Key, b.Key)
	case a.Latest != b.Latest:
		if a.Latest {
			return -1
		}
		return 1
	}
	return b.LastModified.Compare(a.LastModified)
}

// TestRecord: what is put in comes out, and records sort as objects do.
func TestRecord(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	for range 200_000 {
		a, b := someObject(random), someObject(random)
		recordA, recordB := appendRecord(nil, &a), appendRecord(nil, &b)
		if got, err := decodeRecord(recordA); err != nil || got != a {
			t.Fatalf("%+v became %+v: %v", a, got, err)
		}
		if want := before(a, b); want != 0 && bytes.Compare(recordA, recordB) != want {
			t.Fatalf("%+v and %+v: %d, want %d", a, b, bytes.Compare(recordA, recordB), want)
		}
		if above := bytes.Compare(recordA, above(b.Key)) > 0; above != (a.Key > b.Key) {
			t.Fatalf("%q is above %q: %t", a.Key, b.Key, above)
		}
	}
	longest := Object{
		Key: strings.Repeat("\x00", maxKey), VersionID: strings.Repeat("v", maxText), ETag: strings.Repeat("e", maxText),
		SizeBytes: 1<<63 - 1, LastModified: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
	record := appendRecord(nil, &longest)
	if got, err := decodeRecord(record); len(record) > maxRecord || err != nil || got != longest {
		t.Errorf("%d bytes, %v", len(record), err)
	}
}

// TestSorter sorts anything in any amount of memory, and finds any place in it again.
func TestSorter(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(2, 2))
	for round := range 60 {
		n, memory := random.IntN(4000), random.Int64N(64<<10)
		t.Run(fmt.Sprintf("%d:%d in %d", round, n, memory), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(uint64(round), 3))
			s := newSorter(SortConfig{Dir: t.TempDir(), MemoryBytes: memory})
			s.fanIn = 2 + random.IntN(20)
			var objects []Object
			for range n {
				o := someObject(random)
				objects = append(objects, o)
				if err := s.add(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
			sorted, err := s.finish(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer sorted.Close()
			slices.SortFunc(objects, func(a, b Object) int {
				return cmp.Or(before(a, b), bytes.Compare(appendRecord(nil, &a), appendRecord(nil, &b)))
			})
			for range 5 {
				after := ""
				if n > 0 && random.IntN(3) > 0 {
					after = objects[random.IntN(n)].Key
				}
				var want, got []Object
				for _, o := range objects {
					if o.Key > after {
						want = append(want, o)
					}
				}
				for o, err := range sorted.All(after) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, o)
				}
				if !reflect.DeepEqual(got, want) || sorted.Len() != int64(n) {
					t.Fatalf("after %q: %d of %d objects, want %d", after, len(got), n, len(want))
				}
			}
		})
	}
}

// TestTemporaryFileCutOff: what is missing at the end of a temporary file must not look like a smaller bucket.
func TestTemporaryFileCutOff(t *testing.T) {
	t.Parallel()
	nine := func(memory int64) *sorter {
		s := newSorter(SortConfig{Dir: t.TempDir(), MemoryBytes: memory})
		for i := range 9 {
			if err := s.add(t.Context(), Object{Key: fmt.Sprint(i), ETag: "e"}); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	cut := func(s *spill, n int64) {
		if err := s.file.Truncate(s.at - n); err != nil {
			t.Fatal(err)
		}
	}
	for n := int64(0); n < 50; n++ {
		runs := nine(1)
		if err := runs.flush(); err != nil {
			t.Fatal(err)
		}
		cut(runs.spill, n)
		if _, err := runs.finish(t.Context()); (err != nil) != (n > 0) {
			t.Errorf("merged runs without the last %d bytes: %v", n, err)
		}
		runs.close()

		whole := nine(0)
		sorted, err := whole.finish(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		cut(whole.spill, n)
		objects, last := 0, error(nil)
		for _, last = range sorted.All("") {
			objects++
		}
		if (last != nil) != (n > 0) || n == 0 && objects != 9 {
			t.Errorf("without the last %d bytes: %d objects, %v", n, objects, last)
		}
		whole.close()
	}
}

// TestIndexStaysSmall, and still leads to every record.
func TestIndexStaysSmall(t *testing.T) {
	t.Parallel()
	x := index{stride: 10}
	var n int64
	for at := int64(0); at < 1<<20; at += 10 {
		if at < x.next {
			continue
		}
		n++
		if err := x.add(appendRecord(nil, &Object{Key: fmt.Sprintf("%08d", at)}), at); err != nil {
			t.Fatal(err)
		}
	}
	if len(x.entries) > maxIndex || len(x.entries) < maxIndex/2 || n <= maxIndex {
		t.Fatalf("%d entries of %d", len(x.entries), n)
	}
	for at := int64(0); at < 1<<20; at += 10 {
		if found := x.find(above(fmt.Sprintf("%08d", at))); found > at || at-found > 2*x.stride {
			t.Fatalf("%d is looked for at %d", at, found)
		}
	}
}

// FuzzDecodeRecord: a temporary file that was damaged is an error.
func FuzzDecodeRecord(f *testing.F) {
	random := rand.New(rand.NewPCG(4, 4))
	for range 20 {
		o := someObject(random)
		f.Add(appendRecord(nil, &o))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		if o, err := decodeRecord(record); err == nil && len(o.Key) > len(record) {
			t.Errorf("%+v", o)
		}
	})
}
