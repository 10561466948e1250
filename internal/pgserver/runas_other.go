//go:build unix && !linux

package pgserver

// rootElsewhere needs user namespaces, which only Linux has.
func rootElsewhere() (runAs, bool) { return runAs{}, false }
