//go:build unix && !linux

package pgserver

import "syscall"

// bindToParent is guard's part on Linux.
func bindToParent(*syscall.SysProcAttr) {}

// guard has a process shut down when this one dies.
func guard(pid int) (release func(), err error) { return watch(pid) }
