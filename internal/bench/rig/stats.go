package rig

import (
	"cmp"
	"slices"
)

// Ordered returns one figure of every sample, in ascending order.
func Ordered[S any, T cmp.Ordered](samples []S, of func(S) T) []T {
	var all []T
	for _, s := range samples {
		all = append(all, of(s))
	}
	slices.Sort(all)
	return all
}

// Median is that of an ordered list that is not empty.
func Median[T ~int64 | ~float64](ordered []T) T {
	n := len(ordered)
	return (ordered[(n-1)/2] + ordered[n/2]) / 2
}

// Percentile is the smallest of an ordered list, which is not empty, that at least p per cent are not above.
func Percentile[T any](ordered []T, p float64) T {
	n := len(ordered)
	at := int(p/100*float64(n) + 0.9999999)
	return ordered[min(max(at, 1), n)-1]
}

// PairedMedian is the median of what each turn's results come to, where contenders took turns one after the other: what a
// machine does for some seconds meets all of a turn, and so does not show.
func PairedMedian(turns int, of func(turn int) float64) float64 {
	each := make([]float64, turns)
	for i := range each {
		each[i] = of(i)
	}
	slices.Sort(each)
	return Median(each)
}
