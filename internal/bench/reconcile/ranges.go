package main

import (
	"fmt"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// keyRange is the keys above after and below end; either may be empty, for no limit.
type keyRange struct{ after, end string }

// keyRanges cuts the keys into ranges of equal width, at "media/hh".
func keyRanges(n int) ([]keyRange, error) {
	if n < 1 || n > 256 || 256%n != 0 {
		return nil, fmt.Errorf("%d shards: must be a power of two, at most 256", n)
	}
	all := make([]keyRange, n)
	for i := 1; i < n; i++ {
		cut := fmt.Sprintf("%s%02x", rig.Prefix, i*256/n)
		all[i-1].end, all[i].after = cut, cut
	}
	return all, nil
}
