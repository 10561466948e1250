package media_test

import (
	"bytes"
	"iter"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

// permutations yields every order of what it is given. What it yields is used again for the next one.
func permutations[T any](items []T) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		p := slices.Clone(items)
		var walk func(int) bool
		walk = func(n int) bool {
			if n <= 1 {
				return yield(p)
			}
			for i := range n {
				if !walk(n - 1) {
					return false
				}
				if n%2 == 0 {
					p[i], p[n-1] = p[n-1], p[i]
				} else {
					p[0], p[n-1] = p[n-1], p[0]
				}
			}
			return true
		}
		walk(len(p))
	}
}

// TestGatherIsTheSameForEveryOrder is R5 within one batch.
func TestGatherIsTheSameForEveryOrder(t *testing.T) {
	t.Parallel()
	a, b := uuid.UUID{1}, uuid.UUID{2}
	at := func(seconds int) time.Time { return time.Date(2026, 3, 1, 12, 0, seconds, 0, time.UTC) }
	l := func(id uuid.UUID, seq, etag string, size int64, second int, mismatch string) media.Landing {
		return media.Landing{
			MediaID: id, SizeBytes: size, ETag: etag, VersionID: "v-" + etag, Sequencer: sequencer(t, seq), EventTime: at(second),
			Mismatch: mismatch,
		}
	}
	for name, batch := range map[string][]media.Landing{
		"nothing":              {},
		"one":                  {l(a, "1", "e1", 100, 1, "")},
		"repeated":             {l(a, "1", "e1", 100, 1, ""), l(a, "1", "e1", 100, 1, ""), l(a, "1", "e1", 100, 1, "")},
		"overwritten":          {l(a, "1", "e1", 100, 1, ""), l(a, "2", "e2", 100, 2, ""), l(a, "1", "e1", 100, 1, "")},
		"overwritten, lengths": {l(a, "ff", "e1", 100, 1, ""), l(a, "100", "e2", 100, 2, ""), l(a, "00ff", "e1", 100, 1, "")},
		"another size between": {l(a, "1", "e1", 100, 1, ""), l(a, "2", "e2", 7, 2, ""), l(a, "3", "e3", 100, 3, "")},
		"two media":            {l(b, "1", "e1", 100, 1, ""), l(a, "2", "e2", 100, 2, ""), l(b, "3", "e3", 9, 3, ""), l(a, "1", "e1", 100, 1, "")},
		"one without sequencer": {
			l(a, "", "e2", 100, 9, ""), l(a, "1", "e1", 100, 1, ""), l(a, "2", "e2", 100, 2, ""),
		},
		"none has a sequencer": {l(a, "", "e1", 100, 1, ""), l(a, "", "e2", 100, 2, ""), l(a, "", "e3", 100, 3, "")},
		// A store whose clock is coarse, or which tells no time.
		"no sequencer, same time": {l(a, "", "e1", 100, 1, ""), l(a, "", "e2", 100, 1, ""), l(a, "", "e3", 100, 1, "")},
		// A store whose sequencers say nothing (LocalStack sends one constant) is ordered by time.
		"same sequencer":            {l(a, "5", "e1", 100, 1, ""), l(a, "5", "e2", 100, 2, ""), l(a, "5", "e3", 100, 3, "")},
		"same sequencer, same time": {l(a, "5", "e1", 100, 1, ""), l(a, "5", "e2", 8, 1, ""), l(a, "5", "e2", 9, 1, "")},
		"mismatches":                {l(a, "1", "e1", 100, 1, "content type"), l(a, "2", "e2", 100, 2, ""), l(a, "3", "e3", 100, 3, "checksum")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := media.Gather(batch)
			if !slices.IsSortedFunc(want, func(x, y media.Gathered) int { return bytes.Compare(x.MediaID[:], y.MediaID[:]) }) {
				t.Errorf("not in the order of ids: %v", want)
			}
			for order := range permutations(batch) {
				if got := media.Gather(order); !reflect.DeepEqual(got, want) {
					t.Errorf("in the order\n%v\nit is\n%v, before it was\n%v", order, got, want)
				}
			}
		})
	}
}

func TestGather(t *testing.T) {
	t.Parallel()
	id := uuid.UUID{1}
	got := media.Gather([]media.Landing{
		{MediaID: id, SizeBytes: 7, ETag: "e2", VersionID: "v2", Sequencer: sequencer(t, "2")},
		{MediaID: id, SizeBytes: 100, ETag: "e3", VersionID: "v3", Sequencer: sequencer(t, "3")},
		{MediaID: id, SizeBytes: 900, ETag: "e1", VersionID: "v1", Sequencer: sequencer(t, "1"), Mismatch: "content type"},
	})
	want := []media.Gathered{{
		Landing: media.Landing{
			MediaID: id, SizeBytes: 100, ETag: "e3", VersionID: "v3", Sequencer: sequencer(t, "3"), Mismatch: "content type",
		},
		MinSize: 7, MaxSize: 900,
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
