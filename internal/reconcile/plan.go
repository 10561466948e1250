package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/coatcheck/coatcheck/internal/media"
)

const (
	minShards = 16
	maxShards = 256
	// shardObjects is how many objects a shard is to have at least: a shard's last page is half empty, on average.
	shardObjects = 8000
	// scopeEnd is above every key of a prefix, in byte order.
	scopeEnd = "\U0010FFFF"
)

// scopes are the prefixes that a run goes over: the managed one and those adopted, but for those within another.
func scopes(managed string, adopted []string) []string {
	all := append([]string{managed}, adopted...)
	slices.Sort(all)
	var outer []string
	for _, p := range all { // what is within a prefix follows it
		if len(outer) == 0 || !strings.HasPrefix(p, outer[len(outer)-1]) {
			outer = append(outer, p)
		}
	}
	return outer
}

// hexShards is how many shards the managed prefix is cut into: a power of two, by the number of rows.
func hexShards(estimate int64) int {
	n := minShards
	for n < maxShards && int64(n)*shardObjects < estimate {
		n *= 2
	}
	return n
}

// minted are the keys between shards of the prefix below which keys are minted: their names begin with two hexadecimal
// digits that are evenly spread.
func minted(keys media.Keys, estimate int64) []string {
	n := hexShards(estimate)
	var cuts []string
	for i := 1; i < n; i++ {
		cuts = append(cuts, fmt.Sprintf("%s%02x", keys.Prefix(), i*256/n))
	}
	return cuts
}

// guessed are keys between shards of a prefix of which nothing is known but the folders in it. Without folders its names
// are taken for words of letters and digits.
func guessed(prefix string, folders []string) []string {
	if len(folders) >= 8 {
		step := max(1, len(folders)/64)
		var cuts []string
		for i := step; i < len(folders); i += step {
			cuts = append(cuts, folders[i])
		}
		return cuts
	}
	var cuts []string
	for _, c := range "123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		cuts = append(cuts, prefix+string(c))
	}
	return append(cuts, folders...)
}

// ranges cuts a prefix at keys into ranges that cover all of it. It is not cut at keys that Postgres cannot hold.
func ranges(prefix string, cuts []string) []Range {
	cuts = slices.Clone(cuts)
	slices.Sort(cuts)
	cuts = slices.DeleteFunc(slices.Compact(cuts), func(c string) bool { return c <= prefix || !strings.HasPrefix(c, prefix) || c != plain(c) })
	all := make([]Range, 0, len(cuts)+1)
	after := ""
	for _, c := range cuts {
		all = append(all, Range{Prefix: prefix, After: after, Until: c})
		after = c
	}
	return append(all, Range{Prefix: prefix, After: after})
}

// Bounds are the range's first and last key for a store that has no prefixes: above after or equal to from, and up to
// and including until.
func (r Range) Bounds() (from, after, until string) {
	if r.Until == "" {
		return r.Prefix, r.After, r.Prefix + scopeEnd
	}
	return r.Prefix, r.After, r.Until
}
