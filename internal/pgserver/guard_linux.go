package pgserver

import "syscall"

// bindToParent has the kernel ask a child for a fast shutdown when this process dies. A child that is not a server
// ends by it too.
func bindToParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGINT }

// guard is bindToParent's part on other systems.
func guard(int) (release func(), err error) { return func() {}, nil }
