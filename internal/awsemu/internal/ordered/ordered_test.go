package ordered

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestMapAgainstSlice drives the map with random operations and compares it with a sorted slice of keys.
func TestMapAgainstSlice(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	var m Map[int]
	want := map[string]int{}
	for step := 1; step <= 60_000; step++ {
		key := fmt.Sprintf("k%05d", rnd.IntN(4000))
		if rnd.IntN(20_000) < step%20_000 {
			_, had := want[key]
			if got := m.Delete(key); got != had {
				t.Fatalf("step %d: Delete(%s) = %v, want %v", step, key, got, had)
			}
			delete(want, key)
		} else {
			m.Set(key, step)
			want[key] = step
		}
		if m.Len() != len(want) {
			t.Fatalf("step %d: Len = %d, want %d", step, m.Len(), len(want))
		}
		if v, ok := m.Get(key); ok != (want[key] != 0) || v != want[key] {
			t.Fatalf("step %d: Get(%s) = %d, %v, want %d", step, key, v, ok, want[key])
		}
		if step%1500 == 0 {
			compare(t, &m, want, key)
		}
	}
}

func compare(t *testing.T, m *Map[int], want map[string]int, from string) {
	t.Helper()
	keys := make([]string, 0, len(want))
	for k := range want {
		if k >= from {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var got []string
	for c := m.Seek(from); c.Valid(); c.Next() {
		got = append(got, c.Key())
		if c.Value() != want[c.Key()] {
			t.Fatalf("value under %s is %d, want %d", c.Key(), c.Value(), want[c.Key()])
		}
	}
	if !slices.Equal(got, keys) {
		t.Fatalf("walk from %s gave %d keys, want %d", from, len(got), len(keys))
	}
}

func TestAfter(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"a": "b", "a/": "a0", "a\xff": "b"} {
		if got, ok := After(in); !ok || got != want {
			t.Errorf("After(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
	if got, ok := After("\xff\xff"); ok {
		t.Errorf("After of the highest prefix is %q, want none", got)
	}
}

func BenchmarkSet(b *testing.B) {
	var m Map[int]
	rnd := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		m.Set(fmt.Sprintf("%016x", rnd.Uint64()), 1)
	}
}
