//go:build unix && !linux

package pgserver

// renamed needs user namespaces, which only Linux has.
func renamed(uid, gid int) (runAs, bool) { return runAs{}, false }
