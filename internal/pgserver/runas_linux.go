package pgserver

import (
	"fmt"
	"os"
	"syscall"
)

// renamed is a user in a namespace where it has another number: that of nobody, because initdb wants one that has a
// name. To everybody outside the process is still the user's own, so files, signals and sockets work as if there were
// no namespace; inside, root has no privilege left. See user_namespaces(7).
func renamed(uid, gid int) (runAs, bool) {
	inner := nobody()
	as := runAs{
		name: fmt.Sprintf("user %d in a user namespace", uid), uid: uid, gid: gid,
		foreign: uid != os.Geteuid(),
	}
	as.apply = func(a *syscall.SysProcAttr) {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: inner.uid, HostID: uid, Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: inner.gid, HostID: gid, Size: 1}}
		if as.foreign {
			// The process begins as root, who has no number in there, and becomes the user.
			a.Credential = &syscall.Credential{Uid: uint32(inner.uid), Gid: uint32(inner.gid), NoSetGroups: true}
		}
	}
	return as, true
}
