// Package ordered is a map of strings kept in byte order, which is the order S3 lists keys in.
package ordered

import (
	"slices"
	"sort"
)

// blockMax bounds a block: an insertion moves at most this many entries, and a million keys need about six
// thousand blocks, which one binary search finds its way through.
const blockMax = 256

// Map is a sorted list of sorted blocks. Its zero value is empty and ready. It does no locking.
type Map[V any] struct {
	blocks []*block[V]
	n      int
}

type block[V any] struct {
	keys []string
	vals []V
}

// Len is the number of keys.
func (m *Map[V]) Len() int { return m.n }

// Get returns the value under key.
func (m *Map[V]) Get(key string) (V, bool) {
	if b := m.blockFor(key); b >= 0 {
		if i, ok := slices.BinarySearch(m.blocks[b].keys, key); ok {
			return m.blocks[b].vals[i], true
		}
	}
	var zero V
	return zero, false
}

// Set stores v under key.
func (m *Map[V]) Set(key string, v V) {
	at := max(m.blockFor(key), 0)
	if len(m.blocks) == 0 {
		m.blocks = append(m.blocks, &block[V]{})
	}
	b := m.blocks[at]
	i, ok := slices.BinarySearch(b.keys, key)
	if ok {
		b.vals[i] = v
		return
	}
	b.keys = slices.Insert(b.keys, i, key)
	b.vals = slices.Insert(b.vals, i, v)
	m.n++
	if len(b.keys) > blockMax {
		m.split(at)
	}
}

// Delete removes key and reports whether it was there.
func (m *Map[V]) Delete(key string) bool {
	at := m.blockFor(key)
	if at < 0 {
		return false
	}
	b := m.blocks[at]
	i, ok := slices.BinarySearch(b.keys, key)
	if !ok {
		return false
	}
	b.keys = slices.Delete(b.keys, i, i+1)
	b.vals = slices.Delete(b.vals, i, i+1)
	m.n--
	switch {
	case len(b.keys) == 0:
		m.blocks = slices.Delete(m.blocks, at, at+1)
	case at+1 < len(m.blocks) && len(b.keys)+len(m.blocks[at+1].keys) <= blockMax/2:
		next := m.blocks[at+1]
		b.keys = append(b.keys, next.keys...)
		b.vals = append(b.vals, next.vals...)
		m.blocks = slices.Delete(m.blocks, at+1, at+2)
	}
	return true
}

// split moves the upper part of a block into a new one. Keys that arrive in order split off nearly nothing, so
// that a bulk load leaves full blocks behind.
func (m *Map[V]) split(at int) {
	b := m.blocks[at]
	cut := len(b.keys) / 2
	if at == len(m.blocks)-1 {
		cut = len(b.keys) - len(b.keys)/8
	}
	upper := &block[V]{
		keys: append(make([]string, 0, blockMax+1), b.keys[cut:]...),
		vals: append(make([]V, 0, blockMax+1), b.vals[cut:]...),
	}
	clear(b.keys[cut:])
	clear(b.vals[cut:])
	b.keys, b.vals = b.keys[:cut], b.vals[:cut]
	m.blocks = slices.Insert(m.blocks, at+1, upper)
}

// blockFor is the last block whose first key is not above key: the only one that may hold it; -1 if none.
func (m *Map[V]) blockFor(key string) int {
	return sort.Search(len(m.blocks), func(i int) bool { return m.blocks[i].keys[0] > key }) - 1
}

// Cursor walks a Map upwards. Changing the Map makes it meaningless.
type Cursor[V any] struct {
	m        *Map[V]
	block, i int
}

// Seek returns a cursor on the first key that is not below from.
func (m *Map[V]) Seek(from string) Cursor[V] {
	c := Cursor[V]{m: m}
	c.Seek(from)
	return c
}

// Seek moves the cursor to the first key that is not below from.
func (c *Cursor[V]) Seek(from string) {
	c.block = max(c.m.blockFor(from), 0)
	c.i = 0
	if c.block < len(c.m.blocks) {
		c.i, _ = slices.BinarySearch(c.m.blocks[c.block].keys, from)
		c.settle()
	}
}

// Valid reports whether the cursor stands on a key.
func (c *Cursor[V]) Valid() bool { return c.block < len(c.m.blocks) }

// Key is the key the cursor stands on.
func (c *Cursor[V]) Key() string { return c.m.blocks[c.block].keys[c.i] }

// Value is the value the cursor stands on.
func (c *Cursor[V]) Value() V { return c.m.blocks[c.block].vals[c.i] }

// Next moves to the following key.
func (c *Cursor[V]) Next() {
	c.i++
	c.settle()
}

func (c *Cursor[V]) settle() {
	if c.i >= len(c.m.blocks[c.block].keys) {
		c.block, c.i = c.block+1, 0
	}
}

// After returns the smallest string above every string that starts with prefix, and false if there is none.
func After(prefix string) (string, bool) {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != 0xff {
			b[i]++
			return string(b[:i+1]), true
		}
	}
	return "", false
}
