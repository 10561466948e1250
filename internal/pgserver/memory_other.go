//go:build unix && !linux

package pgserver

const memory = ""

// freeInMemory is nothing where no file system in memory can be counted on.
func freeInMemory() uint64 { return 0 }
